"""Record sets: micrographs and masks in, checked examples and shuffled patches out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.datasets.conversion import convert
    from cathode_tf.datasets.pipeline import patches
    from cathode_tf.datasets.plan import Choices
    from cathode_tf.datasets.record_set import RecordSet, open_records
    from cathode_tf.datasets.schema import Example
    from cathode_tf.datasets.standardization import image_statistics, standardize

_MODULE_OF = {
    "Choices": "plan",
    "Example": "schema",
    "RecordSet": "record_set",
    "convert": "conversion",
    "image_statistics": "standardization",
    "open_records": "record_set",
    # The only one here that needs TensorFlow; reading and writing records does not.
    "patches": "pipeline",
    "standardize": "standardization",
}

__all__ = [
    "Choices",
    "Example",
    "RecordSet",
    "convert",
    "image_statistics",
    "open_records",
    "patches",
    "standardize",
]


__getattr__ = loader(__name__, _MODULE_OF)
