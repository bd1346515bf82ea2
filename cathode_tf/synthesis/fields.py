"""Random smooth fields: the raw material of shapes, clusters and stray brightness.

A generator, a size and a length scale come in; a float32 field of zero mean and unit spread goes out.
"""

from __future__ import annotations

import cv2
import numpy as np


def smooth_field(
    rng: np.random.Generator, height: int, width: int, scale_px: float, *, flatten: float = 1.0
) -> np.ndarray:
    """A Gaussian-like random field whose features are about `scale_px` wide.

    White noise on a coarse grid, interpolated: the cost does not grow with the scale.

    Args:
        rng: Source of randomness.
        height: Rows.
        width: Columns.
        scale_px: Distance over which the field forgets itself.
        flatten: Rows per column of a feature; below 1 the features lie flat, as after calendering.

    Returns:
        float32 (height, width), mean 0 and standard deviation 1 in expectation.

    Example:
        >>> smooth_field(np.random.default_rng(0), 40, 60, 8.0).shape
        (40, 60)
    """
    step_y, step_x = max(1.0, scale_px * flatten), max(1.0, scale_px)
    rows, columns = int(np.ceil(height / step_y)) + 4, int(np.ceil(width / step_x)) + 4
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    if step_y <= 1.0 and step_x <= 1.0:
        return coarse[:height, :width]
    shift_y, shift_x = rng.uniform(0.0, 1.0, 2)
    matrix = np.array([[1 / step_x, 0, 1 + shift_x], [0, 1 / step_y, 1 + shift_y]], np.float64)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    field = cv2.warpAffine(coarse, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    # The four cubic weights of each axis, squared and averaged over all positions, sum to 0.8572.
    return field / np.float32(0.8572)


def fractal_field(
    rng: np.random.Generator,
    height: int,
    width: int,
    scale_px: float,
    *,
    octaves: int = 3,
    flatten: float = 1.0,
) -> np.ndarray:
    """Smooth fields at `scale_px`, half of it, a quarter, each at 0.6 of the last one's strength; unit spread."""
    total = np.zeros((height, width), np.float32)
    power = 0.0
    for octave in range(octaves):
        weight = 0.6**octave
        total += np.float32(weight) * smooth_field(rng, height, width, scale_px / 2**octave, flatten=flatten)
        power += weight**2
    return total / np.float32(np.sqrt(power))


def least_of(values: np.ndarray, count: int) -> float:
    """The least of the `count` highest values; -inf if there are fewer, inf if none is wanted.

    This is how a phase fraction is met exactly, whatever the shape that the values give.

    Example:
        >>> least_of(np.array([3.0, 1.0, 2.0]), 2)
        2.0
    """
    if count <= 0:
        return np.inf
    if count >= values.size:
        return -np.inf
    return float(np.partition(values.ravel(), -count)[-count])
