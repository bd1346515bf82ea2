"""A volume aligned for the most likeness in; by how much its round particles lean, with an interval, out.

Aligning for likeness takes every trend for drift. Particles that are round in the mean do not lean: by how much they
do after it, the alignment went too far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

FEWEST = 8
"""Fewer particles say nothing."""

VOXELS = 12_000_000
"""The volume is thinned to about so many voxels."""

ROUND = 0.55
"""Inscribed over equivalent radius; below it a piece is no particle, or several."""


@dataclass(frozen=True)
class Lean:
    """By how much particles lean.

    Attributes:
        slope: (row, column), voxels a slice.
        half_width: Of the 95 % interval.
        particles: How many were measured.
    """

    slope: tuple[float, float]
    half_width: tuple[float, float]
    particles: int


def thinning(shape: tuple[int, int, int]) -> int:
    """By how much rows and columns are thinned before particles are looked for."""
    return max(1, int(np.ceil(np.sqrt(np.prod(np.array(shape, float)) / VOXELS))))


def particles_lean(volume: np.ndarray, spacing: tuple[float, float, float]) -> Lean | None:
    """The mean lean of the bright particles; None where there are too few.

    Args:
        volume: Grey (z, y, x), aligned.
        spacing: Edges of its voxels, in any unit; those along y and x alike.

    Returns:
        The lean. Each particle that touches no face is measured by its second moments: the regression of its sections'
        centres on z. The mean over particles is robust (Huber); the interval is Student's.

    Reference:
        Stephensen, Darkner, Sporring, Commun. Biol. 3 (2020) 81 (drift from particles that are round in the mean).
    """
    smooth = ndimage.gaussian_filter(volume.astype(np.float32), (0.5, 1.0, 1.0))
    solid = ndimage.binary_opening(smooth > threshold_otsu(smooth[:: max(1, len(smooth) // 32)]))
    solid = ndimage.binary_fill_holes(solid)
    if not solid.any() or solid.all():
        return None
    distance = ndimage.distance_transform_edt(solid, sampling=spacing).astype(np.float32)
    scale = float(np.median(distance[distance > 0.5 * distance.max()]))
    sigma = tuple(0.15 * scale / edge for edge in spacing)
    height = ndimage.gaussian_filter(distance, sigma)
    seeds = label(
        local_maxima(np.pad(height, 1, constant_values=-1))[1:-1, 1:-1, 1:-1] & solid, connectivity=3
    )
    labels = watershed(-height, seeds, mask=solid)
    slopes, slices = _slopes(labels, distance, spacing)
    if len(slopes) < FEWEST:
        return None
    (y, u_y, t), (x, u_x, _) = (_mean(slopes[:, axis], slices) for axis in (0, 1))
    # The scatter of few particles is itself uncertain; that along the other axis, which is alike, makes it surer.
    both = float(np.hypot(u_y, u_x)) / np.sqrt(2)
    return Lean((y, x), (t * max(u_y, both), t * max(u_x, both)), len(slopes))


def _slopes(
    labels: np.ndarray, distance: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (n, 2) of the whole, round particles, in voxels a slice, and through how many slices each goes."""
    number = int(labels.max())
    faces = [np.take(labels, end, axis).ravel() for axis in range(3) for end in (0, -1)]
    whole = np.ones(number + 1, bool)
    whole[np.unique(np.concatenate(faces))] = whole[0] = False
    z, y, x = np.nonzero(whole[labels])
    which = labels[z, y, x]
    counts = np.maximum(np.bincount(which, minlength=number + 1), 1).astype(float)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(which, values, minlength=number + 1) / counts

    centre = mean(z)
    dz = z - centre[which]
    zz = mean(dz * dz)
    slope = np.stack([mean(dz * place) for place in (y, x)], 1) / np.maximum(zz, 1e-9)[:, None]
    radius = np.zeros(number + 1)
    np.maximum.at(radius, which, distance[z, y, x])
    equal = np.cbrt(3 * counts * np.prod(spacing) / (4 * np.pi))
    slices = np.sqrt(20 * zz)  # of a ball: diameter = 2 sqrt(5 zz)
    good = (
        whole & (slices >= 5) & (radius >= ROUND * equal) & (np.bincount(which, minlength=number + 1) >= 64)
    )
    return slope[good], slices[good]


def _mean(values: np.ndarray, slices: np.ndarray) -> tuple[float, float, float]:
    """Robust mean of the slopes, its standard error, and Student's factor for a 95 % interval."""
    # Small particles are as often round as large ones, but a voxel more or less tells more.
    base = slices**2 / (slices**2 + np.median(slices) ** 2)
    centre = float(np.median(values))
    spread = max(1.4826 * float(np.median(np.abs(values - centre))), 1e-6)
    weight = base
    for _ in range(30):
        weight = base * np.minimum(1, 1.5 * spread / np.maximum(np.abs(values - centre), 1e-12))
        centre = float((weight * values).sum() / weight.sum())
    effective = max(float(weight.sum() ** 2 / np.square(weight).sum()), 3.0)
    # Of an M-estimate: mean of psi^2 over the square of the mean of its slope, both weighted.
    psi = base * np.clip(values - centre, -1.5 * spread, 1.5 * spread)
    slope = float((base * (np.abs(values - centre) <= 1.5 * spread)).sum())
    error = float(np.sqrt(np.square(psi).sum())) / max(slope, 1e-9) * np.sqrt(effective / (effective - 1))
    return centre, error, float(stats.t.ppf(0.975, effective - 1))
