"""Grey levels of a stable material in; the field of the illumination, and a bounded gain for each slice, out.

The material is the brightest phase that fills a good part of the slices (the active material of a cathode). Its own
level is followed, not the slices' histograms: a slice with more pores is darker as a whole, and rightly so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

GAIN_BOUNDS = (0.8, 1.25)
LEAST_SHARE = 0.05
"""The stable material fills at least this share of a slice."""

MOST_BRIGHTER = 0.15
"""With a larger share that is brighter, what was found is not the brightest phase, and none is taken."""

TILES = 8
LEVELS = 256


@dataclass(frozen=True)
class Material:
    """The stable material's grey levels, of a stack whose grey levels go to `top`.

    Attributes:
        level: Its commonest grey level.
        width: Standard deviation about it.
        share: Of a typical slice that it fills.
    """

    level: float
    width: float
    share: float = 0.0


@dataclass(frozen=True)
class Field:
    """The illumination: a polynomial of order 2 in the logarithm, 1 in the mean.

    Attributes:
        terms: Of 1, y, x, y^2, y x, x^2, with y and x from -1 to 1.
    """

    terms: tuple[float, ...]

    def at(self, height: int, width: int) -> np.ndarray:
        """float32 (height, width)."""
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)
        a, b, c, d, e, f = (np.float32(term) for term in self.terms)
        return np.exp(a + b * y + c * x + d * y * y + e * y * x + f * x * x)


def find_material(slices: Iterable[np.ndarray], top: float) -> Material | None:
    """The stable material of some slices; None where none stands out.

    Args:
        slices: (height, width), any number type.
        top: The largest grey level there can be.
    """
    each = np.array([_histogram(pixels, top) for pixels in slices]).reshape(-1, LEVELS)
    counts = each.sum(0)
    smooth = _smooth(counts, 2.5)
    if counts.sum() == 0:
        return None
    peaks = [
        i
        for i in range(2, LEVELS - 2)
        if smooth[i] == smooth[max(0, i - 6) : i + 7].max() and smooth[i] > 0.02 * smooth.max()
    ]
    for peak in reversed(peaks):
        # A mode of its own: half of its height lies between it and what is darker.
        below = smooth[:peak]
        valley = (
            int(np.flatnonzero(below < 0.6 * smooth[peak])[-1])
            if (below < 0.6 * smooth[peak]).any()
            else None
        )
        if valley is None or counts[valley:].sum() < LEAST_SHARE * counts.sum():
            continue
        if smooth[valley:peak].max() > smooth[peak]:  # a bump on the flank of a higher one
            continue
        half = next((i for i in range(peak, LEVELS) if smooth[i] < 0.5 * smooth[peak]), LEVELS - 1)
        width = max(min(half - peak, peak - valley), 1) / 1.18
        # What one charged slice shows is no material of the stack.
        own = each[:, valley : min(int(peak + 3 * width) + 1, LEVELS)].sum(1)
        share = float(np.median(own / np.maximum(each.sum(1), 1)))
        if share < LEAST_SHARE / 2:
            continue
        if counts[int(peak + 3 * width) + 1 :].sum() > MOST_BRIGHTER * counts.sum():
            return None
        scale = top / (LEVELS - 1)
        return Material(peak * scale, max(width, 2.0) * scale, share)
    return None


def level_of(pixels: np.ndarray, material: Material) -> list[float | None] | None:
    """The grey level of the stable material in one slice and in each of its quarters; None where it has too little.

    The mean of what lies near the level is taken until it stays (mean shift), so that what is brighter or darker does
    not count, however much of it there is.
    """
    thin = max(1, min(pixels.shape) // 512)
    values = cv2.blur(pixels.astype(np.float32), (3, 3))[::thin, ::thin]
    level = _shifted_mean(values.ravel(), material)
    if level is None:
        return None
    middle = (values.shape[0] // 2, values.shape[1] // 2)
    quarters = [
        _shifted_mean(values[rows, columns].ravel(), material)
        for rows in (slice(None, middle[0]), slice(middle[0], None))
        for columns in (slice(None, middle[1]), slice(middle[1], None))
    ]
    return [level, *quarters]


def _shifted_mean(values: np.ndarray, material: Material) -> float | None:
    level = _start(values, material)
    reach = 1.5 * material.width
    for _ in range(30):
        near = values[np.abs(values - level) < reach]
        # Where a charged slice has its edges, there is always a little.
        if near.size < max(LEAST_SHARE / 2, material.share / 4) * values.size:
            return None
        moved = float(near.mean())
        if abs(moved - level) < 1e-3 * material.width:
            break
        level = moved
    return level


def gains(levels: Sequence[Sequence[float | None] | None]) -> tuple[np.ndarray, list[int]]:
    """Factor for each slice, float64, and which slices were out of bounds or had no material, and are left as they are.

    All slices are brought to the median of the stack's levels, within `GAIN_BOUNDS`, as far as their levels differ by
    more than chance, of which the quarters of the slices tell.

    Args:
        levels: Of `level_of`, by slice.
    """
    table = np.array([[np.nan] * 5 if level is None else list(level) for level in levels], float)
    known = table[:, 0]
    if not np.isfinite(known).any():
        return np.ones(len(known)), list(range(len(known)))
    middle = np.nanmedian(known)
    with np.errstate(invalid="ignore"):
        factor = middle / known
        odd = ~((factor >= GAIN_BOUNDS[0]) & (factor <= GAIN_BOUNDS[1]))
    chance = _chance(table)
    scatter = float(np.square(known[~odd] - middle).mean()) if (~odd).any() else 0.0
    share = max(scatter - chance, 0) / scatter if scatter > 1.5 * chance else 0.0
    factor = 1 + share * (factor - 1)
    factor[odd] = 1.0
    if np.std(factor) < 0.002:
        factor[:] = 1.0
    return factor, [int(i) for i in np.flatnonzero(odd)]


def gain_uncertainty(levels: Sequence[Sequence[float | None] | None]) -> float:
    """Standard uncertainty of the factors of `gains`, from the same levels; NaN where none is known."""
    table = np.array([[np.nan] * 5 if level is None else list(level) for level in levels], float)
    known = table[np.isfinite(table[:, 0])]
    if not len(known):
        return np.nan
    chance, scatter = _chance(known), float(known[:, 0].var())
    # What is drawn to the median by its own chance is known that much better.
    return float(np.sqrt(chance * scatter / max(chance + scatter, 1e-12)) / np.median(known[:, 0]))


def _chance(table: np.ndarray) -> float:
    """Variance of a slice's level, from how its quarters scatter about it."""
    apart = table[:, 1:] - table[:, :1]
    # Uneven light, alike in all slices, is no chance.
    apart = apart - np.nanmedian(apart, 0) if np.isfinite(apart).any(0).all() else apart
    rest = apart[np.isfinite(apart)]
    return float(np.square(rest).mean() / 4) if rest.size else 0.0


