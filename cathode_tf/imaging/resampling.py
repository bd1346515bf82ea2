"""Pixels of one physical size in, pixels of another out, whole or window by window, by one rule.

Training, evaluation and segmentation bring an image to the pixel size of the model by this rule, and its mask back.
Each pixel that comes out depends on its place alone, so windows put side by side are the whole, byte for byte.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning

SAME_SCALE = 0.02
"""Relative difference of two pixel sizes that needs no resampling."""

FAR_SCALE = 4.0
"""Resampling by more than this is warned of, and nothing is enlarged by more: there is nothing to be gained."""

TOO_FAR_SCALE = 16.0
"""Pixel sizes that differ by more than this are a mistake, or ask for another model."""

BAND_PX = 256
"""Rows are resampled so many at a time, which bounds the memory."""

Reader = Callable[[slice, slice], np.ndarray]
"""Gives the pixels of some rows and columns of an image."""


def scale_between(own_nm: float | None, wanted_nm: float | None, source: Any = None) -> float:
    """By what an image must be enlarged to have the wanted pixel size; 1.0 where either size is unknown.

    Args:
        own_nm: Pixel size of the image; None or NaN = unknown.
        wanted_nm: Pixel size to come to; None or NaN = unknown.
        source: Names the image in the warning about a factor beyond 4.

    Raises:
        InputError: If the two differ by more than a factor of 16.

    Example:
        >>> scale_between(20.0, 10.0), scale_between(10.1, 10.0), scale_between(None, 10.0)
        (2.0, 1.0, 1.0)
    """
    if not own_nm or not wanted_nm or math.isnan(own_nm) or math.isnan(wanted_nm):
        return 1.0
    scale = own_nm / wanted_nm
    if abs(scale - 1) <= SAME_SCALE:
        return 1.0
    if not 1 / TOO_FAR_SCALE <= scale <= TOO_FAR_SCALE:
        raise InputError(
            f"{source or 'image'}: must have pixels within a factor of {TOO_FAR_SCALE:g} of the {wanted_nm:g} nm that "
            f"the model works at. Received {own_nm:g} nm. If that is right, train a model on such images; if it "
            "is wrong, save the image with the right size, or without one."
        )
    if not 1 / FAR_SCALE <= scale <= FAR_SCALE:
        at_most = f" It is enlarged by {FAR_SCALE:g} only." if scale > FAR_SCALE else ""
        warnings.warn(
            f"{source or 'image'}: has pixels of {own_nm:g} nm, the model works at {wanted_nm:g} nm. "
            f"Resampling by {scale:.3g} is more than a factor of {FAR_SCALE:g}: look at the mask.{at_most}",
            InputWarning,
            stacklevel=3,
        )
    return min(scale, FAR_SCALE)


class Resampling:
    """How an image is brought to another pixel size, and a mask of that size back.

    Enlarging interpolates linearly, shrinking averages over areas; masks go by the nearest pixel.

    Args:
        shape: (height, width) of the image.
        scale: By what it is enlarged; below 1 it shrinks.

    Attributes:
        shape: (height, width) of the image.
        target: (height, width) of what comes out; at least one pixel.

    Example:
        >>> half = Resampling((2, 4), 0.5)
        >>> half(np.array([[0, 2, 8, 8], [2, 4, 8, 8]], np.uint8))
        array([[2, 8]], dtype=uint8)
        >>> half.labels(np.array([[0, 2, 8, 8], [2, 4, 8, 7]], np.uint8))
        array([[4, 7]], dtype=uint8)
        >>> half.back(np.array([[5, 7]], np.uint8)).tolist()
        [[5, 5, 7, 7], [5, 5, 7, 7]]
    """

    def __init__(self, shape: tuple[int, ...], scale: float):
        height, width = shape
        self.shape = (height, width)
        self.target = (max(round(height * scale), 1), max(round(width * scale), 1))

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The whole image (height, width), integer, at the new size."""
        return self.window(lambda *window: pixels[window], slice(0, self.target[0]), slice(0, self.target[1]))

    def window(self, read: Reader, rows: slice, columns: slice) -> np.ndarray:
        """Some rows and columns of the resampled image, from as much of the image as they need."""
        starts = range(rows.start, rows.stop, BAND_PX)
        bands = (slice(start, min(start + BAND_PX, rows.stop)) for start in starts)
        return np.concatenate([self._band(read, band, columns) for band in bands])

    def _band(self, read: Reader, rows: slice, columns: slice) -> np.ndarray:
        taps, spans = [], []
        for axis, wanted in enumerate((rows, columns)):
            places, weights = _taps(self.shape[axis], self.target[axis], wanted)
            first = int(places.min())
            spans.append(slice(first, int(places.max()) + 1))
            taps.append((places - first, weights))
        pixels = read(*spans)
        down, across = taps
        return np.rint(_mixed(_mixed(pixels.astype(np.float32), *down).T, *across).T).astype(pixels.dtype)

    def labels(self, mask: np.ndarray) -> np.ndarray:
        """A mask (height, width) of the old size at the new one, each pixel by the nearest."""
        places = (
            (2 * np.arange(target, dtype=np.int64) + 1) * length // (2 * target)
            for length, target in zip(self.shape, self.target, strict=True)
        )
        return mask[np.ix_(*places)]

    def back(self, values: np.ndarray) -> np.ndarray:
        """Values (height, width, ...) of the new size at the old one, each by its nearest pixel."""
        rows, columns = (self.nearest(axis, slice(0, self.target[axis]))[1] for axis in (0, 1))
        return values[rows][:, columns]

    def nearest(self, axis: int, wanted: slice) -> tuple[int, np.ndarray]:
        """Which old positions have their nearest new one in `wanted`.

        Returns:
            The first of these positions, and for each the nearest, counted from the start of `wanted`.
        """
        length, target = self.shape[axis], self.target[axis]
        # Middle of pixel i, (i + 1/2) * target / length, rounded down; in whole numbers.
        first, last = ((2 * edge * length - target) / (2 * target) for edge in (wanted.start, wanted.stop))
        positions = np.arange(max(math.ceil(first) - 1, 0), min(math.ceil(last) + 1, length), dtype=np.int64)
        nearest = (2 * positions + 1) * target // (2 * length)
        inside = (nearest >= wanted.start) & (nearest < wanted.stop)
        start = int(positions[inside][0]) if inside.any() else 0
        return start, nearest[inside] - wanted.start


def _taps(length: int, target: int, wanted: slice) -> tuple[np.ndarray, np.ndarray]:
    """For some pixels of an axis of `target`: positions on the axis of `length`, and weights, each (n, taps)."""
    ratio = length / target
    index = np.arange(wanted.start, wanted.stop)[:, None]
    if target >= length:
        middle = (index + 0.5) * ratio - 0.5
        places = np.floor(middle).astype(np.int64) + np.arange(2)
        weights = 1 - np.abs(middle - places)
    else:
        begin, end = index * ratio, (index + 1) * ratio
        places = np.floor(begin).astype(np.int64) + np.arange(math.ceil(ratio) + 1)
        weights = np.clip(np.minimum(places + 1, end) - np.maximum(places, begin), 0, None) / ratio
    return places.clip(0, length - 1), weights.astype(np.float32)


def _mixed(values: np.ndarray, places: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sums of rows: (n, columns)."""
    total = values[places[:, 0]] * weights[:, :1]
    for tap in range(1, places.shape[1]):
        total += values[places[:, tap]] * weights[:, tap : tap + 1]
    return total
