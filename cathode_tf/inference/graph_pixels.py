"""Raw pixels as tensors in, what a network is given out: tamed, standardised, padded, and where it is measured.

The same rules as in `datasets.standardization`, `imaging.outliers` and `tiles`, level for level, inside a graph.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from cathode_tf.imaging.outliers import ALL, FEWEST_LEVELS, LEVELS, TAIL
from cathode_tf.inference.tiles import Grid, reflect

SAMPLE_SIDE_PX = 256
SAMPLES_PER_AXIS = 4


def sample_places(shape: tuple[Any, Any], grid: Grid) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """By axis, starts and side of the pieces on which the normalisation is measured: all of it, or four.

    They depend on the image and the network only, so that tiles of any size give the same answer.
    """
    height, width = (tf.cast(length, tf.int64) for length in shape)
    pieces = tf.cast(tf.logical_not(grid.whole((height, width))), tf.int32)
    places = []
    for length in shape:
        padded = grid.padded(length)
        long = pieces * tf.cast(padded > SAMPLE_SIDE_PX * SAMPLES_PER_AXIS, tf.int32)
        count = 1 + long * (SAMPLES_PER_AXIS - 1)
        side = (1 - long) * padded + long * grid.padded(SAMPLE_SIDE_PX)
        starts = (padded - side) * tf.range(count) // tf.maximum(count - 1, 1)
        places.append((starts // grid.multiple * grid.multiple, side))
    return places


def positions(starts: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    return tf.reshape(starts[:, None] + tf.range(side), (-1,))


def image_constants(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and inverse spread (float32) of integer pixels, by the rule of `datasets.standardization`."""
    wide = tf.cast(pixels, tf.int64)
    size = tf.cast(tf.size(pixels), tf.float64)
    mean = tf.cast(tf.reduce_sum(wide), tf.float64) / size
    square = tf.cast(tf.reduce_sum(wide * wide), tf.float64) / size
    std = tf.maximum(tf.sqrt(tf.maximum(square - mean * mean, 0.0)), 1.0)
    return tf.cast(mean, tf.float32), tf.cast(1.0 / std, tf.float32)


def tamed(pixels: tf.Tensor) -> tf.Tensor:
    """Pixels uint16 with what no specimen shows taken off, by the rule of `imaging.outliers`, level for level."""
    flat = tf.reshape(tf.cast(pixels, tf.int32), (-1,))
    counts = tf.cast(tf.math.bincount(flat, minlength=LEVELS, maxlength=LEVELS), tf.int64)
    rest, lowest = _without(counts, -1)
    rest, highest = _without(rest, 1)
    low, high, middle = _range(rest)
    width = tf.maximum(high - low, 1)
    levels = tf.range(LEVELS, dtype=tf.int64)
    table = tf.clip_by_value(levels, tf.maximum(low - width, 0), tf.minimum(high + width, LEVELS - 1))
    table = tf.where((levels == lowest) | (levels == highest), middle, table)
    table = tf.where(tf.math.count_nonzero(rest) < FEWEST_LEVELS, levels, table)
    return tf.cast(tf.gather(table, tf.cast(pixels, tf.int32)), tf.uint16)


def _without(counts: tf.Tensor, end: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The counts without their lowest (-1) or highest (1) level, and that level, or -1 where it is a grey."""
    levels = tf.range(LEVELS, dtype=tf.int64)
    # The extreme of the levels that are there; of none at all it is never asked.
    there = tf.where(counts > 0, levels * end, -LEVELS)
    level = tf.reduce_max(there)
    following = tf.reduce_max(tf.where(there == level, tf.constant(-LEVELS, tf.int64), there))
    rest = tf.where(there == level, tf.zeros_like(counts), counts)
    low, high, _ = _range(rest)
    alone = 4 * (level - following) > 3 * tf.maximum(high - low, 1)
    many = tf.math.count_nonzero(counts) > FEWEST_LEVELS
    few = 2 * tf.gather(counts, tf.abs(level)) < tf.reduce_sum(counts)
    no_data = alone & many & few
    return tf.where(no_data, rest, counts), tf.where(no_data, level * end, tf.constant(-1, tf.int64))


def _range(counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Levels at the 0.5 % and 99.5 % quantile, and the median, int64."""
    below = tf.cumsum(counts)
    total = below[-1]
    wanted = ((ALL, TAIL), (ALL, ALL - TAIL), (2, 1))
    low, high, middle = (tf.math.count_nonzero(below * scale < total * share) for scale, share in wanted)
    return low, high, middle


def standardized(pixels: tf.Tensor, mean: tf.Tensor, inverse: tf.Tensor) -> tf.Tensor:
    """Integer pixels (..., h, w) as the network sees them: float32 (..., h, w, 1)."""
    return ((tf.cast(pixels, tf.float32) - mean) * inverse)[..., None]


def decoded_png(content: tf.Tensor) -> tf.Tensor:
    """Pixels uint16 (h, w) of a grey PNG of 8 or 16 bits, with their values unchanged."""
    depth, color = (tf.io.decode_raw(tf.strings.substr(content, at, 1), tf.uint8) for at in (24, 25))
    tf.debugging.assert_equal(
        color, tf.constant([0], tf.uint8), "png: must be grey, without a palette or alpha."
    )
    pixels = tf.io.decode_png(content, channels=1, dtype=tf.uint16)[..., 0]
    # TensorFlow stretches 8-bit values to 16 bits; this takes them back.
    return tf.where(depth[0] == 16, pixels, pixels // 257)


def padded_window(pixels: tf.Tensor, rows: Any, start: Any, columns: Any) -> tf.Tensor:
    """`rows` x `columns` pixels from column `start` on, mirrored where the image ends."""
    height, width = tf.unstack(tf.shape(pixels))
    chosen = tf.gather(pixels, reflect(tf.range(start, start + columns), width), axis=1)
    return tf.gather(chosen, reflect(tf.range(rows), height))
