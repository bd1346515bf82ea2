"""What a segmenter or a server answers, and what they accept. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging import Micrograph

MAPS = ("mask", "margin", "entropy")
"""The maps of an image, each uint8 (height, width)."""


@dataclass(frozen=True)
class Segmentation:
    """What a segmenter says about one image.

    Attributes:
        mask: Segmentation mask, uint8 (height, width) of phase ids.
        margin: Probability of the best phase minus that of the second best, uint8, 255 = certain.
        entropy: Entropy of the phases' probabilities, uint8, 0 = certain, 255 = all phases alike; None from a
            server, which sends its mean only (`score`).
        phase_fractions: Share of the area (0-1) by phase name.
        score: Mean entropy, 0-1; higher = more uncertain. Ranks images for review.
    """

    mask: np.ndarray
    margin: np.ndarray
    entropy: np.ndarray | None
    phase_fractions: dict[str, float]
    score: float


def image_pixels(image: np.ndarray | Micrograph) -> np.ndarray:
    """The checked pixels of an image."""
    pixels = image.pixels if isinstance(image, Micrograph) else np.asarray(image)
    if pixels.ndim != 2 or not pixels.size or pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            "image: must be uint8 or uint16 (height, width) with at least one pixel, as read_micrograph "
            f"gives it. Received {pixels.dtype} {pixels.shape}."
        )
    return pixels
