"""Which parts of a phase hang together, and from face to face of a volume; slab by slab, without a label volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Connectivity:
    """Connected parts of one phase (voxels that share a face).

    Attributes:
        parts: Number of connected parts.
        largest_share: Share of the phase's volume in the largest.
        closed_share: Share in parts that touch no face of the volume.
        percolating_share: Share in parts that reach from one face to the opposite one, along z, y and x.
    """

    parts: int
    largest_share: float
    closed_share: float
    percolating_share: tuple[float, float, float]


class Connecting:
    """Connected parts of one phase, from slabs that come one after the other.

    Args:
        depth: Layers of the whole volume.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._sizes: list[np.ndarray] = []
        self._faces: list[np.ndarray] = []
        self._joints: list[np.ndarray] = []
        self._count = 0
        self._last: np.ndarray | None = None

    def add(self, start: int, solid: np.ndarray) -> None:
        """Take the next layers: boolean (layers, y, x), from layer `start` on."""
        labels, number = ndimage.label(solid)
        self._sizes.append(np.bincount(labels.ravel(), minlength=number + 1)[1:])
        faces = np.zeros((number + 1, 6), bool)
        if start == 0:
            faces[labels[0], 0] = True
        if start + len(solid) == self._depth:
            faces[labels[-1], 1] = True
        for column, face in enumerate((labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])):
            faces[face, 2 + column] = True
        self._faces.append(faces[1:])
        if self._last is not None:
            both = (self._last >= 0) & (labels[0] > 0)
            pairs = np.unique(self._last[both].astype(np.int64) * number + labels[0][both] - 1)
            self._joints.append(np.column_stack(np.divmod(pairs, max(number, 1))) + [0, self._count])
        self._last = np.where(labels[-1] > 0, labels[-1] + (self._count - 1), -1)
        self._count += number

    def result(self) -> Connectivity | None:
        """The connected parts; None if the phase does not occur."""
        if not self._count:
            return None
        joints = np.concatenate([*self._joints, np.zeros((0, 2), np.int64)])
        graph = coo_array((np.ones(len(joints), bool), (joints[:, 0], joints[:, 1])), (self._count,) * 2)
        number, part = connected_components(graph, directed=False)
        sizes = np.bincount(part, np.concatenate(self._sizes), minlength=number)
        faces = np.zeros((number, 6), bool)
        np.logical_or.at(faces, part, np.concatenate(self._faces))
        total = sizes.sum()
        through = tuple(
            float(sizes[faces[:, 2 * axis] & faces[:, 2 * axis + 1]].sum() / total) for axis in range(3)
        )
        return Connectivity(
            number,
            float(sizes.max() / total),
            float(sizes[~faces.any(1)].sum() / total),
            (through[0], through[1], through[2]),
        )
