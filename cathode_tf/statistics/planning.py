"""How much more to measure: an `Estimate` or a size distribution in, numbers of images and particles out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from cathode_tf.errors import InputError
from cathode_tf.statistics.estimate import LEVEL, Estimate
from cathode_tf.statistics.sizes import SizeDistribution, display_name

TARGET_FRACTION = 0.005
TARGET_D50 = 0.05
WHATEVER_IMAGES = ("reference_points", "test_images", "pore_back", "edge_placement", "pixel_size")
"""Uncertainties that more images, or particles, do not lessen."""

WEIGHTINGS = {"number": 0, "length": 1, "area": 2, "volume": 3}


def required_images(estimate: Estimate, half_width: float) -> int | None:
    """How many images like these give an interval of +- `half_width`.

    n grows with u^2, and Student's t shrinks with n: the smallest n with t(n - 1) u sqrt(n_now / n) <= half
    width. What more images do not lessen (reference points, error rates, `pore_back`) is first taken off the
    half width, in quadrature.

    Args:
        estimate: With `components` as the analysis gives them; of those between and within images the larger
            counts.
        half_width: Wanted, in the estimate's unit, above 0.

    Returns:
        The number of images in all, at least 2; None where the estimate knows no uncertainty, or no
        number of images is enough.

    Example:
        >>> required_images(Estimate(0.3, ci=(0.28, 0.32), n=12, components={"between_images": 0.01}), 0.005)
        187

    Reference:
        ASTM E562 (number of fields).
    """
    if not half_width > 0:
        raise InputError(f"half width: must be above 0. Received {half_width}.")
    between = [u for name, u in estimate.components.items() if name not in WHATEVER_IMAGES]
    half_width = _left_to_samples(estimate, half_width)
    if not between or not estimate.n or not half_width:
        return None
    u = max(between)
    n = max(2, math.ceil(estimate.n * (1.95 * u / half_width) ** 2))
    while float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * u * math.sqrt(estimate.n / n) > half_width:
        n += 1
    return n


def _left_to_samples(estimate: Estimate, half_width: float) -> float:
    """The half width less, in quadrature, what more images or particles do not lessen; 0 where nothing is left."""
    fixed = math.hypot(*[u for name, u in estimate.components.items() if name in WHATEVER_IMAGES])
    left = half_width**2 - (float(stats.norm.ppf(0.5 + LEVEL / 2)) * fixed) ** 2
    return math.sqrt(max(left, 0.0))


def required_particles(
    sigma_g: float,
    percentile: float = 50,
    *,
    weighting: str = "volume",
    relative_error: float = 0.05,
    estimator: str = "nonparametric",
) -> int:
    """How many particles fix a percentile of a log-normal size distribution to +- 5 % (95 %).

    With s = ln(sigma_g), r the weighting's power, p the percentile, z_p = Phi^-1(p), F = Phi(z_p - r s):
    n = (z / e)^2 exp(r^2 s^2) [(1 - p)^2 F2 + p^2 (1 - F2)] s^2 / phi(z_p)^2 from the order statistics, where
    F2 = Phi(z_p - r s); with a fitted log-normal n = (z / e)^2 s^2 [1 + (2 r s + z_p)^2 / 2].

    Args:
        sigma_g: Geometric standard deviation of the diameters by number, above 1.
        percentile: 0-100.
        weighting: `"number"`, `"length"`, `"area"` or `"volume"`.
        relative_error: Half width over the percentile.
        estimator: `"nonparametric"`, or `"lognormal"` where a log-normal was fitted (and passed its test).

    Example:
        >>> required_particles(1.4), required_particles(1.4, 90), required_particles(1.6)
        (756, 5072, 3893)

    Reference:
        ISO 13322-1 (why the number depends on width and weighting); formulas by the delta method, simulated.
    """
    if weighting not in WEIGHTINGS:
        raise InputError(f"weighting: must be one of {', '.join(WEIGHTINGS)}. Received {weighting!r}.")
    if not sigma_g > 1 or not 0 < percentile < 100 or not relative_error > 0:
        raise InputError(
            "sigma_g must be above 1, percentile between 0 and 100, relative error above 0. "
            f"Received {sigma_g}, {percentile}, {relative_error}."
        )
    r, s, p = WEIGHTINGS[weighting], math.log(sigma_g), percentile / 100
    ratio = float(stats.norm.ppf(0.5 + LEVEL / 2)) / relative_error
    z = float(stats.norm.ppf(p))
    if estimator == "lognormal":
        return math.floor(ratio**2 * s**2 * (1 + (2 * r * s + z) ** 2 / 2))
    if estimator != "nonparametric":
        raise InputError(f"estimator: must be nonparametric or lognormal. Received {estimator!r}.")
    below = float(stats.norm.cdf(z - r * s))
    weight = (1 - p) ** 2 * below + p**2 * (1 - below)
    return math.floor(ratio**2 * math.exp(r**2 * s**2) * weight * s**2 / float(stats.norm.pdf(z)) ** 2)


def plan(
    summary: Mapping[str, Mapping[str, Estimate]], sizes: Mapping[str, SizeDistribution]
) -> list[dict[str, Any]]:
    """What would make the main numbers sure enough: images for fractions, particles for D50.

    Returns:
        A row a number: quantity, phase, target, have, need (None: cannot be told), unit, sentence.
    """
    rows = []
    for name, estimate in summary["fraction"].items():
        rows.append(
            _plan_row(
                f"{name} fraction +-{100 * TARGET_FRACTION:g} %",
                ("fraction", name, TARGET_FRACTION),
                estimate.n,
                required_images(estimate, TARGET_FRACTION),
                f"{estimate.unit_of_replication}s",
                _held_up_by(estimate, TARGET_FRACTION),
            )
        )
    for name, distribution in sizes.items():
        estimate = summary["x50_3"][name]
        rows.append(
            _plan_row(
                f"{display_name('x50_3')} of {name} +-{100 * TARGET_D50:g} %",
                ("x50_3", name, TARGET_D50),
                distribution.n,
                particles_needed(distribution, estimate),
                "whole particles",
                _held_up_by(estimate, TARGET_D50 * (estimate.value or 0.0)),
            )
        )
    return rows


def particles_needed(distribution: SizeDistribution, estimate: Estimate) -> int | None:
    """Particles for a D50 (volume) known to +- 5 %: from the interval found, or from the width of the sizes.

    Args:
        distribution: Of the particles; its own interval knows only their spread.
        estimate: Their `x50_3` with all its components. What more particles do not lessen is first taken off the 5 %.

    Returns:
        The number; None where there is no D50, or no number of particles is enough.
    """
    if not estimate.value:
        return None
    target = _left_to_samples(estimate, TARGET_D50 * estimate.value) / estimate.value
    if not target:
        return None
    half_width = distribution["x50_3"].half_width
    if half_width:
        return math.ceil(distribution.n * (half_width / estimate.value / target) ** 2)
    if distribution.n < 5:
        return None
    sigma_g = float(np.exp(np.std(np.log(distribution.diameters), ddof=1)))
    return required_particles(sigma_g, relative_error=target) if sigma_g > 1 else None


def _held_up_by(estimate: Estimate, half_width: float) -> str:
    """What alone is as wide as the half width, however many are measured; empty where nothing is."""
    if estimate.value is None or _left_to_samples(estimate, half_width):
        return ""
    return ", ".join(source.replace("_", " ") for source in estimate.components if source in WHATEVER_IMAGES)


def _plan_row(
    text: str, target: tuple[str, str, float], have: int, need: int | None, unit: str, held: str = ""
) -> dict[str, Any]:
    """`held`: what holds the uncertainty up, however many are measured."""
    quantity, phase, wanted = target
    if need is None and held:
        sentence = f"{text}: no number of {unit} is enough; what they do not lessen is larger: {held}."
    elif need is None:
        sentence = f"{text}: the data do not tell how many {unit} it takes; you have {have}."
    elif need <= have:
        sentence = f"{text}: reached; you have {have} {unit}, {need} are enough."
    else:
        sentence = f"{text}: needs {need} {unit}; you have {have}."
    return {
        "quantity": quantity,
        "phase": phase,
        "target": wanted,
        "have": have,
        "need": need,
        "unit": unit,
        "sentence": sentence,
    }
