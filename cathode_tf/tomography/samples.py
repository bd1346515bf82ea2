"""Some slices spread over a stack in; what is common to all of it, out: material, illumination, steady curtains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

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
    _made: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def even(self, pixels: np.ndarray) -> np.ndarray:
        """A raw slice without the curtains and the light that all slices have in common, float32."""
        values = pixels.astype(np.float32)
        if self.pattern is not None:
            values -= self._common("curtains", self.pattern.at, *(np.arange(side) for side in pixels.shape))
        if self.light is not None:
            values /= self._common("light", self.light.at, *pixels.shape)
        return values

    def _common(self, name: str, make: Callable[..., np.ndarray], *where: Any) -> np.ndarray:
        if name not in self._made:
            self._made[name] = make(*where)
        return self._made[name]


def look_at_samples(stack: Stack, settings: Settings) -> Samples:
    """Look at up to 40 slices; they are read again for each question, so that few are in memory."""
    number = min(len(stack), SAMPLES)
    places = np.unique(np.linspace(0, len(stack) - 1, number).round().astype(int)).tolist()

    def read() -> Iterator[np.ndarray]:
        return ahead(stack.read, places)

    pattern = find_pattern(read()) if settings.does("curtains") else None
    found = Samples(None, None, pattern)
    if not (settings.does("background") or settings.does("brightness")):
        return found
    top = 255.0
    if stack.dtype != np.uint8:
        # Many detectors fill 12 bits of 16.
        top = float(2 ** int(np.ceil(np.log2(max(int(pixels.max()) for pixels in read()) + 1))) - 1)
    # Strong curtains run the materials' grey levels together.
    material = find_material((found.even(pixels) for pixels in read()), max(top, 255.0))
    if material is None or not settings.does("background"):
        return Samples(material, None, pattern)
    illumination = Illumination(max(top, 255.0))
    for pixels in read():
        illumination.add(found.even(pixels))
    return Samples(material, illumination.field(material), pattern)
