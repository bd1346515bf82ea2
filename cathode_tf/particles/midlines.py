"""Gaps as labels in, the length of the midline of each out: thinned, traced, cleared of spurs, and led on to its ends.

Counting steps from pixel to pixel is off by up to 5 % with the direction, and a blunt end splits the thinned line in
two; so each stretch is traced and smoothed, side arms no longer than the gap is wide are left out, and what thinning
took off a loose end is measured on the gap itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import uniform_filter1d
from skimage.morphology import skeletonize

SMOOTH = 3
"""Pixels of a traced line that are averaged."""
SPUR = 1.6
"""A side arm is none if it is no longer than this times half the width where it leaves."""
LOOSE, RING = -1, -2
STEPS = [(-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)]


@dataclass
class _Stretch:
    """A traced piece: its pixels, and the junction at either end, or what else is there."""

    points: np.ndarray
    ends: tuple[int, int]


def midlines(labels: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Length of the midline of each label (px), all its branches together, of how many stretches it is, and how uneven.

    Args:
        labels: int32 (height, width), 0 = none.
        number: Labels are below it.

    Returns:
        float (number,) and int (number,), by label; and float (number,), the standard deviation of the width along the
        midline over its mean: 0 for a gap of one width, a third or more for pores that grew together.

    Example:
        >>> rows, columns = np.mgrid[:100, :100]
        >>> line = np.abs(0.9 * (rows - 50) - 0.44 * (columns - 50)) < 3  # 6 wide, at 26 degrees
        >>> line &= np.abs(0.44 * (rows - 50) + 0.9 * (columns - 50)) < 30  # 60 long, blunt ends
        >>> lengths, stretches, uneven = midlines(line.astype(np.int32), 2)
        >>> bool(abs(lengths[1] - 60) < 2), int(stretches[1]), bool(uneven[1] < 0.2)
        (True, 1, True)
    """
    lengths, stretches = np.zeros(number), np.zeros(number, int)
    if not labels.any():
        return lengths, stretches, np.zeros(number)
    padded = np.pad(labels, 1)
    inside = ((padded > 0) & ~_meets_at_corner(padded)).astype(np.uint8)
    half = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    thin = skeletonize(inside > 0, method="lee") > 0
    for stretch in _without_spurs(_traced(thin), half):
        label = int(padded[tuple(stretch.points[0])])
        lengths[label] += _length(stretch.points)
        stretches[label] += 1
        for end, points in zip(stretch.ends, (stretch.points[::-1], stretch.points), strict=True):
            if end == LOOSE:
                lengths[label] += _beyond(points, padded, half, label)
    return lengths, stretches, _unevenness(padded[thin], half[thin], number)


def _meets_at_corner(labels: np.ndarray) -> np.ndarray:
    """Pixels whose upper corners meet another gap's: with them, thinning would run from one gap into the other."""
    meets = np.zeros(labels.shape, bool)
    for above, below in (np.s_[:-1, :-1], np.s_[1:, 1:]), (np.s_[:-1, 1:], np.s_[1:, :-1]):
        meets[below] |= (labels[above] != labels[below]) & (labels[above] > 0) & (labels[below] > 0)
    return meets


def _unevenness(labels: np.ndarray, half: np.ndarray, number: int) -> np.ndarray:
    """Standard deviation over mean of the half widths, by label."""
    count, total, squares = (
        np.bincount(labels, weights, minlength=number) for weights in (None, half, half.astype(float) ** 2)
    )
    mean = total / np.maximum(count, 1)
    return np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0)) / np.maximum(mean, 1e-9)


