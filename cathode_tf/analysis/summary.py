"""The sums of a batch's images in; every batch quantity as `Estimate` out."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cathode_tf.analysis.image import LABELS, ImageMeasures, Settings
from cathode_tf.analysis.interfaces import (
    Intercepts,
    boundary_density,
    contact_fraction,
    surface_density,
    triple_point_density,
)
from cathode_tf.analysis.layers import LAYERED, layering
from cathode_tf.analysis.pores import QUANTITIES, PoreMeasures, pore_estimates
from cathode_tf.analysis.porosity import Electrode, reconcile_porosity
from cathode_tf.errors import InputError
from cathode_tf.particles.fragmentation import HEADLINE, METRICS, parent_estimates, radial_profile
from cathode_tf.phases import Phases
from cathode_tf.statistics.budget import widened, with_edge, with_pixel_size
from cathode_tf.statistics.estimate import Estimate, ratio_estimate
from cathode_tf.statistics.fits import FITTED, fit_estimates
from cathode_tf.statistics.fractions import phase_fraction, sum_by_group
from cathode_tf.statistics.guard import attempt, failed, guarded, refusal
from cathode_tf.statistics.sizes import SizeDistribution, size_distribution
from cathode_tf.statistics.summaries import Summary
from cathode_tf.statistics.transfer import TestErrors, transferred

LARGEST_OPENING_CHANGE = 0.10
CRACK_EVIDENCE = "CRACK_EVIDENCE"
CRACK_OPENING = "CRACK_OPENING"
"""Flag: many cracks seem wider than they were allowed to be."""
NECK_DEPTH = "NECK_DEPTH"
"""Flag: what the number of particles would be if necks were cut at half or twice the depth."""

COUNT_NOISE, COUNT_SHIFT = 0.16, 0.05
"""How far the count of a label image is off: variance for each particle, and standard deviation of what a batch has in
common. With these the interval holds the truth of 95 % of the tiles of images left out
(`benchmarks/count_coverage.py`)."""

LEFT_OUT = "BELOW_SMALLEST"
"""Flag: how many particles below the smallest area are in no list."""


@dataclass(frozen=True)
class Batch:
    """Images that are summed up together.

    Attributes:
        images: Their sums.
        phases: What they hold (without `pore_back` if it was merged).
        pixel_size_nm: None = unknown.
        settings: How they were measured.
        errors: Error rates of the segmentation from a test set, if there are any.
    """

    images: tuple[ImageMeasures, ...]
    phases: Phases
    pixel_size_nm: float | None
    settings: Settings
    errors: TestErrors | None = None

    @property
    def units(self) -> list[str] | None:
        """The group of each image, if groups are the independent units."""
        return [image.group for image in self.images] if self.settings.replicate == "group" else None

    @property
    def unit(self) -> str:
        """`"image"` or `"group"`."""
        return self.settings.replicate

    @property
    def instance_phases(self) -> tuple[str, ...]:
        """Phases whose instances are listed."""
        chosen = self.settings.instance_phases
        return self.phases.names if chosen is None else chosen

    def fault(self, measure: str) -> str:
        """What went wrong when this was measured in an image; empty where nothing did."""
        return next((i.faults[measure] for i in self.images if measure in i.faults), "")

    def counts(self) -> np.ndarray:
        """Pixels by image and phase."""
        return np.array([image.counts for image in self.images])


def summarize(batch: Batch, sizes: Mapping[str, SizeDistribution]) -> Summary:
    """Every batch quantity: quantity -> phase (or `a|b`) -> `Estimate`."""
    summary: Summary = {"fraction": _fractions(batch)}
    if batch.errors is not None:
        errors = batch.errors
        corrected = attempt(
            lambda: transferred(batch.counts(), errors, batch.phases, units=batch.units), batch.phases.names
        )
        summary["fraction_corrected"] = with_doubt(corrected, batch)
    summary["number_density"] = _number_density(batch)
    for phase, distribution in sizes.items():
        for name, estimate in distribution.estimates.items():
            summary.setdefault(name, {})[phase] = estimate
    summary |= _fragmentation(batch)
    summary |= _pores(batch)
    summary |= _interfaces(batch)
    return {quantity: estimates for quantity, estimates in summary.items() if estimates}


def with_systematic(summary: Summary, batch: Batch) -> Summary:
    """The summary with what the settings say of outlines and of the pixel size."""
    settings = batch.settings
    if settings.edge_px:
        summary = with_edge(summary, settings.edge_px, batch.pixel_size_nm)
    return with_pixel_size(summary, settings.pixel_size_rel) if settings.pixel_size_rel else summary


def fitted(sizes: Mapping[str, SizeDistribution]) -> Summary:
    """Log-normal and Weibull distributions fitted to the sizes, with their goodness of fit."""
    summary: Summary = {}
    for phase, distribution in sizes.items():
        for name, estimate in attempt(functools.partial(fit_estimates, distribution), FITTED).items():
            summary.setdefault(name, {})[phase] = estimate
    return summary


def porosities(batch: Batch, summary: Summary, electrode: Electrode) -> dict[str, Estimate]:
    """The porosity of the images held against mass and thickness (`reconcile_porosity`).

    Reference:
        Mass balance; ISO 13528 (E_n).
    """
    counts, phases = batch.counts(), batch.phases
    columns = [
        phases.names.index(name) for role in ("pore", "binder", "additive") for name in phases.with_role(role)
    ]
    pores = phases.with_role("pore")
    domain = columns[len(pores) :]
    pore = summary["fraction"][pores[0]] if len(pores) == 1 else _share(batch, counts, columns[: len(pores)])
    return reconcile_porosity(pore, _share(batch, counts, domain) if domain else None, electrode)


def _share(batch: Batch, counts: np.ndarray, columns: Sequence[int]) -> Estimate:
    """Fraction of several phases together, with the interval between images."""
    both = np.column_stack([counts[:, columns].sum(1), counts.sum(1) - counts[:, columns].sum(1)])
    return phase_fraction(both, 0, units=batch.units)


def _fractions(batch: Batch) -> dict[str, Estimate]:
    counts, tables = batch.counts(), [image.covariance for image in batch.images]
    bands = np.array([image.bands for image in batch.images])
    result = {}
    for index, name in enumerate(batch.phases.names):
        result[name] = guarded(functools.partial(_fraction, batch, counts, tables, bands, index))
    return with_doubt(result, batch)


def _fraction(batch: Batch, counts: np.ndarray, tables: Sequence, bands: np.ndarray, index: int) -> Estimate:
    layered = layering(bands, index)
    # Layers make the covariance decay slowly or never, so the integral range would mislead.
    told, name = () if layered else tables, batch.phases.names[index]
    estimate = phase_fraction(counts, index, told, units=batch.units, name=name)
    return estimate.with_flag(LAYERED, layered) if layered else estimate


def with_doubt(fractions: Mapping[str, Estimate], batch: Batch) -> dict[str, Estimate]:
    """Fractions with the doubt that merged `pore_back` leaves in that of the pores."""
    share = sum(image.pore_back_px for image in batch.images) / batch.counts().sum()
    name = next(iter(batch.phases.with_role("pore")), None)
    if not share or name is None:
        return dict(fractions)
    return {**fractions, name: with_pore_back(fractions[name], float(share))}


def with_pore_back(estimate: Estimate, merged_share: float) -> Estimate:
    """A porosity that counts walls seen through open pores, with the doubt that this leaves.

    The truth lies between the pores without and with the merged share; half the width of that range, over
    sqrt(3), is its standard uncertainty (rectangular), which adds to the others.

    Args:
        estimate: The pore fraction with `pore_back` merged.
        merged_share: Fraction of the area that was `pore_back`.

    Reference:
        JCGM 100:2008 (GUM), rectangular distribution.
    """
    if estimate.value is None:
        return estimate
    text = (
        f"{estimate.value:.3f} counts the walls seen through open pores as pore; "
        f"without them it would be {estimate.value - merged_share:.3f}"
    )
    u = merged_share / 2 / math.sqrt(3)
    return widened(estimate, "pore_back", u, (0.0, 1.0)).with_flag("PORE_BACK", text)


def _interfaces(batch: Batch) -> Summary:
    met = [image.intercepts for image in batch.images]
    names = batch.phases.names
    length: dict[str, Any] = {"pixel_size_nm": batch.pixel_size_nm, "units": batch.units}
    everyone = range(len(names))
    summary: Summary = {
        "surface_density": {
            name: guarded(functools.partial(surface_density, met, i, **length))
            for i, name in enumerate(names)
        },
        "coverage": _coverage(met, batch),
        "contact_fraction": {
            f"{names[i]}|{names[j]}": guarded(
                functools.partial(contact_fraction, met, i, [j], units=batch.units)
            )
            for i in everyone
            for j in everyone
            if i != j
        },
        "boundary_density": {
            f"{names[i]}|{names[j]}": guarded(functools.partial(boundary_density, met, i, j, **length))
            for i in everyone
            for j in everyone
            if i < j
        },
    }
    if len(names) > 2:
        summary["triple_point_density"] = {
            "all": guarded(functools.partial(triple_point_density, met, **length))
        }
    return summary


def _coverage(met: Sequence[Intercepts], batch: Batch) -> dict[str, Estimate]:
    """Share of each particle phase's surface that binder, additive, or either covers."""
    phases = batch.phases
    covers = {role: phases.with_role(role) for role in ("binder", "additive")}
    if covers["binder"] and covers["additive"]:
        covers["binder+additive"] = covers["binder"] + covers["additive"]
    index = phases.names.index
    return {
        f"{particle}|{cover}": guarded(
            functools.partial(
                contact_fraction, met, index(particle), [index(n) for n in names], units=batch.units
            )
        )
        for particle in phases.with_role("particle")
        for cover, names in covers.items()
        if names
    }


