"""Measurements in, figures and self-contained HTML reports out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cathode_tf.lazy import loader

if TYPE_CHECKING:
    from cathode_tf.reporting.evaluation import evaluation_section
    from cathode_tf.reporting.gating import Gate, gate, read_specs
    from cathode_tf.reporting.magnifications import write_by_magnification
    from cathode_tf.reporting.reconstruction import write_flight, write_reconstruction_report
    from cathode_tf.reporting.report import write_report
    from cathode_tf.reporting.trust import reconstruction_trust
    from cathode_tf.reporting.volume import write_volume_report

_MODULE_OF = {
    "Gate": "gating",
    "evaluation_section": "evaluation",
    "gate": "gating",
    "read_specs": "gating",
    "reconstruction_trust": "trust",
    "write_by_magnification": "magnifications",
    "write_flight": "reconstruction",
    "write_reconstruction_report": "reconstruction",
    "write_report": "report",
    "write_volume_report": "volume",
}

__all__ = [
    "Gate",
    "evaluation_section",
    "gate",
    "read_specs",
    "reconstruction_trust",
    "write_by_magnification",
    "write_flight",
    "write_reconstruction_report",
    "write_report",
    "write_volume_report",
]


__getattr__ = loader(__name__, _MODULE_OF)
