"""What an image looks like, in few numbers, and which images look alike.

Taken from the pixels, not from a network, which normalises contrast away in its first layers, and with it what tells
one detector, instrument or material from another.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

SCALES = 5
ALIKE = 2.0
"""An image within so many times the median distance between some images is of their kind."""
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


def looks_of(images: Sequence[np.ndarray]) -> np.ndarray:
    """The looks of several images, (images, features)."""
    return np.array([look_of(image) for image in images])


def alike(look: np.ndarray, looks: np.ndarray) -> bool:
    """Whether an image is of the kind of some images: as near to one of them as they are to each other, twice at most.

    Args:
        look: `look_of` the image, (features,).
        looks: Of the others, (images, features); fewer than two tell nothing.

    Example:
        >>> alike(np.zeros(3), np.eye(3)), alike(np.full(3, 9.0), np.eye(3))
        (True, False)
    """
    if looks.ndim != 2 or len(looks) < 2 or looks.shape[1] != len(look):
        return False
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(looks) for b in looks[:i]]
    return bool(np.linalg.norm(looks - look, axis=1).min() <= ALIKE * np.median(pairs))
