"""A segmentation mask in; its pixel counts and two-point sums out, from which fractions and their intervals follow."""

from __future__ import annotations

import math

import numpy as np

from cathode_tf.phases import Phases
from cathode_tf.statistics.fractions import Covariance, pair_sums

COARSE_SIDE = 512


def phase_counts(mask: np.ndarray, phases: Phases) -> np.ndarray:
    """Pixels of each phase, int64 (n,), in the order of `phases`; ignored pixels do not count."""
    return np.bincount(mask.ravel(), minlength=256)[list(phases.ids)].astype(np.int64)


def covariance(mask: np.ndarray, phases: Phases) -> Covariance:
    """Two-point sums of every phase of one mask, binned by distance up to a third of the shorter side.

    Args:
        mask: uint8 (height, width) of phase ids; ignored pixels take no part.
        phases: Names and ids.
    """
    shrink = max(1, math.ceil(max(mask.shape) / COARSE_SIDE))
    table = np.zeros((256, len(phases)), np.float32)
    table[list(phases.ids), np.arange(len(phases))] = 1
    shares = (_block_mean(table[:, index][mask], shrink) for index in range(len(phases)))
    weight = _block_mean(table.sum(1)[mask], shrink)
    return pair_sums(shares, weight, (float(shrink),) * 2, float(shrink**2))


def _block_mean(values: np.ndarray, shrink: int) -> np.ndarray:
    """Mean of each `shrink` x `shrink` block; blocks cut by the border count the missing pixels as 0."""
    if shrink == 1:
        return values
    height, width = (-(-side // shrink) * shrink for side in values.shape)
    padded = np.zeros((height, width), values.dtype)
    padded[: values.shape[0], : values.shape[1]] = values
    return padded.reshape(height // shrink, shrink, width // shrink, shrink).mean((1, 3), dtype=np.float32)