def _traced(thin: np.ndarray) -> list[_Stretch]:
    """The thinned lines as stretches between junctions and loose ends."""
    width = thin.shape[1]
    flat = np.flatnonzero(thin)
    places = set(flat.tolist())
    steps = [row * width + column for row, column in STEPS]

    def around(place: int) -> list[int]:
        near = [place + step for step in steps[:4] if place + step in places]
        for (row, column), step in zip(STEPS[4:], steps[4:], strict=True):
            # A diagonal beside a straight detour is no way of its own.
            if place + step in places and not (place + row * width in places or place + column in places):
                near.append(place + step)
        return near

    ways = {place: around(place) for place in places}
    junctions = {place: number for number, place in enumerate(p for p in flat.tolist() if len(ways[p]) > 2)}
    paths: list[list[int]] = []
    seen: set[int] = set()
    begun: set[tuple[int, int]] = set()

    def walked(start: int, first: int) -> list[int]:
        path = [start, first]
        while path[-1] not in junctions and path[-1] != start:
            onward = [place for place in ways[path[-1]] if place != path[-2]]
            if not onward:
                break
            path.append(onward[0])
        begun.update([(start, first), (path[-1], path[-2])])
        seen.update(path)
        return path

    loose = [place for place in flat.tolist() if len(ways[place]) == 1]
    for start in [*junctions, *loose]:
        paths += [walked(start, first) for first in ways[start] if (start, first) not in begun]
    for start in flat.tolist():
        if start not in seen:
            # What neither ends nor branches is a ring, or a single pixel.
            paths.append(walked(start, ways[start][0]) if ways[start] else [start])
    return [
        _Stretch(
            np.column_stack(np.divmod(np.array(path), width)),
            (
                (RING, RING)
                if len(path) > 2 and path[0] == path[-1] and path[0] not in junctions
                else (junctions.get(path[0], LOOSE), junctions.get(path[-1], LOOSE))
            ),
        )
        for path in paths
    ]


def _without_spurs(stretches: list[_Stretch], half: np.ndarray) -> list[_Stretch]:
    """The stretches without side arms that stand for the width of the gap, not for a branch."""
    kept: list[_Stretch] = []
    arms: dict[int, list[_Stretch]] = {}
    for stretch in stretches:
        loose = [k for k in (0, 1) if stretch.ends[k] == LOOSE]
        held = [k for k in (0, 1) if stretch.ends[k] >= 0]
        if len(loose) == 1 and held:
            at = stretch.points[0 if held[0] == 0 else -1]
            if _length(stretch.points) <= SPUR * half[tuple(at)] + 1:
                arms.setdefault(stretch.ends[held[0]], []).append(stretch)
                continue
        kept.append(stretch)
    # Where only one stretch is left at a junction, it ends there.
    left = Counter(end for stretch in kept for end in stretch.ends)
    for stretch in kept:
        first, last = (LOOSE if end in arms and left[end] == 1 else end for end in stretch.ends)
        stretch.ends = first, last
    lone = {end for end in arms if left[end] == 0}
    # A short gap may be nothing but arms: the longest stands for it.
    kept += [
        _Stretch(longest.points, (LOOSE, LOOSE))
        for end in lone
        for longest in [max(arms[end], key=lambda arm: len(arm.points))]
    ]
    return kept


def _length(points: np.ndarray) -> float:
    if len(points) < 2:
        return 0.0
    size = min(SMOOTH, len(points) if len(points) % 2 else len(points) - 1)
    smooth = uniform_filter1d(points.astype(float), size, axis=0, mode="nearest")
    smooth[0], smooth[-1] = points[0], points[-1]
    return float(np.hypot(*np.diff(smooth, axis=0).T).sum())


def _beyond(points: np.ndarray, labels: np.ndarray, half: np.ndarray, label: int) -> float:
    """How far the gap goes on beyond the last of these points, in their direction, px."""
    end = points[-1]
    radius = float(half[tuple(end)])
    back = points[max(0, len(points) - 1 - max(6, round(2 * radius)))]
    ahead = (end - back).astype(float)
    if not ahead.any():
        # A point: half of what there is lies to either side.
        return radius
    ahead /= np.hypot(*ahead)
    reach = int(np.ceil(2 * radius)) + 2
    top, left = (max(int(value) - reach, 0) for value in end)
    rows, columns = np.nonzero(labels[top : end[0] + reach + 1, left : end[1] + reach + 1] == label)
    away = np.column_stack([rows + top - end[0], columns + left - end[1]]).astype(float)
    along = away @ ahead
    across = np.abs(away @ np.array([-ahead[1], ahead[0]]))
    middle = along[(across <= max(radius / 2, 0.75)) & (along >= 0)]
    return float(middle.max(initial=0)) + 0.5
