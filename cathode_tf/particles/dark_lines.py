"""A micrograph and its solid in; the dark lines inside the solid, which a mask too coarse for them left out, out."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
from skimage.filters import apply_hysteresis_threshold

from cathode_tf.errors import InputError

WIDTHS_PX = (0.8, 1.5)
"""Standard deviations across the line: lines of 1 to 4 px."""
ASIDE = 2.5
"""How far away the sides of a line are, in its width."""
LENGTH_PX = 3.0
"""Standard deviation along the line: what is averaged against noise."""
ORIENTATIONS = 12
SURE, POSSIBLE = 3.7, 1.5
"""A line holds a place this many times above noise, and goes on as far as this."""
FAINT = 0.25
"""A line one pixel wide is at least this share of the way from the solid's grey to that of what is beside it."""
CRACKS_ADD = 1.5
"""By up to this factor cracks themselves raise the weakest responses; more than that is noise."""
SURROUNDING_PX = 12.0


def dark_lines(grey: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """Where the micrograph is darker along a line than noise explains.

    Grey averaged along short lines in 12 directions [1] is held against that of the lines on both sides; a line holds a
    strong place, and goes on through weak ones. Noise is what a Laplacian shows [2], or what the weakest responses show
    where that is much more: then noise is correlated.

    Args:
        grey: Micrograph (height, width), any number.
        solid: Boolean (height, width): the particles. Their edges, and what is beyond, give no line.

    Returns:
        Boolean (height, width), inside `solid`.

    Raises:
        InputError: If the two differ in shape.

    Example:
        >>> grey = np.random.default_rng(0).normal(100, 3, (40, 40)); grey[20, 5:35] -= 60
        >>> lines = dark_lines(grey, np.ones((40, 40), bool))
        >>> bool(lines[20, 8:32].all()), bool(lines[:15].any())
        (True, False)

    Reference:
        [1] Canny, IEEE Trans. Pattern Anal. Mach. Intell. 8 (1986) 679 (oriented operators, hysteresis).
        [2] Immerkaer, Comput. Vis. Image Underst. 64 (1996) 300.
    """
    grey = np.asarray(grey)
    if grey.shape != solid.shape:
        raise InputError(f"grey: must have the mask's shape {solid.shape}. Received {grey.shape}.")
    core = cv2.erode(solid.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    if not core.any():
        return np.zeros(solid.shape, bool)
    image = _without_edges(grey.astype(np.float32), solid)
    contrast = float(np.median(grey[solid]) - np.median(grey[~solid])) if not solid.all() else 0.0
    strongest = np.zeros(solid.shape, np.float32)
    noise = _noise(grey.astype(np.float32), core)
    for width in WIDTHS_PX:
        response = _response(image, width)
        of_noise, of_line = _answers(width)
        weak = _weak_spread(response[core]) / of_noise
        noise = weak if weak > CRACKS_ADD * noise else noise
        faint = FAINT * contrast * of_line
        np.maximum(strongest, response / max(noise, faint / SURE, 1e-6), out=strongest)
    strongest[cv2.erode(solid.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0] = 0
    return apply_hysteresis_threshold(strongest, POSSIBLE, SURE)


def _without_edges(image: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """The image with the mean grey of the solid around wherever there is none."""
    weight = solid.astype(np.float32)
    near = cv2.GaussianBlur(weight, (0, 0), SURROUNDING_PX)
    mean = cv2.GaussianBlur(image * weight, (0, 0), SURROUNDING_PX) / np.maximum(near, 1e-3)
    return np.where(solid, image, mean)


def _noise(image: np.ndarray, where: np.ndarray) -> float:
    """Spread of white noise, from a difference of Laplacians that neither slopes nor straight edges excite."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    return 1.4826 * float(np.median(np.abs(cv2.filter2D(image, -1, kernel)[where])))


def _response(image: np.ndarray, width: float) -> np.ndarray:
    """How much darker the best line through each pixel is than both its sides, over the spread of white noise."""
    best = np.full(image.shape, -np.inf, np.float32)
    for kernel, across in zip(_kernels(width), _ways_across(), strict=True):
        along = cv2.filter2D(image, -1, kernel)
        sides = [_moved(along, sign * ASIDE * width * across) for sign in (1, -1)]
        # An edge is darker than one of its sides only.
        np.maximum(best, np.minimum(*sides) - along, out=best)
    return best / np.float32(np.sqrt(2 * (kernel**2).sum()))


def _moved(image: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The image `by` (x, y) pixels aside."""
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]])
    return cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=cv2.BORDER_REFLECT_101)


def _weak_spread(response: np.ndarray) -> float:
    """Spread of the weaker responses, which cracks hardly change."""
    low, high = np.quantile(response, [0.05, 0.25])
    return float(high - low)


@functools.cache
def _answers(width: float) -> tuple[float, float]:
    """`_weak_spread` of white noise of spread 1, and the response to a line of depth 1 and one pixel."""
    noise = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
    line = np.zeros((41, 41), np.float32)
    line[20] = -1
    return _weak_spread(_response(noise, width)), float(_response(line, width)[20, 20])


@functools.cache
def _ways_across() -> np.ndarray:
    """Unit vectors (x, y) across the line of each orientation."""
    angles = np.arange(ORIENTATIONS) * math.pi / ORIENTATIONS
    return np.column_stack([-np.sin(angles), np.cos(angles)])


@functools.cache
def _kernels(width: float) -> tuple[np.ndarray, ...]:
    """Gaussians, long along the line and narrow across it, in all orientations; each sums to 1."""
    reach = math.ceil(3 * LENGTH_PX)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    kernels = []
    for across_x, across_y in _ways_across():
        along, across = x * across_y - y * across_x, x * across_x + y * across_y
        kernel = np.exp(-((along / LENGTH_PX) ** 2 + (across / width) ** 2) / 2)
        kernels.append((kernel / kernel.sum()).astype(np.float32))
    return tuple(kernels)
