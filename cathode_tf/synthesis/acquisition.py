"""What a microscope makes of a section: geometry and parameters in, grey levels out."""

from __future__ import annotations

import cv2
import numpy as np

from cathode_tf.synthesis.fields import fractal_field, smooth_field
from cathode_tf.synthesis.geometry import ADDITIVE, BINDER, NCM, PORE, Section
from cathode_tf.synthesis.parameters import Parameters

_GREY = {PORE: 28.0, NCM: 178.0, ADDITIVE: 112.0, BINDER: 70.0}


def acquire(rng: np.random.Generator, section: Section, parameters: Parameters) -> np.ndarray:
    """A micrograph, uint8 (height, width), of the section as a back-scattered electron detector shows it."""
    height, width = section.mask.shape
    levels = np.zeros(256, np.float32)
    levels[list(_GREY)] = list(_GREY.values())
    image = levels[section.mask]
    tint = np.concatenate([[0.0], rng.normal(0, 5.0, section.labels.max() + 1)]).astype(np.float32)
    image += np.where(section.mask == NCM, tint[section.labels], 0)
    grains = fractal_field(rng, height, width, 4.0, octaves=2)
    image += np.where(section.mask == ADDITIVE, 16.0, 0).astype(np.float32) * grains
    image += 4.0 * smooth_field(rng, height, width, 0.5 * max(height, width))
    image = cv2.GaussianBlur(image, (0, 0), 0.9)
    noise = rng.standard_normal((height, width), dtype=np.float32)
    image += noise * np.sqrt(20.0 + 0.25 * np.maximum(image, 0))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
