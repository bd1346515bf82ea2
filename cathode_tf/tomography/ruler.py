"""Aligned slices in, one by one; how much they differ from each other and from themselves along x, out.

Two slices differ the more the further they lie apart. Where the material is alike along x and z, a slice that is
moved along x tells by how much. Only x serves as the ruler: y is shortened by calendering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

REACH = 24
"""The ruler is this many pixels long."""

ROWS = 1024
"""Of higher slices only so many rows are compared."""

LAGS = 6
STRIPS = 8
"""Columns are compared in so many strips; how these scatter tells how sure the mean is."""

BLOCKS = 4
"""So many blocks along each side; how these scatter tells how sure each slice is."""

NOISE_PX, EDGE_PX = 1.0, 2.0
"""Noise is smoothed over so many pixels for the mean, and for single slices, of which only edges are compared."""

EDGES = 0.85
"""Edges are where the grey level changes faster than in this share of a slice."""


@dataclass
class Ruler:
    """Adds up how much slices differ from those before them, and from themselves along x.

    Attributes:
        further: float64 (LAGS, STRIPS), by distance in slices: sum of the mean squared differences.
        skewed: float64 (STRIPS,), sum of the mean cubed differences of neighbours.
        pairs: int (LAGS,), by distance in slices, how many pairs were added up.
        along: float64 (STRIPS, REACH), sum over slices of the mean squared difference at 1 ... `REACH` pixels along x.
        slices: How many were added.
    """

    further: np.ndarray = field(default_factory=lambda: np.zeros((LAGS, STRIPS)))
    skewed: np.ndarray = field(default_factory=lambda: np.zeros(STRIPS))
    pairs: np.ndarray = field(default_factory=lambda: np.zeros(LAGS, int))
    along: np.ndarray | None = None
    slices: int = 0
    _before: list[np.ndarray] = field(default_factory=list)
    _edge: tuple[np.ndarray, np.ndarray] | None = None
    _moved: list[np.ndarray] = field(default_factory=list)
    _steep: list[np.ndarray] = field(default_factory=list)
    _moved_along: np.ndarray | None = None
    _steep_along: np.ndarray | None = None

    def add(self, pixels: np.ndarray) -> None:
        """Take the next slice, aligned, (height, width)."""
        step = -(-pixels.shape[0] // ROWS)
        grey = pixels.astype(np.float32)
        self._add_squares(cv2.GaussianBlur(grey, (0, 0), NOISE_PX)[::step])
        self._add_edges(cv2.GaussianBlur(grey, (0, 0), EDGE_PX), step)
        self.slices += 1

    def _add_squares(self, values: np.ndarray) -> None:
        values = values - values.mean()
        reach = _reach(values.shape[1] // STRIPS)
        strips = np.array_split(values, STRIPS, axis=1)
        alone = np.array(
            [
                [float(np.square(strip[:, k:] - strip[:, :-k]).mean()) for k in range(1, reach + 1)]
                for strip in strips
            ]
        )
        self.along = alone if self.along is None else self.along + alone
        for lag, earlier in enumerate(reversed(self._before)):
            rise = values - earlier
            square = np.square(rise)
            self.further[lag] += _by_strip(square)
            self.pairs[lag] += 1
            if lag == 0:
                self.skewed += _by_strip(square * rise)
        self._before = [*self._before, values][-LAGS:]

    def _add_edges(self, values: np.ndarray, step: int) -> None:
        """By how much edges moved: change of grey level over its slope in the plane, summed by block."""
        across, down = (cv2.Sobel(values, cv2.CV_32F, *way, ksize=1, scale=0.5) for way in ((1, 0), (0, 1)))
        slope = np.hypot(across, down)[::step]
        values = values[::step]
        slope[slope <= np.quantile(slope[::4, ::4], EDGES)] = 0
        edge = slope > 0
        if self.slices % 4 == 0:  # the ruler is a mean: a part of the slices tells it
            reach = _reach(values.shape[1] // BLOCKS)
            moved, steep = np.zeros((2, BLOCKS**2, reach))
            for k in range(1, reach + 1):
                change = np.abs(values[:, k:] - values[:, :-k]) * (edge[:, k:] | edge[:, :-k])
                moved[:, k - 1] = _by_block(change)
                steep[:, k - 1] = _by_block((slope[:, k:] + slope[:, :-k]) / 2)
            if self._moved_along is None or self._steep_along is None:
                self._moved_along, self._steep_along = moved, steep
            else:
                self._moved_along, self._steep_along = self._moved_along + moved, self._steep_along + steep
        if self._edge is not None:
            earlier, sloped = self._edge
            self._moved.append(_by_block(np.abs(values - earlier) * (edge | (sloped > 0))))
            self._steep.append(_by_block((slope + sloped) / 2))
        self._edge = values, slope

    def curves(self, strips: Sequence[int] = range(STRIPS)) -> tuple[np.ndarray, np.ndarray]:
        """Mean squared differences along x at 1, 2 ... pixels, and along z at 1, 2 ... slices, of these strips."""
        chosen = list(strips)
        if self.along is None:
            return np.zeros(0), np.zeros(0)
        used = self.pairs > 0
        further = self.further[used][:, chosen].mean(1) / self.pairs[used]
        return self.along[chosen].mean(0) / self.slices, further

    def skewness(self) -> tuple[float, float]:
        """Of the changes from slice to slice, and its standard error between strips; 0 where z has no direction."""
        each = self.skewed / np.maximum(self.pairs[0], 1)
        spread = (self.further[0].mean() / max(self.pairs[0], 1)) ** 1.5
        if not spread:
            return 0.0, np.inf
        return float(each.mean() / spread), float(each.std(ddof=1) / np.sqrt(STRIPS) / spread)

    def edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """How much edges moved, and their slopes, by block.

        Returns:
            From slice to slice both (n - 1, `BLOCKS` ** 2); along x both (`BLOCKS` ** 2, reach), at 1, 2 ... pixels.
        """
        if self._moved_along is None or self._steep_along is None:
            nothing = np.zeros((BLOCKS**2, 0))
            return nothing.T, nothing.T, nothing, nothing
        return np.array(self._moved), np.array(self._steep), self._moved_along, self._steep_along


def _reach(width: int) -> int:
    return max(min(REACH, width // 2), 1)


def _by_strip(values: np.ndarray) -> np.ndarray:
    return np.array([float(part.mean()) for part in np.array_split(values.mean(0), STRIPS)])


def _by_block(values: np.ndarray) -> np.ndarray:
    """Sums over `BLOCKS` x `BLOCKS` blocks."""
    rows = np.add.reduceat(values, _firsts(values.shape[0]), axis=0)
    return np.add.reduceat(rows, _firsts(values.shape[1]), axis=1).ravel().astype(float)


def _firsts(length: int) -> np.ndarray:
    return np.arange(BLOCKS) * length // BLOCKS
