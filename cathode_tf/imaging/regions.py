"""Annotated objects: outlines or runs in, filled pixels out.

One rule everywhere: pixel (row, column) covers the square from (column, row) to (column + 1, row + 1),
and belongs to an outline when its centre lies inside by the even-odd rule. Two outlines that share an
edge then share no pixel. Where objects overlap, the later one lies on top.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.phases import IGNORE, Phases

IGNORE_LABELS = ("ignore", "__ignore__")
"""Labels that mean "not labelled" where annotation tools give names."""


@dataclass(frozen=True)
class Region:
    """One annotated object.

    Attributes:
        label: What the annotator called it.
        row, column: Upper left corner of `inside` in the image.
        inside: (height, width) bool, true where the object is; no larger than needed.
        beyond: How far its outline reaches out of the image, as a share of the image's width or height.
    """

    label: str
    row: int
    column: int
    inside: np.ndarray
    beyond: float = 0.0

    @property
    def area_px(self) -> int:
        """Pixels of the object."""
        return int(self.inside.sum())

    @property
    def window(self) -> tuple[slice, slice]:
        """Where `inside` lies: `image[region.window][region.inside]` are the object's pixels."""
        height, width = self.inside.shape
        return slice(self.row, self.row + height), slice(self.column, self.column + width)


def fill_outline(label: str, rings: Sequence[np.ndarray], shape: tuple[int, int]) -> Region:
    """The pixels whose centres lie inside rings by the even-odd rule: a ring within a ring is a hole.

    Args:
        label: Name of the object.
        rings: Closed outlines, each (n, 2) of x, y in pixels, n >= 3; they may leave the image.
        shape: (height, width) of the image, which cuts them.

    Raises:
        InputError: If a ring has fewer than 3 points, or a coordinate is not finite.

    Example:
        >>> square = np.array([(1, 1), (3, 1), (3, 3), (1, 3)])
        >>> fill_outline("ncm", [square], (4, 4)).area_px
        4
    """
    height, width = shape
    starts, ends = [], []
    for ring in rings:
        points = np.asarray(ring, np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
            raise InputError(f"the outline of {label!r} must have at least 3 points. Received {len(points)}.")
        if not np.isfinite(points).all() or np.abs(points).max() > 1e9:
            raise InputError(f"the outline of {label!r} must have finite coordinates of an image.")
        starts.append(points)
        ends.append(np.roll(points, -1, axis=0))
    if not starts:
        return Region(label, 0, 0, np.zeros((0, 0), bool))
    start, end = np.concatenate(starts), np.concatenate(ends)
    # An edge crosses the centre line of row r where r + 0.5 lies between its ends, the upper end included.
    upper, lower = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.clip(np.ceil(upper - 0.5), 0, height).astype(np.int64)
    behind = np.clip(np.ceil(lower - 0.5), 0, height).astype(np.int64)
    count = behind - first
    edge = np.repeat(np.arange(len(start)), count)
    if not edge.size:
        return Region(label, 0, 0, np.zeros((0, 0), bool))
    rows = np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    crossing = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
    columns = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
    top, left = int(rows.min()), int(columns.min())
    flips = np.zeros((int(rows.max()) - top + 1, int(columns.max()) - left + 1), np.uint8)
    np.add.at(flips, (rows - top, columns - left), 1)
    region = _cropped(label, top, left, (np.cumsum(flips, axis=1, dtype=np.uint8) & 1).astype(bool)[:, :-1])
    edges = np.array([width, height])
    out = np.maximum(-start.min(axis=0), start.max(axis=0) - edges) / edges
    return dataclasses.replace(region, beyond=max(float(out.max()), 0.0))


def region_of(
    label: str, inside: np.ndarray, row: int = 0, column: int = 0, *, beyond: float = 0.0
) -> Region:
    """The object whose pixels are true in `inside`, a bool array at (row, column) of the image."""
    return dataclasses.replace(_cropped(label, row, column, inside), beyond=beyond)


def _cropped(label: str, row: int, column: int, inside: np.ndarray) -> Region:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        return Region(label, row, column, np.zeros((0, 0), bool))
    block = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Region(label, row + int(rows[0]), column + int(columns[0]), np.ascontiguousarray(block))


def label_image(regions: Iterable[Region], shape: tuple[int, int]) -> np.ndarray:
    """Label image int32 (height, width): 1, 2, ... in the order of `regions`, 0 = none; later ones on top.

    Example:
        >>> left = region_of("a", np.ones((1, 2), bool))
        >>> right = region_of("b", np.ones((1, 2), bool), 0, 1)
        >>> label_image([left, right], (1, 4))
        array([[1, 2, 2, 0]], dtype=int32)
    """
    labels = np.zeros(shape, np.int32)
    for number, region in enumerate(regions, start=1):
        labels[region.window][region.inside] = number
    return labels


def regions_of(labels: np.ndarray) -> list[Region]:
    """The objects of a label image, integer (height, width) with 0 = none, by number and without a label.

    Example:
        >>> [(r.row, r.column, r.area_px) for r in regions_of(np.array([[0, 7, 7], [2, 0, 7]]))]
        [(1, 0, 1), (0, 1, 3)]
    """
    from scipy.ndimage import find_objects

    # Numbers may have gaps, and be large.
    numbers, dense = np.unique(labels, return_inverse=True)
    dense = dense.reshape(labels.shape) + (numbers[0] > 0 if numbers.size else 0)
    regions = []
    for number, window in enumerate(find_objects(dense), start=1):
        if window is not None:
            rows, columns = window
            regions.append(Region("", rows.start, columns.start, dense[window] == number))
    return regions


def phase_mask(
    regions: Iterable[Region], phases: Phases, shape: tuple[int, int], source: str = "annotation"
) -> np.ndarray:
    """Segmentation mask of labelled objects: later ones on top, and 255 where there is none.

    Args:
        regions: Objects whose labels are names of phases (upper or lower case), or `"ignore"`.
        phases: Names and ids.
        shape: (height, width) of the mask.
        source: File name for the message.

    Raises:
        InputError: If a label is no phase.
    """
    ids = {name.lower(): id_ for name, id_ in zip(phases.names, phases.ids, strict=True)}
    ids |= {name: IGNORE for name in IGNORE_LABELS if name not in ids}
    mask = np.full(shape, IGNORE, np.uint8)
    for region in regions:
        id_ = ids.get(region.label.strip().lower())
        if id_ is None:
            if not region.label.strip():
                raise InputError(
                    f"{source}: each object must have a label. Received one without, its first pixel at row "
                    f"{region.row}, "
                    f"column {region.column}. Give it one, or remove it."
                )
            raise InputError(
                f"{source}: labels must be phases ({', '.join(phases.names)}), or 'ignore'. "
                f"Received {region.label!r}. Rename the label, or the phase."
            )
        mask[region.window][region.inside] = id_
    return mask
