"""Mask in, caps out: particles of which only a cap looks out from behind another one.

A cap has no maximum of the distance transform of its own, so no flooding finds it; what shows it is the
outline: a blunt bump between two sharp inward corners.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

CORNER_DEG = 40.0
"""The outline turns inwards by at least so much at both ends of a cap."""
FULLNESS = 0.35
"""Area of a cap over the square of its chord; a half disk has 0.39, a quarter turn of a circle 0.14."""
SIZES = 0.1, 0.35
"""Half the chord over the radius of the host's inscribed circle: smaller ones are bumps of the host, for larger
ones the neck decides."""
MAX_COVERED = 0.25
"""Share of a cap that may lie within the inscribed circles of its hosts; more, and it is a part of them."""
MIN_AREA_PX = 20
MIN_CHORD_PX = 4
# An outline is looked at on the scale of the cap: its turn is taken over a quarter of the chord to either side,
# so that the same shape is judged the same at every magnification. These are the reaches in pixels.
REACHES = (3, 4, 6, 8, 12, 16, 24, 32)
CHORD_REACHES = 4
SMOOTH_REACHES = 0.3


@dataclass(frozen=True)
class Cap:
    """Pixels between an arc of the outline and its chord.

    Attributes:
        row, column: Upper left pixel of the box.
        pixels: Boolean array, the cap within its box.
        chord: Length of the chord, px.
    """

    row: int
    column: int
    pixels: np.ndarray
    chord: float

    @property
    def box(self) -> tuple[slice, slice]:
        """Where the box is in the image."""
        height, width = self.pixels.shape
        return slice(self.row, self.row + height), slice(self.column, self.column + width)


def caps(solid: np.ndarray) -> list[Cap]:
    """Every blunt bump between two inward corners (or the frame) of the outline, large ones first.

    Args:
        solid: Boolean array (height, width), the phase.

    Returns:
        Candidates; some are most of a particle, which `is_hidden` tells apart.
    """
    mask = solid.astype(np.uint8)
    found = [cap for arc in _arcs(mask) if (cap := _cap(arc, mask)) is not None]
    return sorted(found, key=lambda cap: -int(cap.pixels.sum()))


def is_hidden(cap: Cap, labels: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> bool:
    """Whether a cap is a particle of its own: no instance has its centre there, nor much of its inside.

    Args:
        cap: A candidate.
        labels: Label image of the instances found by flooding.
        centres: Row and column of the centre of each instance's inscribed circle, (n + 1, 2), by label.
        radii: Its radius, (n + 1,).
    """
    hosts = np.unique(labels[cap.box][cap.pixels])
    hosts = hosts[hosts > 0]
    smallest, largest = (2 * size * radii[hosts].max(initial=0) for size in SIZES)
    if not smallest <= cap.chord <= largest:
        return False
    row, column = np.nonzero(cap.pixels)
    place = np.stack([row + cap.row, column + cap.column], 1)
    covered = np.zeros(len(place), bool)
    for host in hosts:
        distance = np.hypot(*(place - centres[host]).T)
        if distance.min() < 0.5:
            return False
        covered |= distance <= radii[host]
    return bool(covered.mean() <= MAX_COVERED)


def _arcs(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Pieces of the outlines between breaks, each on its scale: inward corners, and where the frame is met."""
    height, width = mask.shape
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    chords = [CHORD_REACHES * reach for reach in REACHES[1:]]
    for contour in contours:
        points = contour[:, 0].astype(float)
        n = len(points)
        x, y = points.T
        framed = (x <= 0) | (y <= 0) | (x >= width - 1) | (y >= height - 1)
        entered = framed & ~(np.roll(framed, 1) & np.roll(framed, -1))
        for reach, low, high in zip(REACHES, [0, *chords], [*chords, np.inf], strict=True):
            if n <= 3 * reach:
                break
            places = np.flatnonzero((_corners(points, reach) & ~framed) | entered)
            if len(places) < 2:
                continue
            ends = np.append(places[1:], places[0] + n)
            lengths = np.hypot(*(points[ends % n] - points[places]).T)
            for i in np.flatnonzero((lengths >= low) & (lengths < high) & (ends - places > 2)):
                index = np.arange(places[i], ends[i] + 1) % n
                if framed[index].mean() <= 0.5:
                    yield points[index]


def _corners(points: np.ndarray, reach: int) -> np.ndarray:
    """Where a closed outline turns inwards most within this reach, and by enough."""
    smooth = gaussian_filter1d(points, SMOOTH_REACHES * reach, axis=0, mode="wrap")
    before, after = smooth - np.roll(smooth, reach, 0), np.roll(smooth, -reach, 0) - smooth
    # OpenCV walks outlines with the solid on one side, holes included: inward is always the same sign.
    turn = np.arctan2(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0], (before * after).sum(1))
    turn = np.degrees(turn)
    # Of equal neighbours the first counts.
    turn -= 1e-9 * np.arange(len(turn))
    return (turn >= CORNER_DEG) & (turn >= maximum_filter1d(turn, 2 * reach - 1, mode="wrap"))


def _cap(arc: np.ndarray, mask: np.ndarray) -> Cap | None:
    chord = arc[-1] - arc[0]
    width = float(np.hypot(*chord))
    if width < MIN_CHORD_PX:
        return None
    along = np.linspace(0, 1, max(int(width), 3))[1:-1, None]
    column, row = np.rint(arc[0] + along * chord).astype(int).T
    if mask[row, column].mean() < 0.95:
        return None
    polygon = arc.astype(np.int32)
    left, top = polygon.min(0)
    right, bottom = polygon.max(0)
    pixels = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(pixels, [polygon - (left, top)], 1)
    area = int(pixels.sum())
    inside = int((pixels & mask[top : bottom + 1, left : right + 1]).sum())
    if area < max(MIN_AREA_PX, FULLNESS * width**2) or inside < 0.95 * area:
        return None
    return Cap(int(top), int(left), pixels.astype(bool), width)
