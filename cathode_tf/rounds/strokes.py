"""A proposal's probabilities, kept as a small file, and the strokes of a review in; the mask that follows them out.

No TensorFlow, so that the review page answers at once.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.inference.strokes import LEAST, check_strokes, follow_strokes
from cathode_tf.rounds.project import Project, read_png
from cathode_tf.rounds.state import ImageState

_STEP = -np.log(LEAST) / 255


def write_probabilities(path: Path, probabilities: np.ndarray) -> None:
    """Write probabilities (height, width, phases) as a grey PNG: half as wide and high, phase below phase.

    A grey level is a step of 2.7 % down from a probability of 1, which is 0.
    """
    height, width, _ = probabilities.shape
    half = (-(-width // 2), -(-height // 2))
    small = cv2.resize(probabilities, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], -1)
    levels = np.rint(-np.log(np.maximum(small, LEAST)) / _STEP).astype(np.uint8)
    below = levels.transpose(2, 0, 1).reshape(-1, half[0])
    with atomic_file(path, force=True) as temporary:
        temporary.write_bytes(cv2.imencode(".png", below)[1].tobytes())


def read_probabilities(path: Path, shape: tuple[int, int], phases: int) -> np.ndarray:
    """What `write_probabilities` wrote, float32 (height, width, phases).

    Args:
        path: The file.
        shape: (height, width) of the image.
        phases: How many there are.

    Raises:
        InputError: If the file is of another size or cannot be read.
    """
    half = (-(-shape[0] // 2), -(-shape[1] // 2))
    levels = read_png(path, (phases * half[0], half[1])).reshape(phases, *half)
    full = [
        cv2.resize(np.exp(-_STEP * level.astype(np.float32)), shape[::-1], interpolation=cv2.INTER_LINEAR)
        for level in levels
    ]
    return np.stack(full, axis=-1)


def spread_strokes(project: Project, image: ImageState, strokes: np.ndarray) -> np.ndarray:
    """The mask of the whole image that a few strokes teach.

    Args:
        project: The project.
        image: One with a proposal.
        strokes: uint8 (height, width): the id of a phase where a person painted it, 255 elsewhere.

    Returns:
        uint8 ids (height, width); what was painted stays as it was painted.

    Raises:
        InputError: If there is no proposal with probabilities, or no stroke.
    """
    if image.proposal is None or "probabilities" not in image.proposal:
        raise InputError(
            f"{image.name}: must have a proposal that strokes can change. It has none, or one of an earlier version. "
            f"Propose again: cathode-tf rounds propose {project.path}"
        )
    phases = project.phases
    check_strokes(strokes, (image.height, image.width), phases, image.name)
    path = project.path / image.proposal["probabilities"]
    probabilities = read_probabilities(path, (image.height, image.width), len(phases))
    followed = follow_strokes(probabilities, project.pixels(image), strokes, phases)
    return phases.to_ids(followed.argmax(axis=-1))
