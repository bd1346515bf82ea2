"""What slices differ by in; how thick each was cut, relative to the others and in pixels along x, out.

The picture tells both only as far as the material is alike along x and z. What the optics blur, they blur within the
slices and not across them, and noise makes every two slices differ: both are told apart from distance by how the
differences grow with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.optimize import minimize_scalar, nnls

from cathode_tf.tomography.ruler import BLOCKS, NOISE_PX, REACH, STRIPS, Ruler

SIZES_PX = np.geomspace(1, 60, 14)
"""The structure is taken for a sum of parts of these sizes."""

BLURS_PX = np.arange(0, 4.5, 0.5)
"""Blur of the optics that is tried, standard deviation."""

LEAST_SKEW = 0.15
"""Changes from slice to slice that are skewed more than this have a direction: what lies below shines through."""

LIKELY = 3.0
"""Blurs that leave at most so many times as much unexplained as the best are likely, too."""

COMMON = 1.5
"""Edges of one depth lie alike in all blocks, too: by so much the variance exceeds what their scatter tells."""

METHOD_U = 0.04
"""What is left of a slice's relative thickness where blocks do not scatter; both from cuts of known thickness."""


@dataclass(frozen=True)
class Thickness:
    """How thick the slices are.

    Attributes:
        relative: float64 (n - 1,), of each slice after the first, 1 in the mean.
        mean_px: What the slices' likeness says, if x and z are alike, in pixels along x; NaN = cannot tell.
        ratio: `mean_px` over what metadata state, NaN where either is unknown or `mean_px` is not to be believed.
        note: What to make of it.
        u_mean: Standard uncertainty of `mean_px` over it, NaN = cannot tell.
        u_relative: The typical one of `relative`.
        blur_px: Of the optics, standard deviation, as it was told apart.
        seen_through: Whether what lies below the slices shines through, so that the mean comes out too small.
    """

    relative: np.ndarray
    mean_px: float
    ratio: float
    note: str
    u_mean: float = np.nan
    u_relative: float = np.nan
    blur_px: float = np.nan
    seen_through: bool = False


def find_thickness(
    ruler: Ruler,
    stated_nm: float | None,
    pixel_nm: float | None,
    stated_z_nm: np.ndarray | None = None,
    gaps: np.ndarray | None = None,
) -> Thickness:
    """Relative thickness from the image, absolute from metadata, and whether the two agree.

    Args:
        ruler: Of the aligned slices.
        stated_nm, pixel_nm: Mean thickness and pixel along x by metadata; None = unknown.
        stated_z_nm: Where each cut lies by metadata.
        gaps: float64 (n - 1,), how many slices further the next one lies; default: one.
    """
    relative, u = relative_thickness(ruler, gaps)
    known = np.isfinite(relative)
    if known.sum() < 3:
        return Thickness(
            np.ones(len(relative)),
            np.nan,
            np.nan,
            "the image cannot tell: the slices show too little, or are not alike enough",
        )
    relative = np.where(known, relative, 1.0)
    mean, u_mean, blur = mean_thickness(ruler, float(relative[known].std()))
    skew, u_skew = ruler.skewness()
    through = bool(abs(skew) > max(LEAST_SKEW, 3 * u_skew))
    ratio = mean * pixel_nm / stated_nm if stated_nm and pixel_nm and not through else np.nan
    notes = _about_mean(mean, u_mean, through)
    notes.append(f"single slices differ by {relative.std():.0%}, each known to {u:.0%}")
    far = max(0.1, 1.96 * u_mean if np.isfinite(u_mean) else 0.0)
    if ratio > 0 and abs(np.log(ratio)) > far:
        notes.append(
            f"the mean is {ratio:.2f} times what is stated ({stated_nm:.4g} nm): one of them is wrong, or the material "
            "is not alike along x and z"
        )
    if stated_z_nm is not None and len(stated_z_nm) == len(relative) + 1:
        stated = np.diff(np.asarray(stated_z_nm, float))
        if stated.std() > 0.03 * stated.mean():
            match = float(np.corrcoef(stated[known], relative[known])[0, 1])
            notes.append(f"slice by slice it follows the stated positions with a correlation of {match:.2f}")
    return Thickness(relative, mean, float(ratio), "; ".join(notes), u_mean, u, blur, through)


