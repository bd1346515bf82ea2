"""Label image files in, int32 arrays out, and back: one number an instance, 0 = none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.imaging.rasters import MAX_MEGAPIXELS, quiet


def read_labels(path: str | Path) -> np.ndarray:
    """The label image of a TIFF or PNG file, int32 (height, width).

    Raises:
        InputError: If the file cannot be read, is no grey image of whole numbers, or holds numbers below 0.
    """
    path = Path(path)
    try:
        with quiet():
            labels = _read(path)
    except Exception as error:  # decoders raise anything on damaged files
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"{path}: cannot be read as a label image ({reason}).") from error
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise InputError(
            f"{path}: must be a label image, whole numbers (height, width). Received {labels.dtype} {labels.shape}."
        )
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high >= 2**31:
        raise InputError(f"{path}: must hold labels of 0 to {2**31 - 1}. Received {low} to {high}.")
    return labels.astype(np.int32)


def _read(path: Path) -> np.ndarray:
    if path.suffix.lower() in (".tif", ".tiff"):
        with tifffile.TiffFile(path) as file:
            shape = file.pages[0].shape
            if np.prod(shape, dtype=float) > MAX_MEGAPIXELS * 1e6:
                raise ValueError(
                    f"{' x '.join(map(str, shape))} px are more than {MAX_MEGAPIXELS} megapixels"
                )
            return file.asarray()
    from skimage.io import imread

    return imread(path)


def write_labels(path: str | Path, labels: np.ndarray, *, force: bool = False) -> Path:
    """Write a label image as a compressed TIFF of int32.

    Raises:
        InputError: If a file exists and `force` is not set.
    """
    with atomic_file(path, force=force) as temporary:
        tifffile.imwrite(temporary, labels.astype(np.int32), compression="zlib", predictor=False)
    return Path(path)
