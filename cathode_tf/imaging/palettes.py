"""The palette of a picture in, whose it is out: of one bit, a program's own, or made for this picture alone."""

from __future__ import annotations

import numpy as np


def is_black_and_white(colormap: np.ndarray) -> bool:
    """Whether the palette (n, 3) is black and white alone, in whatever order: a picture of one bit."""
    levels = sorted(colormap[:, 0].tolist())
    return levels == [0, 255] and bool((colormap == colormap[:, :1]).all())


def is_programs_table(colormap: np.ndarray, used: np.ndarray) -> bool:
    """Whether the palette is a program's own, the same for each picture: VOC's, or far more colours than are used."""
    if np.array_equal(colormap[: used[-1] + 1], _voc(int(used[-1]) + 1)):
        return True
    return len(np.unique(colormap, axis=0)) - len(used) >= 32


def _voc(count: int) -> np.ndarray:
    """The colours of Pascal VOC, which CVAT, LabelMe and others give to masks: the bits of the index, "
    "three by three."""
    index = np.arange(count, dtype=np.uint32)
    colors = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colors
