"""Probabilities and references of validation images in; how far the probabilities can be believed, out.

A network that says 90 % should be right in nine of ten pixels. What it says is scaled until that holds on images that
it did not learn from (vector scaling [1]); what is left is how far whole images lean to a phase (one micrograph is
brighter, one material is new), and how far errors reach (neighbouring pixels are wrong together). With these three,
plausible masks can be drawn (`inference.draws`).

Reference:
    [1] Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from scipy import optimize

from cathode_tf.errors import InputError

VERSION = "calibration/1"
LEAST = 1e-5
"""Smaller probabilities are no certainty, but rounding."""
SAMPLED_PX = 4096
"""Pixels of an image that the fits look at."""
MOST_LEAN = 4.0
"""No image leans further than this, in logarithms of probability; a phase that is absent would lean without end."""
FAR_PX = 16
BINS = 10


@dataclass(frozen=True)
class Calibration:
    """What the probabilities of a model are worth.

    Attributes:
        scale, offset: Of the logarithm of each phase's probability, (phases,).
        length_px: How far most errors reach: the standard deviation of the bell that correlates them.
        far: Share of their variance (0-1) that reaches over a bell of `FAR_PX`.
        shared: Covariance (phases, phases) of the leaning that the images of one material and setting share.
        own: Of that of each image by itself.
        images: How many images taught this.
        error: Expected calibration error (0-1) before and after.
        reliability: Rows of stated probability, observed share and share of pixels, by bin, before and after.
        spreads: How far numbers of draws and truth lie apart, by `quantity/phase` (`statistics.spreads.Spread`).
        about: Of the images: what they showed.
    """

    scale: np.ndarray
    offset: np.ndarray
    length_px: float
    far: float
    shared: np.ndarray
    own: np.ndarray
    images: int
    error: tuple[float, float]
    reliability: Mapping[str, list[list[float]]] = field(default_factory=dict)
    spreads: Mapping[str, list[float]] = field(default_factory=dict)
    about: str = ""

    def logits(self, probabilities: np.ndarray) -> np.ndarray:
        """Logarithms of the calibrated probabilities up to a constant of each pixel, float32 (..., phases)."""
        logarithms = np.log(np.maximum(probabilities, LEAST))
        return (self.scale.astype(np.float32) * logarithms + self.offset.astype(np.float32)).astype(
            np.float32
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a model card."""
        return {
            "version": VERSION,
            **{
                name: np.round(getattr(self, name), 4).tolist()
                for name in ("scale", "offset", "shared", "own")
            },
            "length_px": round(self.length_px, 2),
            "far": round(self.far, 3),
            "images": self.images,
            "error": [round(each, 5) for each in self.error],
            "reliability": {k: np.round(rows, 4).tolist() for k, rows in self.reliability.items()},
            "spreads": {key: [round(float(v), 4) for v in values] for key, values in self.spreads.items()},
            "about": self.about,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any] | None) -> Calibration | None:
        """What a card says; None where it says nothing, or speaks another version."""
        if not content or content.get("version") != VERSION:
            return None
        fields = {name: value for name, value in content.items() if name != "version"}
        arrays = {name: np.asarray(fields[name], float) for name in ("scale", "offset", "shared", "own")}
        return cls(**{**fields, **arrays, "error": tuple(fields["error"])})


@dataclass(frozen=True)
class Looked:
    """What the fits keep of one image: pixels drawn at random, and how its errors are correlated.

    Attributes:
        probabilities: float32 (pixels, phases), as the network gave them.
        truth: Channel of each, (pixels,).
        shares: Of the phases in the whole reference, (phases,).
        correlation: Of the errors by distance in px, from 0.
        body: Images of one body, material or group share this.
    """

    probabilities: np.ndarray
    truth: np.ndarray
    shares: np.ndarray
    correlation: np.ndarray
    body: str


def look(probabilities: np.ndarray, reference: np.ndarray, *, body: str, seed: int = 0) -> Looked | None:
    """What the fits need of one image; None where nothing of its reference is known.

    Args:
        probabilities: float32 (height, width, phases).
        reference: Channel of each pixel, integer (height, width); 255 = unknown.
        body: What the images of one material share.
        seed: Of the pixels that are drawn.
    """
    if probabilities.shape[:2] != reference.shape:
        raise InputError(
            f"reference: must have the probabilities' shape {probabilities.shape[:2]}. Received {reference.shape}."
        )
    known = np.flatnonzero(reference.ravel() != 255)
    if not known.size:
        return None
    phases = probabilities.shape[-1]
    chosen = np.random.default_rng(seed).choice(known, min(SAMPLED_PX, known.size), replace=False)
    shares = np.bincount(reference.ravel()[known], minlength=phases)[:phases] / known.size
    flat = probabilities.reshape(-1, phases)
    correlation = _correlation(probabilities, reference)
    return Looked(flat[chosen], reference.ravel()[chosen].astype(np.int64), shares, correlation, body)