def _number_density(batch: Batch) -> dict[str, Estimate]:
    """Instances per area, by phase; one that the frame cuts counts half."""
    scale = 1.0 if batch.pixel_size_nm is None else (1000 / batch.pixel_size_nm) ** 2
    areas = np.array([image.counts.sum() for image in batch.images], float)
    result = {}
    for name in batch.instance_phases:
        fault = batch.fault(f"instances of {name}")
        if fault:
            result[name] = refusal(fault)
            continue
        y, x = np.array([_number(image.instances, name) for image in batch.images]) * scale, areas
        if batch.units is not None:
            y, x = sum_by_group(y, batch.units), sum_by_group(x, batch.units)
        estimate = ratio_estimate(
            y,
            x,
            unit="1/px2" if batch.pixel_size_nm is None else "1/um2",
            unit_of_replication=batch.unit,
            method="instances per area; one that the frame cuts counts half",
            reference="Underwood, Quantitative Stereology, Addison-Wesley 1970",
            what=name,
        )
        result[name] = _with_separation(estimate, batch, name)
    return result


def _number(instances: pd.DataFrame, phase: str) -> float:
    if not len(instances):
        return 0.0
    mine = instances[instances["phase"] == phase]
    return float(len(mine) - 0.5 * mine["touches_border"].sum())


