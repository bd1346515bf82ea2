"""Pixels in; what a page shows of them out: a thumbnail, a picture of the size of a screen, grey levels to choose."""

from __future__ import annotations

import contextlib
import math
import threading
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import Micrograph, display, grey_range, iter_micrographs, windowed
from cathode_tf.imaging.rasters import SUFFIXES

THUMBNAIL_PX = 160
PICTURE_PX = 900
THUMBNAILS = 4096
"""So many are kept in memory, some 10 kB each."""


def thumbnail_of(pixels: np.ndarray) -> bytes:
    """A small PNG of a micrograph (height, width)."""
    scale = THUMBNAIL_PX / max(pixels.shape)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = display(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    return cv2.imencode(".png", small)[1].tobytes()


def picture_of(shown: np.ndarray) -> bytes:
    """A JPEG of at most 900 px of what is shown, uint8 (height, width) or BGR (height, width, 3)."""
    scale = min(1.0, PICTURE_PX / max(shown.shape[:2]))
    size = (max(1, round(shown.shape[1] * scale)), max(1, round(shown.shape[0] * scale)))
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA) if scale < 1 else shown
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def shown_between(pixels: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    """The micrograph as uint8 (height, width), stretched by itself or black and white at these grey levels.

    Raises:
        InputError: If white is not above black, or either is no number.
    """
    if window is None:
        return np.ascontiguousarray(display(pixels))
    black, white = window
    if not (math.isfinite(black) and math.isfinite(white) and black < white):
        raise InputError(f"window: white must be above black. Received {black:g} and {white:g}.")
    return np.ascontiguousarray(windowed(pixels, black, white))


def grey_levels(pixels: np.ndarray, acquisition: dict[str, Any]) -> dict[str, Any]:
    """Grey levels of a micrograph (`grey_range`), and `offset` and `scale` that lead to those of its file."""
    scaling = acquisition.get("float_scaling") or {}
    return {
        **grey_range(pixels),
        "type": str(pixels.dtype),
        "offset": float(scaling.get("offset", 0.0)),
        "scale": float(scaling.get("scale", 1.0)),
    }


class FilePictures:
    """Pictures of the files of a folder that is no project yet; of a stack its first slice.

    Args:
        folder: Where the files are; no other file is ever read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._one = threading.Lock()  # files may be large: one at a time in memory
        self._micrograph = lru_cache(maxsize=2)(self._read)
        self._thumbnail = lru_cache(maxsize=THUMBNAILS)(lambda *file: thumbnail_of(self._read(*file).pixels))

    def thumbnail(self, name: str) -> bytes:
        """A small PNG."""
        with self._one:
            return self._thumbnail(*self._file(name))

    def picture(self, name: str, window: tuple[float, float] | None = None) -> bytes:
        """A JPEG, black and white at these grey levels or chosen for the image."""
        with self._one:
            return picture_of(shown_between(self._micrograph(*self._file(name)).pixels, window))

    def levels(self, name: str) -> dict[str, Any]:
        """`grey_levels` of the file."""
        with self._one:
            micrograph = self._micrograph(*self._file(name))
        return grey_levels(micrograph.pixels, micrograph.acquisition)

    def _file(self, name: str) -> tuple[Path, int]:
        """The file of this name, and when it was changed.

        Raises:
            InputError: If it is none of the images directly in the folder.
        """
        path = self.folder / name
        plain = path.name == name and path.suffix.lower() in SUFFIXES and not name.startswith(".")
        if not (plain and path.is_file()):
            raise InputError(f"{name[:80]}: must be an image of {self.folder}. There is none of that name.")
        return path, path.stat().st_mtime_ns

    def _read(self, path: Path, changed: int) -> Micrograph:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # told when it is taken into a project
            with contextlib.closing(iter_micrographs(path, databar="none")) as slices:  # type: ignore[type-var]
                return next(slices)
