"""Micrograph of any size in, segmentation mask with its uncertainty out; the same answer from every entry.

`Segmenter` is the way in. `evaluate` measures what it gives; `export_savedmodel` writes it for TF Serving;
`ServingClient` asks a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.inference.client import ServingClient
    from cathode_tf.inference.evaluation import Evaluation, evaluate
    from cathode_tf.inference.export import export_savedmodel
    from cathode_tf.inference.segmentation import Segmentation
    from cathode_tf.inference.segmenter import Segmenter
    from cathode_tf.inference.separation import separate

_MODULE_OF = {
    "Segmenter": "segmenter",
    "Segmentation": "segmentation",
    "evaluate": "evaluation",
    "Evaluation": "evaluation",
    "export_savedmodel": "export",
    "ServingClient": "client",
    "separate": "separation",
}

__all__ = [
    "Evaluation",
    "Segmentation",
    "Segmenter",
    "ServingClient",
    "evaluate",
    "export_savedmodel",
    "separate",
]


__getattr__ = loader(__name__, _MODULE_OF)
