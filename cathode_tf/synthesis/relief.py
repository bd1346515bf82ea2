"""What the beam reaches behind a section: a body and a plane in, the depth and kind of the first wall behind it out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cathode_tf.synthesis.body import ADDITIVE, NCM, PORE, Body
from cathode_tf.synthesis.lattice import Grid

# Planes that are looked at, in particle diameters behind the section; surfaces between them are interpolated.
_DEPTHS = (0.04, 0.1, 0.2, 0.36, 0.65)
_CROWDED = 500  # more particles than this on a plane: fewer planes do, as pores are narrow


@dataclass(frozen=True)
class Relief:
    """The first surface behind each point of a section.

    Attributes:
        depth: float32 (height, width), pixels from the section to the wall; 0 where the section is solid.
        wall: uint8 (height, width), what the wall is: active material, additive (for carbon and binder), or pore
            where none is near.
        down: float32 (height, width), slope of the wall along the rows, pixels of depth a pixel.
        right: float32 (height, width), the same along the columns.
    """

    depth: np.ndarray
    wall: np.ndarray
    down: np.ndarray
    right: np.ndarray


def look_behind(body: Body, z: float, grid: Grid) -> Relief:
    """The relief behind depth `z`, found at a half to a quarter of the resolution."""
    factor = int(np.clip(round(body.typical / 32), 2, 4))
    coarse = grid.coarser(factor)
    active, carbon = body.solidness(z, coarse)
    before = np.maximum(active, carbon)
    depth = np.where(before > 0, 0, np.inf).astype(np.float32)
    wall = np.where(active > 0, NCM, np.where(carbon > 0, ADDITIVE, PORE)).astype(np.uint8)
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
        wall[hit] = np.where(active[hit] > carbon[hit], NCM, ADDITIVE)
        before, last = here, step
    far = np.float32(1.3 * last)
    np.minimum(depth, far, out=depth)
    return Relief(*_refined(depth, wall, coarse, grid))


def _refined(depth: np.ndarray, wall: np.ndarray, coarse: Grid, grid: Grid) -> tuple[np.ndarray, ...]:
    soft = cv2.GaussianBlur(depth, (0, 0), 0.7)
    down = cv2.Sobel(soft, cv2.CV_32F, 0, 1) / np.float32(8 * coarse.step[0])
    right = cv2.Sobel(soft, cv2.CV_32F, 1, 0) / np.float32(8 * coarse.step[1])
    size = (grid.width, grid.height)
    fine = [cv2.resize(field, size, interpolation=cv2.INTER_LINEAR) for field in (soft, down, right)]
    return fine[0], cv2.resize(wall, size, interpolation=cv2.INTER_NEAREST), fine[1], fine[2]
