"""Record sets: micrographs and masks in, checked examples and shuffled patches out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cathode_tf.datasets.conversion import convert
from cathode_tf.datasets.record_set import RecordSet, open_records
from cathode_tf.datasets.schema import Example
from cathode_tf.datasets.standardize import image_statistics, standardize

if TYPE_CHECKING:
    from cathode_tf.datasets.patches import patches

__all__ = [
    "Example",
    "RecordSet",
    "convert",
    "image_statistics",
    "open_records",
    "patches",
    "standardize",
]


def __getattr__(name: str) -> Any:
    # The only room here that needs TensorFlow; reading and writing records does not.
    if name != "patches":
        raise AttributeError(f"module 'cathode_tf.datasets' has no attribute {name!r}")
    import importlib

    value = importlib.import_module("cathode_tf.datasets.patches").patches
    globals()[name] = value
    return value
