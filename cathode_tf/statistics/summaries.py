"""Many estimates under their names: a summary, and the JSON-able table that files hold."""

from __future__ import annotations

from typing import Any

from cathode_tf.statistics.estimate import Estimate

Summary = dict[str, dict[str, Estimate]]
"""Quantity -> phase (or `a|b`) -> `Estimate`."""


def summary_dict(summary: Summary) -> dict[str, dict[str, Any]]:
    """A summary as plain values."""
    return {
        quantity: {phase: estimate.to_dict() for phase, estimate in estimates.items()}
        for quantity, estimates in summary.items()
    }