class Illumination:
    """Adds up, tile by tile, the grey levels of all slices; gives the field of the illumination.

    Args:
        top: The largest grey level there can be.
    """

    def __init__(self, top: float) -> None:
        self._top = top
        self._counts = np.zeros((TILES, TILES, LEVELS))

    def add(self, pixels: np.ndarray) -> None:
        """Take one more slice (height, width)."""
        for row, band in enumerate(np.array_split(pixels, TILES, 0)):
            for column, tile in enumerate(np.array_split(band, TILES, 1)):
                self._counts[row, column] += _histogram(tile, self._top)

    def field(self, material: Material) -> Field | None:
        """The field; None where too few tiles show the material, or the light is as even as the tiles can tell."""
        scale = self._top / (LEVELS - 1)
        grey = np.arange(LEVELS) * scale
        found, places = [], []
        for row in range(TILES):
            for column in range(TILES):
                level = _mode(grey, self._counts[row, column], material)
                if level is not None:
                    found.append(np.log(level / material.level))
                    centre = 2 * (np.array([row, column]) + 0.5) / TILES - 1
                    places.append(centre)
        if len(found) < 0.6 * TILES * TILES:
            return None
        y, x = np.array(places).T
        design = np.column_stack([np.ones_like(y), y, x, y * y, y * x, x * x])
        terms = _huber(design, np.array(found))
        rest = float(np.median(np.abs(np.array(found) - design @ terms))) * 1.4826
        whole = np.exp(design @ terms)
        terms[0] -= np.log(whole.mean())
        # A polynomial follows the scatter between tiles, too: six terms of 64 tiles, so a third of it.
        if np.ptp(whole) < max(0.02, 2 * rest) * whole.mean():
            return None
        return Field(tuple(float(term) for term in terms))


def _start(values: np.ndarray, material: Material) -> float:
    """Where to look for the level: at the mode of what lies within the bounds of the gain."""
    low, high = material.level * GAIN_BOUNDS[0], material.level * GAIN_BOUNDS[1]
    counts, edges = np.histogram(values, bins=64, range=(low, high))
    smooth = _smooth(counts.astype(float), 2.0)
    # Of two modes the one nearer to the material's level counts.
    centres = (edges[1:] + edges[:-1]) / 2
    smooth *= np.exp(-0.5 * ((centres - material.level) / (0.15 * material.level)) ** 2)
    return float(centres[int(smooth.argmax())])


def _mode(grey: np.ndarray, counts: np.ndarray, material: Material) -> float | None:
    """The material's level in a histogram, by mean shift; None where it is too rare."""
    reach = 2.0 * material.width
    near = np.abs(grey / material.level - 1) < 0.35
    smooth = _smooth(np.where(near, counts, 0), 2.0)
    level = float(grey[int(smooth.argmax())])
    for _ in range(30):
        inside = np.abs(grey - level) < reach
        total = counts[inside].sum()
        if total < LEAST_SHARE / 2 * counts.sum() or total == 0:
            return None
        moved = float((grey[inside] * counts[inside]).sum() / total)
        if abs(moved - level) < 1e-3 * material.width:
            return moved
        level = moved
    return level


def _huber(design: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least squares in which what lies far off counts less."""
    weight = np.ones(len(values))
    terms = np.zeros(design.shape[1])
    for _ in range(20):
        root = np.sqrt(weight)
        terms = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
        rest = np.abs(values - design @ terms)
        limit = max(1.345 * 1.4826 * float(np.median(rest)), 1e-6)
        weight = np.minimum(1, limit / np.maximum(rest, 1e-12))
    return terms


def _histogram(pixels: np.ndarray, top: float) -> np.ndarray:
    place = np.clip(pixels.astype(np.float32) * ((LEVELS - 1) / top) + 0.5, 0, LEVELS - 1).astype(np.uint8)
    return np.bincount(place.ravel(), minlength=LEVELS).astype(float)


def _smooth(counts: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(counts, sigma, mode="nearest")
