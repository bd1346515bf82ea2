"""A model and a raw image in, probabilities for every pixel of it out."""

from __future__ import annotations

import itertools

import keras
import numpy as np

from cathode_tf.datasets.standardization import image_statistics, prepared, standardize
from cathode_tf.imaging import Micrograph
from cathode_tf.imaging.resampling import Resampling, scale_between
from cathode_tf.learning.models import read_card

TILE_PX = 1024
OVERLAP_PX = 128


def predict_image(
    model: keras.Model, image: np.ndarray | Micrograph, *, tile_px: int = TILE_PX
) -> np.ndarray:
    """Probabilities of each phase at each pixel of one image.

    The image is standardised as a whole, mirrored at its edges up to a size the network takes, and cut
    into overlapping tiles where it is larger than `tile_px`. A `Micrograph` of known pixel size is resampled to
    the model's, and the answer brought back. `cathode_tf.Segmenter` is the tool for users; this is the plain
    version that validation needs.

    Args:
        model: A model of `build_unet`.
        image: Raw integer image (height, width), or a `Micrograph`.
        tile_px: Largest height and width that goes through the network at once.

    Returns:
        float32 array (height, width, phases); sums to 1 over the phases.
    """
    if isinstance(image, Micrograph):
        scale = scale_between(image.pixel_size_nm, read_card(model).get("pixel_size_nm"), image.path)
        resampling = Resampling(image.pixels.shape, scale)
        if scale != 1.0:
            return resampling.back(predict_image(model, resampling(image.pixels), tile_px=tile_px))
    card = read_card(model)
    pixels = prepared(image.pixels if isinstance(image, Micrograph) else image, card["standardization"])
    height, width = pixels.shape
    multiple = card["size_multiple"]
    z = standardize(pixels, *image_statistics(pixels))
    # "symmetric" also works where the image is smaller than the padding.
    z = np.pad(z, [(0, -height % multiple), (0, -width % multiple)], mode="symmetric")
    rows, columns = _tiles(z.shape[0], tile_px, multiple), _tiles(z.shape[1], tile_px, multiple)
    out = None
    for (top, bottom), own_rows in rows:
        for (left, right), own_columns in columns:
            tile = np.asarray(model.predict_on_batch(z[None, top:bottom, left:right, None]))[0]
            if out is None:
                out = np.empty((*z.shape, tile.shape[-1]), np.float32)
            within = (slice(*np.subtract(own_rows, top)), slice(*np.subtract(own_columns, left)))
            out[slice(*own_rows), slice(*own_columns)] = tile[within]
    assert out is not None
    return out[:height, :width]


def _tiles(length: int, tile: int, multiple: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Read and write regions along one axis of `length`, a multiple of `multiple`.

    The write regions cover the axis once and stay away from the inner edges of the read regions, which
    begin and end at multiples, so that the network's blocks of pixels are the same in every tile.
    """
    tile = max(tile // multiple, 1) * multiple
    if length <= tile:
        return [((0, length), (0, length))]
    overlap = min(OVERLAP_PX // multiple, tile // multiple // 2) * multiple
    starts = range(0, length - overlap, tile - overlap)
    cuts = [0, *(start + overlap // 2 for start in starts[1:]), length]
    return [
        ((start, min(start + tile, length)), cut)
        for start, cut in zip(starts, itertools.pairwise(cuts), strict=True)
    ]
