"""The images of a batch, measured, as one value to be summed up."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cathode_tf.analysis.image import ImageMeasures, Settings
from cathode_tf.phases import Phases
from cathode_tf.statistics.estimate import Estimate
from cathode_tf.statistics.transfer import TestErrors


@dataclass(frozen=True)
class Batch:
    """Images that are summed up together.

    Attributes:
        images: Their sums.
        phases: What they hold (without `pore_back` if it was merged).
        pixel_size_nm: None = unknown.
        settings: How they were measured.
        errors: Error rates of the segmentation from a test set, if there are any.
    """

    images: tuple[ImageMeasures, ...]
    phases: Phases
    pixel_size_nm: float | None
    settings: Settings
    errors: TestErrors | None = None

    @property
    def units(self) -> list[str] | None:
        """The group of each image, if groups are the independent units."""
        return [image.group for image in self.images] if self.settings.replicate == "group" else None

    @property
    def unit(self) -> str:
        """`"image"` or `"group"`."""
        return self.settings.replicate

    @property
    def instance_phases(self) -> tuple[str, ...]:
        """Phases whose instances are listed."""
        chosen = self.settings.instance_phases
        return self.phases.names if chosen is None else chosen

    def fault(self, measure: str) -> str:
        """What went wrong when this was measured in an image; empty where nothing did."""
        return next((i.faults[measure] for i in self.images if measure in i.faults), "")

    def counts(self) -> np.ndarray:
        """Pixels by image and phase."""
        return np.array([image.counts for image in self.images])


def of_unit(estimate: Estimate, unit: str) -> Estimate:
    """An estimate between images, whose rows were sums over these units."""
    components = {
        f"between_{unit}s" if name == "between_images" else name: u for name, u in estimate.components.items()
    }
    return replace(estimate, unit_of_replication=unit, components=components)
