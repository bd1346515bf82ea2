"""Segmentation masks in, a batch's numbers with units and intervals out; without TensorFlow.

`analyze` measures a batch of masks, `compare` tells what differs between two; every number is an `Estimate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.analysis.batch import Analysis
    from cathode_tf.analysis.checks import verify
    from cathode_tf.analysis.comparison import Comparison, compare
    from cathode_tf.analysis.image import Settings
    from cathode_tf.analysis.measuring import analyze
    from cathode_tf.analysis.porosity import Electrode, reconcile_porosity
    from cathode_tf.analysis.tracing import Trace, trace
    from cathode_tf.analysis.worth import Worth

_MODULE_OF = {
    "Analysis": "batch",
    "Comparison": "comparison",
    "Electrode": "porosity",
    "Settings": "image",
    "Trace": "tracing",
    "Worth": "worth",
    "analyze": "measuring",
    "compare": "comparison",
    "reconcile_porosity": "porosity",
    "trace": "tracing",
    "verify": "checks",
}

_MOVED = {
    "Decision": "cathode_tf.statistics",
    "Estimate": "cathode_tf.statistics",
    "Spec": "cathode_tf.statistics",
    "Volume": "cathode_tf.volumes",
    "VolumeAnalysis": "cathode_tf.volumes",
    "analyze_volume": "cathode_tf.volumes",
    "decide": "cathode_tf.statistics",
    "draw_reference_points": "cathode_tf.statistics",
    "gauge_rr": "cathode_tf.statistics",
    "measure_fragmentation": "cathode_tf.particles",
    "open_volume": "cathode_tf.volumes",
    "plan_reference_points": "cathode_tf.statistics",
    "required_images": "cathode_tf.statistics",
    "required_particles": "cathode_tf.statistics",
}

__all__ = [
    "Analysis",
    "Comparison",
    "Electrode",
    "Settings",
    "Trace",
    "Worth",
    "analyze",
    "compare",
    "reconcile_porosity",
    "trace",
    "verify",
]


__getattr__ = loader(__name__, _MODULE_OF, _MOVED)
