"""Pieces of an image and maps of contacts and centres in; which pieces are one particle, out.

A flooding leaves pieces: too many, but hardly one that two particles share. Whether two that meet are one particle is
told by all that is known of their border: how sure the network is of a contact along it, how much lower the map of
centres is there, how narrow the neck is, whether the two together are rounder than apart, and whether their grey
differs. A logistic regression weighs these [1]; pieces are joined where each is the other's likeliest partner, in
rounds, as joined pieces know more than their parts.

Reference:
    [1] Nunez-Iglesias et al., PLOS ONE 8 (2013) e71715 (learned agglomeration).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import find_objects

from cathode_tf.errors import InputError

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
CROSSED = (1, 3, 4, 7, 9, 11, 13, 15)
"""Features whose products with each other count, too."""
AREA, X, Y, XX, YY, XY, GREY, GREY2, GRADIENT = range(9)
HEIGHT, RADIUS = range(2)
LENGTH, CONTACT, LOW, EDGE_GRADIENT, EDGE_GREY = range(5)


@dataclass(frozen=True)
class Joining:
    """How to weigh what is known of a border.

    Attributes:
        mean, scale: By which the terms (`terms`) are standardised.
        weights: Of the terms.
        bias: Added to the weighted sum.
        least: Two pieces are joined from this probability on.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float
    least: float

    def probability(self, features: np.ndarray) -> np.ndarray:
        """Probability (n,) that the two sides are one particle, from features (n, len(FEATURES))."""
        score = ((terms(features) - self.mean) / self.scale) @ self.weights + self.bias
        return 1 / (1 + np.exp(-np.clip(score, -30, 30)))

    @classmethod
    def by_contact(cls, contact: float) -> Joining:
        """The rule that asks for the mean contact alone: pieces are one particle where it is below this.

        Example:
            >>> alone = np.zeros((2, len(FEATURES)))
            >>> alone[:, 1] = np.log([0.8 / 0.2, 0.95 / 0.05])
            >>> (Joining.by_contact(0.9).probability(alone) > 0.5).tolist()
            [True, False]
        """
        number = len(terms(np.zeros((1, len(FEATURES))))[0])
        weights = np.zeros(number)
        weights[FEATURES.index("contact_logit")] = -1.0
        return cls(np.zeros(number), np.ones(number), weights, float(np.log(contact / (1 - contact))), 0.5)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a model card."""
        lists = {name: np.round(getattr(self, name), 5).tolist() for name in ("mean", "scale", "weights")}
        return {**lists, "bias": round(self.bias, 5), "least": self.least}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Joining:
        """What `to_dict` gave.

        Raises:
            InputError: If it does not fit the features of this version.
        """
        try:
            mean, scale, weights = (np.array(content[name], float) for name in ("mean", "scale", "weights"))
            joining = cls(mean, scale, weights, float(content["bias"]), float(content["least"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("network: its card must say how pieces are joined. Train it again.") from error
        number = len(terms(np.zeros((1, len(FEATURES))))[0])
        if not mean.shape == scale.shape == weights.shape == (number,):
            raise InputError(f"network: must weigh {number} terms. Received {weights.size}. Train it again.")
        return joining


def terms(features: np.ndarray) -> np.ndarray:
    """The features and the products of those that go together, (n, terms)."""
    crossed = [features[:, i] * features[:, j] for k, i in enumerate(CROSSED) for j in CROSSED[k:]]
    return np.column_stack([features, *crossed])


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
        self.number = number = int(basins.max(initial=0)) + 1
        within = np.pad(basins > 0, 1, constant_values=True).astype(np.uint8)
        radius = cv2.distanceTransform(within, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        radius = np.minimum(radius, max(basins.shape))
        seen = np.zeros(basins.shape, np.float32) if grey is None else grey.astype(np.float32)
        smooth = cv2.GaussianBlur(seen, (0, 0), 1.0)
        gradient = np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1)) / 8
        rows, columns = (axis.astype(float) for axis in np.indices(basins.shape))
        flat = basins.ravel()
        self.sums = np.column_stack(
            [
                np.bincount(flat, values.ravel(), minlength=number)
                for values in (
                    np.ones(basins.shape),
                    columns,
                    rows,
                    columns**2,
                    rows**2,
                    rows * columns,
                    seen,
                    seen**2,
                    gradient,
                )
            ]
        )
        self.tops = np.zeros((number, 2))
        np.maximum.at(self.tops[:, HEIGHT], flat, height.ravel())
        np.maximum.at(self.tops[:, RADIUS], flat, radius.ravel())
        self.hulls = _hulls(basins)
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


def join(pieces: Pieces, joining: Joining) -> np.ndarray:
    """A new number for each piece, without gaps, the same for all of one particle; 0 stays 0.

    Args:
        pieces: They are used up.
        joining: How borders are weighed.
    """
    root = np.arange(pieces.number)
    chance = joining.probability(pieces.features(np.arange(len(pieces.pairs))))
    while len(chance) and chance.max() >= joining.least:
        chosen = mutual_best(pieces.pairs, chance, pieces.number, joining.least)
        grown = pieces.pairs[chosen, 0]
        before = dict(zip(map(tuple, pieces.pairs.tolist()), chance.tolist(), strict=True))
        root = pieces.join(chosen)[root]
        new = np.isin(pieces.pairs, grown).any(1)
        chance = np.array([before.get((a, b), 0.0) for a, b in pieces.pairs.tolist()])
        chance[new] = joining.probability(pieces.features(np.flatnonzero(new)))
    kept, dense = np.unique(root[1:], return_inverse=True)
    return np.concatenate([[0], dense + 1]).astype(np.int32) if len(kept) else np.zeros(1, np.int32)


def mutual_best(pairs: np.ndarray, chance: np.ndarray, number: int, least: float) -> np.ndarray:
    """Borders at which each side is the other's likeliest partner, and likely enough.

    Example:
        >>> mutual_best(np.array([[1, 2], [2, 3], [3, 4]]), np.array([0.7, 0.9, 0.8]), 5, 0.5).tolist()
        [1]
    """
    # The same chance twice: the first border is the better one.
    order = np.argsort(-chance, kind="stable")
    rank = np.empty(len(chance), np.int64)
    rank[order] = np.arange(len(chance))
    best = np.full(number, len(chance))
    np.minimum.at(best, pairs[:, 0], rank)
    np.minimum.at(best, pairs[:, 1], rank)
    return np.flatnonzero((best[pairs] == rank[:, None]).all(1) & (chance >= least))


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


def _hulls(basins: np.ndarray) -> list[np.ndarray]:
    """Corners (x, y) of the convex hull of each piece."""
    hulls = [np.zeros((1, 2), np.float32)]
    for number, window in enumerate(find_objects(basins), start=1):
        if window is None:
            hulls.append(np.zeros((1, 2), np.float32))
            continue
        points = cv2.findNonZero((basins[window] == number).astype(np.uint8))
        corner = np.array([window[1].start, window[0].start])
        hulls.append((cv2.convexHull(points)[:, 0] + corner).astype(np.float32))
    return hulls


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
