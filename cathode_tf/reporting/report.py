"""An `Analysis` and the masks it measured in, one self-contained `report.html` out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.analysis import Analysis, Estimate
from cathode_tf.reporting.figures import (
    bars_with_intervals,
    cumulative_curves,
    histogram,
    instance_picture,
    phase_picture,
    picture_data,
)
from cathode_tf.reporting.page import Card, Drawing, Page, Picture, Section, Table, write_page

PICTURES = 6
"""At most this many micrographs are shown; the tables cover all."""

TITLES = {
    "fraction": "Area fraction (estimates the volume fraction)",
    "boundary_density": "Boundary length per area, between two phases",
    "surface_density": "Surface per volume S_V",
    "contact_fraction": "Share of the first phase's boundary that touches the second",
    "coverage": "Share of the particle surface that is covered",
    "triple_point_density": "Points where three phases meet, per area",
    "number_density": "Instances per area",
}
WEIGHTINGS = {"0": "number", "2": "area", "3": "volume"}
"""ISO 9276's index of what a distribution counts."""
COLUMNS = {"x10": "D10", "x50": "D50", "x90": "D90", "span": "span"}
_SIZE = re.compile(r"(x10|x50|x90|span)_[0-3]")
FAMILIES = {
    "Fragmentation of particles": "crack|fragment|fines|surface_connected|new_boundary",
    "Pore space": "pore|chord|thickness|connect|closed|percol|tortuos|largest",
    "Mean sizes": "mean|diameter",
}
OTHER = "Further quantities"
INTERFACES = ("surface_density", "coverage", "contact_fraction", "boundary_density", "triple_point_density")


def write_report(
    analysis: Analysis,
    path: str | Path,
    *,
    masks: Mapping[str, np.ndarray] | None = None,
    micrographs: Mapping[str, np.ndarray] | None = None,
    extra: Sequence[Section] = (),
    title: str = "Cathode analysis",
    force: bool = False,
) -> Path:
    """Write the report of a batch: headline, composition, interfaces, particles, pictures, methods, provenance.

    Args:
        analysis: What `analyze` returned.
        path: The HTML file; it needs nothing beside it and no network.
        masks: Segmentation masks to draw, uint8 (height, width), by image name; the first six are shown.
        micrographs: Their grey images (height, width) by image name, laid under the masks.
        extra: More sections, shown after the headline: how good the model is, for example.
        title: Heading.
        force: Replace an existing file.

    Returns:
        `path`.
    """
    masks, micrographs = masks or {}, micrographs or {}
    sections = [
        *extra,
        _composition(analysis),
        *_groups(analysis),
        *_pictures(analysis, masks, micrographs),
        *_instances(analysis),
        *_sizes(analysis),
        *_families(analysis),
        *_interfaces(analysis),
        *_planning(analysis),
        _methods(analysis),
        _provenance(analysis),
    ]
    page = Page(title, _lead(analysis), _cards(analysis), _notes(analysis), sections)
    return write_page(page, path, force=force)


def split_text(estimate: Estimate) -> tuple[str, str]:
    """An Estimate as its number and, apart, what stands in brackets behind it.

    Example:
        >>> split_text(Estimate(0.3123, ci=(0.2941, 0.3305), n=12))
        ('0.312 ± 0.018', '95 %, 12 images')
    """
    text = str(estimate).replace("+-", "±")
    if estimate.value is None or not text.endswith(")"):
        return text, ""
    number, _, bracket = text[:-1].rpartition(" (")
    return number.replace("um2", "µm²").replace("um3", "µm³").replace("um", "µm"), bracket


def estimates_table(estimates: Mapping[str, Estimate], what: str, caption: str = "") -> Table:
    """A row an Estimate: name, number with interval, what it rests on, flags."""
    rows = []
    for name, estimate in estimates.items():
        number, bracket = split_text(estimate)
        reasons = "; ".join(reason for flag, reason in estimate.flags.items() if flag != "REFUSED")
        rows.append([name.replace("|", " | "), number, bracket, reasons])
    header = [what, "estimate", "rests on", "note"]
    said = {row[-1] for row in rows}
    if len(said) == 1:
        # What holds for all rows is said once.
        header, rows = header[:-1], [row[:-1] for row in rows]
        caption = ". ".join(filter(None, [caption, *said]))
    return Table(header, rows, caption)


def _lead(analysis: Analysis) -> str:
    number = len(analysis.images)
    area = sum(image.shape[0] * image.shape[1] for image in analysis.images)
    if analysis.pixel_size_nm is None:
        where = f"{area / 1e6:.3g} megapixels"
    else:
        where = (
            f"{area * (analysis.pixel_size_nm / 1000) ** 2:.4g} µm² at {analysis.pixel_size_nm:g} nm a pixel"
        )
    return f"{number} image{'' if number == 1 else 's'}, {where}. Every number carries a 95 % interval."


def _notes(analysis: Analysis) -> list[str]:
    notes = []
    if analysis.pixel_size_nm is None:
        notes.append("The pixel size is unknown: all lengths and areas are in pixels.")
    if len(analysis.images) == 1:
        notes.append(
            "One image cannot show how much the material varies from place to place; its interval, where there is "
            "one, comes from the structure inside the image alone."
        )
    return notes


def _cards(analysis: Analysis) -> list[Card]:
    cards = []
    for phase in analysis.phases:
        estimate = analysis.summary["fraction"][phase.name]
        number, bracket = split_text(estimate)
        cards.append(Card(f"{phase.name}: fraction", number, bracket, phase.color, estimate.is_refused))
    return cards