def _about_mean(mean: float, u: float, through: bool) -> list[str]:
    if not np.isfinite(mean):
        return ["the image cannot tell the mean: neighbouring slices are not alike enough"]
    sure = (
        f", between {mean * (1 - 1.96 * u):.2f} and {mean * (1 + 1.96 * u):.2f} at 95 %," if u < 0.5 else ""
    )
    if through:
        return [
            f"the image cannot tell the mean: what lies below the slices shines through (it would say {mean:.2f} px, "
            "too little)"
        ]
    return [f"the image says {mean:.2f} px a slice in the mean{sure} if x and z are alike"]


def mean_thickness(ruler: Ruler, scatter: float) -> tuple[float, float, float]:
    """Mean distance of two slices in pixels along x, its relative standard uncertainty, and the blur of the optics, px.

    Args:
        ruler: Of the aligned slices.
        scatter: Standard deviation of single slices over their mean.

    Returns:
        NaN where less than two distances lie within the ruler. The uncertainty is that of the sample (jackknife over
        strips) and of the blurs that explain the differences nearly as well.
    """
    along, across = ruler.curves()
    across = across[: int(np.argmax(np.append(across, np.inf) > along.max(initial=0)))]
    if len(along) < 8 or len(across) < 2 or along[0] <= 0 or across[0] <= 0:
        return np.nan, np.nan, np.nan
    fits = [_Fit(along, across, scatter, blur) for blur in BLURS_PX]
    left = np.array([fit.left for fit in fits])
    likely = np.flatnonzero(left <= LIKELY * left.min())
    # A smooth structure is as well explained by a blurred finer one; the least blur is taken that does.
    first = int(likely[0])
    while first + 1 < len(fits) and left[first + 1] < left[first]:
        first += 1
    chosen = fits[first]
    means = np.array([fits[k].mean for k in likely])
    from_blur = float(means.max() - means.min()) / chosen.mean / 2
    without = []
    for out in range(STRIPS):
        part = ruler.curves([k for k in range(STRIPS) if k != out])
        without.append(_Fit(part[0], part[1][: len(across)], scatter, chosen.blur, near=chosen.mean).mean)
    sample = np.sqrt((STRIPS - 1) * np.square(np.log(without) - np.mean(np.log(without))).mean())
    return chosen.mean, float(np.hypot(sample, from_blur)), chosen.blur


class _Fit:
    """The mean distance that explains the differences best, if the optics blur by so much.

    The structure's covariance is a sum of Gaussians, not negative, alike along x and z. Blur adds to their widths along
    x and not along z; noise adds to all distances but the shortest ones along x, which the smoothing has joined.

    Attributes:
        mean: Pixels.
        left: What is not explained, root mean square of the relative differences.
        blur: As it was given, pixels.
    """

    def __init__(
        self, along: np.ndarray, across: np.ndarray, scatter: float, blur: float, near: float | None = None
    ) -> None:
        self.blur, self._scatter = blur, scatter
        self._pixels, self._slices = np.arange(1, len(along) + 1.0), np.arange(1, len(across) + 1.0)
        self._values = np.r_[along, across]
        # Both curves count alike, and each of their values relatively.
        weight = np.r_[np.full(len(along), len(along)), np.full(len(across), len(across))] ** -0.5
        self._weight = weight / np.sqrt(2) / self._values
        grid = np.geomspace(0.2, REACH / 2, 40) if near is None else near * np.geomspace(0.8, 1.25, 7)
        best = int(np.argmin([self._left(mean) for mean in grid]))
        low, high = np.log(grid[max(best - 1, 0)]), np.log(grid[min(best + 1, len(grid) - 1)])
        found = minimize_scalar(
            lambda log: self._left(np.exp(log)), bounds=(low, high), method="bounded", options={"xatol": 1e-3}
        )
        self.mean, self.left = float(np.exp(found.x)), float(found.fun)

    def _left(self, mean: float) -> float:
        sizes = np.square(SIZES_PX)
        pixels, slices = self._pixels[:, None], self._slices[:, None]
        along = 1 - np.exp(-(pixels**2) / 2 / (sizes + 2 * (self.blur**2 + NOISE_PX**2)))
        # The mean over distances that scatter.
        spread = slices * (self._scatter * mean) ** 2
        across = 1 - np.sqrt(sizes / (sizes + spread)) * np.exp(
            -((slices * mean) ** 2) / 2 / (sizes + spread)
        )
        noise = np.r_[1 - np.exp(-(self._pixels**2) / 4 / NOISE_PX**2), np.ones(len(self._slices))]
        columns = np.column_stack([np.vstack([along, across]), noise])
        return float(nnls(columns * self._weight[:, None], self._values * self._weight)[1])


