"""An image in, the same image as a model sees it out, whole or in windows; and what the model says brought back.

Everything that segments goes this way: read, to the model's pixel size, through the network, back. No TensorFlow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging import Micrograph
from cathode_tf.imaging.resampling import Reader, Resampling, scale_between

Block = tuple[int, int, dict[str, np.ndarray]]
"""First row, first column, and maps of one shape that begin there."""


class ScaledImage:
    """An image at the pixel size of a model.

    Args:
        read: Gives the pixels of some rows and columns, uint8 or uint16: `read(slice(0, 9), slice(5, 7))`.
        shape: Height and width.
        scale: By what it is enlarged for the model; 1.0 leaves it as it is.

    Attributes:
        own_shape: (height, width) of the image.
        shape: (height, width) as the model sees it.

    Example:
        >>> image = ScaledImage.of(Micrograph(np.zeros((4, 6), np.uint8), pixel_size_nm=20.0), {"pixel_size_nm": 10.0})
        >>> image.own_shape, image.shape, image.whole().shape
        ((4, 6), (8, 12), (8, 12))
        >>> image.back(np.ones((8, 12))).shape
        (4, 6)
    """

    def __init__(self, read: Reader, shape: tuple[int, int], scale: float = 1.0):
        self._read = read
        self._resampling = None if scale == 1.0 else Resampling(shape, scale)
        self.own_shape = shape
        self.shape = shape if self._resampling is None else self._resampling.target

    @classmethod
    def of(cls, image: np.ndarray | Micrograph, card: dict[str, Any]) -> ScaledImage:
        """An image in memory, for the model of a card."""
        pixels = image_pixels(image)
        return cls(lambda *window: pixels[window], pixels.shape, scale_to_model(image, card))

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Some rows and columns as the model sees them."""
        if self._resampling is None:
            return self._read(rows, columns)
        return self._resampling.window(self._read, rows, columns)

    def whole(self) -> np.ndarray:
        """All pixels as the model sees them."""
        return self.read(slice(0, self.shape[0]), slice(0, self.shape[1]))

    def back(self, values: np.ndarray) -> np.ndarray:
        """Values (height, width, ...) of all pixels that the model saw, at the image's own, each by the nearest."""
        return values if self._resampling is None else self._resampling.back(values)

    def block_back(self, block: Block) -> Block:
        """A part of the maps at the image's own pixels; blocks that cover the one image once cover the other once.

        Where an image was enlarged much, a thin block may have no pixel of its own.
        """
        row, column, maps = block
        if self._resampling is None:
            return block
        height, width = next(iter(maps.values())).shape[:2]
        first_row, rows = self._resampling.nearest(0, slice(row, row + height))
        first_column, columns = self._resampling.nearest(1, slice(column, column + width))
        return first_row, first_column, {k: v[rows][:, columns] for k, v in maps.items()}


def image_pixels(image: np.ndarray | Micrograph) -> np.ndarray:
    """The checked pixels of an image."""
    pixels = image.pixels if isinstance(image, Micrograph) else np.asarray(image)
    if pixels.ndim != 2 or not pixels.size or pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            "image: must be uint8 or uint16 (height, width) with at least one pixel, as read_micrograph "
            f"gives it. Received {pixels.dtype} {pixels.shape}."
        )
    return pixels


def scale_to_model(image: np.ndarray | Micrograph, card: dict[str, Any]) -> float:
    """By what an image must be enlarged to have the model's pixel size; 1.0 where either size is unknown.

    Example:
        >>> image = Micrograph(np.zeros((4, 4), np.uint8), pixel_size_nm=20.0)
        >>> scale_to_model(image, {"pixel_size_nm": 10.0})
        2.0
    """
    if not isinstance(image, Micrograph):
        return 1.0
    return scale_between(image.pixel_size_nm, card.get("pixel_size_nm"), image.path)
