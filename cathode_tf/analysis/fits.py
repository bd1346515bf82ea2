"""Diameters in, a fitted log-normal or Weibull distribution out, with the test whether it fits at all.

A fit says more with fewer particles, if it is true. So it carries its own test: the Kolmogorov-Smirnov distance
against what samples of the fitted distribution, fitted again, reach by chance. A rejected fit gives no percentile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from cathode_tf.analysis.sizes import MIN_PARTICLES, SAMPLE_TYPES
from cathode_tf.analysis.stereology import checked_diameters
from cathode_tf.errors import InputError

MODELS = ("lognormal", "weibull")
REJECT_BELOW = 0.05


@dataclass(frozen=True)
class Fit:
    """A parametric distribution of diameters by number.

    Attributes:
        model: `"lognormal"` or `"weibull"`.
        scale: Median (log-normal) or characteristic diameter (Weibull), unit of the diameters.
        shape: Standard deviation of ln d (log-normal) or Weibull modulus.
        distance: Kolmogorov-Smirnov distance between data and fit.
        p_value: How often chance alone gives a larger distance (parametric bootstrap).
        sample_type: `"dispersed"`: the diameters themselves; `"section"`: spheres whose profiles were fitted.
    """

    model: str
    scale: float
    shape: float
    distance: float
    p_value: float
    sample_type: str

    @property
    def rejected(self) -> bool:
        """Whether the data contradict the model (p < 0.05)."""
        return self.p_value < REJECT_BELOW

    def quantile(self, share: float, weighting: int = 3) -> float:
        """Diameter below which this share lies by number (0), area (2) or volume (3).

        Log-normal: x50,r = x50,0 exp(r s^2) (ISO 9276-5). Weibull: (x/scale)^m is gamma-distributed, 1 + r/m.

        Raises:
            InputError: If the fit was rejected: its percentiles would mean nothing.
        """
        if self.rejected:
            raise InputError(
                f"{self.model}: must fit the data to give a percentile. Its test rejects it (p = {self.p_value:.3f}); "
                f"use the percentiles of size_distribution."
            )
        if self.model == "lognormal":
            z = float(stats.norm.ppf(share))
            return self.scale * math.exp(weighting * self.shape**2 + self.shape * z)
        return self.scale * float(special.gammaincinv(1 + weighting / self.shape, share)) ** (1 / self.shape)


def fit_distribution(
    diameters: np.ndarray,
    model: str = "lognormal",
    *,
    sample_type: str,
    resamples: int = 200,
    seed: int = 0,
) -> Fit:
    """Fit a distribution of diameters by maximum likelihood and test it.

    Args:
        diameters: Of whole particles or profiles, above 0, at least 20.
        model: `"lognormal"` or `"weibull"`.
        sample_type: `"dispersed"`, or `"section"`: then the model is that of the spheres, and what is fitted
            to the profiles is what a random plane shows of them (Wicksell).
        resamples: Samples of the fitted distribution for its test.
        seed: Of those samples.

    Returns:
        The fit; look at `.rejected` before anything else.

    Raises:
        InputError: If an option is unknown or there are too few diameters, or all are equal.

    Example:
        >>> d = np.random.default_rng(0).lognormal(1, 0.3, 400)
        >>> fit = fit_distribution(d, sample_type="dispersed", resamples=50)
        >>> fit.rejected, round(fit.shape, 1)
        (False, 0.3)

    Reference:
        Stute, Gonzales-Manteiga and Presedo-Quindimil, Metrika 40 (1993) 243 (bootstrapped goodness of fit);
        Wicksell, Biometrika 17 (1925) 84.
    """
    if model not in MODELS:
        raise InputError(f"model: must be {' or '.join(MODELS)}. Received {model!r}.")
    if sample_type not in SAMPLE_TYPES:
        raise InputError(f"sample_type: must be {' or '.join(SAMPLE_TYPES)}. Received {sample_type!r}.")
    d, _ = checked_diameters(diameters)
    if len(d) < MIN_PARTICLES:
        raise InputError(f"diameters: a fit needs at least {MIN_PARTICLES}. Received {len(d)}.")
    if np.ptp(d) <= 1e-9 * d.max():
        raise InputError(f"diameters: a fit needs sizes that differ. All {len(d)} are {d[0]:.4g}.")
    section = sample_type == "section"
    scale, shape = _fitted(d, model, section)
    distance = _distance(d, model, scale, shape, section)
    random = np.random.default_rng(seed)
    by_chance = []
    for _ in range(resamples):
        sample = _drawn(random, len(d), model, scale, shape, section)
        by_chance.append(_distance(sample, model, *_fitted(sample, model, section), section))
    p = (1 + sum(value >= distance for value in by_chance)) / (1 + resamples)
    return Fit(model, scale, shape, distance, p, sample_type)


def _fitted(d: np.ndarray, model: str, section: bool) -> tuple[float, float]:
    if section:
        return _by_moments(d, model)
    if model == "lognormal":
        return float(np.exp(np.log(d).mean())), float(np.log(d).std())
    log = np.log(d) - np.log(d).mean()

    def score(m: float) -> float:
        w = np.exp(m * log)
        return float((w * log).sum() / w.sum() - 1 / m)

    m = float(optimize.brentq(score, 0.05, 200.0))
    return float(np.mean(d**m) ** (1 / m)), m


def _by_moments(d: np.ndarray, model: str) -> tuple[float, float]:
    """Spheres from the first three moments of their profiles: D[3,2] and D[4,3] fix scale and shape."""
    d32 = 3 * np.pi / 8 * np.mean(d**2) / np.mean(d)
    d43 = 32 / (9 * np.pi) * np.mean(d**3) / np.mean(d**2)
    ratio = max(float(d43 / d32), 1 + 1e-6)
    if model == "lognormal":
        # D[4,3] / D[3,2] = exp(s^2), D[3,2] = median exp(5 s^2 / 2).
        s = math.sqrt(math.log(ratio))
        return float(d32) * math.exp(-2.5 * s * s), s

    def moment(k: int, m: float) -> float:
        return float(special.gamma(1 + k / m))

    def excess(m: float) -> float:
        return moment(4, m) * moment(2, m) / moment(3, m) ** 2 - ratio

    m = float(optimize.brentq(excess, 0.3, 200.0)) if excess(200.0) < 0 else 200.0
    return float(d32) * moment(2, m) / moment(3, m), m


def _drawn(
    random: np.random.Generator, n: int, model: str, scale: float, shape: float, section: bool
) -> np.ndarray:
    """Diameters of the model; of profiles, for which a plane meets spheres in proportion to their diameter."""
    if model == "lognormal":
        shift = shape**2 if section else 0.0
        d = scale * np.exp(shift + shape * random.standard_normal(n))
    else:
        # Weighted by the diameter, (d / scale)^m is gamma-distributed with 1 + 1/m.
        d = scale * random.gamma(1 + (1 / shape if section else 0.0), size=n) ** (1 / shape)
    return d * np.sqrt(1 - random.uniform(size=n) ** 2) if section else d


def _distance(d: np.ndarray, model: str, scale: float, shape: float, section: bool) -> float:
    order = np.sort(d)
    below = _cumulative(order, model, scale, shape, section)
    n = len(d)
    return float(max((np.arange(1, n + 1) / n - below).max(), (below - np.arange(n) / n).max()))


def _cumulative(x: np.ndarray, model: str, scale: float, shape: float, section: bool) -> np.ndarray:
    if not section:
        if model == "lognormal":
            return stats.norm.cdf(np.log(x / scale) / shape)
        return 1 - np.exp(-((x / scale) ** shape))
    # P(profile < x) = 1 - mean over the spheres met of sqrt(1 - (x / D)^2): at evenly spread quantiles of D.
    share = (np.arange(400) + 0.5) / 400
    if model == "lognormal":
        sphere = scale * np.exp(shape**2 + shape * stats.norm.ppf(share))
    else:
        sphere = scale * special.gammaincinv(1 + 1 / shape, share) ** (1 / shape)
    ratio = np.minimum(x[:, None] / sphere, 1)
    return 1 - np.sqrt(1 - ratio**2).mean(1)
