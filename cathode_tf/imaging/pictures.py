"""Pictures for people: micrographs stretched to 8 bit, masks laid over them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.imaging.legends import with_legend
from cathode_tf.imaging.outliers import tamed
from cathode_tf.phases import IGNORE, Phases


def display(pixels: np.ndarray, *, low: float = 0.5, high: float = 99.5) -> np.ndarray:
    """The micrograph as uint8 (height, width) for looking at, stretched between two percentiles.

    Args:
        pixels: (height, width), any number type.
        low, high: Percentiles that become black and white; a few hot pixels then spoil nothing.

    Example:
        >>> display(np.array([[100, 200], [300, 400]], np.uint16), low=0, high=100)
        array([[  0,  85],
               [170, 255]], dtype=uint8)
    """
    counted = pixels.dtype in (np.uint8, np.uint16)
    if counted and pixels.size:
        pixels = tamed(pixels)
    black, white = _levels(pixels, (low, high)) if counted else np.percentile(pixels, (low, high))
    if white <= black:
        black, white = float(pixels.min()), float(pixels.max())
    if white <= black:
        return np.full(pixels.shape, 128, np.uint8)
    # Each grey level is stretched once, and looked up for each pixel.
    values = np.arange(np.iinfo(pixels.dtype).max + 1) if counted else pixels
    scaled = (values.astype(np.float32) - np.float32(black)) * np.float32(255 / (white - black))
    stretched = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    if pixels.dtype == np.uint8:
        return cv2.LUT(pixels, stretched)  # several times as fast as indexing
    return stretched[pixels] if counted else stretched


def windowed(pixels: np.ndarray, black: float, white: float) -> np.ndarray:
    """The micrograph as uint8 (height, width), stretched between two of its grey levels.

    Args:
        pixels: uint8 or uint16 (height, width).
        black, white: Levels that are shown black and white; what lies beyond is cut off.

    Example:
        >>> windowed(np.array([[100, 200, 300]], np.uint16), 100, 200)
        array([[  0, 255, 255]], dtype=uint8)
    """
    values = np.arange(np.iinfo(pixels.dtype).max + 1, dtype=np.float32)
    stretched = np.clip(np.rint((values - black) * (255 / (white - black))), 0, 255).astype(np.uint8)
    return cv2.LUT(pixels, stretched) if pixels.dtype == np.uint8 else stretched[pixels]


def grey_range(pixels: np.ndarray) -> dict[str, float]:
    """`least` and `most` grey level of a micrograph, and the `black` and `white` that `display` shows it with."""
    black, white = _levels(tamed(pixels), (0.5, 99.5))
    return {"least": float(pixels.min()), "most": float(pixels.max()), "black": black, "white": white}


def _levels(pixels: np.ndarray, percents: tuple[float, float]) -> list[float]:
    """Percentiles as `np.percentile` gives them, from how often each grey level occurs: no sorting."""
    if pixels.size < 1 << 24:  # OpenCV counts faster, in float32, which is exact up to here
        size = np.iinfo(pixels.dtype).max + 1
        counts = cv2.calcHist([np.ascontiguousarray(pixels)], [0], None, [size], [0, size]).ravel()
        below = np.cumsum(counts.astype(np.int64))
    else:
        below = np.cumsum(np.bincount(pixels.ravel()))
    levels = []
    for percent in percents:
        place = percent / 100 * (pixels.size - 1)
        left, right = np.searchsorted(below, (np.floor(place), np.ceil(place)), side="right")
        levels.append(float(left + (right - left) * (place % 1)))
    return levels


def overlay(pixels: np.ndarray, mask: np.ndarray, phases: Phases, alpha: float = 0.4) -> np.ndarray:
    """The micrograph with each phase tinted in its colour, uint8 (height, width, 3) RGB.

    Pixels of the mask equal to 255 (ignored) show the bare micrograph.

    Args:
        pixels: (height, width), any number type; stretched by `display`.
        mask: Segmentation mask, uint8 (height, width) ids.
        phases: The colours.
        alpha: Weight of the colour, 0-1.

    Raises:
        InputError: If the shapes differ.
    """
    if pixels.shape != mask.shape:
        raise InputError(
            f"overlay: micrograph and mask must have the same (height, width). "
            f"Received {pixels.shape} and {mask.shape}."
        )
    grey = display(pixels)[..., None].astype(np.float32)
    colored = (1 - alpha) * grey + alpha * phases.palette()[mask].astype(np.float32)
    blend = np.where((mask == IGNORE)[..., None], grey, colored)
    return np.rint(blend).astype(np.uint8)


def write_overlay(
    path: str | Path,
    micrograph_pixels: np.ndarray,
    mask: np.ndarray,
    phases: Phases,
    *,
    pixel_size_nm: float | None = None,
    force: bool = False,
) -> Path:
    """Write `overlay` as an RGB PNG, with the phases' colours and a scale bar in a strip below it.

    Args:
        path: The file.
        micrograph_pixels: (height, width), any number type.
        mask: Segmentation mask, uint8 (height, width) ids.
        phases: Names and colours.
        pixel_size_nm: Edge of a pixel; None = unknown, then there is no scale bar.
        force: Replace an existing file.
    """
    from PIL import Image

    colors = {phase.name: phase.color for phase in phases}
    picture = with_legend(overlay(micrograph_pixels, mask, phases), colors, pixel_size_nm=pixel_size_nm)
    with atomic_file(path, force=force) as temporary:
        Image.fromarray(picture).save(temporary, "PNG", compress_level=4)
    return Path(path)
