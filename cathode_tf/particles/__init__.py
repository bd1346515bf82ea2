"""A mask in; label image, measures and fragmentation of its particles out; without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.particles.fragmentation import measure_fragmentation
    from cathode_tf.particles.instances import label_instances
    from cathode_tf.particles.measures import measure_instances
    from cathode_tf.particles.separation import ParticleMaps, separate

_MODULE_OF = {
    "ParticleMaps": "separation",
    "label_instances": "instances",
    "measure_fragmentation": "fragmentation",
    "measure_instances": "measures",
    "separate": "separation",
}

__all__ = [
    "ParticleMaps",
    "label_instances",
    "measure_fragmentation",
    "measure_instances",
    "separate",
]


__getattr__ = loader(__name__, _MODULE_OF)