def _with_separation(estimate: Estimate, batch: Batch, phase: str) -> Estimate:
    """The number of particles hangs on how touching ones are told apart; say how much, and count it in.

    Reference:
        JCGM 100:2008 (GUM), rectangular distribution.
    """
    counted = [image.neck_counts[phase] for image in batch.images if phase in image.neck_counts]
    labelled = [image.instances for image in batch.images if image.separation == LABELS]
    if estimate.value is None or batch.phases[phase].role != "particle":
        return estimate
    totals: dict[float, int] = {}
    if counted and len(counted[0]) > 1:
        totals = {depth: sum(counts[depth] for counts in counted) for depth in counted[0]}
    numbers = list(totals.values())
    given = sum(_number(instances, phase) for instances in labelled)
    every = given + (numbers[min(1, len(numbers) - 1)] if numbers else 0)
    if not every:
        return estimate
    # Where between half and twice the depth the truth lies nobody knows: rectangular over that range.
    by_outlines = (max(numbers) - min(numbers)) / 2 / math.sqrt(3) if numbers else 0.0
    by_labels = math.sqrt(COUNT_NOISE * given + (COUNT_SHIFT * given) ** 2)
    u = math.hypot(by_outlines, by_labels) / every * estimate.value
    estimate = widened(estimate, "separation", u)
    if not totals:
        return estimate
    text = ", ".join(f"{number} at {depth:g}" for depth, number in totals.items())
    return estimate.with_flag(NECK_DEPTH, f"particles counted by neck depth: {text}")


