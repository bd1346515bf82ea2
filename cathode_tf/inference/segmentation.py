"""What a segmenter or a server answers. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cathode_tf.inference.scale import Block
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


def put_together(blocks: Iterable[Block], shape: tuple[int, int], phases: Phases) -> Segmentation:
    """The maps of an image (height, width) from blocks that cover it once."""
    maps = {key: np.empty(shape, np.uint8) for key in MAPS}
    for row, column, block in blocks:
        for key, values in block.items():
            maps[key][row : row + values.shape[0], column : column + values.shape[1]] = values
    mask, entropy = maps["mask"], maps["entropy"]
    score = mean_entropy(int(entropy.sum(dtype=np.int64)), mask.size)
    return Segmentation(mask, maps["margin"], entropy, phase_fractions(mask, phases), score)


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
