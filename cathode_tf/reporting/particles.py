"""An `Analysis` in, the report's sections on particles and their sizes out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cathode_tf.analysis import Analysis
from cathode_tf.reporting.figures import cumulative_curves, histogram
from cathode_tf.reporting.page import Drawing, Section, Table
from cathode_tf.reporting.tables import NOT_ESTIMABLE, estimates_table, sentence, split_text
from cathode_tf.statistics import Estimate
from cathode_tf.statistics.sizes import MEANS, PERCENTILES, WEIGHTINGS, display_name

PERCENTILE = re.compile(rf"({'|'.join(PERCENTILES)})_[0-3]")
SAMPLES = {
    "section": "The sample is a section: profiles are smaller than the particles they were cut from.",
    "dispersed": "The sample is dispersed powder: particles show their own diameters.",
}
FITS = {
    "lognormal_median": "log-normal: median",
    "lognormal_sigma_g": "log-normal: geometric standard deviation",
    "x50_3_lognormal": f"log-normal: {display_name('x50_3')}",
    "weibull_scale": "Weibull: characteristic diameter",
    "weibull_modulus": "Weibull: modulus",
    "x50_3_weibull": f"Weibull: {display_name('x50_3')}",
}
FITTED = "Fitted distributions of the diameters by number; look at the fit before the numbers."


def is_size(quantity: str) -> bool:
    """Whether these sections show this quantity of the summary."""
    return bool(PERCENTILE.fullmatch(quantity)) or quantity in MEANS or quantity in FITS


def instance_sections(analysis: Analysis) -> list[Section]:
    """Counts and sizes of the instances of each phase."""
    table = analysis.instances
    if not len(table):
        return []
    column = f"equivalent_diameter_{analysis.unit}"
    unit = "px" if analysis.unit == "px" else "µm"
    section = Section(
        "Particles and pores",
        texts=[
            "Connected regions of each phase are counted; touching particles are separated at their necks. "
            "Instances that the frame cuts are listed, but count half in the number per area."
        ],
    )
    rows = []
    for phase in analysis.phases:
        mine = table[table["phase"] == phase.name]
        if not len(mine):
            continue
        inner = mine[~mine["touches_border"]]
        quantiles = inner[column].quantile([0.1, 0.5, 0.9]) if len(inner) else [float("nan")] * 3
        numbers = [f"{value:.3g}" if np.isfinite(value) else "none whole" for value in quantiles]
        rows.append([phase.name, str(len(mine)), str(len(mine) - len(inner)), *numbers])
    section.tables.append(
        Table(
            [
                "phase",
                "instances",
                "cut by the frame",
                *(f"D{p} (number), {unit}" for p in (10, 50, 90)),
            ],
            rows,
            "Raw counts and quantiles of the equivalent diameters as measured in the section.",
            numeric=True,
        )
    )
    if "number_density" in analysis.summary:
        section.tables.append(
            estimates_table(analysis.summary["number_density"], "phase", "Instances per area")
        )
    for name in analysis.phases.with_role("particle") or analysis.phases.names[:1]:
        diameters = table.loc[table["phase"] == name, column].to_numpy(float)
        if len(diameters) < 5:
            continue
        color = analysis.phases[name].color
        label = f"equivalent diameter of {name}, {unit}"
        section.drawings.append(
            Drawing(histogram(diameters, label, color), f"Sizes of {name} in the section.")
        )
        curves = _curves(diameters)
        section.drawings.append(
            Drawing(
                cumulative_curves(curves, label),
                "The same as shares of number, of area, and of volume as if the sections were spheres.",
            )
        )
    return [section]


def _curves(diameters: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    sizes = np.sort(diameters)
    curves = {}
    for name, power in (("number", 0), ("area", 2), ("volume", 3)):
        weight = np.cumsum(sizes**power)
        curves[name] = (sizes, weight / weight[-1])
    return curves


def size_sections(analysis: Analysis) -> list[Section]:
    """Percentiles, means and fitted distributions of the sizes of each particle phase."""
    sections = []
    for name, sizes in analysis.sizes.items():
        mine = {q: estimates[name] for q, estimates in analysis.summary.items() if name in estimates}
        section = Section(
            f"Sizes of {name}",
            texts=[
                f"{SAMPLES[sizes.sample_type]} {sizes.n} whole particles, worth {sizes.n_effective:.0f} of equal "
                f"weight; {100 * sizes.area_lost:.0f} % of the area belongs to particles that the frame cuts."
            ],
            notes=_notes([e for q, e in mine.items() if PERCENTILE.fullmatch(q) or q in MEANS]),
        )
        section.tables.append(_percentiles(mine))
        means = {label: mine[q] for q, label in MEANS.items() if q in mine and not mine[q].is_refused}
        if means:
            # Their flags are those of the percentiles, and stand above.
            means = {label: replace(estimate, flags={}) for label, estimate in means.items()}
            section.tables.append(estimates_table(means, "quantity", "Mean diameters."))
        fits = {label: mine[q] for q, label in FITS.items() if q in mine}
        if not all(estimate.is_refused for estimate in fits.values()):
            section.tables.append(estimates_table(fits, "quantity", FITTED))
        sections.append(section)
    return sections


def _percentiles(estimates: Mapping[str, Estimate]) -> Table:
    """A row a weighting, a column a percentile."""

    def cell(estimate: Estimate) -> str:
        return NOT_ESTIMABLE if estimate.is_refused else split_text(estimate)[0]

    rows = [
        [label, *(cell(estimates[f"{column}_{weighting}"]) for column in PERCENTILES)]
        for weighting, label in WEIGHTINGS.items()
    ]
    basis = next((text for q in estimates if (text := _basis(q, estimates[q]))), "no interval")
    how = "; ".join(f"{label}: {estimates[f'x50_{w}'].method}" for w, label in WEIGHTINGS.items())
    caption = f"Equivalent diameters, {basis}. By {how}."
    return Table(["share of", *PERCENTILES.values()], rows, caption, numeric=True)


def _basis(quantity: str, estimate: Estimate) -> str:
    return split_text(estimate)[1] if PERCENTILE.fullmatch(quantity) else ""


def _notes(estimates: Sequence[Estimate]) -> list[str]:
    """What flags say, each once; why there is nothing, where there is nothing. The area lost stands in the text."""
    nothing = all(estimate.is_refused for estimate in estimates)
    reasons = dict.fromkeys(
        reason
        for estimate in estimates
        for flag, reason in estimate.flags.items()
        if flag == "REFUSED" or not (nothing or flag == "AREA_LOST")
    )
    return [f"{sentence(reason)}." for reason in reasons]
