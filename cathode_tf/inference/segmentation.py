"""What a segmenter or a server answers, and what they accept. No TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging import Micrograph
from cathode_tf.imaging.resampling import Resampling, scale_between
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


def scale_to_model(image: np.ndarray | Micrograph, card: dict[str, Any]) -> float:
    """By what an image must be enlarged to have the model's pixel size; 1.0 where either size is unknown.

    Example:
        >>> image = Micrograph(np.zeros((4, 4), np.uint8), pixel_size_nm=20.0)
        >>> scale_to_model(image, {"pixel_size_nm": 10.0})
        2.0
    """
    if not isinstance(image, Micrograph):
        return 1.0
    return scale_between(image.pixel_size_nm, card.get("pixel_size_nm"), image.path)


def segment_at_scale(
    image: np.ndarray | Micrograph,
    card: dict[str, Any],
    segment: Callable[[np.ndarray], Segmentation],
    phases: Phases,
) -> Segmentation:
    """Segment an image at the model's pixel size and bring the maps back, each pixel by the nearest.

    Args:
        image: A `Micrograph`, or pixels, which are taken as they are.
        card: The model card, with `pixel_size_nm`.
        segment: Segments pixels of the model's scale.
        phases: Names and ids.
    """
    pixels = image_pixels(image)
    scale = scale_to_model(image, card)
    if scale == 1.0:
        return segment(pixels)
    resampling = Resampling(pixels.shape, scale)
    found = segment(resampling(pixels))
    mask, margin = resampling.back(found.mask), resampling.back(found.margin)
    entropy = None if found.entropy is None else resampling.back(found.entropy)
    score = found.score if entropy is None else mean_entropy(int(entropy.sum(dtype=np.int64)), mask.size)
    return Segmentation(mask, margin, entropy, phase_fractions(mask, phases), score)


def maps_of(probabilities: np.ndarray, phases: Phases) -> Segmentation:
    """What probabilities float32 (height, width, phases) say: the same maps as a segmenter gives.

    Example:
        >>> maps = maps_of(np.array([[[0.75, 0.25], [0.5, 0.5]]], np.float32), Phases.from_names(("pore", "ncm")))
        >>> maps.mask.tolist(), maps.margin.tolist(), maps.entropy.tolist()
        ([[0, 0]], [[128, 0]], [[207, 255]])
    """
    best = probabilities.argmax(axis=-1)
    ordered = np.partition(probabilities, -2, axis=-1)
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    entropy = _as_byte(-(probabilities * logarithms).sum(axis=-1) / np.log(len(phases)))
    mask = phases.to_ids(best)
    score = mean_entropy(int(entropy.sum(dtype=np.int64)), mask.size)
    margin = _as_byte(ordered[..., -1] - ordered[..., -2])
    return Segmentation(mask, margin, entropy, phase_fractions(mask, phases), score)


def _as_byte(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)


def mean_entropy(total: int, pixels: int) -> float:
    """The score of an image from the sum of its entropy map, as a SavedModel gives it."""
    return float(np.float32(total / pixels / 255.0))


def phase_fractions(mask: np.ndarray, phases: Phases) -> dict[str, float]:
    """Share of the pixels of each phase, by name."""
    counts = np.bincount(mask.ravel(), minlength=256)
    return {phase.name: float(counts[phase.id] / mask.size) for phase in phases.entries}