def _composition(analysis: Analysis) -> Section:
    fractions = analysis.summary["fraction"]
    colors = [phase.color for phase in analysis.phases]
    return Section(
        "Composition",
        texts=["In a fair section the area fraction of a phase estimates its volume fraction without bias."],
        drawings=[Drawing(bars_with_intervals(fractions, colors, "area fraction"), "Bars: 95 % intervals.")],
        tables=[estimates_table(fractions, "phase")],
    )


def _groups(analysis: Analysis) -> list[Section]:
    """Phase fractions of each group of images, where there are groups."""
    rows = [
        [group, *(split_text(summary["fraction"][name])[0] for name in analysis.phases.names)]
        for group, summary in analysis.by_group.items()
    ]
    table = Table(["group", *analysis.phases.names], rows, "Area fractions of each group.", numeric=True)
    return [Section("Groups", tables=[table])] if rows else []


def _instances(analysis: Analysis) -> list[Section]:
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
            estimates_table(analysis.summary["number_density"], "phase", TITLES["number_density"])
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


def _sizes(analysis: Analysis) -> list[Section]:
    """Percentiles of the particle sizes: a row a weighting, a column a percentile."""
    sections = []
    names = {
        name
        for quantity in analysis.summary
        if _SIZE.fullmatch(quantity)
        for name in analysis.summary[quantity]
    }
    for name in [phase for phase in analysis.phases.names if phase in names]:
        rows, reasons = [], []
        for weighting, label in WEIGHTINGS.items():
            cells = [analysis.summary.get(f"{column}_{weighting}", {}).get(name) for column in COLUMNS]
            if any(cells):
                rows.append([label, *(split_text(cell)[0] if cell else "" for cell in cells)])
                reasons += [reason for cell in cells if cell for reason in cell.flags.values()]
        basis = [
            split_text(e[name])[1] for q, e in analysis.summary.items() if _SIZE.fullmatch(q) and name in e
        ]
        methods = {
            label: analysis.summary[f"x50_{weighting}"][name].method
            for weighting, label in WEIGHTINGS.items()
            if name in analysis.summary.get(f"x50_{weighting}", {})
        }
        how = "; ".join(f"{label}: {method}" for label, method in methods.items())
        caption = f"Equivalent diameters, {next(filter(None, basis), 'no interval')}. By {how}."
        section = Section(
            f"Sizes of {name}",
            tables=[Table(["share of", *COLUMNS.values()], rows, caption, numeric=True)],
            notes=[reason[:1].upper() + reason[1:] + "." for reason in dict.fromkeys(reasons)],
        )
        sections.append(section)
    return sections


def _families(analysis: Analysis) -> list[Section]:
    """Every other quantity, with its relatives in one table."""
    rows: dict[str, dict[str, Estimate]] = {}
    for quantity, estimates in analysis.summary.items():
        if quantity in (*INTERFACES, "fraction", "number_density") or _SIZE.fullmatch(quantity):
            continue
        family = next((title for title, pattern in FAMILIES.items() if re.search(pattern, quantity)), OTHER)
        label = quantity.replace("_", " ")
        for name, estimate in estimates.items():
            rows.setdefault(family, {})[f"{label}: {name}"] = estimate
    titles = [title for title in [*FAMILIES, OTHER] if title in rows]
    return [Section(title, tables=[estimates_table(rows[title], "quantity")]) for title in titles]


def _interfaces(analysis: Analysis) -> list[Section]:
    tables = [
        estimates_table(analysis.summary[quantity], "phases", TITLES[quantity])
        for quantity in INTERFACES
        if quantity in analysis.summary
    ]
    return [Section("Interfaces", tables=tables)] if tables else []


def _pictures(
    analysis: Analysis, masks: Mapping[str, np.ndarray], micrographs: Mapping[str, np.ndarray]
) -> list[Section]:
    if not masks:
        return []
    section = Section("Pictures", legend=[(phase.name, phase.color) for phase in analysis.phases])
    names = list(masks)[:PICTURES]
    if len(masks) > PICTURES:
        section.texts.append(f"The first {PICTURES} of {len(masks)} images.")
    for name in names:
        pixels = micrographs.get(name)
        picture = phase_picture(masks[name], analysis.phases, pixels)
        section.pictures.append(Picture(picture_data(picture), f"{name}: phases"))
        if analysis.phases.with_role("particle"):
            particles = instance_picture(analysis.labels(name, masks[name]), pixels)
            section.pictures.append(Picture(picture_data(particles), f"{name}: particles, as separated"))
    return [section]


def _planning(analysis: Analysis) -> list[Section]:
    sentences = [row["sentence"].replace("+-", "±") for row in analysis.planning]
    return [Section("How much more to measure", texts=sentences)] if sentences else []


def _methods(analysis: Analysis) -> Section:
    return Section(
        "Methods",
        texts=["Each method that this report used, with where it is described."],
        references=list(analysis.methods),
    )


def _provenance(analysis: Analysis) -> Section:
    content: dict[str, Any] = analysis.to_dict()
    rows = [
        [image["image"], image["group"], "{} x {}".format(*image["shape"]), image["mask_sha256"][:16]]
        for image in content["images"]
    ]
    settings = ", ".join(f"{key} = {value}" for key, value in content["settings"].items())
    return Section(
        "Provenance",
        texts=[f"cathode_tf {content['version']}, Python {content['python']}. Settings: {settings}."],
        tables=[
            Table(["image", "group", "height x width, px", "SHA-256 of the mask (first 16 digits)"], rows)
        ],
    )
