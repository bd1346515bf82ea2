"""Label image files in, int32 arrays out, and back: one number an instance, 0 = none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file


def read_labels(path: str | Path) -> np.ndarray:
    """The label image of a TIFF or PNG file, int32 (height, width).

    Raises:
        InputError: If the file cannot be read, is no grey image of whole numbers, or holds numbers below 0.
    """
    path = Path(path)
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            labels = tifffile.imread(path)
        else:
            from skimage.io import imread

            labels = imread(path)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise InputError(f"{path}: cannot be read as a label image ({error}).") from error
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise InputError(
            f"{path}: must be a label image, whole numbers (height, width). Received {labels.dtype} {labels.shape}."
        )
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high >= 2**31:
        raise InputError(f"{path}: must hold labels of 0 to {2**31 - 1}. Received {low} to {high}.")
    return labels.astype(np.int32)


def write_labels(path: str | Path, labels: np.ndarray, *, force: bool = False) -> Path:
    """Write a label image as a compressed TIFF of int32.

    Raises:
        InputError: If a file exists and `force` is not set.
    """
    with atomic_file(path, force=force) as temporary:
        tifffile.imwrite(temporary, labels.astype(np.int32), compression="zlib", predictor=False)
    return Path(path)
