"""Some slices spread over a stack in; what is common to all of it, out: material, illumination, steady curtains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cathode_tf.tomography.brightness import Field, Illumination, Material, find_material
from cathode_tf.tomography.curtains import Pattern, find_pattern
from cathode_tf.tomography.geometry import Settings
from cathode_tf.tomography.slices import Stack
from cathode_tf.tomography.work import ahead

SAMPLES = 40


@dataclass(frozen=True)
class Samples:
    """What slices spread over the stack say of all of it; None = nothing of the kind, or it is left out.

    Attributes:
        material: The stable material.
        light: How unevenly the slices are lit.
        pattern: Curtains that stay in place.
    """

    material: Material | None
    light: Field | None
    pattern: Pattern | None


def look_at_samples(stack: Stack, settings: Settings) -> Samples:
    """Look at up to 40 slices; they are read again for each question, so that few are in memory."""
    number = min(len(stack), SAMPLES)
    places = np.unique(np.linspace(0, len(stack) - 1, number).round().astype(int)).tolist()

    def read() -> Iterator[np.ndarray]:
        return ahead(stack.read, places)

    pattern = find_pattern(read()) if settings.does("curtains") else None
    if not (settings.does("background") or settings.does("brightness")):
        return Samples(None, None, pattern)
    top = 255.0
    if stack.dtype != np.uint8:
        # Many detectors fill 12 bits of 16.
        top = float(2 ** int(np.ceil(np.log2(max(int(pixels.max()) for pixels in read()) + 1))) - 1)
    material = find_material(read(), max(top, 255.0))
    if material is None or not settings.does("background"):
        return Samples(material, None, pattern)
    illumination = Illumination(max(top, 255.0))
    for pixels in read():
        illumination.add(pixels)
    return Samples(material, illumination.field(material), pattern)
