"""The bar of text under a micrograph: pixels in, the number of its rows out; masks cut to match."""

from __future__ import annotations

import numpy as np

from cathode_tf.errors import InputError


def find_databar(pixels: np.ndarray) -> int:
    """Rows at the bottom that are a databar: text on a uniform ground, not microscopy; 0 = none.

    Each of its rows is mostly one value, the same in all of them, as no detector gives; text stands
    out from it; and it ends at a row where that value is gone.
    """
    height, width = pixels.shape
    if height < 64 or width < 64:
        return 0
    lower = pixels[height - height // 4 :]
    values, counts = np.unique(lower[-8:], return_counts=True)
    ground = values[counts.argmax()]
    is_ground = lower == ground
    share = is_ground.mean(axis=1)
    bare = np.flatnonzero(share < 0.4)
    rows = lower.shape[0] - (int(bare[-1]) + 1 if bare.size else 0)
    if rows < 10 or rows == lower.shape[0] or share[-rows - 1] > 0.25:
        return 0
    span = 64 * (257 if pixels.dtype == np.uint16 else 1)
    text = np.abs(lower[-rows:].astype(np.int32) - int(ground)) > span
    return rows if 0.003 <= text.mean() <= 0.5 else 0


def fit_mask_to_cut(mask: np.ndarray, shape: tuple[int, int], databar_rows: int, source: str) -> np.ndarray:
    """The mask for a micrograph whose databar was cut, wherever the mask was made.

    Args:
        mask: (height, width), made before the cut (with the databar's rows) or after it.
        shape: (height, width) of the micrograph after the cut.
        databar_rows: Rows that were cut.
        source: File name for the message.

    Raises:
        InputError: If the mask has neither height, or another width.
    """
    height, width = shape
    if mask.shape == (height, width):
        return mask
    if databar_rows and mask.shape == (height + databar_rows, width):
        return mask[:height]
    before = f" (or {height + databar_rows} with its databar)" if databar_rows else ""
    raise InputError(
        f"{source}: must have the size of its image, {width} x {height}{before}. "
        f"Received {mask.shape[1]} x {mask.shape[0]}."
    )
