"""An analysis and one of its masks in; a small picture for the ledger out."""

from __future__ import annotations

import numpy as np

from cathode_tf.lots.intake import Intake
from cathode_tf.phases import Phases

SIDE_PX = 320


def typical_image(intake: Intake) -> str | None:
    """Name of the image whose fractions are nearest the lot's; None where images have none."""
    means = {
        f"{n.quantity}/{n.phase}": n.estimate.value
        for n in intake.numbers
        if n.quantity == "fraction" and n.estimate.value
    }
    having = [image for image in intake.images if any(name in image["measures"] for name in means)]
    if not having:
        return None
    return min(
        having,
        key=lambda image: sum((image["measures"].get(name, 0) - mean) ** 2 for name, mean in means.items()),
    )["name"]


def small_picture(mask: np.ndarray, phases: Phases) -> bytes:
    """The mask in its colours, at most 320 px a side, as WebP.

    Args:
        mask: uint8 (height, width) of phase ids.
        phases: Their colours.
    """
    import cv2

    picture = phases.palette()[mask]
    scale = min(SIDE_PX / max(mask.shape), 1.0)
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 80])
    return encoded.tobytes()
