"""Electrodes that change with depth: pixel counts by band of depth in, profiles and a test for layering out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy import stats

from cathode_tf.analysis.counts import phase_counts
from cathode_tf.errors import InputError
from cathode_tf.phases import Phases
from cathode_tf.statistics.estimate import Estimate, ratio_estimate
from cathode_tf.statistics.fractions import sum_by_group

BANDS = 10
STRIPS = 4
LAYERED = "LAYERED"
"""Flag: the fraction changes with depth, so the images must show the whole depth in fair shares."""
SMALLEST_DIFFERENCE = 0.1
DEPTH_AXES = ("rows", "columns")


def band_counts(mask: np.ndarray, phases: Phases, axis: str = "rows", bands: int = BANDS) -> np.ndarray:
    """Pixels of each phase in bands of equal depth and four strips across, int64 (4, bands, n phases).

    Args:
        mask: uint8 (height, width) of phase ids.
        phases: Names and ids.
        axis: `"rows"`: depth runs from the first row to the last; `"columns"`: from left to right.
        bands: How many.

    Example:
        >>> mask = np.repeat(np.array([[0], [1]], np.uint8), 10, axis=0).repeat(4, axis=1)
        >>> band_counts(mask, Phases.from_names(["pore", "ncm"]), bands=2).sum(0).tolist()
        [[40, 0], [0, 40]]
    """
    if axis not in DEPTH_AXES:
        raise InputError(f"depth axis: must be rows or columns. Received {axis!r}.")
    along = mask if axis == "rows" else mask.T
    edges = np.linspace(0, along.shape[0], bands + 1).round().astype(int)
    strips = np.array_split(along, STRIPS, axis=1)
    return np.array(
        [
            [phase_counts(strip[first:last], phases) for first, last in itertools.pairwise(edges)]
            for strip in strips
        ]
    )


def depth_profile(
    counts: np.ndarray, phase: int, *, units: Sequence[str] | None = None
) -> dict[str, Estimate]:
    """Fraction of a phase in each band of depth, with the interval between images.

    Args:
        counts: `band_counts` of each image, (images, strips, bands, n phases).
        phase: Position of the phase.
        units: The group of each image, if groups are the independent units.

    Returns:
        By band, `"0.0-0.1"` being the first tenth of the depth.

    Reference:
        ASTM E562 within each band; Cochran, Sampling Techniques, Wiley 1977, ch. 6 (ratio estimator).
    """
    counts = counts.sum(1)
    if units is not None:
        counts = sum_by_group(counts, units)
    bands = counts.shape[1]
    return {
        f"{band / bands:.1f}-{(band + 1) / bands:.1f}": ratio_estimate(
            counts[:, band, phase],
            counts[:, band].sum(1),
            bounds=(0, 1),
            unit_of_replication="image" if units is None else "group",
            method="area fraction by band of depth, interval between images",
            what="this band",
        )
        for band in range(bands)
    }


def layering(counts: np.ndarray, phase: int) -> str:
    """Why a phase's fraction is held to change with depth, or an empty string.

    Fifths of the depth are compared, with the images as blocks (two-way analysis of variance); with fewer
    than three images with four strips across each as blocks, which are not quite independent, so that p <
    0.001 is asked instead of p < 0.01. In both cases the fifths must differ by more than a tenth of the mean.

    Args:
        counts: `band_counts` of each image, (images, strips, bands, n phases), with 10 bands.
        phase: Position of the phase.
    """
    few = len(counts) < 3
    blocks = counts.reshape(-1, *counts.shape[2:]) if few else counts.sum(1)
    fifths = blocks.reshape(len(blocks), 5, -1, blocks.shape[2]).sum(2)
    known = fifths.sum(2)
    if not known.all():
        return ""
    total = fifths[:, :, phase].sum(0) / known.sum(0)
    mean = fifths[:, :, phase].sum() / known.sum()
    if np.ptp(total) <= SMALLEST_DIFFERENCE * min(mean, 1 - mean):
        return ""
    p = blocks_test(fifths[:, :, phase] / known)
    if p >= (0.001 if few else 0.01):
        return ""
    shares = ", ".join(f"{value:.3f}" for value in total)
    return f"the fraction changes with depth (fifths from the top: {shares}; p = {p:.2g})"


def blocks_test(values: np.ndarray) -> float:
    """p of "all columns have the same mean", the rows being blocks (two-way analysis of variance).

    Example:
        >>> blocks_test(np.array([[1.0, 2.0, 3.1], [2.0, 3.0, 4.0], [3.0, 4.1, 5.0]])) < 0.001
        True
    """
    n, k = values.shape
    residual = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    between = n * ((values.mean(0) - values.mean()) ** 2).sum() / (k - 1)
    within = (residual**2).sum() / ((n - 1) * (k - 1))
    if within <= 1e-24 * max(between, 1e-300):
        return 0.0 if between > 0 else 1.0
    return float(stats.f.sf(between / within, k - 1, (n - 1) * (k - 1)))
