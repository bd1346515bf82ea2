"""What the beam reaches behind a section: a body and a plane in, the depth and kind of the first wall behind it out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cathode_tf.synthesis.body import Body
from cathode_tf.synthesis.lattice import Grid

# Planes that are looked at, in particle diameters behind the section; surfaces between them are interpolated.
_DEPTHS = (0.04, 0.1, 0.2, 0.36, 0.65)
_DARK = 2.5
_CROWDED = 500  # more particles than this on a plane: fewer planes do, as pores are narrow


@dataclass(frozen=True)
class Relief:
    """The first surface behind each point of a section.

    Attributes:
        depth: float32 (height, width), pixels from the section to the wall; 0 where the section is solid.
        carbon: float32 (height, width), 1 where the wall is carbon or binder, 0 where it is active material.
        down: float32 (height, width), slope of the wall along the rows, pixels of depth a pixel.
        right: float32 (height, width), the same along the columns.
    """

    depth: np.ndarray
    carbon: np.ndarray
    down: np.ndarray
    right: np.ndarray


def look_behind(body: Body, z: float, grid: Grid) -> Relief:
    """The relief behind depth `z`, found at a half to a quarter of the resolution."""
    factor = int(np.clip(round(body.typical / 32), 2, 4))
    coarse = grid.coarser(factor)
    active, carbon = body.solidness(z, coarse)
    before = np.maximum(active, carbon)
    depth = np.where(before > 0, 0, np.inf).astype(np.float32)
    of_carbon = (carbon > active).astype(np.float32)
    few = body.packing.radii.size * body.typical / body.packing.box[0] < _CROWDED
    planes = _DEPTHS if few else _DEPTHS[::2]
    last = 0.0
    for share in planes:
        step = share * body.typical
        active, carbon = body.solidness(z + step, coarse)
        here = np.maximum(active, carbon)
        hit = np.isinf(depth) & (here > 0)
        at = np.clip(before[hit] / np.minimum(before[hit] - here[hit], -1e-6), 0, 1)
        depth[hit] = last + at * (step - last)
        of_carbon[hit] = carbon[hit] > active[hit]
        before, last = here, step
    # What is reached by none of the planes is far enough to be dark.
    np.minimum(depth, np.float32(_DARK * last), out=depth)
    return Relief(*_refined(depth, of_carbon, coarse, grid))


def _refined(depth: np.ndarray, of_carbon: np.ndarray, coarse: Grid, grid: Grid) -> tuple[np.ndarray, ...]:
    soft = cv2.GaussianBlur(depth, (0, 0), 0.7)
    down = cv2.Sobel(soft, cv2.CV_32F, 0, 1) / np.float32(8 * coarse.step[0])
    right = cv2.Sobel(soft, cv2.CV_32F, 1, 0) / np.float32(8 * coarse.step[1])
    size = (grid.width, grid.height)
    fine = [
        cv2.resize(field, size, interpolation=cv2.INTER_LINEAR) for field in (soft, of_carbon, down, right)
    ]
    return tuple(fine)
