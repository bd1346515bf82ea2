"""Micrographs in, pairs that show nearly the same out, however they are turned or how large they are."""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 32
SAME = 0.9
"""Thumbnails that correlate more than this show the same place. Of two places, some 300 independent values
agree by chance to 0.06."""


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """What an image shows at a coarse scale, independent of brightness and contrast.

    Args:
        pixels: uint8 or uint16 (height, width).

    Returns:
        float32 (32, 32) with the length 1; all 0 for an image of one value. Slow changes of the brightness,
        which all images of one microscope may share, are taken out.
    """
    small = cv2.resize(pixels.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    small = small - cv2.GaussianBlur(small, (0, 0), SIDE / 6, borderType=cv2.BORDER_REFLECT)
    length = float(np.linalg.norm(small))
    return small / length if length > 1e-3 else np.zeros_like(small)


def alike(thumbnails: np.ndarray, sides: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs of images on different sides that show nearly the same, the most alike first.

    Args:
        thumbnails: float32 (images, 32, 32), from `thumbnail`.
        sides: (images,) of any values; only pairs with two different ones are looked for.

    Returns:
        Positions of both images, and their correlation (0.9 to 1) in the best of eight turns and flips.
    """
    flat = thumbnails.reshape(len(thumbnails), -1)
    best: dict[tuple[int, int], float] = {}
    for turns in range(4):
        for flipped in (False, True):
            turned = np.rot90(thumbnails, turns, (1, 2))
            turned = (turned[:, :, ::-1] if flipped else turned).reshape(len(thumbnails), -1)
            for start in range(0, len(flat), 1024):
                correlation = flat[start : start + 1024] @ turned.T
                for row, second in np.argwhere(correlation > SAME).tolist():
                    first = start + row
                    if first < second and sides[first] != sides[second]:
                        value = min(float(correlation[row, second]), 1.0)
                        best[first, second] = max(best.get((first, second), 0.0), value)
    return sorted(((a, b, value) for (a, b), value in best.items()), key=lambda pair: -pair[2])
