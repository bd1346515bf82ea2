"""A label volume in, its phases, surfaces, grains and transport as numbers out; without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.volumes.analysis import VolumeAnalysis, analyze_volume
    from cathode_tf.volumes.files import Volume, open_volume
    from cathode_tf.volumes.trust import Trust, how_far_to_trust

_MODULE_OF = {
    "Trust": "trust",
    "Volume": "files",
    "VolumeAnalysis": "analysis",
    "analyze_volume": "analysis",
    "how_far_to_trust": "trust",
    "open_volume": "files",
}

__all__ = [
    "Trust",
    "Volume",
    "VolumeAnalysis",
    "analyze_volume",
    "how_far_to_trust",
    "open_volume",
]


__getattr__ = loader(__name__, _MODULE_OF)
