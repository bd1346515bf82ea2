"""A picture in, the scale bar or the ruler that seems to be drawn in it out: where it lies, and how long it is.

What a bar is worth stands beside it in letters, which nobody reads here: a pixel size is never taken from a picture,
but whoever looks at one is told that it has a bar and how to give its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_LENGTH = 0.02
MOST_LENGTH = 0.7
"""Of the picture's width."""

LEAST_MARKS = 5
"""Fewer marks in one distance are letters by chance."""


@dataclass(frozen=True)
class Ruler:
    """A drawn bar, or a row of marks in one distance.

    Attributes:
        row, column: Where it begins.
        length_px: From its first to its last pixel, of marks from the first to the last.
        marks: How many there are; 0 for a bar.
    """

    row: int
    column: int
    length_px: int
    marks: int = 0


def find_ruler(pixels: np.ndarray) -> Ruler | None:
    """The longest scale bar, or else the ruler of most marks, in the lower quarter of a picture; None if there is none.

    A bar is a rectangle of the brightest level, or of the darkest with brighter ends, in at least two
    rows; marks are short
    runs of the brightest level in one distance, in at least three rows.

    Args:
        pixels: (height, width), any number type, its databar not cut.

    Example:
        >>> picture = np.full((100, 200), 90, np.uint8)
        >>> picture[90:93, 50:110] = 255
        >>> find_ruler(picture)
        Ruler(row=90, column=50, length_px=60, marks=0)
    """
    height, width = pixels.shape
    if height < 32 or width < 64:
        return None
    begin = height - height // 4
    lower = pixels[begin:]
    low, high = float(lower.min()), float(lower.max())
    if high <= low:
        return None
    bright = lower >= high - 0.02 * (high - low)
    bars = [*_bars(bright, width, height)]
    if not bars and bright.mean() > 0.5:  # black on white
        bars = [*_bars(lower <= low + 0.02 * (high - low), width, height)]
    if bars:
        best = max(bars, key=lambda bar: bar.length_px)
        return Ruler(begin + best.row, best.column, best.length_px)
    marks = _marks(bright, width)
    return None if marks is None else Ruler(begin + marks.row, marks.column, marks.length_px, marks.marks)


def _runs(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of true begin, and the first place behind each."""
    edges = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0))
    return edges[::2], edges[1::2]


def _bars(inside: np.ndarray, width: int, height: int) -> list[Ruler]:
    """Rectangles that are much wider than high: runs that begin and end alike in rows one below the other."""
    found: list[Ruler] = []
    open_: dict[tuple[int, int], int] = {}
    for index, row in enumerate([*inside, np.zeros(inside.shape[1], bool)]):
        starts, ends = _runs(row)
        here = {
            (int(a), int(b))
            for a, b in zip(starts, ends, strict=True)
            if LEAST_LENGTH <= (b - a) / width <= MOST_LENGTH
        }
        for run in [run for run in open_ if run not in here]:
            first = open_.pop(run)
            rows = index - first
            if (
                2 <= rows <= max(4, height // 25)
                and run[1] - run[0] >= 2 * rows
                and run[0] > 0
                and run[1] < width
            ):
                found.append(Ruler(first, run[0], run[1] - run[0]))
        for run in here:
            open_.setdefault(run, index)
    return found


def _marks(inside: np.ndarray, width: int) -> Ruler | None:
    best: Ruler | None = None
    before: tuple[int, ...] = ()
    alike = 1
    for index, row in enumerate(inside):
        starts, ends = _runs(row)
        places = tuple(starts[ends - starts <= max(3, width // 160)].tolist())
        alike = alike + 1 if places and places == before else 1
        before = places
        if alike < 3 or len(places) < LEAST_MARKS:
            continue
        column, count, distance = _longest_row_of_marks(np.array(places))
        length = (count - 1) * distance
        if count >= LEAST_MARKS and length >= 0.2 * width and (best is None or count > best.marks):
            best = Ruler(index - alike + 1, column, round(length), count)
    return best


def _longest_row_of_marks(places: np.ndarray) -> tuple[int, int, float]:
    """(first place, number, distance) of the longest series of places in one distance, to two pixels."""
    best = (int(places[0]), 1, 0.0)
    for start in range(len(places) - 1):
        end = start + 1
        while (
            end + 1 < len(places)
            and abs((places[end + 1] - places[end]) - (places[start + 1] - places[start])) <= 2
        ):
            end += 1
        if end - start + 1 > best[1]:
            best = (int(places[start]), end - start + 1, (places[end] - places[start]) / (end - start))
    return best
