"""Numbers with intervals, knowing nothing of images: sums and diameters in, `Estimate` out; no TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.statistics.decision import Decision, Spec, decide
    from cathode_tf.statistics.estimate import Estimate
    from cathode_tf.statistics.gauge import gauge_rr
    from cathode_tf.statistics.planning import required_images, required_particles
    from cathode_tf.statistics.reference_points import draw_reference_points, plan_reference_points
    from cathode_tf.statistics.sizes import SizeDistribution, size_distribution

_MODULE_OF = {
    "Decision": "decision",
    "Estimate": "estimate",
    "SizeDistribution": "sizes",
    "Spec": "decision",
    "decide": "decision",
    "draw_reference_points": "reference_points",
    "gauge_rr": "gauge",
    "plan_reference_points": "reference_points",
    "required_images": "planning",
    "required_particles": "planning",
    "size_distribution": "sizes",
}

__all__ = [
    "Decision",
    "Estimate",
    "SizeDistribution",
    "Spec",
    "decide",
    "draw_reference_points",
    "gauge_rr",
    "plan_reference_points",
    "required_images",
    "required_particles",
    "size_distribution",
]


__getattr__ = loader(__name__, _MODULE_OF)
