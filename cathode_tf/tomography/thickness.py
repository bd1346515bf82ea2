"""Aligned slices in; how thick each was cut, relative to the others and in pixels along x, out.

Two slices differ the more the further they lie apart. Where the material is alike along x and z, the distance at
which a slice differs as much from itself, moved along x, is the distance between two slices. Only x serves as
the ruler: y is shortened by calendering.
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
"""Columns are compared in so many strips; how these scatter tells how sure the thickness is."""


@dataclass
class Ruler:
    """Adds up how much slices differ from those before them, and how much a slice differs from itself along x.

    Attributes:
        between: By slice after the first, mean squared difference to the one before in each strip, (`STRIPS`,).
        further: By distance in slices, 1 ... `LAGS`, and strip: sum of the mean squared differences.
        pairs: By distance in slices, how many pairs were added up.
        along: By strip, sum over slices of the mean squared difference at 1 ... `REACH` pixels along x.
    """

    between: list[np.ndarray] = field(default_factory=list)
    further: np.ndarray = field(default_factory=lambda: np.zeros((LAGS, STRIPS)))
    pairs: np.ndarray = field(default_factory=lambda: np.zeros(LAGS, int))
    along: np.ndarray | None = None
    _before: list[np.ndarray] = field(default_factory=list)

    def add(self, pixels: np.ndarray) -> None:
        """Take the next slice, aligned, (height, width)."""
        # Noise differs between slices, and in a slice that was moved by half a pixel less: it is smoothed away.
        step = max(1, pixels.shape[0] // ROWS)
        values = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), 1.0)[::step]
        values -= values.mean()
        strips = np.array_split(values, STRIPS, axis=1)
        reach = max(min(REACH, values.shape[1] // STRIPS // 2), 1)
        alone = np.array(
            [
                [float(np.square(strip[:, k:] - strip[:, :-k]).mean()) for k in range(1, reach + 1)]
                for strip in strips
            ]
        )
        self.along = alone if self.along is None else self.along + alone
        for lag, earlier in enumerate(reversed(self._before)):
            parts = np.array_split(np.square(values - earlier).mean(0), STRIPS)
            differ = np.array([float(part.mean()) for part in parts])
            self.further[lag] += differ
            self.pairs[lag] += 1
            if lag == 0:
                self.between.append(differ)
        self._before = [*self._before, values][-LAGS:]

    def distances_px(self, strips: Sequence[int] = range(STRIPS)) -> tuple[np.ndarray, float]:
        """Distance of each slice to the one before, in pixels along x, NaN beyond the ruler's reach; and their mean.

        Args:
            strips: Those that are looked at.

        What the optics blur, they blur within the slices and not across them, which adds as much to every
        distance; so the mean comes from how the distance grows with the number of slices.
        """
        chosen = list(strips)
        nothing = np.full(len(self.between), np.nan), np.nan
        if not self.between or self.along is None:
            return nothing
        ruler = self.along[chosen].mean(0) / (len(self.between) + 1)
        rising = np.append(True, np.diff(np.maximum.accumulate(ruler)) > 2e-3 * ruler.max())
        last = int(np.argmin(rising)) if not rising.all() else len(ruler)
        ruler = ruler[:last]
        if len(ruler) < 4 or ruler[0] <= 0:
            return nothing
        scale = _Scale(ruler)
        each = scale.distance(np.array(self.between)[:, chosen].mean(1))
        used = self.pairs > 0
        further = scale.distance(self.further[used][:, chosen].mean(1) / self.pairs[used])
        # Where the ruler goes flat it tells nothing.
        inside = further <= 0.7 * len(ruler)
        if inside.sum() < 2:
            known = each[np.isfinite(each)]
            return each, float(known.mean()) if known.size else np.nan
        slope, _ = np.polyfit(np.flatnonzero(inside) + 1.0, further[inside], 1)
        return each, float(slope)

    def mean_px(self) -> tuple[float, float]:
        """Mean distance of two slices in pixels along x, and its standard uncertainty (jackknife over strips)."""
        _, mean = self.distances_px()
        left = np.array(
            [self.distances_px([k for k in range(STRIPS) if k != out])[1] for out in range(STRIPS)]
        )
        if not np.isfinite(mean) or not np.isfinite(left).all():
            return mean, np.nan
        return mean, float(np.sqrt((STRIPS - 1) * np.square(left - left.mean()).mean()))

    def relative_u(self) -> np.ndarray:
        """Standard uncertainty of each distance over the mean one, from the scatter of the strips."""
        table = np.array(self.between)
        share = table / table.mean(0)  # a strip with more edges differs more in every slice
        return share.std(1, ddof=1) / np.sqrt(STRIPS)


class _Scale:
    """The ruler: distances along x and the differences that belong to them."""

    def __init__(self, ruler: np.ndarray) -> None:
        self._ruler, self._lag = ruler, np.arange(1, len(ruler) + 1, dtype=float)
        # Below one pixel: as a power of the distance, 2 for smooth structure, 1 for sharp edges.
        self._power = float(np.clip(np.log(ruler[1] / ruler[0]) / np.log(2.0), 0.5, 2.0))

    def distance(self, differ: np.ndarray) -> np.ndarray:
        """Pixels; NaN beyond the end of the ruler."""
        far = np.interp(differ, self._ruler, self._lag, right=np.nan)
        return np.where(differ < self._ruler[0], (differ / self._ruler[0]) ** (1 / self._power), far)


@dataclass(frozen=True)
class Thickness:
    """How thick the slices are.

    Attributes:
        relative: float64 (n - 1,), of each slice after the first, 1 in the mean.
        mean_px: What the slices' likeness says, if x and z are alike, in pixels along x; NaN = cannot tell.
        ratio: `mean_px` over what metadata state, NaN where either is unknown.
        note: What to make of it.
        u_mean: Standard uncertainty of `mean_px` over it, NaN = cannot tell.
        u_relative: The typical one of `relative`.
    """

    relative: np.ndarray
    mean_px: float
    ratio: float
    note: str
    u_mean: float = np.nan
    u_relative: float = np.nan


def find_thickness(
    ruler: Ruler, stated_nm: float | None, pixel_nm: float | None, stated_z_nm: np.ndarray | None = None
) -> Thickness:
    """Relative thickness from the image, absolute from metadata, and whether the two agree."""
    found, _ = ruler.distances_px()
    mean, u = ruler.mean_px()
    known = np.isfinite(found)
    if known.sum() < 3:
        return Thickness(
            np.ones(len(found)), np.nan, np.nan, "the slices differ too much for the image to tell"
        )
    relative = np.where(known, found / found[known].mean(), 1.0)
    left = float(np.sqrt(np.square(ruler.relative_u()[known]).mean()))
    ratio = mean * pixel_nm / stated_nm if stated_nm and pixel_nm else np.nan
    sure = f" +- {1.96 * u:.2f}" if np.isfinite(u) else ""
    notes = [
        f"the image says {mean:.2f}{sure} px a slice in the mean, if x and z are alike; slices differ by "
        f"{relative.std():.0%}, each known to {left:.0%}"
    ]
    far = max(0.16, 1.96 * u / mean if np.isfinite(u) else 0.0)
    if ratio > 0 and abs(np.log(ratio)) > far:
        notes.append(
            f"that is {ratio:.2f} times what is stated ({stated_nm:.4g} nm): one of them is wrong, or the material is "
            "not alike along x and z, or what lies below a slice shines through"
        )
    if stated_z_nm is not None and len(stated_z_nm) == len(found) + 1:
        stated = np.diff(np.asarray(stated_z_nm, float))
        if stated.std() > 0.03 * stated.mean():
            match = float(np.corrcoef(stated[known], found[known])[0, 1])
            notes.append(f"slice by slice it follows the stated positions with a correlation of {match:.2f}")
    return Thickness(relative, mean, float(ratio), "; ".join(notes), u / mean, left)
