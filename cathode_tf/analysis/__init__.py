"""Segmentation mask in, numbers with units and intervals out; without TensorFlow.

`analyze` measures a batch of masks, `compare` tells what differs between two; every number is an `Estimate`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cathode_tf.analysis.batch import Analysis, Settings, analyze
    from cathode_tf.analysis.estimate import Estimate

_MODULE_OF = {
    "Analysis": "batch",
    "Estimate": "estimate",
    "Settings": "batch",
    "analyze": "batch",
}

__all__ = ["Analysis", "Estimate", "Settings", "analyze"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'cathode_tf.analysis' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"cathode_tf.analysis.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
