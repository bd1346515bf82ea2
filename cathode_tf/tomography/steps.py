"""Two neighbouring slices in; how far the later one is displaced, how surely, and whether that can be believed, out.

A step is estimated on a cleaned copy: thinned, column means off, windowed, and never whitened. Each spatial
frequency counts by how alike the two slices are there, so that neither noise (high frequencies) nor stripes that stay
in place (low ones along the columns) decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.fft
from scipy.signal.windows import tukey

SIDE_PX = 1024
"""Slices are thinned to about this side before they are compared."""

SMALLEST_PX = 32
BINS = 48
"""Rings of spatial frequency in which two slices are compared."""

STRIPE_BINS = 3
"""Frequencies along the columns below this are those of stripes, and along the rows those of charged lines."""

LEAST_ALIKE = 0.02
"""Squared coherence below which a ring of frequencies is taken for noise."""

LEAST_INFORMATION = 30.0
"""Sum of coherence / (1 - coherence), in independent frequencies, without which two slices are not alike."""

AGREE_PX = 0.5
AGREE_SIGMAS = 8.0


@dataclass(frozen=True)
class Step:
    """How far a slice lies from an earlier one.

    Attributes:
        shift_px: (row, column) by which what the earlier slice shows is displaced in the later one; raw pixels.
        u_px: Standard uncertainty of both, from how alike the slices are.
        disagreement_px: Largest difference between what the low and the high frequencies say.
        quarters_px: The same from each quarter of the slices that is alike enough; their scatter tells whether `u_px`
            is large enough.
        refused: Why it must not be used; "" where it may be.
    """

    shift_px: tuple[float, float]
    u_px: tuple[float, float]
    disagreement_px: float
    quarters_px: tuple[tuple[float, float], ...] = ()
    refused: str = ""


class _Window:
    """Compares what two slices show in one window.

    Args:
        shape: (height, width) of the window, thinned.

    Reference:
        Knapp and Carter, IEEE Trans. Acoust. Speech Signal Process. 24 (1976) 320 (weights by coherence);
        Guizar-Sicairos, Thurman, Fienup, Opt. Lett. 33 (2008) 156 (sub-pixel registration).
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        height, width = shape
        self._window = np.outer(tukey(height, 0.25), tukey(width, 0.25)).astype(np.float32)
        rows = np.fft.fftfreq(height).astype(np.float32)
        columns = np.fft.rfftfreq(width).astype(np.float32)
        radius = np.hypot(rows[:, None], columns)
        usable = (np.abs(rows[:, None]) * height > STRIPE_BINS) & (columns * width > STRIPE_BINS)
        # The corners and the last ring hold noise, and the reflections of what was thinned.
        usable &= radius < 0.45
        self._usable = np.flatnonzero(usable)
        self._rows = np.broadcast_to(rows[:, None], radius.shape).ravel()[self._usable]
        self._columns = np.broadcast_to(columns, radius.shape).ravel()[self._usable]
        # Rings of equal ratio: structure is told apart at low frequencies, noise at high ones.
        least = radius.ravel()[self._usable].min()
        place = np.log(radius.ravel()[self._usable] / least) / np.log(0.4501 / least)
        self._ring = np.minimum((place * BINS).astype(np.intp), BINS - 1)
        # A window makes neighbouring frequencies alike; so many of them are independent.
        energy = float((self._window**2).mean())
        self._independent = energy**2 / float((self._window**4).mean())

    def spectrum(self, cleaned: np.ndarray) -> np.ndarray:
        """Spectrum, complex64, of the frequencies that count."""
        values = cleaned - cleaned.mean(0)
        values *= self._window
        return scipy.fft.rfft2(values).ravel()[self._usable]

    def shift(
        self, before: np.ndarray, after: np.ndarray, start: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | str:
        """Shift and its standard uncertainty, and what low and high frequencies say apart; or why there is none.

        Args:
            before, after: Spectra.
            start: Near which the shift is looked for; default: anywhere.
        """
        cross = before.conj() * after
        power = np.sqrt(self._rings(np.abs(before) ** 2) * self._rings(np.abs(after) ** 2))
        if not np.all(np.isfinite(power)) or power.max() <= 1e-20:
            return "one of the slices shows nothing"
        shift = self._coarse(cross, power) if start is None else start
        for _ in range(4):
            weight = self._weights(cross, power, shift)
            least = LEAST_INFORMATION if start is None else LEAST_INFORMATION / 4
            if weight @ self._count() < least:
                return "the slices are not alike"
            shift = self._refine(cross, weight[self._ring] / power[self._ring], shift)
        u = 1 / np.sqrt(np.maximum(np.diag(self._information(weight)), 1e-12))
        return shift, u, self._halves(weight, power, cross, shift)

    def _rings(self, values: np.ndarray) -> np.ndarray:
        """Mean over each ring; the smallest positive number where a ring is empty."""
        sums = np.bincount(self._ring, values, BINS)
        counts = np.bincount(self._ring, minlength=BINS)
        return np.maximum(sums / np.maximum(counts, 1), 1e-30)

    def _count(self) -> np.ndarray:
        """Independent frequencies by ring."""
        return np.bincount(self._ring, minlength=BINS) * self._independent

    def _coarse(self, cross: np.ndarray, power: np.ndarray) -> np.ndarray:
        """Whole-pixel step: the peak of the correlation, high frequencies damped as structure's are."""
        height, width = self.shape
        full = np.zeros(height * (width // 2 + 1), np.complex64)
        full[self._usable] = cross / np.sqrt(power[self._ring])
        correlation = scipy.fft.irfft2(full.reshape(height, -1), s=self.shape)
        reach_y, reach_x = max(height // 4, 1), max(width // 4, 1)
        rows = np.r_[0 : reach_y + 1, height - reach_y : height]
        columns = np.r_[0 : reach_x + 1, width - reach_x : width]
        near = correlation[np.ix_(rows, columns)]
        row, column = np.unravel_index(int(near.argmax()), near.shape)
        y, x = int(rows[row]), int(columns[column])
        return np.array([y - height if y > height // 2 else y, x - width if x > width // 2 else x], float)

    def _turned(self, cross: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """The cross spectrum, as if the later slice were moved back."""
        angle = (2 * np.pi * (self._rows * shift[0] + self._columns * shift[1])).astype(np.float32)
        return cross * np.exp(1j * angle)

    def _weights(self, cross: np.ndarray, power: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """By ring: coherence / (1 - coherence), with what chance gives taken off."""
        coherence = self._rings(self._turned(cross, shift).real) / power
        chance = 1 / np.maximum(self._count(), 1)
        squared = np.clip(coherence, 0, 0.999) ** 2 - 2 * chance
        squared[squared < LEAST_ALIKE] = 0
        return squared / (1 - squared)

    def _refine(self, cross: np.ndarray, weight: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Maximum of the weighted correlation, by two of Newton's steps."""
        kept = np.flatnonzero(weight)
        rows, columns = self._rows[kept], self._columns[kept]
        values, factor = cross[kept], weight[kept] * (2 * np.pi)
        for _ in range(2):
            angle = (2 * np.pi * (rows * shift[0] + columns * shift[1])).astype(np.float32)
            turned = values * np.exp(1j * angle)
            slope, curve = factor * turned.imag, factor * (2 * np.pi) * turned.real
            gradient = np.array([-(slope @ rows), -(slope @ columns)])
            yx = (curve * rows) @ columns
            hessian = np.array([[(curve * rows) @ rows, yx], [yx, (curve * columns) @ columns]])
            if np.linalg.det(hessian) <= 0:
                return shift
            shift = shift + np.clip(np.linalg.solve(hessian, gradient), -1.0, 1.0)
        return shift

    def _information(self, weight: np.ndarray) -> np.ndarray:
        """Of the step, per thinned pixel squared; each frequency stands for its opposite, too."""
        factor = weight[self._ring] * (2 * (2 * np.pi) ** 2 * self._independent)
        yx = (factor * self._rows) @ self._columns
        return np.array(
            [[(factor * self._rows) @ self._rows, yx], [yx, (factor * self._columns) @ self._columns]]
        )

    def _halves(
        self, weight: np.ndarray, power: np.ndarray, cross: np.ndarray, shift: np.ndarray
    ) -> np.ndarray:
        """What the lower and the higher frequencies say for themselves, each with half of the information."""
        share = weight * self._rings(self._rows**2 + self._columns**2) * self._count()
        middle = np.searchsorted(np.cumsum(share), share.sum() / 2)
        low = np.where(np.arange(BINS) < middle, weight, 0)
        high = weight - low
        found = []
        for half in (low, high):
            if not half.any():
                return np.array([shift, shift])  # one ring holds all there is to know
            part = shift
            for _ in range(3):
                part = self._refine(cross, half[self._ring] / power[self._ring], part)
            found.append(part)
        return np.array(found)


class StepEstimator:
    """Estimates steps between slices of one size.

    Args:
        shape: (height, width) of the slices.

    Reference:
        Knapp and Carter, IEEE Trans. Acoust. Speech Signal Process. 24 (1976) 320 (weights by coherence);
        Guizar-Sicairos, Thurman, Fienup, Opt. Lett. 33 (2008) 156 (sub-pixel registration).
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._thin = max(1, round(max(shape) / SIDE_PX))
        self.shape = (shape[0] // self._thin, shape[1] // self._thin)
        half = (self.shape[0] // 2, self.shape[1] // 2)
        self._whole = _Window(self.shape)
        self._quarter = _Window(half) if min(half) >= SMALLEST_PX else None

    def spectra(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Spectra of a slice's cleaned copy: of the whole, then of its quarters."""
        thin, (height, width) = self._thin, self.shape
        small: np.ndarray = pixels[: height * thin, : width * thin].astype(np.float32)
        if thin > 1:
            small = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
        small -= cv2.blur(small, (2 * (width // 12) + 1, 2 * (height // 12) + 1))
        parts = [self._whole.spectrum(small)]
        if self._quarter:
            rows, columns = self._quarter.shape
            parts += [
                self._quarter.spectrum(small[y : y + rows, x : x + columns])
                for y in (0, rows)
                for x in (0, columns)
            ]
        return parts

    def step(self, before: list[np.ndarray], after: list[np.ndarray]) -> Step:
        """The step between two slices, from their spectra."""
        found = self._whole.shift(before[0], after[0])
        if isinstance(found, str):
            return Step((0.0, 0.0), (np.inf, np.inf), np.inf, refused=found)
        shift, u, halves = (part * self._thin for part in found)
        gap = float(np.abs(halves[0] - halves[1]).max())
        far = max(self._thin * AGREE_PX, AGREE_SIGMAS * float(u.max()))
        refused = f"low and high frequencies disagree by {gap:.2f} px" if gap > far else ""
        quarters = []
        for first, second in zip(before[1:], after[1:], strict=True):
            part = self._quarter.shift(first, second, shift / self._thin) if self._quarter else ""
            if not isinstance(part, str):
                quarters.append((float(part[0][0]) * self._thin, float(part[0][1]) * self._thin))
        return Step(
            (float(shift[0]), float(shift[1])), (float(u[0]), float(u[1])), gap, tuple(quarters), refused
        )
