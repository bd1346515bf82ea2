"""Values in the order of time in; where they changed, if they did, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

FEWEST = 14
"""Fewer values, however they lie, could not show it at that level."""
LEVEL = 0.02
"""So seldom a change is told where there is none."""


def changed_from(values: Sequence[float], *, level: float = LEVEL) -> int | None:
    """Index of the first value after a lasting change; None where there was none.

    Pettitt's test: the ranks before and after each place are compared, and the place is taken where they differ most.
    One odd value changes no rank sum by much, so it is no change.

    Args:
        values: In the order of time; fewer than `FEWEST` tell nothing.
        level: How seldom (0-1) a change shall be told where there is none.

    Example:
        >>> changed_from([3, 1, 2, 4, 2, 3, 1, 9, 8, 9, 7, 8, 9, 8]), changed_from([1, 2] * 9)
        (7, None)

    Reference:
        Pettitt, A non-parametric approach to the change-point problem, Applied Statistics 28 (1979) 126.
    """
    x = np.asarray(values, float)
    n = len(x)
    if n < FEWEST:
        return None
    signs = np.sign(x[:, None] - x[None, :]).sum(1)
    sums = np.abs(np.cumsum(signs)[:-1])
    place = int(sums.argmax())
    chance = 2 * np.exp(-6 * float(sums[place]) ** 2 / (n**3 + n**2))
    return place + 1 if chance < level else None


def drift(distances: Mapping[str, float]) -> str | None:
    """Where images begin to lie farther from what a model learned, or nearer to it; None where they do not.

    Args:
        distances: By the images' names, in the order of time.

    Example:
        >>> drift({f"i{k}": 0.4 + 0.3 * (k > 8) + 0.01 * (k % 3) for k in range(18)})
        'from i9 on images lie farther from what the model learned (median 0.71; 0.41 before)'
    """
    names, values = list(distances), list(distances.values())
    place = changed_from(values)
    if place is None:
        return None
    before, after = (float(np.median(part)) for part in (values[:place], values[place:]))
    way = "farther from" if after > before else "nearer to"
    return f"from {names[place]} on images lie {way} what the model learned (median {after:.2f}; {before:.2f} before)"
