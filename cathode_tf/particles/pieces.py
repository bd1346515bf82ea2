"""A flooded image in; its pieces, and all that is known of the border between any two, out."""

from __future__ import annotations

import itertools

import cv2
import numpy as np

FEATURES = (
    "contact",
    "contact_logit",
    "gaps",
    "saddle",
    "neck",
    "length",
    "size",
    "size_ratio",
    "radius_ratio",
    "solidity",
    "solidity_least",
    "solidity_lost",
    "ellipse",
    "ellipse_lost",
    "step",
    "step_of_noise",
    "gradient",
    "brightness",
)
"""What is known of the border between two pieces, in this order; `border_features` says how."""
AREA, X, Y, XX, YY, XY, GREY, GREY2, GRADIENT = range(9)
HEIGHT, RADIUS = range(2)
LENGTH, CONTACT, LOW, EDGE_GRADIENT, EDGE_GREY = range(5)


class Pieces:
    """Pieces and the borders between them, which grow as pieces are joined.

    Args:
        basins: int (height, width), the pieces, 0 = none.
        height: float (height, width), what was flooded: high inside particles.
        contact: float (height, width), 0-1.
        grey: float (height, width), standardised in the particles; None where there is no micrograph.
    """

    def __init__(
        self, basins: np.ndarray, height: np.ndarray, contact: np.ndarray, grey: np.ndarray | None
    ) -> None:
        self.number = int(basins.max(initial=0)) + 1
        within = np.pad(basins > 0, 1, constant_values=True).astype(np.uint8)
        radius = cv2.distanceTransform(within, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        radius = np.minimum(radius, max(basins.shape))
        seen = np.zeros(basins.shape, np.float32) if grey is None else grey.astype(np.float32)
        smooth = cv2.GaussianBlur(seen, (0, 0), 1.0)
        gradient = np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1)) / 8
        runs = _Runs(basins)
        sums = [*runs.moments(), *(runs.total(values) for values in (seen, seen**2, gradient))]
        self.sums = np.column_stack(sums)
        self.tops = np.column_stack([runs.most(height), runs.most(radius)])
        self.hulls = runs.hulls()
        self.hull_area = np.array([_hull_area(hull) for hull in self.hulls])
        wide = cv2.dilate(contact.astype(np.float32), np.ones((3, 3), np.uint8))
        self.pairs, self.border_sums, self.border_tops = _borders(
            basins, wide, height, radius, gradient, seen
        )

    def features(self, borders: np.ndarray) -> np.ndarray:
        """Features (n, len(FEATURES)) of these borders, by index."""
        first, second = self.pairs[borders].T
        hull = np.array(
            [
                _hull_area(cv2.convexHull(np.concatenate([self.hulls[a], self.hulls[b]]))[:, 0])
                for a, b in zip(first.tolist(), second.tolist(), strict=True)
            ]
        )
        solidity = self.sums[:, AREA] / np.maximum(self.hull_area, 1)
        return border_features(
            self.border_sums[borders],
            self.border_tops[borders],
            (self.sums[first], self.sums[second]),
            (self.tops[first], self.tops[second]),
            (solidity[first], solidity[second]),
            hull,
        )

    def join(self, chosen: np.ndarray) -> np.ndarray:
        """Join the two sides of these borders, of which no two share a piece; returns the pieces that grew."""
        into = np.arange(self.number)
        keep, gone = self.pairs[chosen].T
        into[gone] = keep
        np.add.at(self.sums, keep, self.sums[gone])
        np.maximum.at(self.tops, keep, self.tops[gone])
        for a, b in zip(keep.tolist(), gone.tolist(), strict=True):
            self.hulls[a] = cv2.convexHull(np.concatenate([self.hulls[a], self.hulls[b]]))[:, 0]
            self.hull_area[a] = _hull_area(self.hulls[a])
        pairs = np.sort(into[self.pairs], axis=1)
        stays = pairs[:, 0] != pairs[:, 1]
        code = pairs[stays, 0].astype(np.int64) * self.number + pairs[stays, 1]
        unique, index = np.unique(code, return_inverse=True)
        sums, tops = np.zeros((len(unique), 5)), np.zeros((len(unique), 2))
        np.add.at(sums, index, self.border_sums[stays])
        np.maximum.at(tops, index, self.border_tops[stays])
        self.pairs, self.border_sums, self.border_tops = (
            np.column_stack(np.divmod(unique, self.number)),
            sums,
            tops,
        )
        return into


