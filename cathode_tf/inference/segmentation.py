"""What a segmenter or a server answers, and what they accept. No TensorFlow."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import Micrograph
from cathode_tf.phases import Phases

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


SAME_SCALE = 0.02
"""Relative difference of two pixel sizes that needs no resampling."""

FAR_SCALE = 4.0


def scale_to_model(image: np.ndarray | Micrograph, card: dict[str, Any]) -> float:
    """By what an image must be enlarged to have the model's pixel size; 1.0 where either size is unknown.

    Example:
        >>> image = Micrograph(np.zeros((4, 4), np.uint8), pixel_size_nm=20.0)
        >>> scale_to_model(image, {"pixel_size_nm": 10.0})
        2.0
    """
    own = image.pixel_size_nm if isinstance(image, Micrograph) else None
    models = card.get("pixel_size_nm")
    if not own or not models or abs(own / models - 1) <= SAME_SCALE:
        return 1.0
    scale = own / models
    if not 1 / FAR_SCALE <= scale <= FAR_SCALE:
        warnings.warn(
            f"{getattr(image, 'path', None) or 'image'}: has pixels of {own:g} nm, the model was trained on "
            f"{models:g} nm. Resampling by {scale:.3g} is more than a factor of {FAR_SCALE:g}: look at the mask.",
            InputWarning,
            stacklevel=3,
        )
    return scale


def segment_at_scale(
    image: np.ndarray | Micrograph,
    card: dict[str, Any],
    segment: Callable[[np.ndarray], Segmentation],
    phases: Phases,
) -> Segmentation:
    """Segment an image at the model's pixel size and bring the maps back, the mask by its nearest pixel.

    Args:
        image: A `Micrograph`, or pixels, which are taken as they are.
        card: The model card, with `pixel_size_nm`.
        segment: Segments pixels of the model's scale.
        phases: Names and ids.
    """
    import cv2

    pixels = image_pixels(image)
    scale = scale_to_model(image, card)
    if scale == 1.0:
        return segment(pixels)
    height, width = pixels.shape
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    found = segment(resized)

    def back(values: np.ndarray | None, interpolation: int) -> Any:
        return None if values is None else cv2.resize(values, (width, height), interpolation=interpolation)

    mask = back(found.mask, cv2.INTER_NEAREST_EXACT)
    margin, entropy = (back(values, cv2.INTER_LINEAR) for values in (found.margin, found.entropy))
    return Segmentation(mask, margin, entropy, phase_fractions(mask, phases), found.score)


def phase_fractions(mask: np.ndarray, phases: Phases) -> dict[str, float]:
    """Share of the pixels of each phase, by name."""
    counts = np.bincount(mask.ravel(), minlength=256)
    return {phase.name: float(counts[phase.id] / mask.size) for phase in phases.entries}
