"""The sums of a batch in; what is told of cracks and fragments, over all particle phases together, out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cathode_tf.analysis.sums import Batch, of_unit
from cathode_tf.errors import InputError
from cathode_tf.particles.fragmentation import HEADLINE, METRICS, parent_estimates, radial_profile
from cathode_tf.statistics.estimate import Estimate
from cathode_tf.statistics.guard import failed, refusal
from cathode_tf.statistics.summaries import Summary

LARGEST_OPENING_CHANGE = 0.10
CRACK_EVIDENCE = "CRACK_EVIDENCE"
CRACK_OPENING = "CRACK_OPENING"
"""Flag: many cracks seem wider than they were allowed to be."""


def fragmentation(batch: Batch) -> Summary:
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
    summary = {name: {particles: of_unit(estimate, batch.unit)} for name, estimate in estimates.items()}
    shells = radial_profile(table, names)
    places = [f"shell {k} of {len(shells)}" for k in range(1, len(shells) + 1)]
    places[0], places[-1] = f"{places[0]} (core)", f"{places[-1]} (rim)"
    summary["crack_radial_profile"] = {
        place: of_unit(estimate, batch.unit) for place, estimate in zip(places, shells, strict=True)
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
