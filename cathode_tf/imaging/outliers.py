"""Pixels that no specimen shows, and what to take for them: hot and dead pixels, zingers, values that mean "no data".

How often each grey level occurs comes in; a table goes out that says what to take for each level. Only whole numbers
are compared, so that numpy, a TensorFlow graph and parts of a large image give the same table. In an ordinary image
the table changes nothing.

1. The lowest (highest) level is no data where nothing lies between it and the rest over three quarters of the range
   of the rest: it becomes the median of the rest.
2. What then lies beyond that range, continued by itself to either side, is cut off there.

The range is that between the 0.5 % and the 99.5 % quantile. An image of fewer than 16 levels has no outliers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

LEVELS = 1 << 16
FEWEST_LEVELS = 16
TAIL, ALL = 5, 1000
"""Share of the pixels beyond either end of the range: 5 of 1000."""


@dataclass(frozen=True)
class Found:
    """What an image holds that no specimen shows.

    Attributes:
        table: What to take for each level, uint16 (65536,).
        changed_px: Pixels that the table changes.
        no_data: Levels that mean no data.
    """

    table: np.ndarray
    changed_px: int
    no_data: tuple[int, ...]


def histogram(parts: Iterable[np.ndarray]) -> np.ndarray:
    """How often each level occurs in arrays of uint8 or uint16, int64 (65536,)."""
    total = np.zeros(LEVELS, np.int64)
    for part in parts:
        counts = np.bincount(part.ravel())
        total[: len(counts)] += counts
    return total


def find_outliers(counts: np.ndarray) -> Found:
    """What to take for each level of an image.

    Args:
        counts: How often each level occurs, integers (65536,), of at least one pixel.

    Example:
        >>> image = np.arange(100, 140, dtype=np.uint16).repeat(50); image[7] = 65535
        >>> found = find_outliers(histogram([image]))
        >>> found.changed_px, found.no_data, int(found.table[65535])
        (1, (65535,), 120)
    """
    table = np.arange(LEVELS, dtype=np.uint16)
    rest, no_data = np.asarray(counts, np.int64), []
    for last in (0, -1):
        without, level = _without(rest, last)
        if level is not None:
            rest = without
            no_data.append(level)
    if np.count_nonzero(rest) < FEWEST_LEVELS:
        return Found(table, 0, ())
    low, high, middle = _range(rest)
    width = max(high - low, 1)
    table = np.clip(table, max(low - width, 0), min(high + width, LEVELS - 1))
    table[no_data] = middle
    changed = int(np.asarray(counts)[table != np.arange(LEVELS)].sum())
    return Found(table, changed, tuple(no_data))


def _without(counts: np.ndarray, last: int) -> tuple[np.ndarray, int | None]:
    """The counts without their lowest (0) or highest (-1) level, and that level, if it means no data."""
    there = np.flatnonzero(counts)
    if len(there) <= FEWEST_LEVELS:
        return counts, None
    level, next_one = (int(there[i]) for i in ((0, 1) if last == 0 else (-1, -2)))
    rest = counts.copy()
    rest[level] = 0
    low, high, _ = _range(rest)
    alone = 4 * abs(next_one - level) > 3 * max(high - low, 1)
    return (rest, level) if alone and 2 * counts[level] < counts.sum() else (counts, None)


def _range(counts: np.ndarray) -> tuple[int, int, int]:
    """Levels at the 0.5 % and 99.5 % quantile, and the median."""
    below = np.cumsum(counts)
    total = below[-1]
    low = int(np.searchsorted(below * ALL, total * TAIL))
    high = int(np.searchsorted(below * ALL, total * (ALL - TAIL)))
    return low, high, int(np.searchsorted(below * 2, total))


def tamed(pixels: np.ndarray) -> np.ndarray:
    """The image with what no specimen shows taken off; the very array where there is none of it.

    Args:
        pixels: uint8 or uint16, any shape, at least one pixel.
    """
    found = find_outliers(histogram([pixels]))
    return pixels if not found.changed_px else found.table.astype(pixels.dtype)[pixels]


@dataclass(frozen=True)
class Fences:
    """The same rule for numbers of any kind.

    Attributes:
        low, high: What lies beyond is cut off here; infinite where the numbers tell no range.
        middle: Median, which stands for what means no data.
        no_data: Values that mean no data.
    """

    low: float
    high: float
    middle: float
    no_data: tuple[float, ...]

    def tame(self, samples: np.ndarray) -> tuple[np.ndarray, int]:
        """The numbers with what no specimen shows taken off, and how many that were."""
        missing = np.isin(samples, self.no_data)
        beyond = ((samples < self.low) | (samples > self.high)) & ~missing
        count = int(np.count_nonzero(missing) + np.count_nonzero(beyond))
        if not count:
            return samples, 0
        middle = samples.dtype.type(self.middle)
        return np.where(missing, middle, np.clip(samples, self.low, self.high)), count


def fences_of(samples: np.ndarray) -> Fences:
    """Where outliers begin among finite numbers, at least one.

    Example:
        >>> image = np.linspace(0, 1, 1000); image[7], image[9] = 1e6, -9999.0
        >>> fences_of(image).no_data
        (-9999.0, 1000000.0)
    """
    values = np.asarray(samples).ravel()
    no_data = []
    for lowest in (True, False):
        end = values.min() if lowest else values.max()
        rest = values[values != end]
        if 2 * rest.size <= values.size or not _many(rest):
            continue
        low, high = _quantiles(rest)
        gap = float(rest.min()) - float(end) if lowest else float(end) - float(rest.max())
        # A range of nothing (one value and little else) tells nothing of what is far from it.
        if high > low and gap > 0.75 * (high - low):
            no_data.append(float(end))
            values = rest
    low, high = _quantiles(values)
    width = high - low if _many(values) and high > low else np.inf
    return Fences(low - width, high + width, float(np.median(values)), tuple(no_data))


def _many(values: np.ndarray) -> bool:
    """Whether there are as many different numbers as an image has that outliers can stand out from."""
    few = values[:: max(1, values.size // 1024)]
    return len(np.unique(few)) >= FEWEST_LEVELS or len(np.unique(values)) >= FEWEST_LEVELS


def _quantiles(values: np.ndarray) -> tuple[float, float]:
    places = [int(len(values) * TAIL / ALL), min(int(len(values) * (ALL - TAIL) / ALL), len(values) - 1)]
    found = np.partition(values, places)
    return float(found[places[0]]), float(found[places[1]])
