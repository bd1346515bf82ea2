"""A label volume in, its phases, surfaces, grains and transport as numbers out; without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.volumes.analysis import VolumeAnalysis, analyze_volume
    from cathode_tf.volumes.files import Volume, open_volume

_MODULE_OF = {
    "Volume": "files",
    "VolumeAnalysis": "analysis",
    "analyze_volume": "analysis",
    "open_volume": "files",
}

__all__ = [
    "Volume",
    "VolumeAnalysis",
    "analyze_volume",
    "open_volume",
]


__getattr__ = loader(__name__, _MODULE_OF)