def _fragmentation(batch: Batch) -> Summary:
    """The metrics of `frag/2`, over all particle phases together."""
    tables = [image.parents for image in batch.images]
    if not len(tables[0].columns) and not batch.fault("fragmentation"):
        return {}
    fault = batch.fault("fragmentation")
    particles = "+".join(batch.phases.with_role("particle"))
    if fault:
        return {name: {particles: refusal(fault)} for name in METRICS}
    try:
        return _of_parents(batch, tables, particles)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        return {name: {particles: failed(error)} for name in METRICS}


def _of_parents(batch: Batch, tables: Sequence[pd.DataFrame], particles: str) -> Summary:
    names = [image.name for image in batch.images]
    table = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    if batch.units is not None:
        table = table.assign(image=table["image"].map(dict(zip(names, batch.units, strict=True))))
        names = list(dict.fromkeys(batch.units))
    estimates = parent_estimates(table, names, batch.pixel_size_nm, batch.settings.fines_diameter)
    estimates[HEADLINE] = _with_opening_band(estimates[HEADLINE], batch)
    if batch.settings.crack_evidence == "micrograph":
        estimates[HEADLINE] = estimates[HEADLINE].with_flag(
            CRACK_EVIDENCE,
            "dark lines of the micrographs count as cracks, too, as far as the particles' masks reach",
        )
    summary = {name: {particles: _of_unit(estimate, batch.unit)} for name, estimate in estimates.items()}
    shells = radial_profile(table, names)
    places = [f"shell {k} of {len(shells)}" for k in range(1, len(shells) + 1)]
    places[0], places[-1] = f"{places[0]} (core)", f"{places[-1]} (rim)"
    summary["crack_radial_profile"] = {
        place: _of_unit(estimate, batch.unit) for place, estimate in zip(places, shells, strict=True)
    }
    return summary


def _with_opening_band(estimate: Estimate, batch: Batch) -> Estimate:
    """The crack length hangs on how wide a crack may open, where cracks are wider than that; say how much."""
    length, area = (sum(image.wider_cracks[i] for image in batch.images) for i in (0, 1))
    if estimate.value is None or not area or not length:
        return estimate
    change = length / area / estimate.value - 1 if estimate.value else math.inf
    if change <= LARGEST_OPENING_CHANGE:
        return estimate
    found = [float(image.parents["opening_px"].iloc[0]) for image in batch.images if len(image.parents)]
    opening = batch.settings.crack_opening_px or float(np.median(found or [0]))
    more = f"{change:.0%} more" if estimate.value else "There are cracks"
    return estimate.with_flag(
        CRACK_OPENING,
        f"{more} if cracks may open {2 * opening:g} px wide instead of {opening:g}: wide cracks are taken "
        f"for gaps between particles; set crack_opening_px to the widest crack",
    )


