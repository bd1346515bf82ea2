"""Points in standard deviations from the centre in; which of them break one of Nelson's eight rules out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cathode_tf.errors import InputError

RULES = {
    1: "beyond the limits",
    2: "nine in a row on one side of the centre",
    3: "six in a row rising or falling",
    4: "fourteen in a row up and down by turns",
    5: "two of three beyond 2 standard deviations on one side",
    6: "four of five beyond 1 standard deviation on one side",
    7: "fifteen in a row within 1 standard deviation",
    8: "eight in a row beyond 1 standard deviation on either side",
}
"""The rules by number; an alarm is at the last point of its run. Nelson, J. Qual. Technol. 16 (1984) 237."""


def broken(z: np.ndarray, rule: int, limit: float = 3.0) -> np.ndarray:
    """Where a rule is broken.

    Args:
        z: (..., n) points in standard deviations from the centre; each row of the last axis is a series.
        rule: 1-8.
        limit: Of rule 1, in standard deviations.

    Returns:
        (..., n) Boolean.

    Raises:
        InputError: If there is no such rule.

    Example:
        >>> broken(np.array([0, 2.1, 0.5, 2.2, 3.5]), 5).tolist()  # 2.1 and 2.2 of three, then 2.2 and 3.5
        [False, False, False, True, True]
    """
    if rule not in RULES:
        raise InputError(f"rule: must be 1 to 8. Received {rule}.")
    z = np.asarray(z, float)
    tests: dict[int, Callable[[], np.ndarray]] = {
        1: lambda: np.abs(z) > limit,
        2: lambda: _run(z > 0, 9, 9) | _run(z < 0, 9, 9),
        3: lambda: _run(_step(z) > 0, 5, 5) | _run(_step(z) < 0, 5, 5),
        4: lambda: _run(_step(z) * _step(_shifted(z)) < 0, 12, 12),
        5: lambda: _run(z > 2, 2, 3) & (z > 2) | _run(z < -2, 2, 3) & (z < -2),
        6: lambda: _run(z > 1, 4, 5) & (z > 1) | _run(z < -1, 4, 5) & (z < -1),
        7: lambda: _run(np.abs(z) < 1, 15, 15),
        8: lambda: _run(np.abs(z) > 1, 8, 8),
    }
    return tests[rule]()


def _run(flags: np.ndarray, least: int, of: int) -> np.ndarray:
    """Where at least `least` of the last `of` flags are set."""
    sums = np.cumsum(flags, axis=-1)
    before = np.zeros_like(sums)
    before[..., of:] = sums[..., :-of]
    result = sums - before >= least
    result[..., : least - 1] = False
    return result


def _step(z: np.ndarray) -> np.ndarray:
    """Change to each point from the one before; 0 at the first."""
    return np.diff(z, axis=-1, prepend=z[..., :1])


def _shifted(z: np.ndarray) -> np.ndarray:
    return np.concatenate([z[..., :1], z[..., :-1]], axis=-1)
