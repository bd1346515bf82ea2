"""The bar of text under a micrograph: pixels in, the number of its rows out; masks cut to match."""

from __future__ import annotations

import numpy as np

from cathode_tf.errors import InputError


def find_databar(pixels: np.ndarray) -> int:
    """Rows at the bottom that are a databar: text on a uniform ground, not microscopy; 0 = none.

    A detector's noise spreads a row over many grey levels, while most of a drawn row is one level. So a databar
    is a block of drawn rows near the bottom, up to a quarter of the image, that starts with a row of ground from
    edge to edge, right below rows that are not drawn, and that has text which stands out from its ground.
    A few rows of picture below it (Zeiss leaves two) are counted with it.

    Args:
        pixels: (height, width), any number type.
    """
    height, width = pixels.shape
    if height < 64 or width < 64:
        return 0
    margin = max(2, height // 64)
    if not (_dominant(pixels[-margin:])[0] >= 0.4).any():
        return 0  # as in most images, and quickly seen
    lower = pixels[height - height // 4 :]
    share, level = _dominant(lower)
    drawn = np.flatnonzero(share >= 0.4)
    bare = np.flatnonzero(share[: drawn[-1]] < 0.4)
    if not bare.size:
        return 0
    top, end = int(bare[-1]) + 1, int(drawn[-1]) + 1
    if end - top < max(10, height // 100) or share[top] < 0.9:
        return 0
    if share[top - 1] > 0.25 or np.median(share[:top]) > 0.25:
        return 0
    levels, counts = np.unique(level[top:end], return_counts=True)
    ground = float(levels[counts.argmax()])
    bar = lower[top:end].astype(np.float64)
    text = np.abs(bar - ground) > 0.25 * (float(lower.max()) - float(lower.min()))
    if counts.max() < 0.7 * (end - top) or not 0.003 <= text.mean() <= 0.5:
        return 0
    return lower.shape[0] - top


def _dominant(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row, the share of its most frequent value, and that value."""
    ordered = np.sort(rows, axis=1)
    width = rows.shape[1]
    # Lengths of the runs of equal values in the sorted rows, found where they end.
    ends = np.ones(ordered.shape, bool)
    ends[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
    row, column = np.nonzero(ends)
    begins = np.where(np.r_[True, row[1:] != row[:-1]], -1, np.r_[-1, column[:-1]])
    lengths = column - begins
    best = np.zeros(len(rows), np.int64)
    np.maximum.at(best, row, lengths)
    value = np.zeros(len(rows), rows.dtype)
    winners = lengths == best[row]
    value[row[winners]] = ordered[row[winners], column[winners]]
    return best / width, value


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
    check_size(mask.shape, shape, databar_rows, source)
    return mask[: shape[0]]


def check_size(size: tuple[int, ...], shape: tuple[int, int], databar_rows: int, source: str) -> None:
    """Raise unless `size` is the (height, width) of the micrograph after, or before, its databar was cut."""
    height, width = shape
    if size in ((height, width), (height + databar_rows, width)):
        return
    before = f" (or {height + databar_rows} with its databar)" if databar_rows else ""
    raise InputError(
        f"{source}: must have the size of its image, {width} x {height}{before}. "
        f"Received {size[1]} x {size[0]}."
    )
