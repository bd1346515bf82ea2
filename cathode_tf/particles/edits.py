"""A label image and what a person drew on it in; the label image with particles split, merged or redrawn out.

The label image that comes in stays as it is, so that undoing an edit is keeping it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from cathode_tf.errors import InputError

Points = np.ndarray
"""(n, 2) of (row, column), the stroke as it was drawn."""


def split(labels: np.ndarray, stroke: Points) -> np.ndarray:
    """Cut every particle that the stroke crosses from side to side.

    Pixels on the line join the piece that they lie nearest to; the largest piece keeps the number, others get new ones.

    Args:
        labels: int32 (height, width), 0 = none.
        stroke: (n, 2) of (row, column), n >= 2.

    Raises:
        InputError: If the stroke parts no particle.

    Example:
        >>> labels = np.ones((6, 10), np.int32)
        >>> split(labels, np.array([(-1, 4), (7, 4)]))[0, [0, 3, 5, 9]].tolist()
        [2, 2, 1, 1]
    """
    line = _drawn(labels.shape, stroke, 1)
    result = labels.copy()
    following = int(labels.max(initial=0)) + 1
    for number in np.unique(labels[line]):
        if number == 0:
            continue
        window = _window(labels, number)
        inside = labels[window] == number
        cut = line[window] & inside
        count, pieces = cv2.connectedComponents((inside & ~cut).astype(np.uint8), connectivity=4)
        before, _ = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4)
        if count <= before:
            continue
        area = np.bincount(pieces.ravel(), minlength=count)
        area[0] = 0
        order = np.argsort(-area, kind="stable")
        numbers = np.zeros(count, np.int32)
        numbers[order[: count - 1]] = [number, *range(following, following + count - 2)]
        following += count - 2
        part = numbers[pieces]
        part[cut] = _nearest(part)[cut]
        result[window][inside] = part[inside]
    if following == int(labels.max(initial=0)) + 1:
        raise InputError("stroke: must cross a particle from side to side. Received one that parts none.")
    return result


def merge(labels: np.ndarray, stroke: Points) -> np.ndarray:
    """Make one particle of all that the stroke runs over.

    Args:
        labels: int32 (height, width), 0 = none.
        stroke: (n, 2) of (row, column).

    Raises:
        InputError: If the stroke runs over fewer than two particles.

    Example:
        >>> merge(np.array([[1, 1, 2, 3]], np.int32), np.array([(0, 0), (0, 2)])).tolist()
        [[1, 1, 1, 3]]
    """
    touched = np.unique(labels[_drawn(labels.shape, stroke, 1)])
    touched = touched[touched > 0]
    if len(touched) < 2:
        raise InputError(f"stroke: must run over two particles or more. Received one over {len(touched)}.")
    return np.where(np.isin(labels, touched), touched[0], labels).astype(np.int32)


def redraw(labels: np.ndarray, stroke: Points) -> np.ndarray:
    """A new particle where the stroke, closed, goes around; it takes the pixels from whatever had them.

    What it leaves of another particle in pieces stays that particle.

    Args:
        labels: int32 (height, width), 0 = none.
        stroke: (n, 2) of (row, column), n >= 3.

    Raises:
        InputError: If the stroke surrounds no pixel.

    Example:
        >>> redraw(np.zeros((3, 4), np.int32), np.array([(0, 1), (0, 2), (2, 2), (2, 1)])).tolist()
        [[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    """
    if len(_points(stroke)) < 3:
        raise InputError(f"stroke: must go around, by 3 points or more. Received {len(stroke)}.")
    inside = np.zeros(labels.shape, np.uint8)
    cv2.fillPoly(inside, [_points(stroke)[:, ::-1]], 1)
    if not inside.any():
        raise InputError("stroke: must go around pixels of the image. Received one beside it.")
    return np.where(inside > 0, int(labels.max(initial=0)) + 1, labels).astype(np.int32)


EDITS: dict[str, Callable[[np.ndarray, Points], np.ndarray]] = {
    "split": split,
    "merge": merge,
    "redraw": redraw,
}


def _points(stroke: Points) -> np.ndarray:
    points = np.asarray(stroke, np.float64)
    if points.ndim != 2 or points.shape[1:] != (2,) or not np.isfinite(points).all() or not len(points):
        raise InputError(f"stroke: must be points (row, column). Received an array {points.shape}.")
    if np.abs(points).max() > 1e6:
        raise InputError("stroke: must lie on the image. Received points a million pixels away.")
    return np.rint(points).astype(np.int32)


def _drawn(shape: tuple[int, ...], stroke: Points, width: int) -> np.ndarray:
    """The pixels of the stroke; corners that touch are closed, so that the line parts what it crosses."""
    line = np.zeros(shape, np.uint8)
    cv2.polylines(line, [_points(stroke)[:, ::-1]], False, 1, width, cv2.LINE_4)
    return line > 0


def _window(labels: np.ndarray, number: int) -> tuple[slice, slice]:
    rows, columns = np.nonzero(labels == number)
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def _nearest(part: np.ndarray) -> np.ndarray:
    """At each pixel the number of the nearest piece."""
    _, nearest = cv2.distanceTransformWithLabels(
        (part == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of = np.zeros(int(nearest.max()) + 1, np.int32)
    of[nearest[part > 0]] = part[part > 0]
    return of[nearest]
