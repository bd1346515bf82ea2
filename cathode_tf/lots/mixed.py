"""Responses with known measurement variances, factors and lots in; effects with intervals, lots being random, out.

y = X b + lot + sheet + measurement: the lots' and the rows' own variances are estimated (REML), the measurement's is
known for each row. No library has the last, so the likelihood is here; it is tested against statsmodels without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from cathode_tf.errors import InputError


@dataclass(frozen=True)
class MixedFit:
    """A fitted model.

    Attributes:
        beta: (p,) coefficients.
        covariance: (p, p) theirs, with the residual scatter counted in.
        dof: (p,) degrees of freedom of each.
        lot_sd: Standard deviation between lots beyond the factors; NaN where lots cannot be told from rows.
        row_sd: Standard deviation between rows (sheets) of a lot, the measurement taken off.
        deviance: -2 log restricted likelihood.
        variances: (n,) total variance of each row.
        residuals: (n,) y - X b.
        lots, rows: How many.
    """

    beta: np.ndarray
    covariance: np.ndarray
    dof: np.ndarray
    lot_sd: float
    row_sd: float
    deviance: float
    variances: np.ndarray
    residuals: np.ndarray
    lots: int
    rows: int

    def interval(self, weights: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
        """Value of a combination w b, its standard uncertainty, and half its interval."""
        w = np.asarray(weights, float)
        u = math.sqrt(max(float(w @ self.covariance @ w), 0.0))
        used = np.flatnonzero(w)
        dof = float(self.dof[used].min()) if len(used) else float(self.dof.min())
        return float(w @ self.beta), u, float(stats.t.ppf(0.5 + level / 2, dof)) * u


def fit_mixed(y: np.ndarray, x: np.ndarray, u: np.ndarray, lots: np.ndarray) -> MixedFit:
    """Fit by restricted maximum likelihood.

    Where each lot has one row, this is random-effects meta-regression, and the covariance is scaled by the weighted
    residual scatter (Knapp and Hartung); with several rows, a coefficient has the degrees of freedom of the level at
    which its column varies.

    Args:
        y: (n,) responses.
        x: (n, p) columns, of full rank.
        u: (n,) standard uncertainties of the measurement, 0 where it is exact.
        lots: (n,) what is random together.

    Raises:
        InputError: If there are fewer than 2 lots more than columns, or a column follows from others.

    Reference:
        Patterson and Thompson, Biometrika 58 (1971) 545; Knapp and Hartung, Stat. Med. 22 (2003) 2693.
    """
    y, x, u = np.asarray(y, float), np.asarray(x, float), np.asarray(u, float)
    index = np.unique(lots, return_inverse=True)[1]
    number, p = int(index.max()) + 1, x.shape[1]
    if number < p + 2:
        raise InputError(f"causes: {p} coefficients need at least {p + 2} lots. Received {number}.")
    norms = np.maximum(np.linalg.norm(x, axis=0), 1e-300)
    if np.linalg.matrix_rank(x / norms, tol=1e-8) < p:
        raise InputError("causes: the columns of the model must be independent. Some say the same.")
    scale = float(np.var(y)) or 1.0
    single = number == len(y)
    problem = _Problem(y, x, u**2, index, number)
    if single:
        found = _line(lambda v: problem.deviance(0.0, v), scale)
        lot_variance, row_variance = 0.0, found
    else:
        lot_variance, row_variance = _plane(problem, scale)
    beta, covariance, residual, d = problem.solve(lot_variance, row_variance)
    if single:
        spread = float((residual**2 / d).sum()) / (len(y) - p)
        covariance = covariance * spread
        dof = np.full(p, float(number - p))
    else:
        dof = _dof(x, index, number)
    return MixedFit(
        beta, covariance, dof, math.nan if single else math.sqrt(lot_variance), math.sqrt(row_variance),
        problem.deviance(lot_variance, row_variance), d + lot_variance, residual, number, len(y),
    )  # fmt: skip


class _Problem:
    """V = lot_variance 1 1' within lots + diag(row_variance + u^2), inverted lot by lot (Sherman and Morrison)."""

    def __init__(self, y: np.ndarray, x: np.ndarray, u2: np.ndarray, index: np.ndarray, number: int) -> None:
        self.y, self.x, self.u2, self.index, self.number = y, x, u2, index, number
        self.floor = 1e-12 * (float(np.var(y)) or 1.0)

    def _sums(self, values: np.ndarray) -> np.ndarray:
        if values.ndim == 1:
            return np.bincount(self.index, values, self.number)
        return np.stack([np.bincount(self.index, column, self.number) for column in values.T], axis=1)

    def solve(self, a: float, b: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients, covariance, residuals, variances of the rows without the lots'."""
        d = np.maximum(b + self.u2, self.floor)
        c = a / (1 + a * self._sums(1 / d))
        xd = self.x / d[:, None]
        sx, sy = self._sums(xd), self._sums(self.y / d)
        information = self.x.T @ xd - (sx * c[:, None]).T @ sx
        right = xd.T @ self.y - (sx * c[:, None]).T @ sy
        covariance = np.linalg.inv(information)
        beta = covariance @ right
        return beta, covariance, self.y - self.x @ beta, d

    def deviance(self, a: float, b: float) -> float:
        """-2 log restricted likelihood, but for a constant."""
        _, covariance, r, d = self.solve(a, b)
        s = self._sums(1 / d)
        sr = self._sums(r / d)
        quadratic = float((r**2 / d).sum() - (a / (1 + a * s) * sr**2).sum())
        return float(np.log(d).sum() + np.log1p(a * s).sum() - np.linalg.slogdet(covariance)[1]) + quadratic


def _line(deviance, scale: float) -> float:
    """The variance >= 0 that makes the deviance least."""
    grid = np.concatenate([[0.0], scale * np.geomspace(1e-6, 10, 25)])
    values = [deviance(v) for v in grid]
    best = int(np.argmin(values))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(
        deviance, bounds=(low, high), method="bounded", options={"xatol": 1e-9 * scale}
    )
    return float(found.x) if found.fun < values[best] else float(grid[best])


def _plane(problem: _Problem, scale: float) -> tuple[float, float]:
    best = None
    for start in ((0.5, 0.5), (0.05, 0.5), (0.5, 0.05)):
        found = optimize.minimize(
            lambda v: problem.deviance(v[0] ** 2 * scale, v[1] ** 2 * scale),
            np.sqrt(start),
            method="Nelder-Mead",
            options={"xatol": 1e-5, "fatol": 1e-7, "maxiter": 400},
        )
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    return float(best.x[0] ** 2 * scale), float(best.x[1] ** 2 * scale)


def _dof(x: np.ndarray, index: np.ndarray, number: int) -> np.ndarray:
    """Of each column: lots - columns between lots, or rows - lots - columns within."""
    within = np.array(
        [any(np.ptp(x[index == lot, column]) > 0 for lot in range(number)) for column in range(x.shape[1])]
    )
    between = max(number - int((~within).sum()), 1)
    inner = max(len(x) - number - int(within.sum()), 1)
    return np.where(within, inner, between).astype(float)
