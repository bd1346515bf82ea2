"""Exact sums, and one rule in numpy, in stripes and in a TensorFlow graph."""

import numpy as np
import pytest
import tensorflow as tf

from cathode_tf.datasets.standardization import image_statistics, scale_of, standardize, statistics_of_sums


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
