"""A finished run and its validation images in; what its probabilities are worth, in its card and as a diagram, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cathode_tf.files import atomic_file, write_json
from cathode_tf.imaging import Micrograph
from cathode_tf.learning.calibration import Calibration, calibrate, draw_reliability, look
from cathode_tf.learning.models import BEST, load_model, read_card, save_model, write_card
from cathode_tf.learning.prediction import predict_image
from cathode_tf.learning.run_folder import CARD, RELIABILITY
from cathode_tf.progress import track

MOST_IMAGES = 12
MOST_SIDE_PX = 1024
"""The middle of larger images tells enough."""
WEIGHT_OF_START = 10
"""How many images what the start model leans counts for: two validation images tell little of a third."""


def calibrate_run(
    folder: Path,
    validation: Sequence[tuple[Micrograph, np.ndarray]],
    start_card: dict[str, Any] | None = None,
) -> Calibration | None:
    """Calibrate the best model of a run; its card and `reliability.png` tell how.

    Args:
        folder: Of the run.
        validation: Images and channels of their pixels, 255 = unknown.
        start_card: Of the model that the run began with; what it leans on many images helps where these are few.

    Returns:
        What was found; None without a model.
    """
    if not (folder / BEST).exists():
        return None
    model, card = load_model(folder)
    looked = []
    chosen = validation[:MOST_IMAGES]
    for number, (micrograph, reference) in enumerate(track(chosen, "Calibrating", total=len(chosen))):
        part = tuple(
            slice(max(0, (side - MOST_SIDE_PX) // 2), max(0, (side - MOST_SIDE_PX) // 2) + MOST_SIDE_PX)
            for side in reference.shape
        )
        cut = replace(micrograph, pixels=np.ascontiguousarray(micrograph.pixels[part]))
        found = look(predict_image(model, cut), reference[part], body=str(number), seed=number)
        looked += [] if found is None else [found]
    if not looked:
        return None
    calibration = calibrate(looked, about="validation images of its own training")
    before = Calibration.from_dict((start_card or {}).get("calibration"))
    if before is not None and before.shared.shape == calibration.shared.shape:
        share = len(looked) / (len(looked) + WEIGHT_OF_START)
        calibration = replace(
            calibration,
            shared=share * calibration.shared + (1 - share) * before.shared,
            own=share * calibration.own + (1 - share) * before.own,
        )
    write_card(model, {**card, "calibration": calibration.to_dict()})
    save_model(model, folder / BEST, force=True)
    write_json(folder / CARD, read_card(model), force=True)
    with atomic_file(folder / RELIABILITY, force=True) as temporary:
        cv2.imwrite(str(temporary), draw_reliability(calibration)[..., ::-1])
    return calibration
