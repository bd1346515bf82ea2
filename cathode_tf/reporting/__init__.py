"""Measurements in, figures and self-contained HTML reports out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cathode_tf.reporting.evaluation import evaluation_section
    from cathode_tf.reporting.gating import Gate, gate, read_specs
    from cathode_tf.reporting.report import write_report

_MODULE_OF = {
    "Gate": "gating",
    "evaluation_section": "evaluation",
    "gate": "gating",
    "read_specs": "gating",
    "write_report": "report",
}

__all__ = ["Gate", "evaluation_section", "gate", "read_specs", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'cathode_tf.reporting' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"cathode_tf.reporting.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
