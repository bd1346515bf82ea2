"""Line loads and porosities in; the law of calendering with its limit out.

Porosity falls with line load q towards a limit that no load passes: e = e_min + (e_0 - e_min) exp(-q / gamma).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats

from cathode_tf.errors import InputError
from cathode_tf.statistics import Estimate

MEYER = "Meyer et al., J. Mater. Process. Technol. 249 (2017) 172"
METHOD = "exponential law of calendering, weighted least squares"


@dataclass(frozen=True)
class CalenderingFit:
    """The law, fitted.

    Attributes:
        limit: e_min, towards which it falls (or rises).
        start: e_0, at no load.
        gamma: Load over which 63 % of the way is gone.
        deviance: n log(weighted residual sum) for comparing forms.
        coefficients: Of limit, way, and the other columns.
        covariance: Theirs, and that of gamma last.
        variance_factor: Weighted residual scatter.
    """

    limit: Estimate
    start: Estimate
    gamma: Estimate
    deviance: float
    coefficients: np.ndarray
    covariance: np.ndarray
    variance_factor: float

    def curve(self, load: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Value and half 95 % interval at each load, the other columns at their mean."""
        load = np.asarray(load, float)
        gamma, way = float(self.gamma.value or 1), self.coefficients[1]
        falling = np.exp(-load / gamma)
        others = np.zeros((len(load), len(self.coefficients) - 2))
        gradient = np.column_stack([np.ones(len(load)), falling, others, way * falling * load / gamma**2])
        half = 1.96 * np.sqrt(np.einsum("ij,jk,ik->i", gradient, self.covariance, gradient))
        return self.coefficients[0] + way * falling, half


def fit_calendering(
    load: np.ndarray,
    values: np.ndarray,
    variances: np.ndarray,
    *,
    others: np.ndarray | None = None,
    unit: str = "",
    load_unit: str = "",
) -> CalenderingFit:
    """Fit y = e_min + way exp(-q / gamma) + others b.

    For each gamma the rest is linear; gamma makes the weighted squares least, and its interval holds all gamma whose
    squares are within F(1, n - p) of that. Limit and start: by the linearised covariance.

    Args:
        load: (n,) line loads, 0 or above.
        values: (n,) porosities, or what else saturates.
        variances: (n,) of the values, up to a factor.
        others: (n, k) further columns, centred.
        unit, load_unit: Of values and loads.

    Raises:
        InputError: If there are fewer than 4 different loads.

    Example:
        >>> q = np.array([0, 50, 100, 200, 400.0])
        >>> found = fit_calendering(q, 0.2 + 0.25 * np.exp(-q / 100), np.ones(5) * 1e-6)
        >>> round(found.limit.value, 3), round(found.start.value, 3), round(found.gamma.value, 1)
        (0.2, 0.45, 100.0)

    Reference:
        Meyer et al., J. Mater. Process. Technol. 249 (2017) 172.
    """
    q, y = np.asarray(load, float), np.asarray(values, float)
    others = np.zeros((len(q), 0)) if others is None else np.asarray(others, float)
    p = 3 + others.shape[1]
    if len(np.unique(q)) < 4 or len(q) < p + 1:
        raise InputError(
            f"the exponential law: needs 4 different loads and {p + 1} lots. Received {len(np.unique(q))} and {len(q)}."
        )
    root = 1 / np.sqrt(np.maximum(variances, 1e-300))

    def solved(gamma: float) -> tuple[float, np.ndarray]:
        x = np.column_stack([np.ones(len(q)), np.exp(-q / gamma), others]) * root[:, None]
        beta, *_ = np.linalg.lstsq(x, y * root, rcond=None)
        residual = y * root - x @ beta
        return float(residual @ residual), beta

    span = float(np.ptp(q))
    grid = np.geomspace(span / 50, span * 20, 120)
    squares = np.array([solved(gamma)[0] for gamma in grid])
    best = int(squares.argmin())
    found = optimize.minimize_scalar(
        lambda g: solved(math.exp(g))[0],
        bounds=(math.log(grid[max(best - 1, 0)]), math.log(grid[min(best + 1, len(grid) - 1)])),
        method="bounded",
        options={"xatol": 1e-10},
    )
    gamma = math.exp(found.x)
    least, beta = solved(gamma)
    dof = len(q) - p
    factor = least / dof
    allowed = least + factor * float(stats.f.ppf(0.95, 1, dof))
    inside = np.flatnonzero(squares <= allowed)
    low = grid[max(inside.min() - 1, 0)] if len(inside) else gamma
    high = grid[min(inside.max() + 1, len(grid) - 1)] if len(inside) else gamma
    open_end = len(inside) > 0 and (inside.max() == len(grid) - 1 or inside.min() == 0)
    falling = np.exp(-q / gamma)
    jacobian = np.column_stack([np.ones(len(q)), falling, others, beta[1] * falling * q / gamma**2])
    weighted = jacobian * root[:, None]
    covariance = np.linalg.pinv(weighted.T @ weighted) * factor
    t = float(stats.t.ppf(0.975, dof))
    fields: dict[str, Any] = {
        "n": len(q), "unit_of_replication": "lot", "method": METHOD, "reference": MEYER,
    }  # fmt: skip
    ends = np.zeros(len(covariance))
    ends[:2] = 1
    halves = [t * math.sqrt(max(covariance[0, 0], 0)), t * math.sqrt(max(float(ends @ covariance @ ends), 0))]
    limit, start = float(beta[0]), float(beta[0] + beta[1])
    flags = (
        {"NO_LIMIT": "the loads do not reach far enough to tell a limit: a straight line does as well"}
        if open_end
        else {}
    )
    return CalenderingFit(
        Estimate(limit, unit=unit, ci=(limit - halves[0], limit + halves[0]), flags=flags, **fields),
        Estimate(start, unit=unit, ci=(start - halves[1], start + halves[1]), **fields),
        Estimate(
            gamma, unit=load_unit, ci=None if open_end else (min(low, gamma), max(high, gamma)), flags=flags, **fields
        ),
        len(q) * math.log(max(least / len(q), 1e-300)),
        beta,
        covariance,
        factor,
    )  # fmt: skip
