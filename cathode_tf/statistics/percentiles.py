"""Diameters, weights and resampled counts in; percentiles, span and mean sizes, each with its interval, out.

A percentile's interval is found where its uncertainty is plain: in the share of the particles below it. The spread
of that share over the resamples gives two shares, and the sizes at these are the ends (Woodruff's interval). The
spread of the resampled percentiles themselves would do for many particles; for few it rests on how densely sizes
happen to lie around the percentile. How often the intervals hold: `benchmarks/interval_coverage.md`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from cathode_tf.statistics.estimate import LEVEL, NO_INTERVAL, Estimate
from cathode_tf.statistics.stereology import spheres_hit

SHARES = (0.10, 0.50, 0.90)
WOODRUFF = "intervals of percentiles: Woodruff, J. Am. Stat. Assoc. 47 (1952) 635"


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval.

    Attributes:
        value, low, high: Unit of the diameters (or none, for a span).
        u: Standard uncertainty.
        open_end: Whether the interval would reach beyond the sizes that were seen.
    """

    value: float
    low: float
    high: float
    u: float
    open_end: bool = False


@dataclass(frozen=True)
class Spread:
    """How far resampled values may lie from the truth: their standard deviation times `inflate` times `quantile`."""

    inflate: float
    quantile: float

    @classmethod
    def of_units(cls, n: int) -> Spread:
        """For resamples of n units, which have (n - 1) / n of the variance of n new ones, and Student's t.

        Few large particles carry most of a volume, so sums over images are skewed; t has n - 2 degrees of freedom
        for that, one fewer than usual.
        """
        return cls(math.sqrt(n / (n - 1)), float(stats.t.ppf(0.5 + LEVEL / 2, max(n - 2, 1))))


@dataclass(frozen=True)
class Curves:
    """Cumulative distributions on common sizes: first of the sample, then of each resample.

    Attributes:
        log_sizes: Logarithms of the sizes, ascending, (n,).
        shares: Share at or below each size, (1 + resamples, n), each row ascending.
    """

    log_sizes: np.ndarray
    shares: np.ndarray

    def sizes_at(self, shares: np.ndarray | tuple[float, ...], row: int = 0) -> np.ndarray:
        """Sizes below which these shares lie, in one row's distribution."""
        return np.exp(np.interp(shares, self.shares[row], self.log_sizes))

    def percentile(self, share: float, spread: Spread) -> Interval:
        """The size below which `share` lies; its interval holds the shares that the spread allows."""
        value = float(self.sizes_at((share,))[0])
        below = [np.interp(math.log(value), self.log_sizes, row) for row in self.shares[1:]]
        # On the logit's scale the ends stay between 0 and 1.
        reach = spread.quantile * spread.inflate * float(np.std(below)) / (share * (1 - share))
        ends = special.expit(special.logit(share) + np.array([-reach, reach]))
        low, high = self.sizes_at(ends)
        beyond = bool(ends[0] < self.shares[0, 0] or ends[1] > self.shares[0, -1])
        return Interval(value, low, high, value * math.log(high / low) / 2 / spread.quantile, beyond)

    def span(self, spread: Spread) -> Interval:
        """(x90 - x10) / x50."""
        rows = np.array([self.sizes_at(SHARES, row) for row in range(len(self.shares))])
        return of_resamples((rows[:, 2] - rows[:, 0]) / rows[:, 1], spread)

    def mean(self, spread: Spread) -> Interval:
        """Mean size under these distributions."""
        middles = np.exp((self.log_sizes[1:] + self.log_sizes[:-1]) / 2)
        return of_resamples(np.diff(self.shares, axis=1) @ middles, spread)


def of_resamples(values: np.ndarray, spread: Spread) -> Interval:
    """The first value, with the spread of the others: of their logarithms, as sizes are positive."""
    value, others = float(values[0]), values[1:]
    positive = value > 0 and bool(np.all(others > 0))
    u = spread.inflate * float(np.std(np.log(others) if positive else others))
    half = spread.quantile * u
    if positive:
        return Interval(value, value * math.exp(-half), value * math.exp(half), value * u)
    return Interval(value, max(value - half, 0.0), value + half, u)


def direct_curves(d: np.ndarray, weights: np.ndarray, power: int) -> Curves:
    """Distributions of the diameters as they are, weighted by `d ** power`.

    Args:
        d: Diameters, ascending.
        weights: One row the sample, further rows its resamples.
        power: 0 by number, 2 by area, 3 by volume.
    """
    mass = weights * d**power
    # Each particle's mass is half below and half above its diameter.
    return Curves(np.log(d), (np.cumsum(mass, 1) - mass / 2) / mass.sum(1, keepdims=True))


def sphere_curves(d: np.ndarray, weights: np.ndarray, unfolding: str = "em") -> Curves:
    """Distributions by volume of the spheres whose section profiles have diameters `d`.

    Args:
        d, weights: As for `direct_curves`.
        unfolding: `"em"` or `"saltykov"`; numbers that this makes negative count as 0.
    """
    edges, hit = spheres_hit(d, weights, unfolding)
    # Volume is d^3 a sphere, and a plane meets spheres in proportion to d: d^2 a sphere that was met.
    volume = np.maximum(hit, 0) * (edges[1:] * edges[:-1])[:, None]
    below = np.vstack([np.zeros(volume.shape[1]), np.cumsum(volume, 0)]) / volume.sum(0)
    return Curves(np.log(edges), below.T)


def resampled_counts(units: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """How often each particle was drawn when its units (0, 1, ...) were, (resamples, particles)."""
    n = int(units.max()) + 1
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples)[:, units]


def estimate_of(found: Interval, flags: Mapping[str, str], **fields: Any) -> Estimate:
    """The interval as an `Estimate`, without one where all resamples agree."""
    flags = dict(flags)
    if found.high - found.low <= 1e-12 * found.value:
        reason = "all resamples give the same value, so their spread tells no uncertainty"
        return Estimate(found.value, flags=flags | {NO_INTERVAL: reason}, **fields)
    if found.open_end:
        flags["OPEN_END"] = "the interval would reach beyond the sizes that were seen; it ends there"
    components = {f"between_{fields['unit_of_replication']}s": found.u}
    return Estimate(found.value, ci=(found.low, found.high), components=components, flags=flags, **fields)
