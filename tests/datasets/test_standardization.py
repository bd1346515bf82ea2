"""Exact sums, and one rule in numpy, in stripes and in a TensorFlow graph."""

import numpy as np
import pytest
import tensorflow as tf

from cathode_tf import InputError
from cathode_tf.datasets.standardization import (
    RULE,
    image_statistics,
    prepared,
    scale_of,
    standardize,
    statistics_of_sums,
)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_statistics_are_those_of_numpy_in_high_precision(dtype):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (1100, 1009)).astype(dtype)
    wide = pixels.astype(np.longdouble)
    mean, std = image_statistics(pixels)
    assert mean == pytest.approx(float(wide.mean()), rel=1e-15)
    assert std == pytest.approx(float(wide.std()), rel=1e-12)


def test_stripes_of_an_image_give_the_same_numbers_to_the_bit():
    pixels = np.random.default_rng(1).integers(0, 65536, (997, 1201)).astype(np.uint16)
    whole = image_statistics(pixels)
    stripes = [pixels[row : row + 100].astype(object) for row in range(0, 997, 100)]
    total, squares = sum(s.sum() for s in stripes), sum((s * s).sum() for s in stripes)
    assert statistics_of_sums(pixels.size, total, squares) == whole


def test_an_image_of_one_value_stays_finite():
    # std 0 counts as 1: (7 - 7) * 1 = 0.
    pixels = np.full((5, 6), 7, np.uint8)
    assert (standardize(pixels, *image_statistics(pixels)) == 0).all()


def test_mean_and_spread_become_0_and_1():
    pixels = np.random.default_rng(2).normal(100, 20, (300, 300)).clip(0, 255).astype(np.uint8)
    z = standardize(pixels, *image_statistics(pixels))
    assert z.dtype == np.float32
    assert abs(z.mean()) < 1e-4
    assert abs(z.std() - 1) < 1e-4


def test_a_graph_gives_the_same_bits():
    pixels = np.random.default_rng(3).integers(0, 65536, (64, 80)).astype(np.uint16)
    offset, factor = scale_of(*image_statistics(pixels))

    @tf.function
    def graph(x):
        return (tf.cast(x, tf.float32) - offset) * factor

    np.testing.assert_array_equal(graph(pixels).numpy(), standardize(pixels, *image_statistics(pixels)))


@pytest.mark.parametrize("kind", ["ordinary", "hot", "no data", "few levels", "flat"])
def test_outliers_are_taken_off_alike_in_numpy_in_parts_and_in_a_graph(kind):
    from cathode_tf.inference.graph_pixels import image_constants, tamed
    from cathode_tf.inference.streams import prepared_in_parts

    rng = np.random.default_rng(4)
    pixels = np.clip(rng.normal(900, 40, (150, 160)), 0, 65535).astype(np.uint16)
    if kind == "hot":
        pixels.flat[rng.choice(pixels.size, 40, replace=False)] = rng.integers(20000, 65536, 40)
    if kind == "no data":
        pixels[:30, :30], pixels[100, 100] = 0, 65535
    if kind == "few levels":
        pixels = np.where(pixels > 900, 1, 3).astype(np.uint16)
        pixels[0, 0] = 65535
    if kind == "flat":
        pixels[:] = 7
    expected = prepared(pixels)
    assert (expected is pixels) == (kind not in ("hot", "no data"))
    np.testing.assert_array_equal(tamed(tf.constant(pixels)).numpy(), expected)
    read, statistics = prepared_in_parts(lambda rows, columns: pixels[rows, columns], pixels.shape, RULE)
    np.testing.assert_array_equal(read(slice(0, 150), slice(0, 160)), expected)
    assert statistics == image_statistics(expected)
    offset, factor = scale_of(*statistics)
    assert [float(x) for x in image_constants(tf.constant(expected))] == [float(offset), float(factor)]


def test_the_old_rule_stays_and_an_unknown_one_is_refused():
    pixels = np.arange(400, dtype=np.uint16).reshape(20, 20)
    pixels[0, 0] = 65535
    assert prepared(pixels, "image-zscore/1") is pixels
    assert prepared(pixels).max() < 65535
    with pytest.raises(InputError, match=r"image-zscore/9.*newer"):
        prepared(pixels, "image-zscore/9")
