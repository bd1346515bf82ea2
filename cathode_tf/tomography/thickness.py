"""Aligned slices in; how thick each was cut, relative to the others and in pixels along x, out.

Two slices differ the more the further they lie apart. Where the material is alike along x and z, the distance at
which a slice differs as much from itself, moved along x, is the distance between two slices. Only x serves as
the ruler: y is shortened by calendering.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

REACH = 24
"""The ruler is this many pixels long."""

ROWS = 1024
"""Of higher slices only so many rows are compared."""

LAGS = 6


@dataclass
class Ruler:
    """Adds up how much slices differ from those before them, and how much a slice differs from itself along x.

    Attributes:
        between: Mean squared difference of each slice to the one before.
        further: By distance in slices, 1 ... `LAGS`: sum of the mean squared differences, and how many.
        along: By slice, mean squared difference at 1 ... `REACH` pixels along x.
    """

    between: list[float] = field(default_factory=list)
    further: np.ndarray = field(default_factory=lambda: np.zeros((LAGS, 2)))
    along: list[np.ndarray] = field(default_factory=list)
    _before: list[np.ndarray] = field(default_factory=list)

    def add(self, pixels: np.ndarray) -> None:
        """Take the next slice, aligned, (height, width)."""
        # Noise differs between slices, and in a slice that was moved by half a pixel less: it is smoothed away.
        step = max(1, pixels.shape[0] // ROWS)
        values = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), 1.0)[::step]
        values -= values.mean()
        lags = range(1, min(REACH, values.shape[1] // 4) + 1)
        self.along.append(np.array([float(np.square(values[:, k:] - values[:, :-k]).mean()) for k in lags]))
        for lag, earlier in enumerate(reversed(self._before)):
            differ = float(np.square(values - earlier).mean())
            self.further[lag] += differ, 1
            if lag == 0:
                self.between.append(differ)
        self._before = [*self._before, values][-LAGS:]

    def distances_px(self) -> tuple[np.ndarray, float]:
        """Distance of each slice to the one before, in pixels along x, NaN beyond the ruler's reach; and their mean.

        What the optics blur, they blur within the slices and not across them, which adds as much to every
        distance; so the mean comes from how the distance grows with the number of slices.
        """
        nothing = np.full(len(self.between), np.nan), np.nan
        if not self.between:
            return nothing
        ruler = np.mean(self.along, 0)
        lag = np.arange(1, len(ruler) + 1, dtype=float)
        rising = np.append(True, np.diff(np.maximum.accumulate(ruler)) > 2e-3 * ruler.max())
        last = int(np.argmin(rising)) if not rising.all() else len(ruler)
        ruler, lag = ruler[:last], lag[:last]
        if len(ruler) < 4 or ruler[0] <= 0:
            return nothing
        # Below one pixel: as a power of the distance, 2 for smooth structure, 1 for sharp edges.
        power = float(np.clip(np.log(ruler[1] / ruler[0]) / np.log(2.0), 0.5, 2.0))

        def measured(differ: np.ndarray) -> np.ndarray:
            far = np.interp(differ, ruler, lag, right=np.nan)
            return np.where(differ < ruler[0], (differ / ruler[0]) ** (1 / power), far)

        each = measured(np.array(self.between))
        used = self.further[:, 1] > 0
        number = np.flatnonzero(used) + 1.0
        mean = measured(self.further[used, 0] / self.further[used, 1])
        # Where the ruler goes flat it tells nothing.
        inside = np.isfinite(mean) & (mean <= 0.7 * lag[-1])
        if inside.sum() < 2:
            known = each[np.isfinite(each)]
            return each, float(known.mean()) if known.size else np.nan
        slope, _ = np.polyfit(number[inside], mean[inside], 1)
        return each, float(slope)


@dataclass(frozen=True)
class Thickness:
    """How thick the slices are.

    Attributes:
        relative: float64 (n - 1,), of each slice after the first, 1 in the mean.
        mean_px: What the slices' likeness says, if x and z are alike, in pixels along x; NaN = cannot tell.
        ratio: `mean_px` over what metadata state, NaN where either is unknown.
        note: What to make of it.
    """

    relative: np.ndarray
    mean_px: float
    ratio: float
    note: str


def find_thickness(
    ruler: Ruler, stated_nm: float | None, pixel_nm: float | None, stated_z_nm: np.ndarray | None = None
) -> Thickness:
    """Relative thickness from the image, absolute from metadata, and whether the two agree."""
    found, mean = ruler.distances_px()
    known = np.isfinite(found)
    if known.sum() < 3:
        return Thickness(
            np.ones(len(found)), np.nan, np.nan, "the slices differ too much for the image to tell"
        )
    relative = np.where(known, found / found[known].mean(), 1.0)
    ratio = mean * pixel_nm / stated_nm if stated_nm and pixel_nm else np.nan
    notes = [f"the image says {mean:.2f} px a slice in the mean, if x and z are alike"]
    if np.isfinite(ratio) and not 0.85 <= ratio <= 1.18:
        notes.append(
            f"that is {ratio:.2f} times what is stated ({stated_nm:.4g} nm): one of them is wrong, or the material is "
            "not alike along x and z, or what lies below a slice shines through"
        )
    if stated_z_nm is not None and len(stated_z_nm) == len(found) + 1:
        stated = np.diff(np.asarray(stated_z_nm, float))
        if stated.std() > 0.03 * stated.mean():
            match = float(np.corrcoef(stated[known], found[known])[0, 1])
            notes.append(f"slice by slice it follows the stated positions with a correlation of {match:.2f}")
    return Thickness(relative, mean, float(ratio), "; ".join(notes))
