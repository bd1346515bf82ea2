"""Segmentation mask in, the shape of its pore space out: local thickness, chords, connectivity, closed share.

All are two-dimensional: pores that a section shows apart may be joined above or below it, so the closed share
of a section is an upper limit, and its connected share a lower limit, for the electrode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.phases import Phases
from cathode_tf.statistics.estimate import Estimate, check_pixel_size, ratio_estimate

RADIUS_STEP = 1.12
"""Ratio of the radii that local thickness tries; the steps between them are averaged out."""


QUANTITIES = ("local_thickness", "closed_fraction", "largest_fraction", "chord_rows", "chord_columns")
"""What is told of the pores of a batch."""


@dataclass(frozen=True)
class PoreMeasures:
    """The sums of one mask.

    Attributes:
        area: Pixels of the phase.
        thickness_area: Sum of the local thickness over them (px).
        closed_area: Pixels in parts that do not touch the frame.
        largest_area: Pixels of the largest connected part.
        spanning: Whether a part reaches from the top to the bottom, and from the left to the right.
        chords: Lengths of chords that do not touch the frame along rows and columns (px), each direction's.
    """

    area: int
    thickness_area: float
    closed_area: int
    largest_area: int
    spanning: tuple[bool, bool]
    chords: tuple[np.ndarray, np.ndarray]


def measure_pores(mask: np.ndarray, phases: Phases, phase: str | None = None) -> PoreMeasures:
    """Measure the pore space (or another phase) of one mask.

    Args:
        mask: uint8 (height, width) of phase ids.
        phases: Names, ids and roles.
        phase: Which phase; default: all phases with the role pore.

    Raises:
        InputError: If the mask is not two-dimensional, or no phase has the role pore.
    """
    names = (phase,) if phase is not None else phases.with_role("pore")
    if not names:
        raise InputError("phases: must hold a phase with the role pore. Received none.")
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size:
        raise InputError(f"mask: must be an array (height, width) with pixels. Received shape {mask.shape}.")
    open_ = np.isin(mask, [phases[name].id for name in names])
    _, labels, stats, _ = cv2.connectedComponentsWithStats(open_.astype(np.uint8), connectivity=4)
    sides = [np.unique(side) for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1])]
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    outer = np.unique(np.concatenate(sides))
    spanning = [bool(np.intersect1d(a, b).max(initial=0)) for a, b in (sides[:2], sides[2:])]
    return PoreMeasures(
        int(areas.sum()),
        float(local_thickness(open_).sum()),
        int(areas.sum() - areas[outer].sum()),
        int(areas.max()),
        (spanning[0], spanning[1]),
        (chord_lengths(open_), chord_lengths(open_.T)),
    )


def pore_estimates(images: list[PoreMeasures], *, pixel_size_nm: float | None = None) -> dict[str, Estimate]:
    """`local_thickness`, `chord_rows`, `chord_columns`, `closed_fraction`, `largest_fraction` of a batch.

    Area-weighted means, with the interval between images. A phase of equal parallel slits of width w has a local
    thickness of w; its chords are w across.

    Reference:
        Hildebrand and Ruegsegger, J. Microsc. 185 (1997) 67 (local thickness); Underwood, Quantitative
        Stereology, 1970 (chords).
    """
    check_pixel_size(pixel_size_nm)
    scale, unit = (1.0, "px") if pixel_size_nm is None else (pixel_size_nm / 1000, "um")
    area = np.array([image.area for image in images], float)
    parts: Mapping[str, tuple[np.ndarray, np.ndarray, str, str]] = {
        "local_thickness": (
            scale * np.array([image.thickness_area for image in images]),
            area,
            unit,
            "diameter of the largest disk inside that covers a pixel, mean over the pore area",
        ),
        "closed_fraction": (
            np.array([image.closed_area for image in images], float),
            area,
            "",
            "share of the pore area in parts that do not reach the frame (upper limit for the volume)",
        ),
        "largest_fraction": (
            np.array([image.largest_area for image in images], float),
            area,
            "",
            "share of the pore area in the largest connected part of an image",
        ),
    }
    for index, name in enumerate(("chord_rows", "chord_columns")):
        chords = [image.chords[index] for image in images]
        parts[name] = (  # type: ignore[index]
            scale * np.array([chord.sum() for chord in chords], float),
            np.array([len(chord) for chord in chords], float),
            unit,
            f"mean length of the pore chords along {name.removeprefix('chord_')}",
        )
    return {name: _estimate(name, *values) for name, values in parts.items()}


def _estimate(name: str, y: np.ndarray, x: np.ndarray, unit: str, method: str) -> Estimate:
    bounds = (0.0, 1.0) if name.endswith("fraction") else (0.0, np.inf)
    fields: dict[str, Any] = {"unit": unit, "bounds": bounds, "method": method}
    return ratio_estimate(y, x, what=name.replace("_", " "), **fields)


def local_thickness(solid: np.ndarray) -> np.ndarray:
    """Diameter (px) of the largest disk that fits inside and covers a pixel, float32 (height, width); 0 outside.

    The frame does not limit disks: what lies beyond is taken to go on.

    Example:
        >>> slit = np.zeros((40, 60), bool); slit[10:21] = True
        >>> float(local_thickness(slit)[15, 30])
        11.5

    Reference:
        Hildebrand and Ruegsegger, J. Microsc. 185 (1997) 67.
    """
    solid = np.asarray(solid, bool)
    thickness = np.zeros(solid.shape, np.float32)
    if not solid.any():
        return thickness
    if solid.all():
        return np.full(solid.shape, float(np.hypot(*solid.shape)), np.float32)
    distance = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    left = solid.copy()
    radius = last = float(distance.max())
    while radius >= 1:
        centres = distance >= radius
        reach = cv2.distanceTransform((~centres).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        fresh = (reach < radius) & left
        # Distances run to the next pixel's centre, half a pixel beyond the boundary: twice the radius is a pixel
        # too much where the width is odd and right where it is even.
        thickness[fresh] = radius + last - 0.5
        left &= ~fresh
        last, radius = radius, radius / RADIUS_STEP
    thickness[left] = 1
    return thickness


def chord_lengths(solid: np.ndarray) -> np.ndarray:
    """Lengths (px) of the runs along rows that end inside the frame at both ends."""
    padded = np.pad(np.asarray(solid, np.int8), ((0, 0), (1, 1)))
    change = np.diff(padded, axis=1)
    start = np.nonzero(change == 1)[1]
    stop = np.nonzero(change == -1)[1]
    whole = (start > 0) & (stop < solid.shape[1])
    return (stop - start)[whole]
