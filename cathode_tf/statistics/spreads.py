"""Numbers of plausible masks in; intervals that count in by how much a number may be wrong for its mask, out.

How far the numbers of the draws lie apart tells where a network is unsure. Whether the truth lies as far, only images
with known masks tell: on those, how far the truth lay from the mask's number was set against what the draws said, and
the line through it is kept with the model (ensemble model output statistics [1]). It holds the bias no draw shows.

Reference:
    [1] Gneiting et al., Monthly Weather Review 133 (2005) 1098 (EMOS); JCGM 100:2008 (GUM).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, stats

from cathode_tf.statistics.estimate import Estimate

SEGMENTATION = "segmentation"
"""Component: what the mask may get wrong, by plausible masks."""
MASK_BIAS = "MASK_BIAS"
"""Flag: plausible masks, and images with known masks, say that this number is too low or too high."""
MASK_UNKNOWN = "MASK_UNKNOWN"
"""Flag: draws tell nothing of this number, so the error of the mask is not in its interval."""
FEWEST_IMAGES = 20
"""From so few images on nothing is learned of how draws and truth relate."""
SHARES = (
    "fraction",
    "coverage",
    "contact_fraction",
    "cracked_particle_fraction",
    "crack_area_fraction",
    "surface_connected_fraction",
    "fragmentation_index",
    "largest_fragment_ratio",
    "fines_fraction",
    "closed_fraction",
    "largest_fraction",
    "crack_radial_profile",
)
"""Quantities that lie from 0 to 1."""


@dataclass(frozen=True)
class Spread:
    """How far the truth lies from a mask's number, given what its draws say.

    In the scale of `scaled`, truth - mask is `constant + follow x (mean of the draws - mask)`, with the standard
    deviation sqrt((widen x that of the draws)^2 + rest^2).

    Attributes:
        constant, follow, widen, rest: See above.
    """

    constant: float = 0.0
    follow: float = 1.0
    widen: float = 1.0
    rest: float = 0.0

    def shift(self, moved: float) -> float:
        """By how much the truth lies above the mask's number, most likely."""
        return self.constant + self.follow * moved

    def deviation(self, spread: float) -> float:
        """Standard deviation of that."""
        return math.hypot(self.widen * spread, self.rest)


def scaled(quantity: str, value: float) -> float | None:
    """A value on the scale where errors of small and large numbers are alike; None where it has none.

    Shares are turned to an angle, asin(sqrt(x)), all else to its logarithm.

    Example:
        >>> round(scaled("fraction", 0.25), 4), scaled("number_density", 0.0)
        (0.5236, None)
    """
    if quantity in SHARES:
        return math.asin(math.sqrt(min(max(value, 0.0), 1.0)))
    return math.log(value) if value > 0 else None


def unscaled(quantity: str, value: float) -> float:
    """The value that `scaled` was given."""
    if quantity in SHARES:
        return math.sin(min(max(value, 0.0), math.pi / 2)) ** 2
    return math.exp(min(value, 700.0))


def fit_spread(moved: Sequence[float], spread: Sequence[float], error: Sequence[float]) -> Spread | None:
    """How truth and draws relate, from images with known masks; None from fewer than `FEWEST_IMAGES`.

    Maximum likelihood of a normal error, drawn to "the draws are right"; then as wide as it takes for 95 % of these
    images to lie in their 95 %.

    Args:
        moved: Mean of the draws minus the mask's number, scaled, one an image.
        spread: Standard deviation of the draws.
        error: True number minus the mask's.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> spread = rng.uniform(0.1, 0.3, 200)
        >>> found = fit_spread(np.zeros(200), spread, 0.5 + 2 * spread * rng.standard_normal(200))
        >>> round(float(found.constant), 1), bool(1.7 < found.widen < 2.5)
        (0.5, True)
    """
    m, s, e = (np.asarray(values, float) for values in (moved, spread, error))
    kept = np.isfinite(m) & np.isfinite(s) & np.isfinite(e)
    m, s, e = m[kept], s[kept], e[kept]
    if len(e) < FEWEST_IMAGES:
        return None
    size = max(float(np.std(e)), 1e-6)

    def loss(values: np.ndarray) -> float:
        constant, follow, widen, rest = values
        variance = (widen * s) ** 2 + (rest * size) ** 2 + (1e-3 * size) ** 2
        z = (e - constant * size - follow * m) ** 2 / variance
        # Heavy tails (Student, 5 degrees of freedom): one odd image must not widen all others.
        likelihood = 3.0 * np.log1p(z / 5.0) + 0.5 * np.log(variance)
        return float(likelihood.sum() + 2.0 * (follow - 0.5) ** 2 + 0.2 * (widen - 1) ** 2)

    start = np.array([float(np.median(e - 0.5 * m)) / size, 0.5, 1.0, 0.5])
    bounds = [(-10.0, 10.0), (0.0, 1.2), (0.0, 3.0), (0.02, 3.0)]
    found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    fitted = Spread(found[0] * size, found[1], found[2], found[3] * size)
    z = [
        abs(ei - fitted.shift(mi)) / max(fitted.deviation(si), 1e-9)
        for mi, si, ei in zip(m, s, e, strict=True)
    ]
    factor = max(float(np.quantile(z, 0.95)) / 1.96, 0.7)
    return Spread(fitted.constant, fitted.follow, factor * fitted.widen, factor * fitted.rest)


