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
    curves = np.empty((DRAWS, len(places)))
    tests = dice.shape[1]
    for draw in range(DRAWS):
        chosen = rng.integers(0, tests, tests)
        y = dice[:, chosen].mean(axis=1) + rng.normal(0, NOISE, len(images))
        curves[draw] = _one(images, y, places, rng)
    middle, low, high = (np.percentile(curves, q, axis=0) for q in (50, 2.5, 97.5))
    gains = np.percentile(curves[:, -1] - curves[:, -2], (50, 2.5, 97.5))
    rounded = [[round(float(v), 4) for v in values[: len(grid)]] for values in (middle, low, high)]
    return LearningCurve(grid.tolist(), *rounded, *(round(float(g), 4) for g in gains))


def _one(n: np.ndarray, y: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    fits, costs = [], []
    for power in POWERS:
        x = n**-power
        spread = float(((x - x.mean()) ** 2).sum())
        b = max(0.0, -float(((x - x.mean()) * (y - y.mean())).sum()) / spread)
        a = float(y.mean() + b * x.mean())
        if a > 1:  # the best line through (0, 1)
            a, b = 1.0, max(0.0, float(((1.0 - y) * x).sum() / (x * x).sum()))
        costs.append(float(((a - b * x - y) ** 2).sum()))
        fits.append(a - b * places**-power)
    weights = np.exp(-(np.array(costs) - min(costs)) / (2 * NOISE**2))
    return fits[rng.choice(len(fits), p=weights / weights.sum())]


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
