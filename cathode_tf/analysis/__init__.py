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
    from cathode_tf.analysis.correction import draw_reference_points, plan_reference_points
    from cathode_tf.analysis.decision import Decision, Spec, decide
    from cathode_tf.analysis.estimate import Estimate
    from cathode_tf.analysis.image import Settings
    from cathode_tf.analysis.planning import required_images, required_particles

_MODULE_OF = {
    "Analysis": "batch",
    "Comparison": "comparison",
    "Decision": "decision",
    "Estimate": "estimate",
    "Settings": "image",
    "Spec": "decision",
    "analyze": "batch",
    "compare": "comparison",
    "decide": "decision",
    "draw_reference_points": "correction",
    "plan_reference_points": "correction",
    "required_images": "planning",
    "required_particles": "planning",
}

__all__ = [
    "Analysis",
    "Comparison",
    "Decision",
    "Estimate",
    "Settings",
    "Spec",
    "analyze",
    "compare",
    "decide",
    "draw_reference_points",
    "plan_reference_points",
    "required_images",
    "required_particles",
]


__getattr__ = loader(__name__, _MODULE_OF)
