"""Mask in, caps out: particles of which only a cap looks out from behind another one.

A cap has no maximum of the distance transform of its own, so no flooding finds it; what shows it is the
outline: a blunt bump between two sharp inward corners.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

CORNER_DEG = 46.0
"""The outline turns inwards by at least so much at both ends of a cap."""
BLUNTNESS = 0.3
"""Height of a cap over the width of its chord; a half disk has 0.5, a quarter turn of a circle 0.2."""
MAX_COVERED = 0.25
"""Share of a cap that may lie within the inscribed circles of its hosts; more, and it is a part of them."""
MAX_SIZE = 0.5
"""Largest area of a cap over that of a host's inscribed circle; among equals, the neck depth decides."""
MIN_AREA_PX = 20
MIN_CHORD_PX = 4
# The outline is smoothed by SMOOTH pixels and its turn taken over REACH pixels to either side: the sharpness
# of a corner is set by the pixel grid, not by the size of the particle.
SMOOTH, REACH = 1.5, 5


@dataclass(frozen=True)
class Cap:
    """Pixels between an arc of the outline and its chord.

    Attributes:
        row, column: Upper left pixel of the box.
        pixels: Boolean array, the cap within its box.
    """

    row: int
    column: int
    pixels: np.ndarray

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
    row, column = np.nonzero(cap.pixels)
    place = np.stack([row + cap.row, column + cap.column], 1)
    if len(place) > MAX_SIZE * np.pi * radii[hosts].max(initial=0) ** 2:
        return False
    covered = np.zeros(len(place), bool)
    for host in hosts:
        distance = np.hypot(*(place - centres[host]).T)
        if distance.min() < 0.5:
            return False
        covered |= distance <= radii[host]
    return bool(covered.mean() <= MAX_COVERED)


def _arcs(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Pieces of the outlines between breaks: inward corners, and where the outline meets the frame."""
    height, width = mask.shape
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        points = contour[:, 0].astype(float)
        n = len(points)
        if n <= 2 * REACH:
            continue
        x, y = points.T
        framed = (x <= 0) | (y <= 0) | (x >= width - 1) | (y >= height - 1)
        breaks = _corners(points) & ~framed
        breaks |= framed & ~(np.roll(framed, 1) & np.roll(framed, -1))
        places = np.flatnonzero(breaks)
        if len(places) < 2:
            continue
        for start, stop in zip(places, np.append(places[1:], places[0] + n), strict=True):
            index = np.arange(start, stop + 1) % n
            if len(index) > REACH and framed[index].mean() <= 0.5:
                yield points[index]


def _corners(points: np.ndarray) -> np.ndarray:
    """Where a closed outline turns inwards most, and by enough."""
    smooth = gaussian_filter1d(points, SMOOTH, axis=0, mode="wrap")
    before, after = smooth - np.roll(smooth, REACH, 0), np.roll(smooth, -REACH, 0) - smooth
    # OpenCV walks outlines with the solid on one side, holes included: inward is always the same sign.
    turn = np.arctan2(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0], (before * after).sum(1))
    turn = np.degrees(turn)
    strongest = turn.copy()
    for step in range(1, REACH):
        # Of equal neighbours the first counts.
        np.maximum(strongest, np.roll(turn, -step), out=strongest)
        np.maximum(strongest, np.nextafter(np.roll(turn, step), np.inf), out=strongest)
    return (turn >= CORNER_DEG) & (turn >= strongest)


def _cap(arc: np.ndarray, mask: np.ndarray) -> Cap | None:
    chord = arc[-1] - arc[0]
    width = float(np.hypot(*chord))
    if width < MIN_CHORD_PX:
        return None
    height = np.abs((arc - arc[0]) @ np.array([-chord[1], chord[0]])).max() / width
    if height < BLUNTNESS * width:
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
    if area < MIN_AREA_PX or inside < 0.95 * area:
        return None
    return Cap(int(top), int(left), pixels.astype(bool))