def _correlation(probabilities: np.ndarray, reference: np.ndarray, reach: int = 48) -> np.ndarray:
    """Correlation of what the probabilities missed, summed over phases, by distance along rows and columns."""
    known = (reference != 255).astype(np.float32)
    total = np.zeros(min(reach, *reference.shape))
    for channel in range(probabilities.shape[-1]):
        missed = ((reference == channel) - probabilities[..., channel]) * known
        # What the whole image leans is the matter of `own` and `shared`.
        missed = (missed - missed.sum() / max(known.sum(), 1)) * known
        for lag in range(len(total)):
            down = (missed[lag:] * missed[: missed.shape[0] - lag]).mean()
            across = (missed[:, lag:] * missed[:, : missed.shape[1] - lag]).mean()
            total[lag] += 0.5 * (down + across)
    return total / max(float(total[0]), 1e-12)


def calibrate(looked: Sequence[Looked], *, about: str = "") -> Calibration:
    """How far the probabilities of a model can be believed, from images that it did not learn from.

    Args:
        looked: Of each image (`look`), at least one.
        about: What the images showed.

    Raises:
        InputError: If there is none.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> truth = (rng.random((64, 64)) < 0.3).astype(int)
        >>> sure = np.eye(2, dtype=np.float32)[np.where(rng.random((64, 64)) < 0.8, truth, 1 - truth)] * 0.98 + 0.01
        >>> calibration = calibrate([look(sure, truth, body="a")])
        >>> calibration.error[1] < 0.02 < 0.15 < calibration.error[0]
        True
    """
    if not looked:
        raise InputError("calibration: needs at least one image with a reference. Received none.")
    scale, offset = _scaling(looked)
    phases = len(scale)
    nothing = np.zeros((phases, phases))
    plain = Calibration(scale, offset, 1.0, 0.0, nothing, nothing, len(looked), (0.0, 0.0))
    leans = np.array([_lean(plain.logits(each.probabilities), each.shares) for each in looked])
    shared, own = _components(leans, [each.body for each in looked])
    before = np.concatenate([each.probabilities for each in looked])
    after = softmax(plain.logits(before))
    truth = np.concatenate([each.truth for each in looked])
    tables = {"before": reliability(before, truth), "after": reliability(after, truth)}
    return Calibration(
        scale,
        offset,
        *_reach([each.correlation for each in looked]),
        shared,
        own,
        len(looked),
        (expected_error(tables["before"]), expected_error(tables["after"])),
        {name: table.tolist() for name, table in tables.items()},
        about=about,
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (..., phases) of logits."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def _scaling(looked: Sequence[Looked]) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of each phase that make the truth of the pixels most likely, each image counting alike."""
    logarithms = np.concatenate([np.log(np.maximum(each.probabilities, LEAST)) for each in looked]).astype(
        float
    )
    truth = np.concatenate([each.truth for each in looked])
    weight = np.concatenate([np.full(len(each.truth), 1 / len(each.truth)) for each in looked]) / len(looked)
    phases = logarithms.shape[1]
    hot = np.eye(phases)[truth]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        scale, offset = values[:phases], values[phases:]
        found = softmax(logarithms * scale + offset)
        likelihood = np.log(np.maximum(found[np.arange(len(truth)), truth], 1e-12))
        slope = (found - hot) * weight[:, None]
        # A weak pull to "leave it as it is": a phase that no image shows must not run away.
        pull = 1e-3 * (((scale - 1) ** 2).sum() + 0.1 * (offset**2).sum())
        gradient = [
            (slope * logarithms).sum(0) + 2e-3 * (scale - 1),
            slope.sum(0) + 2e-4 * offset,
        ]
        return float(-(weight * likelihood).sum() + pull), np.concatenate(gradient)

    start = np.concatenate([np.ones(phases), np.zeros(phases)])
    bounds = [(0.05, 4.0)] * phases + [(-MOST_LEAN, MOST_LEAN)] * phases
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:phases], found.x[phases:]


