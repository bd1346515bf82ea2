"""Segmentation mask in, numbers with units and intervals out; without TensorFlow.

`analyze` measures a batch of masks, `compare` tells what differs between two, `decide` holds a quantity against
a `Spec`; every number is an `Estimate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.analysis.batch import Analysis, analyze
    from cathode_tf.analysis.comparison import Comparison, compare
    from cathode_tf.analysis.decision import Decision, Spec, decide
    from cathode_tf.analysis.estimate import Estimate
    from cathode_tf.analysis.fragmentation import measure_fragmentation
    from cathode_tf.analysis.gauge import gauge_rr
    from cathode_tf.analysis.image import Settings
    from cathode_tf.analysis.planning import required_images, required_particles
    from cathode_tf.analysis.porosity import Electrode, reconcile_porosity
    from cathode_tf.analysis.reference_points import draw_reference_points, plan_reference_points
    from cathode_tf.analysis.volume_files import Volume, open_volume
    from cathode_tf.analysis.volumes import VolumeAnalysis, analyze_volume

_MODULE_OF = {
    "Analysis": "batch",
    "Comparison": "comparison",
    "Decision": "decision",
    "Electrode": "porosity",
    "Estimate": "estimate",
    "Settings": "image",
    "Spec": "decision",
    "Volume": "volume_files",
    "VolumeAnalysis": "volumes",
    "analyze": "batch",
    "analyze_volume": "volumes",
    "compare": "comparison",
    "decide": "decision",
    "draw_reference_points": "reference_points",
    "gauge_rr": "gauge",
    "measure_fragmentation": "fragmentation",
    "open_volume": "volume_files",
    "plan_reference_points": "reference_points",
    "reconcile_porosity": "porosity",
    "required_images": "planning",
    "required_particles": "planning",
}

__all__ = [
    "Analysis",
    "Comparison",
    "Decision",
    "Electrode",
    "Estimate",
    "Settings",
    "Spec",
    "Volume",
    "VolumeAnalysis",
    "analyze",
    "analyze_volume",
    "compare",
    "decide",
    "draw_reference_points",
    "gauge_rr",
    "measure_fragmentation",
    "open_volume",
    "plan_reference_points",
    "reconcile_porosity",
    "required_images",
    "required_particles",
]


__getattr__ = loader(__name__, _MODULE_OF)
