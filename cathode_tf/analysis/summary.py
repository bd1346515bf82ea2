"""The sums of a batch's images in; every batch quantity as `Estimate` out."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cathode_tf.analysis.counting import number_density
from cathode_tf.analysis.cracks import fragmentation
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
from cathode_tf.analysis.sums import Batch, of_unit
from cathode_tf.statistics.budget import widened, with_edge, with_pixel_size
from cathode_tf.statistics.estimate import Estimate
from cathode_tf.statistics.fits import FITTED, fit_estimates
from cathode_tf.statistics.fractions import phase_fraction
from cathode_tf.statistics.guard import attempt, guarded, refusal
from cathode_tf.statistics.sizes import SizeDistribution
from cathode_tf.statistics.summaries import Summary
from cathode_tf.statistics.transfer import transferred


def summarize(batch: Batch, sizes: Mapping[str, SizeDistribution]) -> Summary:
    """Every batch quantity: quantity -> phase (or `a|b`) -> `Estimate`."""
    summary: Summary = {"fraction": _fractions(batch)}
    if batch.errors is not None:
        errors = batch.errors
        corrected = attempt(
            lambda: transferred(batch.counts(), errors, batch.phases, units=batch.units), batch.phases.names
        )
        summary["fraction_corrected"] = with_doubt(corrected, batch)
    summary["number_density"] = number_density(batch)
    for phase, distribution in sizes.items():
        for name, estimate in distribution.estimates.items():
            summary.setdefault(name, {})[phase] = estimate
    summary |= fragmentation(batch)
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
    return {quantity: {name: of_unit(estimate, batch.unit)} for quantity, estimate in found.items()}


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
