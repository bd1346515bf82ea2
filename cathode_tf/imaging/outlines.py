"""A segmentation mask in, exact outlines of its connected parts out, along the edges of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Directions along pixel edges as (x, y), y down; each next one is a turn to the right.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


@dataclass(frozen=True)
class Outline:
    """A connected part (4 neighbours): an outer ring, and a ring for each hole.

    Attributes:
        outer: (n, 2) corners x, y, clockwise as seen on the screen.
        holes: The same for holes, counter-clockwise.
        area_px: Pixels of the part.
    """

    outer: np.ndarray
    holes: tuple[np.ndarray, ...]
    area_px: int

    def one_ring(self) -> np.ndarray:
        """Outer ring and holes as one closed line, for formats without holes.

        A cut of no width leads to each hole and back; filled by the even-odd rule it gives the same pixels.
        """
        points = [*self.outer, self.outer[0]]
        for hole in self.holes:
            points += [*hole, hole[0], self.outer[0]]
        return np.array(points[:-1] if not self.holes else points)


def trace(inside: np.ndarray) -> list[Outline]:
    """Outlines of the connected parts (4 neighbours) of a bool (height, width), by order of first pixel.

    Filling them (`fill_outline`) gives `inside` back to the pixel.

    Example:
        >>> part, = trace(np.ones((2, 3), bool))
        >>> part.outer.tolist()
        [[0, 0], [3, 0], [3, 2], [0, 2]]
    """
    from scipy import ndimage

    labels, count = ndimage.label(inside)
    if not count:
        return []
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    outer: dict[int, np.ndarray] = {}
    holes: dict[int, list[np.ndarray]] = {}
    for corners, label in _loops(inside, labels):
        x, y = corners[:, 0], corners[:, 1]
        doubled_area = int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
        if doubled_area > 0:
            outer[label] = corners
        else:
            holes.setdefault(label, []).append(corners)
    return [
        Outline(outer[label], tuple(holes.get(label, ())), int(areas[label])) for label in range(1, count + 1)
    ]


def _loops(inside: np.ndarray, labels: np.ndarray):
    """Closed walks along the boundary, object to the right, as (corners, label of the object)."""
    height, width = inside.shape
    padded = np.pad(inside, 1)
    here = padded[1:-1, 1:-1]
    # starts[d]: at this corner an edge of direction d begins; corners are (height + 1, width + 1).
    starts = np.zeros((4, height + 1, width + 1), bool)
    starts[0, :-1, :-1] = here & ~padded[:-2, 1:-1]  # upper edge, to the right
    starts[1, :-1, 1:] = here & ~padded[1:-1, 2:]  # right edge, down
    starts[2, 1:, 1:] = here & ~padded[2:, 1:-1]  # lower edge, to the left
    starts[3, 1:, :-1] = here & ~padded[1:-1, :-2]  # left edge, up
    stride = (height + 1) * (width + 1)
    edges = np.flatnonzero(starts)
    direction, corner = edges // stride, edges % stride
    head = corner + np.array([dx + dy * (width + 1) for dx, dy in _STEPS])[direction]
    following = np.full(edges.size, -1, np.int64)
    for turn in (3, 0, 1):  # left, straight, right: the last that exists wins, so that parts stay 4-connected
        wanted = (direction + turn) % 4 * stride + head
        place = np.minimum(np.searchsorted(edges, wanted), edges.size - 1)
        following = np.where(edges[place] == wanted, place, following)
    # The pixel to the right of an edge, from the corner where the edge starts.
    row, column = corner // (width + 1), corner % (width + 1)
    owner = labels[row - (direction >= 2), column - ((direction == 1) | (direction == 2))]
    is_corner = direction != direction[following]
    successor, bends = following.tolist(), is_corner.tolist()
    seen = bytearray(edges.size)
    heads = np.stack([head % (width + 1), head // (width + 1)], axis=1)
    for start in range(edges.size):
        if seen[start]:
            continue
        walk, edge = [], start
        while not seen[edge]:
            seen[edge] = 1
            if bends[edge]:
                walk.append(edge)
            edge = successor[edge]
        corners = heads[walk]
        yield np.roll(corners, 1, axis=0), int(owner[start])
