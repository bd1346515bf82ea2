"""A phase of a label volume in; its instances, separated where they touch, one row each, out.

Where to cut is decided on a coarser grid if the volume is large; everything is measured at full resolution,
slab by slab, so that no label image of the whole volume is ever needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.measure import label as connected_components
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from cathode_tf.particles.instances import DEPTH, Separation, necks
from cathode_tf.volumes.distances import distance_inside
from cathode_tf.volumes.voxels import DIRECTIONS, block_sums, direction_weights

COARSE_VOXELS = 16_000_000
"""So many voxels at most are flooded to find where instances touch."""
SLAB_LAYERS = 32


class VolumeSeparation(Separation):
    """`Separation` in three dimensions, with voxels of any proportions.

    Args:
        solid: Boolean (z, y, x), the phase.
        spacing: Voxel edge lengths along z, y, x.
    """

    _floor = 0.0

    def __init__(self, solid: np.ndarray, spacing: tuple[float, float, float]) -> None:
        self._solid = solid
        # In a volume the space between particles is open to the outside; what is closed lies inside one.
        solid = ndimage.binary_fill_holes(solid)
        distance = distance_inside(solid, spacing)
        if solid.all():
            distance = np.ones(solid.shape, np.float32)
        smooth = ndimage.gaussian_filter(distance, 0.7, mode="nearest", truncate=2) * solid
        tops = local_maxima(np.pad(smooth, 1, constant_values=-1))[1:-1, 1:-1, 1:-1]
        peaks = connected_components(tops & solid, connectivity=3)
        self.basins = watershed(-smooth, peaks, mask=solid).astype(np.int32)
        heights = np.zeros(int(self.basins.max(initial=0)) + 1)
        at_peaks = peaks > 0
        np.maximum.at(heights, peaks[at_peaks], smooth[at_peaks])
        self._heights = heights
        self._necks = necks(self.basins, smooth)


@dataclass(frozen=True)
class CoarseLabels:
    """Instances of a phase on a coarser grid, as wide as the phase reaches at full resolution.

    Attributes:
        labels: Integers (z, y, x) on the coarse grid, of the smallest type that holds them; 0 = none.
        shrink: Voxels of the volume along each axis in one of the grid.
    """

    labels: np.ndarray
    shrink: tuple[int, int, int]

    def slab(self, start: int, solid: np.ndarray) -> np.ndarray:
        """Label image of the layers from `start` on, at full resolution, of the shape of `solid`."""
        if max(self.shrink) == 1:
            return np.where(solid, self.labels[start : start + len(solid)], 0)
        places = [
            (np.arange(side) + first) // by
            for side, first, by in zip(solid.shape, (start, 0, 0), self.shrink, strict=True)
        ]
        return np.where(solid, self.labels[np.ix_(*places)], 0)


def coarse_shrink(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], most: int = COARSE_VOXELS
) -> tuple[int, int, int]:
    """By how much to shrink each axis, the finest first, for at most so many voxels."""
    shrink = [1, 1, 1]
    while np.prod([-(-side // by) for side, by in zip(shape, shrink, strict=True)]) > most:
        finest = min(range(3), key=lambda axis: (shrink[axis] * spacing[axis], -shape[axis]))
        shrink[finest] += 1
    return shrink[0], shrink[1], shrink[2]


def find_grains(
    share: np.ndarray,
    spacing: tuple[float, float, float],
    shrink: tuple[int, int, int],
    *,
    separate: bool = True,
    depth: float = DEPTH,
) -> CoarseLabels:
    """Instances of a phase from its local share on the coarse grid.

    Args:
        share: Share of the phase in each block, float32 (z, y, x).
        spacing: Edge lengths of a block.
        shrink: Voxels in a block along each axis.
        separate: Cut touching instances at necks; otherwise connected parts are the instances.
        depth: Relative neck depth, as for `label_instances`.
    """
    solid = share >= 0.5
    if separate:
        labels = VolumeSeparation(solid, spacing).labels(depth)
    else:
        labels = connected_components(solid, connectivity=1).astype(np.int32)
    if max(shrink) > 1:
        # Voxels of the phase in blocks that mostly are something else belong to the instance beside them.
        labels = _grown(_grown(labels))
    return CoarseLabels(labels.astype(np.min_scalar_type(int(labels.max(initial=0)))), shrink)


def _grown(labels: np.ndarray) -> np.ndarray:
    """Every label one voxel further along each axis, where there was none."""
    grown = labels.copy()
    for axis in range(3):
        for target, source in (slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None)):
            there = np.moveaxis(grown, axis, 0)[target]
            np.copyto(there, np.moveaxis(labels, axis, 0)[source], where=there == 0)
    return grown


def measure_grains(
    read_solid: Callable[[int, int], np.ndarray],
    shape: tuple[int, int, int],
    grains: CoarseLabels,
    *,
    spacing: tuple[float, float, float],
    unit: str,
    min_voxels: int = 0,
) -> tuple[pd.DataFrame, float]:
    """Measure every instance at full resolution.

    Args:
        read_solid: Boolean (layers, y, x) of the layers from start to stop.
        shape: Of the volume.
        grains: Of `find_grains`.
        spacing: Voxel edge lengths along z, y, x, in `unit`.
        unit: `"um"` or `"px"`, for the names of the columns.
        min_voxels: Smaller instances are noise.

    Returns:
        A row an instance: `label`, `centroid_z` ..., `touches_border`, `edge_weight` (Miles-Lantuejoul in
        3-D), `volume`, `equivalent_diameter` = (6 V / pi)^(1/3), `surface` (Crofton, 13 directions),
        `sphericity` = pi^(1/3) (6 V)^(2/3) / S, `ellipsoid_ratio` (shortest over longest axis of the
        ellipsoid with equal second moments), `contacts` (other instances it touches); and the share of the
        phase's voxels in no instance.
    """
    number = int(grains.labels.max(initial=0))
    sums = _Sums(number, spacing)
    lost = total = 0
    for start in range(0, shape[0], SLAB_LAYERS):
        stop = min(start + SLAB_LAYERS, shape[0])
        solid = read_solid(start, min(stop + 1, shape[0]))
        labels = grains.slab(start, solid)
        own = labels[: stop - start]
        sums.add_runs(own, start)
        sums.add_surfaces(labels, stop - start)
        count = int(np.count_nonzero(solid[: stop - start]))
        total += count
        lost += count - int(np.count_nonzero(own))
    table = sums.table(shape, unit)
    table = table[sums.voxels[1:][sums.voxels[1:] > 0] >= min_voxels].reset_index(drop=True)
    return table, lost / total if total else 0.0


class _Sums:
    """Per-label sums that slabs add to."""

    def __init__(self, number: int, spacing: tuple[float, float, float]) -> None:
        self.spacing = np.array(spacing)
        self.voxels = np.zeros(number + 1)
        self._first = np.zeros((number + 1, 3))
        self._second = np.zeros((number + 1, 6))
        self._low = np.full((number + 1, 3), np.inf)
        self._high = np.full((number + 1, 3), -np.inf)
        self._surface = np.zeros(number + 1)
        self._pairs: list[np.ndarray] = []
        weights = direction_weights(spacing)
        lengths = np.linalg.norm(np.array(DIRECTIONS) * self.spacing, axis=1)
        self._factors = 2 * weights / lengths * float(np.prod(self.spacing))

    def add_runs(self, labels: np.ndarray, start: int) -> None:
        """Volume, moments and extent from runs of equal labels along x."""
        _, height, width = labels.shape
        flat = labels.reshape(-1)
        begins = np.ones(labels.shape, bool)
        np.not_equal(labels[:, :, 1:], labels[:, :, :-1], out=begins[:, :, 1:])
        first = np.flatnonzero(begins)
        last = np.append(first[1:], flat.size) - 1
        label = flat[first]
        keep = label > 0
        first, last, label = first[keep], last[keep], label[keep]
        rows = first // width
        z, y = rows // height + start, rows % height
        x0, x1 = first % width, last % width
        n = (x1 - x0 + 1).astype(float)
        x = (x0 + x1) / 2

        def total(values: np.ndarray) -> np.ndarray:
            return np.bincount(label, values, minlength=len(self.voxels))

        self.voxels += total(n)
        for axis, place in enumerate((z, y, x)):
            self._first[:, axis] += total(n * place)
        squares = (z * z, y * y, x * x + (n * n - 1) / 12, z * y, z * x, y * x)
        for column, square in enumerate(squares):
            self._second[:, column] += total(n * square)
        for axis, (low, high) in enumerate(((z, z), (y, y), (x0, x1))):
            np.minimum.at(self._low[:, axis], label, low)
            np.maximum.at(self._high[:, axis], label, high)

    def add_surfaces(self, labels: np.ndarray, layers: int) -> None:
        """Changes of label along 13 directions, of pairs that begin in the first `layers`."""
        flat, (_, height, width) = labels.reshape(-1), labels.shape
        for step, factor in zip(DIRECTIONS, self._factors, strict=True):
            first, second = [], []
            for axis, (move, side) in enumerate(zip(step, labels.shape, strict=True)):
                stop = layers if axis == 0 else side
                length = min(stop, side - 1) if move else stop
                first.append(slice(int(move < 0), int(move < 0) + length))
                second.append(slice(int(move > 0), int(move > 0) + length))
            # The few places that differ are looked up by number, which is faster than by a Boolean array.
            differ = labels[tuple(first)] != labels[tuple(second)]
            z, y, x = np.unravel_index(np.flatnonzero(differ), differ.shape)
            place = ((z + first[0].start) * height + y + first[1].start) * width + x + first[2].start
            a, b = flat[place], flat[place + (step[0] * height + step[1]) * width + step[2]]
            for one in a, b:
                self._surface += factor * np.bincount(one, minlength=len(self.voxels))
            if sum(map(abs, step)) == 1:
                both = (a > 0) & (b > 0)
                low, high = np.minimum(a[both], b[both]), np.maximum(a[both], b[both])
                self._pairs.append(np.unique(low.astype(np.int64) * len(self.voxels) + high))

    def table(self, shape: tuple[int, int, int], unit: str) -> pd.DataFrame:
        """One row an instance."""
        present = np.flatnonzero(self.voxels)
        present = present[present > 0]
        n = self.voxels[present, None]
        centre = self._first[present] / n
        second = self._second[present] / n
        low, high = self._low[present], self._high[present]
        sides = np.array(shape)
        # Of a side of s voxels, a box of b has s - b - 1 places where it touches neither end.
        room = np.maximum((sides - (high - low + 1) - 1) / sides, 1 / sides)
        volume = n[:, 0] * float(np.prod(self.spacing))
        surface = self._surface[present]
        table = {
            "label": present,
            **{f"centroid_{axis}_px": centre[:, k] for k, axis in enumerate("zyx")},
            "touches_border": ((low == 0) | (high == sides - 1)).any(1),
            "edge_weight": 1 / room.prod(1),
            f"volume_{unit}3": volume,
            f"equivalent_diameter_{unit}": np.cbrt(6 * volume / math.pi),
            f"surface_{unit}2": surface,
            "sphericity": np.cbrt(math.pi) * np.cbrt(6 * volume) ** 2 / np.maximum(surface, 1e-300),
            "ellipsoid_ratio": self._ellipsoid_ratio(centre, second),
            "contacts": self._contacts()[present],
        }
        return pd.DataFrame(table)

    def _ellipsoid_ratio(self, centre: np.ndarray, second: np.ndarray) -> np.ndarray:
        matrix = np.empty((len(centre), 3, 3))
        for column, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]):
            value = (second[:, column] - centre[:, i] * centre[:, j]) * self.spacing[i] * self.spacing[j]
            # A voxel has an extent of its own.
            matrix[:, i, j] = matrix[:, j, i] = value + (self.spacing[i] ** 2 / 12 if i == j else 0)
        axes = np.linalg.eigvalsh(matrix)
        return np.sqrt(np.maximum(axes[:, 0], 0) / axes[:, 2])

    def _contacts(self) -> np.ndarray:
        pairs = np.unique(np.concatenate([*self._pairs, np.zeros(0, np.int64)]))
        return np.bincount(
            np.concatenate(np.divmod(pairs, len(self.voxels))).astype(np.int64), minlength=len(self.voxels)
        )


def coarse_share(
    read_solid: Callable[[int, int], np.ndarray], shape: tuple[int, int, int], shrink: tuple[int, int, int]
) -> np.ndarray:
    """Share of a phase in each block of the coarse grid, float32; blocks cut by the border count what is there."""
    depth, height, width = (
        np.diff(np.append(np.arange(0, side, by), side)) for side, by in zip(shape, shrink, strict=True)
    )
    result = np.empty((len(depth), len(height), len(width)), np.float32)
    area = height[:, None] * width
    layers = max(1, SLAB_LAYERS // shrink[0])
    for first in range(0, len(result), layers):
        own = slice(first, first + layers)
        solid = read_solid(first * shrink[0], min((first + layers) * shrink[0], shape[0]))
        result[own] = block_sums(solid, shrink) / (depth[own, None, None] * area)
    return result


def local_thickness(solid: np.ndarray, spacing: tuple[float, float, float], radii: int = 20) -> np.ndarray:
    """Diameter of the largest sphere that fits inside and covers a voxel, (z, y, x) float32; 0 outside.

    Args:
        solid: Boolean (z, y, x), the phase.
        spacing: Voxel edge lengths.
        radii: How many radii are tried, from the largest to a voxel; the steps between them are averaged out.

    Reference:
        Hildebrand and Ruegsegger, J. Microsc. 185 (1997) 67.
    """
    thickness = np.zeros(solid.shape, np.float32)
    if not solid.any() or solid.all():
        return thickness
    distance = distance_inside(solid, spacing)
    tried = np.geomspace(float(distance.max()), min(spacing), radii)
    between = math.sqrt(tried[0] / tried[1]) if tried[1] < tried[0] else 1.0
    left = solid.copy()
    for number, radius in enumerate(tried):
        fresh = distance_inside(distance < radius, spacing, limit=radius) < radius
        fresh &= left
        # The true radius lies between this one and the last that did not fit.
        thickness[fresh] = 2 * radius * (between if number else 1.0)
        left ^= fresh
    thickness[left] = min(spacing)
    return thickness
