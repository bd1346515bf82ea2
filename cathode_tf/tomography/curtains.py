"""A slice with curtains in, the slice without them and what was taken away, out.

Curtains run along the columns, so they are all of the lowest frequencies along the columns. The slice is split into
widths by a wavelet along the rows, and in each width those frequencies are damped as far as they hold more power than
the next ones would let expect. A slice that has no such excess comes back as it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pywt
import scipy.fft

WAVELET = "db4"
MODES = 8
"""So many of the lowest frequencies along the columns may be damped."""

EXPECTED = slice(8, 28)
"""From these frequencies the power that the material itself has in the lower ones is taken."""

EXCESS = 3.0
"""Times the expected power from which on it is a curtain's: structure holds up to about twice."""

WIDTHS = 2
"""Curtains are of more than one width; an excess in fewer is structure."""

SMALLEST = 64


WIDE = 16.0
"""Wider than this, pixels, curtains are taken to be no stronger than the narrower ones: structure is."""


@dataclass(frozen=True)
class Strength:
    """How the widths and frequencies of a slice's curtains are damped.

    Attributes:
        kept: float64 (widths, MODES), the share of each coefficient that stays; 1 = untouched.
        excess: float64 (widths,), power at the lowest frequency over what was expected; the widest first.
    """

    kept: np.ndarray
    excess: np.ndarray

    @property
    def found(self) -> bool:
        """Whether there are curtains at all."""
        return bool((self.kept[1:, 0] < 1).sum() >= WIDTHS)


@dataclass(frozen=True)
class Pattern:
    """Curtains that stay in place from slice to slice.

    Attributes:
        modes: float32 (MODES, width), by frequency along the columns of the raw slice.
        height: Rows of the raw slice.
        u_grey: Standard deviation of what in it may be structure, grey levels.
    """

    modes: np.ndarray
    height: int
    u_grey: float = 0.0

    @property
    def strength(self) -> float:
        """Standard deviation of the curtains over the slice, grey levels."""
        return float(np.sqrt(np.square(self.modes.astype(float)).sum() / (self.height * self.modes.shape[1])))

    def at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The curtains at these raw rows and columns, float32 (len(rows), len(columns))."""
        place = np.arange(self.modes.shape[1])
        across = np.stack([np.interp(columns, place, mode) for mode in self.modes])
        order = np.arange(len(self.modes))
        along = np.cos(np.pi * order * (rows[:, None] + 0.5) / self.height) * np.sqrt(2 / self.height)
        along[:, 0] = np.sqrt(1 / self.height)
        return (along @ across).astype(np.float32)


def find_pattern(slices: Iterable[np.ndarray]) -> Pattern | None:
    """The curtains that all of these slices have in the same place; None if there are none.

    Structure changes from slice to slice, so that its mean fades; at higher frequencies along the columns, where no
    curtain is, one sees by how much.

    Args:
        slices: Raw pixels (height, width) of slices spread over the stack, at least 8 to be of use.
    """
    total: np.ndarray | None = None
    powers: list[list[np.ndarray]] = []
    height = width = 0
    for pixels in slices:
        height, width = pixels.shape
        if min(pixels.shape) < SMALLEST:
            return None
        modes = _modes(pixels, EXPECTED.stop)
        modes[0] -= modes[0].mean()
        total = modes if total is None else total + modes
        powers.append([np.square(band).mean(1) for band in _split(modes)])
    if total is None or len(powers) < 8:
        return None
    bands = _split(total / len(powers))
    found, doubt = 0, 0.0
    for place, band in enumerate(bands):
        single = np.mean([power[place] for power in powers], 0)
        steady = np.square(band).mean(1)
        fades = float(np.median(steady[EXPECTED] / np.maximum(single[EXPECTED], 1e-30)))
        # A single slice holds curtains and structure, the mean the same curtains and what is left of the structure.
        structure = np.maximum(single - steady, 0) / max(1 - fades, 0.1)
        left = np.minimum(fades * (1 + 3 * np.sqrt(2 / band.shape[1])) * 2, 1) * structure
        share = np.clip(1 - left / np.maximum(steady, 1e-30), 0, 1)[:MODES]
        last = int(np.argmin(np.append(share > 0.2, False)))
        share[last:] = 0
        found += place > 0 and last > 0
        doubt += float((share * (1 - share) * steady[:MODES]).sum()) * band.shape[1]
        gone = np.zeros_like(band)
        gone[:MODES] = band[:MODES] * share[:, None]
        bands[place] = gone
    if found < WIDTHS:
        return None
    u = float(np.sqrt(doubt / (height * width)))
    return Pattern(_joined(bands)[:MODES, :width].astype(np.float32), height, u)


def find_curtains(pixels: np.ndarray) -> Strength | None:
    """How strong the curtains of a slice are; None where it is too small to tell.

    Args:
        pixels: (height, width), any number type.

    Reference:
        Muench, Trtik, Marone, Stampanoni, Opt. Express 17 (2009) 8567 (damping in wavelet and Fourier space).
    """
    if min(pixels.shape) < SMALLEST:
        return None
    bands = _split(_modes(pixels, EXPECTED.stop))
    kept = np.ones((len(bands), MODES))
    excess = np.ones(len(bands))
    most = np.zeros(MODES)
    for place in range(len(bands) - 1, -1, -1):  # the narrowest first
        band = bands[place]
        if place == 0:
            band = band - band.mean(1, keepdims=True)  # the widest holds the mean brightness
        power = np.square(band).mean(1)
        expected = max(float(np.median(power[EXPECTED])) * 1.1, 1e-12)
        excess[place] = power[0] / expected
        curtain = np.maximum(power[:MODES] - expected, 0)
        # What chance alone gives to a mean over few coefficients comes on top.
        limit = EXCESS * (1 + 3 * np.sqrt(2 / band.shape[1]))
        if 2.0 ** max(len(bands) - place, 1) > WIDE:
            curtain = np.minimum(curtain, most)
            limit = 1.0
        last = int(np.argmin(np.append((power[:MODES] > limit * expected) & (curtain > 0), False)))
        curtain[last:] = 0
        most = np.maximum(most, curtain)
        kept[place] = 1 - curtain / np.maximum(power[:MODES], 1e-12)
    return Strength(kept, excess)


def without_curtains(pixels: np.ndarray, strength: Strength | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The slice without its curtains, float32, and the curtains; None where it has none, and stays as it is."""
    values = pixels.astype(np.float32, copy=False)
    if strength is None or not strength.found:
        return values, None
    modes = _modes(pixels, MODES)
    bands = _split(modes)
    for place, band in enumerate(bands):
        keep = strength.kept[place][:, None]
        mean = band[:1].mean() if place == 0 else 0.0
        gone = band * (1 - keep)
        if place == 0:  # the mean brightness is no curtain
            gone[0] = (band[0] - mean) * (1 - keep[0])
        bands[place] = gone
    width = pixels.shape[1]
    removed = _joined(bands)[:, :width].astype(np.float32)
    curtains = _cosines(pixels.shape[0], MODES).T @ removed
    return values - curtains, curtains


