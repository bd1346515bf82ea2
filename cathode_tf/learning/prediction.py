"""A model and a raw image in, probabilities for every pixel of it out."""

from __future__ import annotations

import itertools

import keras
import numpy as np

from cathode_tf.datasets.standardize import image_statistics, standardize
from cathode_tf.learning.models import read_card

TILE_PX = 1024
OVERLAP_PX = 128


def predict_image(model: keras.Model, pixels: np.ndarray, *, tile_px: int = TILE_PX) -> np.ndarray:
    """Probabilities of each phase at each pixel of one image.

    The image is standardised as a whole, mirrored at its edges up to a size the network takes, and cut
    into overlapping tiles where it is larger than `tile_px`. `cathode_tf.Segmenter` is the tool for
    users; this is the plain version that validation needs.

    Args:
        model: A model of `build_unet`.
        pixels: Raw integer image (height, width).
        tile_px: Largest height and width that goes through the network at once.

    Returns:
        float32 array (height, width, phases); sums to 1 over the phases.
    """
    z = standardize(pixels, *image_statistics(pixels))
    multiple = read_card(model)["size_multiple"]
    tile_px = max(tile_px // multiple * multiple, multiple)
    rows, columns = _tiles(z.shape[0], tile_px), _tiles(z.shape[1], tile_px)
    out = None
    for read_row, write_row in rows:
        for read_column, write_column in columns:
            tile = z[slice(*read_row), slice(*read_column)]
            p = _predict(model, tile, multiple)
            if out is None:
                out = np.empty((*z.shape, p.shape[-1]), np.float32)
            out[slice(*write_row), slice(*write_column)] = p[
                write_row[0] - read_row[0] : write_row[1] - read_row[0],
                write_column[0] - read_column[0] : write_column[1] - read_column[0],
            ]
    assert out is not None
    return out


def _predict(model: keras.Model, z: np.ndarray, multiple: int) -> np.ndarray:
    height, width = z.shape
    pad = [(0, -height % multiple), (0, -width % multiple)]
    # "symmetric" also works where the image is smaller than the padding.
    padded = np.pad(z, pad, mode="symmetric")[None, :, :, None]
    return np.asarray(model.predict_on_batch(padded))[0, :height, :width]


def _tiles(length: int, tile: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Read and write regions along one axis; the write regions cover it once, away from tile edges."""
    if length <= tile:
        return [((0, length), (0, length))]
    overlap = min(OVERLAP_PX, tile // 2)
    starts = list(range(0, length - tile, tile - overlap)) + [length - tile]
    cuts = [0, *((a + tile + b) // 2 for a, b in itertools.pairwise(starts)), length]
    return [((s, s + tile), (cuts[i], cuts[i + 1])) for i, s in enumerate(starts)]
