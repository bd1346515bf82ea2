"""The sums of a batch in; numbers and sizes of its particles, which hang on how touching ones are told apart, out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from cathode_tf.analysis.image import LABELS
from cathode_tf.analysis.sums import Batch
from cathode_tf.statistics.budget import widened
from cathode_tf.statistics.estimate import Estimate, ratio_estimate
from cathode_tf.statistics.fractions import sum_by_group
from cathode_tf.statistics.guard import refusal
from cathode_tf.statistics.sizes import SizeDistribution, size_distribution

NECK_DEPTH = "NECK_DEPTH"
"""Flag: what the number of particles would be if necks were cut at half or twice the depth."""

COUNT_NOISE, COUNT_SHIFT = 0.16, 0.05
"""How far the count of a label image is off: variance for each particle, and standard deviation of what a batch has in
common. With these the interval holds the truth of 95 % of the tiles of images left out
(`benchmarks/count_coverage.py`)."""

LEFT_OUT = "BELOW_SMALLEST"
"""Flag: how many particles below the smallest area are in no list."""


def number_density(batch: Batch) -> dict[str, Estimate]:
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