def curtains_in_doubt(
    pixels: np.ndarray, strength: Strength | None, rng: np.random.Generator
) -> np.ndarray | None:
    """One draw of what may have been taken away too much or too little, float32 (height, width); None without curtains.

    A coefficient of power p of which the share k was kept is that of the slice to a variance of p k (1 - k).
    """
    if strength is None or not strength.found:
        return None
    bands = _split(_modes(pixels, MODES))
    for place, band in enumerate(bands):
        kept = strength.kept[place]
        spread = np.sqrt(np.square(band - (band.mean() if place == 0 else 0)).mean(1) * kept * (1 - kept))
        bands[place] = rng.standard_normal(band.shape) * spread[:, None]
    drawn = _joined(bands)[:, : pixels.shape[1]].astype(np.float32)
    return _cosines(pixels.shape[0], MODES).T @ drawn


def _cosines(height: int, modes: int) -> np.ndarray:
    """The lowest cosines along the columns, orthonormal, float32 (modes, height)."""
    return scipy.fft.idct(np.eye(modes, height, dtype=np.float32), axis=1, norm="ortho")


def _modes(pixels: np.ndarray, modes: int) -> np.ndarray:
    return (_cosines(pixels.shape[0], modes) @ pixels.astype(np.float32, copy=False)).astype(np.float64)


def _split(modes: np.ndarray) -> list[np.ndarray]:
    """Coefficients by width, the widest first."""
    width = modes.shape[1]
    level = max(1, int(np.log2(width / 12)))
    with warnings.catch_warnings():
        # PyWavelets warns of a border wider than the coarsest levels; mirrored, it does no harm here.
        warnings.simplefilter("ignore", UserWarning)
        return pywt.wavedec(modes, WAVELET, mode="symmetric", level=level, axis=1)


def _joined(bands: list[np.ndarray]) -> np.ndarray:
    return pywt.waverec(bands, WAVELET, mode="symmetric", axis=1)
