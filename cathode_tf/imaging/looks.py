"""What an image looks like, in few numbers; and how far that is from the images that a model learned from.

Taken from the pixels, not from a network, which normalises contrast away in its first layers, and with it what tells
one detector, instrument or material from another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

VERSION = "look/1"
SCALES = 5
NEAREST = 3
"""So many of the most similar images tell how far an image is from all."""
MAX_SIDE_PX = 1024
"""The middle of larger images tells their look."""


def look_of(pixels: np.ndarray) -> np.ndarray:
    """What an image looks like: texture at five scales, its shape and direction, and the spread of grey levels.

    Args:
        pixels: (height, width), any number type, at least one pixel.

    Returns:
        float64 (features,), the same for the same image in other brightness and contrast.

    Example:
        >>> image = np.random.default_rng(0).integers(0, 200, (64, 64)).astype(np.uint8)
        >>> bool(np.allclose(look_of(image), look_of(image + 40)))
        True
    """
    grey = _middle(pixels).astype(np.float32)
    grey = (grey - grey.mean()) / max(float(grey.std()), 1e-6)
    energy, peaked, skewed, directed = [], [], [], []
    for _ in range(SCALES):
        smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
        detail = grey - smooth
        spread = float(detail.std())
        energy.append(np.log(1e-3 + spread))
        part = np.clip(detail / max(spread, 1e-6), -12, 12)
        peaked.append(np.log(1.0 + float((part**4).mean())))
        skewed.append(float(np.cbrt((part**3).mean())))
        directed.append(_direction(smooth))
        if min(smooth.shape) < 16:
            break
        grey = smooth[::2, ::2]
    rows = [[*each, *[each[-1]] * (SCALES - len(each))] for each in (energy, peaked, skewed, directed)]
    # Levels of the coarsest scale: of the material, not of noise.
    levels = np.percentile(grey, (2, 10, 25, 50, 75, 90, 98))
    return np.array([*np.concatenate(rows), *levels, *_ends(pixels)])


def _middle(pixels: np.ndarray) -> np.ndarray:
    top, left = (max(0, (side - MAX_SIDE_PX) // 2) for side in pixels.shape)
    return pixels[top : top + MAX_SIDE_PX, left : left + MAX_SIDE_PX]


def _direction(smooth: np.ndarray) -> float:
    """How far gradients share one direction: 0 in all, 1 in one."""
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    xx, yy, xy = (float((a * b).mean()) for a, b in ((across, across), (down, down), (across, down)))
    return float(np.hypot(xx - yy, 2 * xy) / max(xx + yy, 1e-12))


def _ends(pixels: np.ndarray) -> tuple[float, float]:
    """Shares of pixels at the darkest and at the brightest level, as a clipped detector leaves them, root of."""
    part = _middle(pixels)
    return tuple(float(np.sqrt((part == end).mean())) for end in (part.min(), part.max()))  # type: ignore[return-value]


PARTS = ("strength of its texture", "peakedness of its texture", "lopsidedness of its texture", "direction")
"""What the rows of five numbers of a look are."""
_SOFTEN = 0.05


@dataclass(frozen=True)
class Known:
    """The looks that a model learned from, and how far from them an image may be to be one of their kind.

    Attributes:
        centre, spread: Of each feature over the images learned from, (features,).
        axes: Whitening of the standardised features, (features, features).
        looks: Of images learned from, whitened, (images, features).
        limit: Distance below which 95 % of held-out images of the kind lie.
        held_out: How many those were.
    """

    centre: np.ndarray
    spread: np.ndarray
    axes: np.ndarray
    looks: np.ndarray
    limit: float
    held_out: int

    @classmethod
    def learn(
        cls, learned: np.ndarray, held_out: np.ndarray, *, false_alarms: float = 0.05, kept: int = 256
    ) -> Known:
        """What is known after these looks.

        Args:
            learned: `look_of` images that the model learned from, (n, features).
            held_out: Of other images of the same kind, which set the limit.
            false_alarms: Share of images of the kind (0-1) that may be called foreign.
            kept: So many looks are kept to compare with.

        Example:
            >>> rng = np.random.default_rng(0)
            >>> known = Known.learn(rng.normal(size=(200, 29)), rng.normal(size=(100, 29)))
            >>> bool(known.score(np.zeros(29)) < 1 < known.score(np.full(29, 9.0)))
            True
        """
        centre, spread = learned.mean(0), learned.std(0) + 1e-6
        values, vectors = np.linalg.eigh(np.cov(((learned - centre) / spread).T))
        axes = vectors / np.sqrt(np.maximum(values, 0) + _SOFTEN)
        chosen = learned[np.linspace(0, len(learned) - 1, min(kept, len(learned))).astype(int)]
        known = cls(centre, spread, axes, (chosen - centre) / spread @ axes, 1.0, len(held_out))
        distances = [known.score(look) for look in held_out]
        limit = float(np.quantile(distances, 1 - false_alarms))
        return cls(centre, spread, axes, known.looks, limit, len(held_out))

    def extended(self, looks: np.ndarray) -> Known:
        """What is known after a training went on with images of these looks, (images, features)."""
        more = (looks - self.centre) / self.spread @ self.axes
        return Known(
            self.centre, self.spread, self.axes, np.vstack([self.looks, more]), self.limit, self.held_out
        )

    def score(self, look: np.ndarray) -> float:
        """Mean distance to the most similar images learned from, over the limit: above 1 the image is foreign."""
        distance = np.linalg.norm(self.looks - (look - self.centre) / self.spread @ self.axes, axis=1)
        return float(np.sort(distance)[:NEAREST].mean() / self.limit)

    def apart(self, one: np.ndarray, other: np.ndarray) -> float:
        """Distance of two looks, in limits."""
        return float(np.linalg.norm((one - other) / self.spread @ self.axes) / self.limit)

    def judge(self, look: np.ndarray) -> dict[str, Any]:
        """`score`, whether the image is `foreign`, and in which respect: the `reason` for people."""
        score = self.score(look)
        far = np.abs((look - self.centre) / self.spread)
        rows = far[: len(PARTS) * SCALES].reshape(len(PARTS), SCALES).max(1)
        parts = [*PARTS, "distribution of its grey levels"]
        part = parts[int(np.argmax([*rows, far[len(PARTS) * SCALES :].max()]))]
        reason = (
            f"{score:.1f} times as far as images of the kind that the model learned from; most by the {part}"
        )
        return {"score": round(score, 3), "foreign": score > 1, "reason": reason if score > 1 else ""}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a model card."""
        rounded = {name: np.round(getattr(self, name), 4).tolist() for name in _ARRAYS}
        return {"version": VERSION, **rounded, "limit": round(self.limit, 5), "held_out": self.held_out}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any] | None) -> Known | None:
        """What a card says; None where it says nothing, or speaks of looks of another version."""
        if not content or content.get("version") != VERSION:
            return None
        arrays = {name: np.asarray(content[name], float) for name in _ARRAYS}
        return cls(**arrays, limit=float(content["limit"]), held_out=int(content["held_out"]))


_ARRAYS = ("centre", "spread", "axes", "looks")


def looks_of(images: Sequence[np.ndarray]) -> np.ndarray:
    """The looks of several images, (images, features)."""
    return np.array([look_of(image) for image in images])