def border_features(
    sums: np.ndarray,
    tops: np.ndarray,
    sides: tuple[np.ndarray, np.ndarray],
    heights: tuple[np.ndarray, np.ndarray],
    solidities: tuple[np.ndarray, np.ndarray],
    hull: np.ndarray,
) -> np.ndarray:
    """What `FEATURES` names, of n borders.

    Args:
        sums: (n, 5) of the border: pixel sides, contact, of which below a half, grey gradient, grey.
        tops: (n, 2) of the border: most of the flooded map, half the width of the neck.
        sides: Sums over either piece (n, 9): area, moments, grey, grey squared, gradient.
        heights: Most of the flooded map and inscribed radius of either piece, (n, 2).
        solidities: Area over convex hull of either piece.
        hull: Area of the convex hull around both.
    """
    a, b = sides
    both = a + b
    area = both[:, AREA]
    small = np.minimum(a[:, AREA], b[:, AREA])
    length = sums[:, LENGTH]
    contact = sums[:, CONTACT] / length
    sure = np.clip(contact, 0.005, 0.995)
    top = np.maximum(np.minimum(heights[0], heights[1]), [1e-6, 0.5])
    grey = [side[:, GREY] / side[:, AREA] for side in sides]
    spread = [
        np.maximum(side[:, GREY2] / side[:, AREA] - mean**2, 1e-3)
        for side, mean in zip(sides, grey, strict=True)
    ]
    step = np.abs(grey[0] - grey[1])
    solid, ellipse = area / hull, _ellipse(both)

    def lost(apart: tuple[np.ndarray, np.ndarray], together: np.ndarray) -> np.ndarray:
        return (apart[0] * a[:, AREA] + apart[1] * b[:, AREA]) / area - together

    return np.column_stack(
        [
            contact,
            np.log(sure / (1 - sure)),
            sums[:, LOW] / length,
            tops[:, HEIGHT] / top[:, HEIGHT],
            tops[:, RADIUS] / top[:, RADIUS],
            length / np.sqrt(small),
            np.log(small),
            np.log(2 * small / area),
            np.minimum(heights[0], heights[1])[:, RADIUS] / np.maximum(heights[0], heights[1])[:, RADIUS],
            solid,
            np.minimum(*solidities),
            lost(solidities, solid),
            ellipse,
            lost((_ellipse(a), _ellipse(b)), ellipse),
            step,
            step / np.sqrt(spread[0] + spread[1]),
            sums[:, EDGE_GRADIENT] / length - both[:, GRADIENT] / area,
            sums[:, EDGE_GREY] / length - both[:, GREY] / area,
        ]
    )


def _borders(basins: np.ndarray, contact: np.ndarray, height: np.ndarray, *more: np.ndarray) -> tuple:
    """Pairs of pieces that share pixel sides, with sums and tops along these sides."""
    radius, gradient, grey = more
    number = int(basins.max(initial=0)) + 1
    codes, values = [], []
    for axis in range(2):
        a = (slice(None),) * axis + (slice(None, -1),)
        b = (slice(None),) * axis + (slice(1, None),)
        meet = (basins[a] != basins[b]) & (basins[a] > 0) & (basins[b] > 0)
        low = np.minimum(basins[a][meet], basins[b][meet]).astype(np.int64)
        codes.append(low * number + np.maximum(basins[a][meet], basins[b][meet]))
        sure = np.maximum(contact[a][meet], contact[b][meet])
        values.append(
            np.column_stack(
                [
                    np.ones(len(sure)),
                    sure,
                    sure < 0.5,
                    (gradient[a][meet] + gradient[b][meet]) / 2,
                    (grey[a][meet] + grey[b][meet]) / 2,
                    np.minimum(height[a][meet], height[b][meet]),
                    np.minimum(radius[a][meet], radius[b][meet]),
                ]
            )
        )
    unique, index = np.unique(np.concatenate(codes), return_inverse=True)
    every = np.concatenate(values)
    sums, tops = np.zeros((len(unique), 5)), np.zeros((len(unique), 2))
    for column in range(5):
        sums[:, column] = np.bincount(index, every[:, column], minlength=len(unique))
    np.maximum.at(tops, index, every[:, 5:])
    return np.column_stack(np.divmod(unique, number)), sums, tops


