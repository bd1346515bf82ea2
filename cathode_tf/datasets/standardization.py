"""Raw integer pixels in, standardised float32 pixels out: the one rule for training and inference.

z = (x - mean) / max(std, 1), with mean and standard deviation over all pixels of the whole image. The sums
are exact integers, so that numpy, a TensorFlow graph and stripes of a large image give the same numbers.

The rule has a version, which a model's card tells. By `image-zscore/2` pixels that no specimen shows are taken off
first (`imaging.outliers`), so that one hot pixel does not darken the image; in ordinary images both rules are one.
"""

from __future__ import annotations

import itertools

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.imaging.outliers import LEVELS, find_outliers, histogram

RULE = "image-zscore/2"
"""Name of the rule on the cards of new models."""
RULES = ("image-zscore/1", RULE)

# Blocks of so many pixels stay in the fast cache, and the squares of 16-bit values add up below 2**53, where
# float64 still counts exactly. (Not by BLAS: its threads wait for each other longer than they work.)
_BLOCK = 1 << 15


def table_of(counts: np.ndarray, rule: str = RULE) -> np.ndarray | None:
    """What to take for each grey level by a rule, uint16 (65536,); None where all stay as they are.

    Args:
        counts: How often each level occurs in the image (`imaging.outliers.histogram`).
        rule: One of `RULES`.
    """
    if check_rule(rule) == RULES[0]:
        return None
    found = find_outliers(counts)
    return found.table if found.changed_px else None


def prepared(pixels: np.ndarray, rule: str = RULE) -> np.ndarray:
    """The pixels whose mean and spread standardise them by a rule; the very array in ordinary images."""
    if check_rule(rule) == RULES[0]:
        return pixels
    table = table_of(histogram([pixels]), rule)
    return pixels if table is None else table.astype(pixels.dtype)[pixels]


def statistics_of_counts(counts: np.ndarray, table: np.ndarray | None) -> tuple[float, float]:
    """Mean and standard deviation from how often each level occurs, each taken as the table says."""
    levels = np.arange(LEVELS, dtype=np.int64) if table is None else table.astype(np.int64)
    counts = np.asarray(counts, np.int64)
    return statistics_of_sums(int(counts.sum()), int(counts @ levels), int(counts @ (levels * levels)))


def check_rule(rule: str) -> str:
    """The rule, if this version knows it.

    Raises:
        InputError: If it does not, as a later version may have another.
    """
    if rule not in RULES:
        raise InputError(
            f"model: must be standardised by {' or '.join(RULES)}. Its card says {rule!r}: take a newer cathode_tf."
        )
    return rule


def image_statistics(pixels: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation over all pixels, from exact integer sums.

    Args:
        pixels: uint8 or uint16 array of any shape with at least one pixel.

    Returns:
        Mean and standard deviation, in grey values.

    Example:
        >>> image_statistics(np.array([[0, 2], [4, 6]], np.uint8))
        (3.0, 2.23606797749979)
    """
    lines = pixels.reshape(-1, pixels.shape[-1])
    columns = min(lines.shape[1], _BLOCK)
    rows = _BLOCK // columns
    total = squares = 0
    memory = np.empty(_BLOCK)
    for top, left in itertools.product(range(0, lines.shape[0], rows), range(0, lines.shape[1], columns)):
        part = lines[top : top + rows, left : left + columns]
        block = memory[: part.size]
        block.reshape(part.shape)[:] = part
        total += int(block.sum())
        squares += int(np.einsum("i,i->", block, block))
    return statistics_of_sums(pixels.size, total, squares)


def statistics_of_sums(count: int, total: int, squares: int) -> tuple[float, float]:
    """Mean and standard deviation from the number of pixels, their sum and the sum of their squares."""
    mean = np.float64(total) / np.float64(count)
    variance = np.maximum(np.float64(squares) / np.float64(count) - mean * mean, 0.0)
    return float(mean), float(np.sqrt(variance))


def standardize(pixels: np.ndarray, mean: float, std: float) -> np.ndarray:
    """float32 array of the shape of `pixels` with the mean at 0 and the standard deviation at 1.

    A standard deviation below one grey value counts as one, so that an empty image stays finite.
    """
    offset, factor = scale_of(mean, std)
    out = pixels.astype(np.float32)
    out -= offset
    out *= factor
    return out


def scale_of(mean: float, std: float) -> tuple[np.float32, np.float32]:
    """Offset and factor, float32, of z = (x - offset) * factor."""
    return np.float32(mean), np.float32(1.0 / max(std, 1.0))