def with_draws(
    quantity: str,
    estimate: Estimate,
    base: float | None,
    drawn: Sequence[float | None],
    spread: Spread | None,
) -> Estimate:
    """The estimate, its interval widened by what plausible masks say, and moved where they lie to one side.

    Args:
        quantity: Its name in the summary.
        estimate: Of the masks.
        base: The number of the masks where they were drawn.
        drawn: The same number of each draw; None where a draw has none.
        spread: What is known of how draws and truth relate; None: draws are taken as they are.

    Returns:
        The value stays that of the masks, which everybody can count again. Without an interval of sampling it gets that
        of the segmentation alone.
    """
    if estimate.value is None:
        return estimate
    numbers = [each for each in (scaled(quantity, d) for d in drawn if d is not None) if each is not None]
    middle = scaled(quantity, estimate.value)
    of_mask = None if base is None else scaled(quantity, base)
    if middle is None or of_mask is None or len(numbers) < max(2, (len(drawn) + 1) // 2):
        return estimate.with_flag(
            MASK_UNKNOWN,
            "plausible masks do not tell how wrong this is; the mask's error is not in the interval",
        )
    known = spread or Spread()
    shift = known.shift(float(np.mean(numbers)) - of_mask)
    u = known.deviation(float(np.std(numbers, ddof=1)))
    centre, wide = middle + shift, float(stats.norm.ppf(0.5 + estimate.level / 2)) * u
    low, high = _sides(quantity, estimate, middle)
    ends = centre - math.hypot(low, wide), centre + math.hypot(high, wide)
    ci = (unscaled(quantity, ends[0]), unscaled(quantity, ends[1]))
    deviation = (unscaled(quantity, centre + u) - unscaled(quantity, centre - u)) / 2
    flags = dict(estimate.flags)
    if not ci[0] <= estimate.value <= ci[1]:
        way = "low" if estimate.value < ci[0] else "high"
        flags[MASK_BIAS] = (
            f"the masks give {estimate.value:.3g}; plausible masks, held against images with known masks, say that "
            f"this is too {way}: {ci[0]:.3g} to {ci[1]:.3g}"
        )
        ci = (min(ci[0], estimate.value), max(ci[1], estimate.value))
    return replace(estimate, ci=ci, components={**estimate.components, SEGMENTATION: deviation}, flags=flags)


def _sides(quantity: str, estimate: Estimate, middle: float) -> tuple[float, float]:
    """How far the interval of sampling reaches down and up, scaled; 0 where there is none."""
    if estimate.ci is None:
        return 0.0, 0.0
    low, high = (scaled(quantity, end) for end in estimate.ci)
    above = 0.0 if high is None else max(high - middle, 0.0)
    # A logarithm has no place for 0: the lower side is then as long as it would be without the end at 0.
    below = 2 * above if low is None else max(middle - low, 0.0)
    return below, above


def spreads_of(content: Mapping[str, Sequence[float]]) -> dict[str, Spread]:
    """The spreads that a model's card holds, by `quantity/phase`."""
    return {key: Spread(*map(float, values)) for key, values in content.items()}
