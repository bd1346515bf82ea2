"""What both corrections of a phase fraction share: sums by unit of replication, and uncertainties put together.

The two designs must not be mixed up: `reference_points` (labelled on these images) and `transfer` (error rates of a
test set).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from cathode_tf.statistics.estimate import LEVEL, NO_INTERVAL, Estimate, quantity
from cathode_tf.statistics.fractions import sum_by_group


def by_unit(
    numerators: np.ndarray, denominators: np.ndarray, units: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Both, added up over the images of each unit; as they are without units."""
    if units is None:
        return numerators, denominators
    return sum_by_group(numerators, units), sum_by_group(denominators, units)


def combined(
    value: float,
    between: Estimate,
    others: Mapping[str, tuple[float, float]],
    *,
    method: str,
    reference: str,
) -> Estimate:
    """A fraction with independent uncertainties (u, degrees of freedom) by source, t at Welch's dof."""
    parts = {name: (u, between.n - 1) for name, u in between.components.items()} | dict(others)
    variance = sum(u**2 for u, _ in parts.values())
    dof = variance**2 / (sum(u**4 / dof for u, dof in parts.values()) or 1) if variance else 1.0
    half = float(stats.t.ppf(0.5 + LEVEL / 2, max(dof, 1))) * math.sqrt(variance)
    flags = {}
    if NO_INTERVAL in between.flags:
        flags["NO_BETWEEN_IMAGES"] = f"the interval leaves out the batch: {between.flags[NO_INTERVAL]}"
    return quantity(
        min(max(value, 0.0), 1.0),
        half,
        bounds=(0, 1),
        n=between.n,
        unit_of_replication=between.unit_of_replication,
        method=method,
        reference=reference,
        components={name: u for name, (u, _) in parts.items()},
        flags=flags,
    )