def relative_thickness(ruler: Ruler, gaps: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Thickness of each slice after the first over the mean one, and the typical standard uncertainty.

    Few edges lie steeper in some depths than in others, and for many slices together. What all blocks of the slices say
    alike is taken for thickness, frequency by frequency along z, and the rest is shrunk (Wiener).

    Args:
        ruler: Of the aligned slices.
        gaps: float64 (n - 1,), how many slices further the next one lies; default: one.

    Returns:
        float64 (n - 1,), NaN for a slice that is unlike the one before.
    """
    moved, steep, moved_along, steep_along = ruler.edges()
    nothing = np.full(len(moved), np.nan)
    total = steep_along.sum(1)
    if len(moved) < 3 or moved_along.shape[1] < 4 or not total.any():
        return nothing, np.nan
    whole = _distance(moved_along.sum(0) / steep_along.sum(0), moved.sum(1) / np.maximum(steep.sum(1), 1e-9))
    known = np.isfinite(whole) & (whole > 0)
    useful = total >= 0.2 * np.median(total)
    if known.sum() < 3 or useful.sum() < 4:
        return nothing, np.nan
    each = np.array(
        [
            _distance(moved_along[k] / steep_along[k], moved[:, k] / np.maximum(steep[:, k], 1e-9))
            for k in np.flatnonzero(useful)
        ]
    ).T
    each = np.where(np.isfinite(each), each, whole[:, None]) / (1.0 if gaps is None else gaps[:, None])
    logs = np.log(np.clip(each, 0.02, None))
    logs -= logs[known].mean(0)
    logs[~known] = 0.0
    blocks = np.repeat(logs.mean(1)[:, None], BLOCKS**2, 1)
    blocks[:, useful] = logs
    found, u = _shared(blocks)
    thick = np.exp(found)
    return np.where(known, thick / thick[known].mean(), np.nan), u


def _shared(logs: np.ndarray) -> tuple[np.ndarray, float]:
    """What blocks say alike, (n,), and how sure that is. Argument: logarithms (n, `BLOCKS` ** 2)."""
    number = len(logs)
    mean = logs.mean(1)
    power = np.square(scipy.fft.dct(mean - mean.mean(), norm="ortho"))
    rest = logs - mean[:, None]
    half = BLOCKS // 2
    coarse = rest.reshape(number, 2, half, 2, half).mean((2, 4)).reshape(number, 4)
    noise, noise_of_quarters = (
        np.square(scipy.fft.dct(part - part.mean(0), axis=0, norm="ortho")).sum(1)
        / (part.shape[1] * (part.shape[1] - 1))
        for part in (rest, coarse)
    )
    # One edge lies in several blocks: quarters tell how much alike neighbours are.
    noise = _smooth(noise) * COMMON * max(1.0, noise_of_quarters.sum() / max(noise.sum(), 1e-12))
    # Thickness varies as much slowly as fast, unless slow changes exceed what the blocks leave open.
    fast = slice(number // 4, None)
    signal = np.maximum(max(float((power - noise)[fast].mean()), 0.0), _smooth(power) - 3 * noise)
    share = signal / np.maximum(signal + noise, 1e-12)
    share[0] = 0.0
    found = scipy.fft.idct(scipy.fft.dct(mean - mean.mean(), norm="ortho") * share, norm="ortho")
    return found, float(np.hypot(np.sqrt((share * noise).mean()), METHOD_U))


def _smooth(power: np.ndarray) -> np.ndarray:
    """Mean over frequencies within a factor of 1.6."""
    return np.array([power[max(1, int(k / 1.6)) : int(k * 1.6) + 2].mean() for k in range(len(power))])


def _distance(ruler: np.ndarray, differ: np.ndarray) -> np.ndarray:
    """At how many pixels along the ruler things differ by so much; NaN beyond where it rises."""
    rising = np.append(True, np.diff(np.maximum.accumulate(ruler)) > 2e-3 * ruler.max())
    last = len(ruler) if rising.all() else int(np.argmin(rising))
    ruler, lag = ruler[:last], np.arange(1, last + 1, dtype=float)
    if len(ruler) < 2 or ruler[0] <= 0:
        return np.full(len(differ), np.nan)
    # Below one pixel: as a power of the distance, 2 for smooth structure, 1 for sharp edges.
    power = float(np.clip(np.log(ruler[1] / ruler[0]) / np.log(2.0), 0.5, 2.0))
    far = np.interp(differ, ruler, lag, right=np.nan)
    return np.where(differ < ruler[0], (np.maximum(differ, 0) / ruler[0]) ** (1 / power), far)
