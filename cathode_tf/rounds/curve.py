"""What more annotation is worth: Dice against annotated images, and what ten more would bring.

Dice of each model on each test image comes in; a fitted learning curve with its uncertainty goes out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POWERS = np.array([0.25, 0.5, 0.75, 1.0, 1.5])
"""Exponents c of Dice = a - b n^-c; few points cannot choose one, so all take part by how well they fit."""

NOISE = 0.01
"""Standard deviation of a model's mean Dice between two trainings on the same images."""

DRAWS = 2000
STEP = 10


@dataclass(frozen=True)
class LearningCurve:
    """A fitted curve Dice = a - b n^-c.

    Attributes:
        images: Numbers of images at which the curve is given.
        dice: Median of the curve there.
        low: Lower end of its 95 % interval.
        high: Upper end.
        gain: What ten more images than the largest measured number are worth, in mean Dice.
        gain_low: Lower end of the 95 % interval.
        gain_high: Upper end.
    """

    images: list[int]
    dice: list[float]
    low: list[float]
    high: list[float]
    gain: float
    gain_low: float
    gain_high: float


def fit_curve(images: np.ndarray, dice: np.ndarray, *, seed: int = 0) -> LearningCurve | None:
    """Fit a learning curve by resampling test images and training noise.

    Each draw takes test images with replacement, adds the noise of training, and fits a and b for each
    exponent by least squares with b >= 0 and a <= 1; one exponent is drawn by its likelihood.

    Args:
        images: Number of training images of each model, (m,).
        dice: Mean Dice of each model on each test image, (m, tests).
        seed: Of the draws.

    Returns:
        The curve, or None where fewer than two numbers of images were measured.

    Example:
        >>> n = np.array([2, 4, 8, 16])
        >>> dice = (0.9 - 0.4 / n)[:, None] + np.linspace(-0.02, 0.02, 9)
        >>> curve = fit_curve(n, dice)
        >>> 0.0 <= curve.gain_low < curve.gain < curve.gain_high < 0.06
        True
    """
    images = np.asarray(images, float)
    dice = np.asarray(dice, float)
    if len(np.unique(images)) < 2:
        return None
    rng = np.random.default_rng(seed)
    most = int(images.max())
    grid = np.unique(np.round(np.geomspace(max(1, images.min()), most + 2 * STEP, 24)).astype(int))
    places = np.concatenate([grid, [most, most + STEP]]).astype(float)
    tests = dice.shape[1]
    chosen = rng.integers(0, tests, (DRAWS, tests))
    y = dice[:, chosen].mean(axis=2).T + rng.normal(0, NOISE, (DRAWS, len(images)))
    curves = _fit_all(images, y, places, rng)
    middle, low, high = (np.percentile(curves, q, axis=0) for q in (50, 2.5, 97.5))
    gains = np.percentile(curves[:, -1] - curves[:, -2], (50, 2.5, 97.5))
    line, lower, upper = (values[: len(grid)].round(4).tolist() for values in (middle, low, high))
    gain, gain_low, gain_high = gains.round(4).tolist()
    return LearningCurve(grid.tolist(), line, lower, upper, gain, gain_low, gain_high)


def _fit_all(n: np.ndarray, y: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each draw (row of `y`), the curve at `places` of one exponent, chosen by its likelihood."""
    fits, costs = [], []
    middle = y.mean(axis=1)
    for power in POWERS:
        x = n**-power
        away = x - x.mean()
        b = np.maximum(0.0, -(y - middle[:, None]) @ away / (away @ away))
        a = middle + b * x.mean()
        over = a > 1  # then the best line through (0, 1)
        b = np.where(over, np.maximum(0.0, (1.0 - y) @ x / (x @ x)), b)
        a = np.where(over, 1.0, a)
        costs.append(((a[:, None] - b[:, None] * x - y) ** 2).sum(axis=1))
        fits.append(a[:, None] - b[:, None] * places**-power)
    likelihood = np.exp(-(np.array(costs) - np.min(costs, axis=0)) / (2 * NOISE**2))
    steps = np.cumsum(likelihood / likelihood.sum(axis=0), axis=0)
    chosen = np.minimum((rng.uniform(size=len(y)) > steps).sum(axis=0), len(POWERS) - 1)
    return np.array(fits)[chosen, np.arange(len(y))]


@dataclass(frozen=True)
class Advice:
    """`decision`: `"go on"`, `"stop"` or `"unsure"`; `because`: one sentence for people."""

    decision: str
    because: str


def advise(curve: LearningCurve | None, *, worth: float = 0.005) -> Advice:
    """Whether to annotate ten more images.

    Args:
        curve: From `fit_curve`.
        worth: Gain in mean Dice for which ten more images are worth the work.
    """
    if curve is None:
        return Advice(
            "go on",
            "Models trained on two different numbers of images, measured on the test images, are needed "
            "before anything can be said about more.",
        )
    half = (curve.gain_high - curve.gain_low) / 2
    says = f"Ten more images are worth {curve.gain:+.3f} ± {half:.3f} mean Dice"
    if curve.gain_high < worth:
        return Advice("stop", f"{says}: less than {worth}, so more of the same images will not help.")
    if curve.gain_low > worth:
        return Advice("go on", f"{says}: surely more than {worth}.")
    return Advice("unsure", f"{says}: perhaps more than {worth}, perhaps not. Another round will tell.")
