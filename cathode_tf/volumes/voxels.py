"""A label volume, read in slabs, in; voxel counts, changes of phase along 13 directions and two-point sums out.

Only a slab is in memory at a time, so that a volume may be larger than the memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from cathode_tf.phases import Phases
from cathode_tf.statistics.fractions import Covariance, pair_sums

DIRECTIONS = tuple(
    step
    for step in itertools.product((-1, 0, 1), repeat=3)
    if step > (0, 0, 0)  # one of each pair of opposite directions
)
SLAB_LAYERS = 32
SMALLEST_BLOCK = 48
COARSE_SIDE = 128


def direction_weights(spacing: tuple[float, float, float]) -> np.ndarray:
    """Share of the sphere that each of the 13 directions between neighbouring voxels stands for; sums to 1.

    Args:
        spacing: Voxel edge lengths along z, y, x, in any unit.

    Example:
        >>> weights = direction_weights((1.0, 1.0, 1.0))
        >>> sorted(set(weights.round(4).tolist()))
        [0.0704, 0.074, 0.0916]

    Reference:
        Ohser and Muecklich, Statistical Analysis of Microstructures in Materials Science, Wiley 2000, ch. 3.
    """
    from scipy.spatial import SphericalVoronoi

    vectors = np.array(DIRECTIONS) * np.array(spacing)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    areas = SphericalVoronoi(np.concatenate([vectors, -vectors])).calculate_areas()
    return (areas[: len(vectors)] + areas[len(vectors) :]) / (4 * math.pi)


@dataclass(frozen=True)
class Block:
    """Sums over one block of a volume.

    Attributes:
        counts: Voxels by phase, int64 (n,).
        changes: Changes from one phase to another, symmetric, int64 (13, n, n).
        pairs: Neighbouring known voxels along each direction, int64 (13,).
    """

    counts: np.ndarray
    changes: np.ndarray
    pairs: np.ndarray


def block_edges(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Where each axis is cut into blocks: in three, where each is then at least 48 voxels long."""
    return [
        np.linspace(0, side, min(max(side // SMALLEST_BLOCK, 1), 3) + 1).round().astype(int) for side in shape
    ]


def slab_sums(
    read: Callable[[int, int], np.ndarray], shape: tuple[int, int, int], phases: Phases
) -> Iterator[tuple[int, np.ndarray, dict[tuple[int, int, int], Block]]]:
    """Sums of each slab, by block of the volume.

    Args:
        read: Class indices (layers, y, x) uint8 of the layers from start to stop; 255 is ignored.
        shape: Of the volume.
        phases: Names and ids.

    Yields:
        First layer, the slab's class indices, and its sums by position of the block.
    """
    z_edges, y_edges, x_edges = block_edges(shape)
    for block_z, (z_start, z_stop) in enumerate(itertools.pairwise(z_edges)):
        for start in range(z_start, z_stop, SLAB_LAYERS):
            stop = min(start + SLAB_LAYERS, z_stop)
            # One layer more, for the pairs that reach into it.
            slab = read(start, min(stop + 1, shape[0]))
            sums = {}
            for j, rows in enumerate(itertools.pairwise(y_edges)):
                for k, columns in enumerate(itertools.pairwise(x_edges)):
                    sums[block_z, j, k] = _block(slab, (0, stop - start), rows, columns, len(phases))
            yield start, slab[: stop - start], sums


def _block(
    slab: np.ndarray,
    layers: tuple[int, int],
    rows: tuple[int, int],
    columns: tuple[int, int],
    n: int,
) -> Block:
    own = slab[layers[0] : layers[1], rows[0] : rows[1], columns[0] : columns[1]]
    counts = np.bincount(own.ravel(), minlength=256)
    known = counts[:n].sum() == own.size
    changes = np.zeros((len(DIRECTIONS), n, n), np.int64)
    pairs = np.zeros(len(DIRECTIONS), np.int64)
    for index, step in enumerate(DIRECTIONS):
        first, second = [], []
        for move, (low, high), side in zip(step, (layers, rows, columns), slab.shape, strict=True):
            length = (min(high, side - 1) if move else high) - low
            first.append(slice(low + (move < 0), low + (move < 0) + length))
            second.append(slice(low + (move > 0), low + (move > 0) + length))
        a, b = slab[tuple(first)], slab[tuple(second)]
        # The few places that differ are looked up by number, which is faster than by a Boolean array.
        differ = np.flatnonzero(a != b)
        code = a.reshape(-1)[differ].astype(np.int32) * 256 + b.reshape(-1)[differ]
        table = np.bincount(code, minlength=65536).reshape(256, 256)[:n, :n]
        changes[index] = table + table.T
        if known:
            pairs[index] = a.size - (len(code) - table.sum())
        else:
            pairs[index] = np.count_nonzero((a < n) & (b < n))
    return Block(counts[:n].astype(np.int64), changes, pairs)


def add_blocks(total: dict[tuple[int, int, int], Block], more: dict[tuple[int, int, int], Block]) -> None:
    """Add the sums of a slab to those of the blocks."""
    for key, block in more.items():
        if key in total:
            old = total[key]
            block = Block(old.counts + block.counts, old.changes + block.changes, old.pairs + block.pairs)
        total[key] = block


def surface_per_volume(blocks: list[Block], spacing: tuple[float, float, float]) -> np.ndarray:
    """Area of the interface between each two phases per volume, (n, n), in 1 / unit of `spacing`.

    S_V = 2 sum over directions of weight x changes / (pairs x step length) [1].

    Args:
        blocks: Sums, added up.
        spacing: Voxel edge lengths along z, y, x.

    Reference:
        [1] Ohser and Muecklich, Wiley 2000 (Crofton's formula in 13 directions).
    """
    weights = direction_weights(spacing)
    lengths = np.linalg.norm(np.array(DIRECTIONS) * np.array(spacing), axis=1)
    changes = np.sum([block.changes for block in blocks], axis=0, dtype=float)
    pairs = np.sum([block.pairs for block in blocks], axis=0, dtype=float)
    used = pairs > 0
    if not used.any():
        return np.zeros(changes.shape[1:])
    weights = np.where(used, weights, 0) / weights[used].sum()
    factor = np.where(used, weights / np.maximum(pairs, 1) / lengths, 0)
    return 2 * np.tensordot(factor, changes, 1)


def block_sums(solid: np.ndarray, shrink: tuple[int, int, int]) -> np.ndarray:
    """How many voxels of each block are set; blocks cut by the border count what is there.

    Args:
        solid: Boolean (z, y, x).
        shrink: Voxels of a block along each axis.

    Returns:
        Integers, one a block.

    Example:
        >>> block_sums(np.ones((1, 2, 5), bool), (1, 2, 2)).tolist()
        [[[4, 4, 2]]]
    """
    sums = solid.view(np.uint8).astype(np.min_scalar_type(math.prod(shrink)))
    for axis in (2, 1, 0):
        by = shrink[axis]
        # Whole rows of blocks added to each other are faster than `np.add.reduceat`.
        total = np.moveaxis(sums, axis, 0)[::by].copy()
        for place in range(1, by):
            more = np.moveaxis(sums, axis, 0)[place::by]
            total[: len(more)] += more
        sums = np.moveaxis(total, 0, axis)
    return sums


class CoarseShares:
    """Local phase shares on a coarse grid, filled slab by slab, for the two-point sums of a volume.

    Args:
        shape: Of the volume.
        phases: Number of phases.
    """

    def __init__(self, shape: tuple[int, int, int], phases: int) -> None:
        depth, height, width = (max(1, math.ceil(side / COARSE_SIDE)) for side in shape)
        self.shrink = (depth, height, width)
        self._shape = shape
        coarse = tuple(-(-side // by) for side, by in zip(shape, self.shrink, strict=True))
        self.shares = np.zeros((phases, *coarse), np.float32)

    def add(self, start: int, slab: np.ndarray) -> None:
        """Add layers from `start` on: class indices (layers, y, x)."""
        _, by_y, by_x = self.shrink
        size = float(np.prod(self.shrink))
        for phase, shares in enumerate(self.shares):
            for layer, sums in enumerate(block_sums(slab == phase, (1, by_y, by_x)), start):
                shares[layer // self.shrink[0]] += sums / np.float32(size)

    def covariance(self, voxel: tuple[float, float, float]) -> Covariance:
        """Two-point sums, distances in units of the smallest voxel edge."""
        unit = min(voxel)
        spacing = tuple(by * edge / unit for by, edge in zip(self.shrink, voxel, strict=True))
        cell = float(np.prod(spacing))
        return pair_sums(self.shares, self.shares.sum(0), spacing, cell)
