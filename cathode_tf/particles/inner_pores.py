"""A phase in, the same phase with the pores inside its particles filled, out: what their outlines alone say.

A pore inside a particle must not part it, as the space that touching particles enclose must. An inner pore lies deep
for its size, and with it filled there is room for a larger circle than before; between particles there is not.
"""

from __future__ import annotations

import cv2
import numpy as np

DEEP = 2.5
"""Distance of an inner pore from the outline over its radius, at least."""
GROWTH = 1.05
"""By how much filling an inner pore lets the largest inscribed circle there grow, at least."""
AROUND = 1.25
"""How far to look for a circle that was there before, in radii of the grown one; a touching particle begins at 1."""
AREAS_PX = (20, 100, 500, 2500, 12500)
"""Pores are filled from small to large, as a larger one must not hide how deep a small one lies."""
CLIMB_PX = 3


def fill_inner_pores(solid: np.ndarray) -> np.ndarray:
    """The phase with the pores inside its particles filled.

    Args:
        solid: Boolean array (height, width), the phase.

    Returns:
        Boolean array (height, width).

    Example:
        >>> solid = np.zeros((60, 60), np.uint8)
        >>> _ = cv2.circle(solid, (30, 30), 25, 1, -1), cv2.circle(solid, (30, 36), 2, 0, -1)
        >>> bool(fill_inner_pores(solid > 0)[36, 30])
        True
    """
    height, width = solid.shape
    number, pores, stats, _ = cv2.connectedComponentsWithStats((~solid).astype(np.uint8), connectivity=8)
    left, top, wide, high, area = stats.T
    enclosed = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
    enclosed[0] = False
    filled, before = solid, _distance(solid)
    for smaller, at_most in zip((0, *AREAS_PX), AREAS_PX, strict=False):
        tried = enclosed & (area > smaller) & (area <= at_most)
        if not tried.any():
            continue
        places = np.flatnonzero(tried[pores])
        after = _distance(filled | tried[pores])
        # The deepest pixel of each pore comes last and stays.
        places = places[np.argsort(after.ravel()[places], kind="stable")]
        centre = np.zeros(number, np.int64)
        centre[pores.ravel()[places]] = places
        deep = after.ravel()[centre] >= DEEP * np.sqrt(area / np.pi)
        inner = np.flatnonzero(tried & deep)
        inner = inner[_grows(centre[inner], before, after)]
        if len(inner):
            filled = filled | np.isin(pores, inner)
            before = _distance(filled)
    return filled


def _distance(solid: np.ndarray) -> np.ndarray:
    distance = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.minimum(distance, float(np.hypot(*solid.shape)))


def _grows(places: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Whether the circle uphill of each place is larger than all that were around it before."""
    height, width = after.shape
    row, column = np.divmod(places, width)
    step = np.arange(-CLIMB_PX, CLIMB_PX + 1)
    while True:
        rows = np.clip(row[:, None] + step, 0, height - 1)
        columns = np.clip(column[:, None] + step, 0, width - 1)
        around = after[rows[:, :, None], columns[:, None, :]].reshape(len(places), len(step) ** 2)
        best = around.argmax(1)
        higher = around.max(1) > after[row, column]
        if not higher.any():
            break
        i = np.arange(len(places))
        row = np.where(higher, rows[i, best // len(step)], row)
        column = np.where(higher, columns[i, best % len(step)], column)
    peaks, which = np.unique(row * width + column, return_inverse=True)
    grown = [
        _largest_near(before, int(peak) // width, int(peak) % width, AROUND * float(after.flat[peak]))
        for peak in peaks
    ]
    return (after.ravel()[peaks] >= GROWTH * np.array(grown))[which.ravel()]


def _largest_near(distance: np.ndarray, row: int, column: int, radius: float) -> float:
    """Largest distance within a circle."""
    reach = int(radius)
    top, left = max(row - reach, 0), max(column - reach, 0)
    box = distance[top : row + reach + 1, left : column + reach + 1]
    rows, columns = np.ogrid[top : top + box.shape[0], left : left + box.shape[1]]
    return float(box[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2].max())
