"""Values of lots and their own uncertainties in; the process's centre and variance, the measurement taken off, out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats

from cathode_tf.errors import InputError
from cathode_tf.statistics import Estimate

SPREADS = ("moving_range", "all")
FEWEST = 5
D2 = 2 / math.sqrt(math.pi)
"""Mean of |x - y| for two independent normal values of standard deviation 1."""

METHOD = {
    "moving_range": "moving ranges of neighbouring lots, the points' own variances taken off",
    "all": "spread of all lots, the points' own variances taken off (Paule and Mandel)",
}
REFERENCE = "Paule and Mandel, J. Res. NBS 87 (1982) 377; Viechtbauer, Stat. Med. 26 (2007) 37 (interval)"


@dataclass(frozen=True)
class PhaseOne:
    """What a process did while it was in control: what later points are judged by.

    Attributes:
        centre: Mean of the process.
        process_sd: Standard deviation between lots, without the measurement's; may be 0.
        u_typical: Root mean square of the points' own uncertainties.
        labels: The lots.
        spread: How the standard deviation was estimated.
    """

    centre: Estimate
    process_sd: Estimate
    u_typical: float
    labels: tuple[str, ...]
    spread: str = "moving_range"

    @property
    def sd(self) -> float:
        """The process's standard deviation as a plain number."""
        return float(self.process_sd.value or 0.0)

    @property
    def mean(self) -> float:
        """The centre as a plain number."""
        return float(self.centre.value or 0.0)

    def total(self, u: np.ndarray) -> np.ndarray:
        """Standard deviation of points whose own uncertainties are u: sqrt(process variance + u^2)."""
        return np.sqrt(self.sd**2 + np.asarray(u, float) ** 2)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the ledger."""
        return {
            "centre": self.centre.to_dict(),
            "process_sd": self.process_sd.to_dict(),
            "u_typical": self.u_typical,
            "labels": list(self.labels),
            "spread": self.spread,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any] | str) -> PhaseOne:
        """What `to_dict` described."""
        content = json.loads(content) if isinstance(content, str) else content
        return cls(
            Estimate.from_dict(content["centre"]),
            Estimate.from_dict(content["process_sd"]),
            content["u_typical"],
            tuple(content["labels"]),
            content["spread"],
        )


def phase_one(
    values: np.ndarray,
    u: np.ndarray,
    *,
    spread: str = "moving_range",
    unit: str = "",
    labels: tuple[str, ...] = (),
) -> PhaseOne:
    """Centre and standard deviation of the process, from lots while it was in control.

    With points of variance s_i^2 = S + u_i^2, the process variance S >= 0 solves, with `"moving_range"`,
    sum |x_i - x_(i-1)| = D2 sum sqrt(S + (u_i^2 + u_(i-1)^2) / 2) with D2 = 1.128 (without measurement noise: the mean
    moving range over 1.128 [2]), and with `"all"` sum (x_i - m)^2 / s_i^2 = n - 1 [1]. Where the noise alone explains
    the spread, S = 0. The centre is the mean weighted with 1 / s_i^2. The interval of S inverts
    sum (x_i - m)^2 / s_i^2 ~ chi^2(n - 1).

    Args:
        values: (n,) in the order of the lots, at least 5.
        u: (n,) standard uncertainties.
        spread: `"moving_range"`: blind to slow drifts, the usual choice; `"all"`: more precise without drifts.
        unit: Of the values.
        labels: Of the lots.

    Raises:
        InputError: If there are fewer than 5 points.

    Example:
        >>> x = np.array([49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1])
        >>> found = phase_one(x, np.zeros(10))
        >>> round(found.mean, 2), round(3 * found.sd, 3)  # NIST: 50.81, 3 * 1.8778 / 1.128 = 4.994
        (50.81, 4.992)

    Reference:
        [1] Paule and Mandel, J. Res. NBS 87 (1982) 377. [2] NIST/SEMATECH e-Handbook, individuals charts.
    """
    x, u = np.asarray(values, float), np.asarray(u, float)
    if spread not in SPREADS:
        raise InputError(f"spread: must be {' or '.join(SPREADS)}. Received {spread!r}.")
    if len(x) < FEWEST:
        raise InputError(f"phase I: needs at least {FEWEST} lots, better 20. Received {len(x)}.")
    centre, variance, centre_u = centre_and_variance(x, u, spread)
    interval = [math.sqrt(_solved(x, u, float(stats.chi2.ppf(p, len(x) - 1)))) for p in (0.975, 0.025)]
    sd = math.sqrt(variance)
    ends = (min(interval[0], sd), max(interval[1], sd))
    fields: dict[str, Any] = {"unit": unit, "n": len(x), "unit_of_replication": "lot", "reference": REFERENCE}
    flags = {} if variance else {"AT_ZERO": "the measurement's own spread explains that between the lots"}
    half = float(stats.t.ppf(0.975, len(x) - 1)) * centre_u
    return PhaseOne(
        Estimate(centre, ci=(centre - half, centre + half), method="mean weighted by precision", **fields),
        Estimate(sd, ci=ends if ends[1] > 0 else None, method=METHOD[spread], flags=flags, **fields),
        math.sqrt(float((u**2).mean())),
        tuple(labels),
        spread,
    )


def centre_and_variance(x: np.ndarray, u: np.ndarray, spread: str) -> tuple[float, float, float]:
    """Centre, process variance, and the centre's standard uncertainty, as `phase_one` has them."""
    variance = _by_ranges(x, u) if spread == "moving_range" else _solved(x, u, len(x) - 1)
    s2 = variance + u**2
    if (s2 <= 0).any():
        s2 = np.full(len(x), max(float(np.var(x)), 1e-300))
    weight = float((1 / s2).sum())
    return float((x / s2).sum()) / weight, variance, math.sqrt(1 / weight)


def _by_ranges(x: np.ndarray, u: np.ndarray) -> float:
    ranges = float(np.abs(np.diff(x)).sum())
    own = (u[1:] ** 2 + u[:-1] ** 2) / 2

    def excess(variance: float) -> float:
        return D2 * float(np.sqrt(variance + own).sum()) - ranges

    if excess(0.0) >= 0 or ranges <= 1e-12 * float(np.abs(x).sum()):
        return 0.0
    return float(optimize.brentq(excess, 0.0, 2 * (ranges / D2) ** 2, xtol=1e-300, rtol=1e-12))


def _solved(x: np.ndarray, u: np.ndarray, target: float) -> float:
    """The variance S >= 0 with sum (x - m)^2 / (S + u^2) = target; 0 where the sum is below it even then."""

    def excess(variance: float) -> float:
        s2 = variance + u**2
        m = (x / s2).sum() / (1 / s2).sum()
        return float(((x - m) ** 2 / s2).sum()) - target

    top = float(((x - x.mean()) ** 2).sum()) / target
    # What differs by rounding alone is the same.
    if top <= (1e-12 * float(np.abs(x).max())) ** 2:
        return 0.0
    bottom = 1e-12 * top
    if excess(bottom) <= 0:
        return 0.0
    while excess(top) > 0:
        top *= 2
    return float(optimize.brentq(excess, bottom, top, rtol=1e-10))