def _lean(logits: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The offset of each phase that makes the mean probabilities of an image its true shares, (phases,).

    It is the minimum of the convex mean(logsumexp(logits + b)) - shares b, softly bounded.
    """

    def loss(lean: np.ndarray) -> tuple[float, np.ndarray]:
        moved = logits + lean
        top = moved.max(-1, keepdims=True)
        total = np.log(np.exp(moved - top).sum(-1)) + top[..., 0]
        mean = softmax(moved).mean(0)
        return float(total.mean() - shares @ lean + 1e-4 * (lean**2).sum()), mean - shares + 2e-4 * lean

    bounds = [(-MOST_LEAN, MOST_LEAN)] * len(shares)
    found = optimize.minimize(loss, np.zeros(len(shares)), jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x - found.x.mean()


def _components(leans: np.ndarray, bodies: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of leans between bodies and within them, each (phases, phases).

    One image a body cannot tell them apart: then all of it is shared, the safe side.
    """
    order = {body: number for number, body in enumerate(dict.fromkeys(bodies))}
    index = np.array([order[body] for body in bodies])
    counts = np.bincount(index)
    means = np.array([leans[index == number].mean(0) for number in range(len(counts))])
    left = leans - means[index]
    freedom = len(leans) - len(counts)
    own = left.T @ left / freedom if freedom else np.zeros((leans.shape[1],) * 2)
    centred = leans - leans.mean(0)
    whole = centred.T @ centred / max(len(leans) - 1, 1)
    return _positive(whole - own), _positive(own)


def _positive(matrix: np.ndarray) -> np.ndarray:
    """The nearest covariance matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.maximum(values, 0)) @ vectors.T


def _reach(correlations: Sequence[np.ndarray]) -> tuple[float, float]:
    """Standard deviation (px) of the bell whose noise is correlated as most errors are, and the share that reaches far.

    White noise blurred by a bell of s has the correlation exp(-h^2 / 4 s^2), which is 1/2 at h = 1.665 s. Phases that
    such noise decides are correlated over about three quarters of that. What is left at `FAR_PX` is of a wider bell.
    """
    shortest = min(len(each) for each in correlations)
    mean = np.mean([each[:shortest] for each in correlations], axis=0)
    left = float(mean[FAR_PX]) if len(mean) > FAR_PX else 0.0
    far = float(np.clip(left / np.exp(-0.25), 0.0, 0.8))
    lags = np.arange(len(mean))
    mean = (mean - far * np.exp(-((lags / FAR_PX) ** 2) / 4)) / (1 - far)
    below = np.flatnonzero(mean < 0.5)
    half = float(below[0]) if len(below) else float(shortest)
    if len(below) and half >= 1:
        upper, lower = mean[int(half) - 1], mean[int(half)]
        half = half - 1 + (upper - 0.5) / max(upper - lower, 1e-9)
    return float(np.clip(half / 1.665 / 0.75, 0.8, FAR_PX)), far


def reliability(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Stated probability, observed share and share of the pixels, by bin of the winner's probability, (bins, 3)."""
    best = probabilities.argmax(-1)
    stated = probabilities[np.arange(len(best)), best]
    bins = np.minimum((stated * BINS).astype(int), BINS - 1)
    rows = []
    for number in range(BINS):
        mine = bins == number
        if mine.any():
            rows.append([stated[mine].mean(), (best[mine] == truth[mine]).mean(), mine.mean()])
    return np.array(rows)


def expected_error(table: np.ndarray) -> float:
    """Mean distance of stated probability and observed share, by the share of pixels (ECE)."""
    return float((np.abs(table[:, 0] - table[:, 1]) * table[:, 2]).sum())


def draw_reliability(calibration: Calibration) -> np.ndarray:
    """The reliability diagram as a picture, uint8 (height, width, 3) RGB: stated against observed, before and after."""
    side, margin = 480, 70
    picture = np.full((side + 2 * margin, side + 2 * margin, 3), 255, np.uint8)

    def place(x: float, y: float) -> tuple[int, int]:
        return round(margin + side * x), round(margin + side * (1 - y))

    def write(text: str, at: tuple[int, int], color: tuple[int, int, int] = (40, 40, 40)) -> None:
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)

    for tick in np.linspace(0, 1, 6):
        cv2.line(picture, place(tick, 0), place(tick, 1), (230, 230, 230), 1)
        cv2.line(picture, place(0, tick), place(1, tick), (230, 230, 230), 1)
        write(f"{tick:.1f}", (place(tick, 0)[0] - 12, margin + side + 20))
        write(f"{tick:.1f}", (margin - 36, place(0, tick)[1] + 5))
    cv2.line(picture, place(0, 0), place(1, 1), (150, 150, 150), 1, cv2.LINE_AA)
    colors = {"before": (213, 94, 0), "after": (0, 114, 178)}
    for number, (name, color) in enumerate(colors.items()):
        rows = calibration.reliability.get(name, [])
        points = np.array([place(row[0], row[1]) for row in rows], np.int32).reshape(-1, 1, 2)
        cv2.polylines(picture, [points], False, color, 2, cv2.LINE_AA)
        for row in rows:
            cv2.circle(picture, place(row[0], row[1]), 4 + round(6 * row[2]), color, -1, cv2.LINE_AA)
        write(
            f"{name} calibration: error {100 * calibration.error[number]:.1f} %",
            (margin + 12, margin + 22 + 22 * number),
            color,
        )
    write("probability that the network states", (margin + 110, margin + side + 48))
    write("share of pixels that are right", (margin - 40, margin - 22))
    return picture