def _pores(batch: Batch) -> Summary:
    """Local thickness, chords and connectivity of all pore phases together."""
    name = "+".join(batch.phases.with_role("pore"))
    fault = batch.fault("pores")
    if fault:
        return {quantity: {name: refusal(fault)} for quantity in QUANTITIES}
    measures = [image.pores for image in batch.images if image.pores is not None]
    if not measures:
        return {}
    if batch.units is not None:
        groups: dict[str, list[PoreMeasures]] = {}
        for group, each in zip(batch.units, measures, strict=True):
            groups.setdefault(group, []).append(each)
        measures = [_added(members) for members in groups.values()]
    found = attempt(lambda: dict(pore_estimates(measures, pixel_size_nm=batch.pixel_size_nm)), QUANTITIES)
    return {quantity: {name: _of_unit(estimate, batch.unit)} for quantity, estimate in found.items()}


def _of_unit(estimate: Estimate, unit: str) -> Estimate:
    """An estimate between images, whose rows were sums over these units."""
    components = {
        f"between_{unit}s" if name == "between_images" else name: u for name, u in estimate.components.items()
    }
    return replace(estimate, unit_of_replication=unit, components=components)


def _added(measures: Sequence[PoreMeasures]) -> PoreMeasures:
    """The sums of several images."""
    return PoreMeasures(
        sum(each.area for each in measures),
        sum(each.thickness_area for each in measures),
        sum(each.closed_area for each in measures),
        sum(each.largest_area for each in measures),
        (all(each.spanning[0] for each in measures), all(each.spanning[1] for each in measures)),
        (
            np.concatenate([each.chords[0] for each in measures]),
            np.concatenate([each.chords[1] for each in measures]),
        ),
    )


def size_distributions(
    batch: Batch, instances: pd.DataFrame, *, resamples: int = 400
) -> dict[str, SizeDistribution]:
    """Sizes of the particles (of every phase, if none is one)."""
    particles = [name for name in batch.phases.with_role("particle") if name in batch.instance_phases]
    mine = set(instances["image"]) if len(instances.columns) else set()
    return {
        name: _with_left_out(
            size_distribution(
                instances[instances["phase"] == name],
                sample_type=batch.settings.sample_type,
                replicate=batch.settings.replicate,
                unfolding=batch.settings.unfolding,
                fault=batch.fault(f"instances of {name}"),
                resamples=resamples,
            ),
            sum(image.left_out.get(name, 0) for image in batch.images if image.name in mine),
            batch.settings.min_area_px,
        )
        for name in particles or batch.instance_phases
        if len(instances.columns)
    }


def _with_left_out(sizes: SizeDistribution, number: int, min_area_px: int) -> SizeDistribution:
    """Percentiles by number hang on the smallest particles, and those below the smallest area are not among them.

    Whether they are particles or noise nobody knows: the percentile lies between those with and without them.

    Reference:
        JCGM 100:2008 (GUM), rectangular distribution.
    """
    if not number or not len(sizes.diameters):
        return sizes
    order = np.argsort(sizes.diameters)
    d, w = sizes.diameters[order], sizes.weights[order]
    share_left_out = number / (number + float(w.sum()))
    text = (
        f"{number} below {min_area_px} px were left out, {share_left_out:.1%} of all: noise, or small particles; "
        "the interval reaches to the value with them"
    )
    estimates = dict(sizes.estimates)
    for name in [name for name in estimates if name.startswith("x") and name.endswith("_0")]:
        estimate = estimates[name]
        if estimate.value is None:
            continue
        rank = float(name[1:-2]) / 100 * (w.sum() + number) - number
        with_them = float(d[min(int(np.searchsorted(np.cumsum(w), max(rank, 0.0))), len(d) - 1)])
        u = max(estimate.value - with_them, 0.0) / math.sqrt(3)
        estimates[name] = widened(estimate, "left_out", u).with_flag(LEFT_OUT, text)
    return replace(sizes, estimates=estimates)
