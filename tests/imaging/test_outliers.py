"""Pixels that no specimen shows are found by whole numbers alone, and ordinary images stay to the bit."""

import numpy as np
import pytest

from cathode_tf.imaging import scale_to_uint16
from cathode_tf.imaging.outliers import find_outliers, histogram, tamed


def ordinary(dtype=np.uint16, seed=0):
    """Two phases with noise: levels 60 +- 8 and 140 +- 8."""
    rng = np.random.default_rng(seed)
    levels = np.where(rng.random((200, 220)) < 0.3, 60, 140)
    return np.clip(levels + rng.normal(0, 8, levels.shape), 0, 255).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_ordinary_image_stays_the_very_array(dtype):
    pixels = ordinary(dtype)
    assert tamed(pixels) is pixels


@pytest.mark.parametrize("value", [65535, 40000, 0])
def test_a_hot_pixel_becomes_the_median_and_nothing_else_changes(value):
    pixels = ordinary() + np.uint16(1000 * (value == 0))
    hot = pixels.copy()
    hot[50, 60] = value
    found = tamed(hot)
    rest = np.delete(pixels.ravel(), 50 * 220 + 60)
    # The smallest level with half of the others at or below it.
    assert found[50, 60] == np.sort(rest)[(rest.size - 1) // 2]
    found[50, 60] = pixels[50, 60]
    np.testing.assert_array_equal(found, pixels)


def test_zingers_of_many_values_are_cut_off_beyond_the_range():
    pixels = ordinary()
    rng = np.random.default_rng(1)
    places = rng.choice(pixels.size, 60, replace=False)
    hot = pixels.copy()
    hot.flat[places] = rng.integers(1000, 65000, 60)
    found = find_outliers(histogram([hot]))
    assert found.changed_px == 60
    low, high = np.quantile(pixels, (0.005, 0.995))
    assert found.table[64000] <= high + (high - low) + 2


def test_a_corner_without_data_becomes_the_median():
    pixels = ordinary() + np.uint16(20000)
    pixels[:40, :40] = 0
    found = find_outliers(histogram([pixels]))
    assert found.no_data == (0,)
    assert found.changed_px == 1600


def test_a_saturated_phase_and_a_picture_of_few_levels_are_no_outliers():
    pixels = ordinary(np.uint8)
    pixels[pixels > 140] = 255  # a clipped detector: everything above is white, and a lot is
    pixels[::3] = np.where(pixels[::3] > 90, 200, pixels[::3])
    assert tamed(pixels) is pixels
    few = np.zeros((50, 50), np.uint8)
    few[20, 20] = 255
    assert tamed(few) is few


def test_counts_of_parts_are_those_of_the_whole():
    pixels = ordinary()
    np.testing.assert_array_equal(histogram([pixels]), histogram(np.array_split(pixels, 7)))


def test_a_float_image_is_stretched_between_what_the_specimen_shows():
    clean = np.random.default_rng(2).random((80, 90)).astype(np.float32)
    hot = clean.copy()
    hot[43, 4], hot[:10, :10] = 1e6, -9999
    with pytest.warns(UserWarning, match="101 pixels .* lie far from all others"):
        found, scaling = scale_to_uint16(hot)
    expected, _ = scale_to_uint16(clean)
    untouched = np.ones(clean.shape, bool)
    untouched[43, 4] = untouched[:10, :10] = False
    # Its own extremes may lie in the corner, so both are the same up to the stretch of two samples of 7000 numbers.
    difference = found[untouched].astype(int) - expected[untouched]
    assert np.abs(difference).max() < 0.002 * 65535
    assert scaling["outliers_px"] == 101
