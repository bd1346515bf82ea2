"""Diameters in, a fitted log-normal or Weibull distribution out, with the test whether it fits at all.

A fit says more with fewer particles, if it is true. So it carries its own test: the Kolmogorov-Smirnov distance
against what samples of the fitted distribution, fitted again, reach by chance. A rejected fit gives no percentile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from cathode_tf.errors import InputError
from cathode_tf.statistics.estimate import Estimate
from cathode_tf.statistics.percentiles import Spread, estimate_of, of_resamples, resampled_counts
from cathode_tf.statistics.sizes import MIN_PARTICLES, SAMPLE_TYPES, SizeDistribution
from cathode_tf.statistics.stereology import checked_diameters

MODELS = {"lognormal": "log-normal", "weibull": "Weibull"}
"""Each model with what people read."""

PARAMETERS = {
    "lognormal": ("lognormal_median", "lognormal_sigma_g"),
    "weibull": ("weibull_scale", "weibull_modulus"),
}
FITTED = tuple(name for model in MODELS for name in (*PARAMETERS[model], f"x50_3_{model}"))
"""What `fit_estimates` tells."""
FIT_REJECTED = "FIT_REJECTED"
"""Flag: the data contradict the fitted model; its parameters describe nothing."""
FITTING = "ISO 9276-5; Wicksell, Biometrika 17 (1925) 84"
TESTING = "Stute et al., Metrika 40 (1993) 243 (bootstrapped Kolmogorov-Smirnov test)"
REJECT_BELOW = 0.05
NODES = 180
MODULI = (0.05, 200.0)
"""Weibull moduli that are looked for: from sizes over hundreds of decades to all but equal ones."""


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
        return _quantile(self.model, self.scale, self.shape, share, weighting)


def fit_distribution(
    diameters: np.ndarray,
    model: str = "lognormal",
    *,
    sample_type: str,
    weights: np.ndarray | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> Fit:
    """Fit a distribution of diameters by maximum likelihood and test it.

    Args:
        diameters: Of whole particles or profiles, above 0, at least 20.
        model: `"lognormal"` or `"weibull"`.
        sample_type: `"dispersed"`, or `"section"`: then the model is that of the spheres, and what is fitted
            to the profiles is what a random plane shows of them (Wicksell), by moments.
        weights: One a diameter (edge correction); default equal. The test then draws as many as are worth so
            much (Kish).
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
    d, w = checked_diameters(diameters, weights)
    if len(d) < MIN_PARTICLES:
        raise InputError(f"diameters: a fit needs at least {MIN_PARTICLES}. Received {len(d)}.")
    if np.ptp(d) <= 1e-9 * d.max():
        raise InputError(f"diameters: a fit needs sizes that differ. All {len(d)} are {d[0]:.4g}.")
    section = sample_type == "section"
    scale, shape = _fitted(d, w, model, section)
    distance = _distance(d, w, model, scale, shape, section)
    random = np.random.default_rng(seed)
    equal = np.ones(round(float(w.sum() ** 2 / (w**2).sum())))
    by_chance = []
    for _ in range(resamples):
        sample = _drawn(random, len(equal), model, scale, shape, section)
        found = _fitted(sample, equal, model, section)
        by_chance.append(_distance(sample, equal, model, *found, section))
    p = (1 + sum(value >= distance for value in by_chance)) / (1 + resamples)
    return Fit(model, scale, shape, distance, p, sample_type)


def fit_estimates(sizes: SizeDistribution, *, resamples: int = 60, seed: int = 0) -> dict[str, Estimate]:
    """Both models fitted to a size distribution, as Estimates: parameters and the D50 by volume.

    Intervals: log(x) +- t s over the resamples of `size_distribution`, fitted again.

    Args:
        sizes: From `size_distribution`.
        resamples: For the intervals, and for the test.
        seed: Of both.

    Returns:
        `lognormal_median`, `lognormal_sigma_g`, `weibull_scale`, `weibull_modulus` (of the diameters by number; of
        spheres where the sample is a section), `x50_3_lognormal`, `x50_3_weibull`. Each says in the flag
        `GOODNESS_OF_FIT` how well the model fits; a rejected one has `FIT_REJECTED`, and its D50 is refused.

    Reference:
        As for `fit_distribution`; ISO 9276-5 (log-normal conversion).
    """
    return {name: e for model in MODELS for name, e in _of_model(sizes, model, resamples, seed).items()}


def _of_model(sizes: SizeDistribution, model: str, resamples: int, seed: int) -> dict[str, Estimate]:
    first, second, d50 = *PARAMETERS[model], f"x50_3_{model}"
    like = sizes["x50_3"]
    objects = "spheres, from the moments of their section profiles" if _is_section(sizes) else "diameters"
    fields: dict[str, Any] = {
        "n": like.n,
        "unit_of_replication": like.unit_of_replication,
        "reference": f"{FITTING}; {TESTING}",
    }
    texts = {
        first: f"{first.replace('_', ' ').replace(model, MODELS[model])} of the {objects}, by number",
        second: f"{second.replace('_', ' ').replace(model, MODELS[model])} of the {objects}, by number",
        d50: f"D50 (volume) of a fitted {MODELS[model]} distribution of the {objects}",
    }
    units = {first: sizes.unit, second: "", d50: sizes.unit}
    try:
        if like.value is None:
            raise InputError(like.flags["REFUSED"])
        fit = fit_distribution(
            sizes.diameters,
            model,
            sample_type=sizes.sample_type,
            weights=sizes.weights,
            resamples=resamples,
            seed=seed,
        )
    except InputError as error:
        return {
            name: Estimate.refused(str(error), unit=units[name], method=text, **fields)
            for name, text in texts.items()
        }
    values = _refitted(sizes, fit, resamples, seed)
    verdict = "contradict" if fit.rejected else "do not contradict"
    said = f"the data {verdict} a {MODELS[model]} distribution: distance {fit.distance:.3f}, p = {fit.p_value:.2f}"
    flags = {"GOODNESS_OF_FIT": said} | ({FIT_REJECTED: said} if fit.rejected else {})
    spread = Spread.of_units(like.n)
    result = {}
    for column, (name, text) in enumerate(texts.items()):
        if name == d50 and fit.rejected:
            result[name] = Estimate.refused(said, unit=units[name], method=text, flags=flags, **fields)
            continue
        interval = of_resamples(values[:, column], spread)
        result[name] = estimate_of(interval, flags, unit=units[name], method=text, **fields)
    return result