class _Runs:
    """Runs of one piece along rows: what is summed over a piece is summed over them first, which is faster by far."""

    def __init__(self, basins: np.ndarray) -> None:
        flat, width = basins.ravel(), basins.shape[1]
        change = np.ones(basins.shape, bool)
        np.not_equal(basins[:, 1:], basins[:, :-1], out=change[:, 1:])
        self._first = np.flatnonzero(change)
        self._piece = flat[self._first]
        self._number = int(flat.max(initial=0)) + 1
        self._length = np.diff(self._first, append=flat.size)
        self._row, self._start = np.divmod(self._first, width)

    def _summed(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._piece, values, minlength=self._number)

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum of these pixels (height, width) by piece."""
        return self._summed(np.add.reduceat(values.ravel(), self._first, dtype=np.float64))

    def most(self, values: np.ndarray) -> np.ndarray:
        """Largest of these pixels (height, width), or 0, by piece."""
        found = np.zeros(self._number)
        np.maximum.at(found, self._piece, np.maximum.reduceat(values.ravel(), self._first))
        return found

    def moments(self) -> list[np.ndarray]:
        """AREA, X, Y, XX, YY and XY, by piece."""
        n, row = self._length.astype(float), self._row.astype(float)
        middle = self._start + (n - 1) / 2
        # A run of n pixels adds n (n^2 - 1) / 12 about its middle.
        square = n * middle**2 + n * (n * n - 1) / 12
        return [self._summed(part) for part in (n, n * middle, n * row, square, n * row**2, n * row * middle)]

    def hulls(self) -> list[np.ndarray]:
        """Corners (x, y) of the convex hull of each piece."""
        order = np.argsort(self._piece, kind="stable")
        order = order[self._piece[order] > 0]
        start, row = self._start[order], self._row[order]
        ends = np.stack([start, start + self._length[order] - 1, row, row], 1)
        points = np.stack([ends[:, :2], ends[:, 2:]], 2).astype(np.float32)
        limits = np.searchsorted(self._piece[order], np.arange(1, self._number + 1))
        nothing = np.zeros((1, 2), np.float32)
        return [nothing] + [
            cv2.convexHull(points[a:b].reshape(-1, 2))[:, 0] if b > a else nothing
            for a, b in itertools.pairwise(limits.tolist())
        ]


def _hull_area(hull: np.ndarray) -> float:
    """Pixels in a hull through pixel centres (Pick)."""
    if len(hull) < 3:
        return float(np.abs(hull[0] - hull[-1]).max()) + 1
    return cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1


def _ellipse(sums: np.ndarray) -> np.ndarray:
    """Area over that of the ellipse with the same second moments: 1 for any ellipse, less for two blobs."""
    area = sums[:, AREA]
    x, y = sums[:, X] / area, sums[:, Y] / area
    # A pixel is a square, with moments of its own.
    xx, yy = sums[:, XX] / area - x * x + 1 / 12, sums[:, YY] / area - y * y + 1 / 12
    xy = sums[:, XY] / area - x * y
    return area / (4 * np.pi * np.sqrt(np.maximum(xx * yy - xy * xy, 1e-3)))
