"""Random functions of a point in 3-D that cost 2-D work: a seed and a plane in, a field or the grains on it out.

Numbers sit on a lattice that is never stored as a whole: each layer of it is drawn from the seed and its own index
when a plane comes near. A plane is the same whenever it is asked for, and planes that lie close look alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

_KEPT = 12  # layers remembered, so that serial cuts do not draw them again
_STRIP = 48  # rows worked on at a time, so that they stay in the fast memory
_OFFSET = 1 << 20  # layer indices of a seed are not negative


@dataclass(frozen=True)
class Grid:
    """Points of a plane z = const at which a body is looked at.

    Attributes:
        height: Rows of points.
        width: Columns of points.
        step: Distance of neighbouring points, in pixels of the body; (row, column) for oblong ones.
    """

    height: int
    width: int
    step: tuple[float, float] = (1.0, 1.0)

    @property
    def rows(self) -> np.ndarray:
        """float32 (height,), where the rows lie in the body."""
        return _centres(self.height, self.step[0])

    @property
    def columns(self) -> np.ndarray:
        """float32 (width,), where the columns lie in the body."""
        return _centres(self.width, self.step[1])

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    def coarser(self, factor: int) -> Grid:
        """The same area with one point where there were `factor` x `factor`."""
        height, width = -(-self.height // factor), -(-self.width // factor)
        return Grid(height, width, (self.step[0] * factor, self.step[1] * factor))


def _centres(count: int, step: float) -> np.ndarray:
    return (np.arange(count, dtype=np.float32) + np.float32(0.5)) * np.float32(step) - np.float32(0.5)


class _Layers:
    """Layers of a lattice, drawn when asked for, the latest few kept."""

    def __init__(self, draw: Callable[[int], Any]) -> None:
        self._draw = draw
        self._kept: dict[int, Any] = {}

    def __call__(self, index: int) -> Any:
        if index not in self._kept:
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = self._draw(index)
        return self._kept[index]


class Field:
    """A random field in 3-D of zero mean and unit spread whose features are `scale_px` wide.

    Octaves at `scale_px`, half of it, a quarter ... each have 0.6 of the strength of the last.

    Args:
        seed: Numbers that name the field.
        extent: Largest row and column that will be asked for.
        scale_px: Distance over which the field forgets itself.
        octaves: How many scales it has.
        flatten: Height of a feature over its width; below 1 features lie flat, as after calendering.

    Example:
        >>> Field((1, 2), (40, 60), 8.0).plane(3.5, Grid(40, 60)).shape
        (40, 60)
    """

    def __init__(
        self,
        seed: tuple[int, ...],
        extent: tuple[float, float],
        scale_px: float,
        *,
        octaves: int = 1,
        flatten: float = 1.0,
    ) -> None:
        weights = 0.6 ** np.arange(octaves)
        weights /= np.sqrt((weights**2).sum())
        self._octaves = [
            _Octave((*seed, octave), extent, scale_px / 2**octave, flatten, float(weight))
            for octave, weight in enumerate(weights)
        ]

    def plane(self, z: float, grid: Grid) -> np.ndarray:
        """float32 (height, width), the field at depth `z`; octaves finer than the grid are left out."""
        total = np.zeros(grid.shape, np.float32)
        for number, octave in enumerate(self._octaves):
            if number == 0 or octave.scale >= 0.7 * min(grid.step):
                total += octave.plane(z, grid)
        return total


class _Octave:
    def __init__(
        self, seed: tuple[int, ...], extent: tuple[float, float], scale: float, flatten: float, weight: float
    ) -> None:
        self.scale = scale
        self._steps = max(1.0, scale), max(1.0, scale * flatten), max(1.0, scale)
        self._shift = np.random.default_rng(seed).uniform(0, 1, 3)
        self._shape = tuple(int(np.ceil(e / s)) + 5 for e, s in zip(extent, self._steps[1:], strict=True))
        self._layers = _Layers(
            lambda index: np.random.default_rng((*seed, index + _OFFSET)).standard_normal(
                self._shape, dtype=np.float32
            )
        )
        # The four cubic weights of an axis, squared and averaged over all positions, sum to 0.8572.
        self._weight = weight / 0.8572

    def plane(self, z: float, grid: Grid) -> np.ndarray:
        depth = z / self._steps[0] + self._shift[0]
        layer = int(np.floor(depth))
        # The weights of cubic interpolation, as along rows and columns, so that no direction is smoother; made such
        # that their squares sum to 1: the spread is the same at every depth.
        weights = _cubic(depth - layer)
        weights *= self._weight / np.sqrt((weights**2).sum())
        coarse = sum(
            np.float32(w) * self._layers(layer + k) for k, w in zip(range(-1, 3), weights, strict=True)
        )
        rows = [
            grid.step[0] / self._steps[1],
            (0.5 * grid.step[0] - 0.5) / self._steps[1] + 1 + self._shift[1],
        ]
        columns = [
            grid.step[1] / self._steps[2],
            (0.5 * grid.step[1] - 0.5) / self._steps[2] + 1 + self._shift[2],
        ]
        matrix = np.array([[columns[0], 0, columns[1]], [0, rows[0], rows[1]]], np.float64)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            coarse, matrix, (grid.width, grid.height), flags=flags, borderMode=cv2.BORDER_REFLECT_101
        )


def _cubic(t: float) -> np.ndarray:
    """Weights (4,) of the values at -1, 0, 1 and 2 for the place `t` of 0 to 1 (Keys 1981, a = -0.75, as OpenCV)."""
    x, a = np.abs(np.array([t + 1, t, 1 - t, 2 - t])), -0.75
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    return np.where(x <= 1, near, a * (x**3 - 5 * x**2 + 8 * x - 4))


@dataclass(frozen=True)
class Cells:
    """The cells of a lattice that lie near a plane.

    Attributes:
        number: int32 (height, width), the cell of each point, an index into `identity` and `seeds`.
        identity: int64 (n,), a cell's number in the whole body.
        seeds: float32 (n, 3), (depth, row, column) of its centre.
        distance: float32 (height, width), from the centre of the cell, in units of the cell size.
    """

    number: np.ndarray
    identity: np.ndarray
    seeds: np.ndarray
    distance: np.ndarray


class Voronoi:
    """Cells in 3-D around one jittered seed in each cube of a lattice: grains, or fragments.

    Args:
        seed: Numbers that name the cells.
        extent: Largest row and column that will be asked for.
        size_px: Edge of a cube, and so the typical width of a cell.
    """

    def __init__(self, seed: tuple[int, ...], extent: tuple[float, float], size_px: float) -> None:
        self.size = max(3.0, size_px)
        self._counts = tuple(int(np.ceil(e / self.size)) + 4 for e in extent)
        self._layers = _Layers(lambda index: self._draw(seed, index))

    def _draw(self, seed: tuple[int, ...], index: int) -> np.ndarray:
        """Seeds (rows, columns, 3) of one layer of cubes; the first two cubes lie outside the body."""
        rows, columns = self._counts
        jitter = np.random.default_rng((*seed, index + _OFFSET)).uniform(0.05, 0.95, (rows, columns, 3))
        jitter[..., 0] += index
        jitter[..., 1] += np.arange(-2, rows - 2)[:, None]
        jitter[..., 2] += np.arange(-2, columns - 2)
        return (jitter * self.size).astype(np.float32)

    def near(self, z: float) -> tuple[np.ndarray, np.ndarray]:
        """Seeds (3, rows, columns, 3) of the layers around depth `z`, and their numbers in the body."""
        first = int(np.floor(z / self.size)) - 1
        seeds = np.stack([self._layers(first + k) for k in range(3)])
        return seeds, (first + _OFFSET) * seeds[0, ..., 0].size + np.arange(seeds[..., 0].size)

    def plane(self, z: float, grid: Grid) -> Cells:
        """The cells at depth `z`."""
        seeds, identity = self.near(z)
        size = np.float32(self.size)
        x = grid.columns
        column = np.floor(x / size).astype(np.int32) + 2
        cube = np.floor(grid.rows / size).astype(np.int32) + 2
        y = grid.rows - (cube - 2).astype(np.float32) * size
        first, last = int(cube[0]) - 1, int(cube[-1]) + 2
        candidates = []
        for layer, c in ((k, c) for k in range(3) for c in (-1, 0, 1)):
            at = seeds[layer, first:last].take(column + c, axis=1)
            flat = (at[..., 2] - x) ** 2 + (at[..., 0] - np.float32(z)) ** 2
            down = at[..., 1] - (np.arange(first, last, dtype=np.float32)[:, None] - 2) * size
            candidates += [(flat + (down + r * size) ** 2, -2 * (down + r * size), r) for r in (-1, 0, 1)]
        nearest = np.empty(grid.shape, np.float32)
        number = np.empty(grid.shape, np.int32)
        rows, columns = self._counts
        offsets = np.array(
            [(k * rows + r) * columns + c for k in range(3) for c in (-1, 0, 1) for r in (-1, 0, 1)],
            np.int32,
        )
        for top in range(0, grid.height, _STRIP):
            strip = slice(top, top + _STRIP)
            chosen, nearest[strip] = _closest(candidates, cube[strip] - first, y[strip, None])
            number[strip] = offsets.take(chosen)
            number[strip] += cube[strip, None] * np.int32(columns) + column
        np.maximum(nearest, 0, out=nearest)
        return Cells(number, identity, seeds.reshape(-1, 3), np.sqrt(nearest, out=nearest) / size)

    def of(self, points: np.ndarray) -> np.ndarray:
        """int64 (n,), the cell of each of (n, 3) points (depth, row, column): same numbers as `identity`."""
        found = np.empty(len(points), np.int64)
        layers = np.floor(points[:, 0] / self.size).astype(int)
        for layer in np.unique(layers):
            at = np.flatnonzero(layers == layer)
            found[at] = self._of(points[at], float((layer + 0.5) * self.size))
        return found

    def _of(self, points: np.ndarray, z: float) -> np.ndarray:
        seeds, identity = self.near(z)
        numbers = identity.reshape(seeds.shape[:3])
        rows, columns = self._counts
        # Grains just outside the body may lie beyond the outermost cubes; the nearest cube will do for them.
        r = np.clip(np.floor(points[:, 1] / self.size).astype(int) + 2, 1, rows - 2)
        c = np.clip(np.floor(points[:, 2] / self.size).astype(int) + 2, 1, columns - 2)
        best, found = np.full(len(points), np.inf), np.zeros(len(points), np.int64)
        for layer in range(3):
            for dr in (-1, 0, 1):
                for dc in (-1, 0, 1):
                    distance = ((seeds[layer, r + dr, c + dc] - points) ** 2).sum(axis=1)
                    closer = distance < best
                    found[closer] = numbers[layer, r + dr, c + dc][closer]
                    best[closer] = distance[closer]
        return found


def _closest(candidates: list, cube: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which candidate is nearest to each point of a few rows, and its squared distance.

    That is flat(column) + y slope(column) + y y; the last term does not choose.
    """
    best = np.full((cube.size, candidates[0][0].shape[1]), np.inf, np.float32)
    chosen = np.zeros(best.shape, np.uint8)
    for index, (flat, slope, row) in enumerate(candidates):
        distance = slope.take(cube + row, axis=0)
        distance *= y
        distance += flat.take(cube + row, axis=0)
        np.copyto(chosen, index, where=distance < best)
        np.minimum(best, distance, out=best)
    best += y * y
    return chosen, best


def tone(identity: np.ndarray, salt: int) -> np.ndarray:
    """A number for each identity that looks drawn from a normal distribution, always the same for the same one."""
    # The sum of four uniform numbers of spread 1 / sqrt(12) has the spread 1 / sqrt(3).
    mixed = mix(identity.astype(np.uint64), np.uint64(salt))
    total = sum(((mixed >> np.uint64(16 * k)) & np.uint64(0xFFFF)).astype(np.float32) for k in range(4))
    return np.asarray((total / np.float32(65536) - np.float32(2)) * np.float32(np.sqrt(3)))


def mix(values: np.ndarray, salt: np.uint64) -> np.ndarray:
    """uint64 numbers that have nothing to do with each other, from those that do."""
    mixed = (values + salt) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