def _refitted(sizes: SizeDistribution, fit: Fit, resamples: int, seed: int) -> np.ndarray:
    """Scale, shape as it is told, and D50 by volume: of the fit, then of the resamples, (1 + resamples, 3)."""
    section = _is_section(sizes)
    pairs = [(fit.scale, fit.shape)]
    for counts in resampled_counts(sizes.units, resamples, seed):
        w = counts * sizes.weights
        d = sizes.diameters[w > 0]
        if len(d) and np.ptp(d) > 1e-9 * d.max():
            pairs.append(_fitted(d, w[w > 0], fit.model, section))
    return np.array(
        [
            (a, math.exp(b) if fit.model == "lognormal" else b, _quantile(fit.model, a, b, 0.5, 3))
            for a, b in pairs
        ]
    )


def _is_section(sizes: SizeDistribution) -> bool:
    return sizes.sample_type == "section"


def _quantile(model: str, scale: float, shape: float, share: float, weighting: int) -> float:
    if model == "lognormal":
        return scale * math.exp(weighting * shape**2 + shape * float(stats.norm.ppf(share)))
    return scale * float(special.gammaincinv(1 + weighting / shape, share)) ** (1 / shape)


def _fitted(d: np.ndarray, w: np.ndarray, model: str, section: bool) -> tuple[float, float]:
    w = w / w.sum()
    if section:
        return _by_moments(d, w, model)
    log = np.log(d)
    middle = float(w @ log)
    log -= middle
    if model == "lognormal":
        return math.exp(middle), math.sqrt(w @ log**2)

    def score(m: float) -> float:
        mass = w * np.exp(m * log)
        return float((mass @ log) / mass.sum() - 1 / m)

    m = _root(score, *MODULI)
    return math.exp(middle) * float(w @ np.exp(m * log)) ** (1 / m), m


def _by_moments(d: np.ndarray, w: np.ndarray, model: str) -> tuple[float, float]:
    """Spheres from the first three moments of their profiles: D[3,2] and D[4,3] fix scale and shape."""
    d32 = float(3 * np.pi / 8 * (w @ d**2) / (w @ d))
    d43 = float(32 / (9 * np.pi) * (w @ d**3) / (w @ d**2))
    ratio = max(d43 / d32, 1 + 1e-6)
    if model == "lognormal":
        # D[4,3] / D[3,2] = exp(s^2), D[3,2] = median exp(5 s^2 / 2).
        s = math.sqrt(math.log(ratio))
        return d32 * math.exp(-2.5 * s * s), s

    def log_moment(k: int, m: float) -> float:
        # Of a small modulus the moments themselves overflow.
        return float(special.gammaln(1 + k / m))

    def excess(m: float) -> float:
        return math.log(ratio) - (log_moment(4, m) + log_moment(2, m) - 2 * log_moment(3, m))

    m = _root(excess, *MODULI)
    return d32 * math.exp(log_moment(2, m) - log_moment(3, m)), m


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function is 0; the nearer end where it is so nowhere between, and the fit's test will say so."""
    if rising(low) >= 0:
        return low
    return high if rising(high) <= 0 else float(optimize.brentq(rising, low, high))


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


def _distance(d: np.ndarray, w: np.ndarray, model: str, scale: float, shape: float, section: bool) -> float:
    """Largest difference between the weighted empirical distribution and the model's."""
    order = np.argsort(d)
    below = _cumulative(d[order], model, scale, shape, section)
    seen = np.concatenate([[0.0], np.cumsum(w[order]) / w.sum()])
    return float(max((seen[1:] - below).max(), (below - seen[:-1]).max()))


def _cumulative(x: np.ndarray, model: str, scale: float, shape: float, section: bool) -> np.ndarray:
    if not section:
        if model == "lognormal":
            return stats.norm.cdf(np.log(x / scale) / shape)
        return 1 - np.exp(-((x / scale) ** shape))
    # P(profile < x) = 1 - mean over the spheres met of sqrt(1 - (x / D)^2): at evenly spread quantiles of D,
    # and on a grid of x that is much finer than the steps of any sample.
    share = (np.arange(NODES) + 0.5) / NODES
    if model == "lognormal":
        sphere = scale * np.exp(shape**2 + shape * special.ndtri(share))
    else:
        sphere = scale * special.gammaincinv(1 + 1 / shape, share) ** (1 / shape)
    grid = np.linspace(0, x.max(), NODES)
    ratio = np.minimum(grid[:, None] / sphere, 1)
    return np.interp(x, grid, 1 - np.sqrt(1 - ratio**2).mean(1))
