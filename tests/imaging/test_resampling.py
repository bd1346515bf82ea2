"""Resampling against OpenCV, window by window against whole, and back."""

import itertools

import cv2
import numpy as np
import pytest

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.resampling import Resampling, scale_between


def noise(height, width):
    return np.random.default_rng(0).integers(0, 65536, (height, width)).astype(np.uint16)


@pytest.mark.parametrize("scale", [0.25, 0.37, 0.5, 0.9, 1.3, 2.0, 4.0])
def test_it_is_what_opencv_gives_for_whole_images(scale):
    pixels = noise(61, 83)
    resampling = Resampling(pixels.shape, scale)
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    expected = cv2.resize(pixels, resampling.target[::-1], interpolation=mode)
    assert np.abs(resampling(pixels).astype(int) - expected.astype(int)).max() <= 1
    # On the way back the middle of each pixel lies in the one that it takes.
    _, nearest = resampling.nearest(1, slice(0, resampling.target[1]))
    middles = (np.arange(83) + 0.5) * resampling.target[1] / 83
    assert np.abs(middles - (nearest + 0.5)).max() <= 0.5
    mask = resampling(pixels)
    _, above = resampling.nearest(0, slice(0, resampling.target[0]))
    np.testing.assert_array_equal(resampling.back(mask), mask[np.ix_(above, nearest)])


@pytest.mark.parametrize("scale", [0.3, 0.77, 1.6, 3.3])
def test_windows_side_by_side_are_the_whole(scale):
    pixels = noise(45, 52)
    resampling = Resampling(pixels.shape, scale)
    whole, read = resampling(pixels), lambda *window: pixels[window]
    height, width = resampling.target
    rows, columns = [0, 1, height // 2, height], [0, width // 3, width]
    parts = [
        [resampling.window(read, slice(a, b), slice(c, d)) for c, d in itertools.pairwise(columns)]
        for a, b in itertools.pairwise(rows)
    ]
    np.testing.assert_array_equal(np.block(parts), whole)
    # On the way back every old position belongs to one window.
    owners = [resampling.nearest(0, slice(a, b)) for a, b in itertools.pairwise(rows)]
    found = [start + place for start, index in owners for place in range(len(index))]
    assert found == list(range(45))


def test_one_pixel_stays_one_pixel():
    assert Resampling((1, 1), 0.25)(np.array([[7]], np.uint8)).tolist() == [[7]]


def test_far_scales_are_told_and_enlarging_ends_at_four():
    with pytest.warns(InputWarning, match=r"a\.tif: has pixels of 50 nm.*enlarged by 4 only"):
        assert scale_between(50.0, 10.0, "a.tif") == 4.0
    with pytest.warns(InputWarning, match="factor of 4"):
        assert scale_between(1.0, 10.0) == 0.1
    assert scale_between(float("nan"), 10.0) == 1.0
    for size in (0.6, 170.0):
        with pytest.raises(InputError, match=r"a\.tif: must have pixels within a factor of 16 of the 10 nm"):
            scale_between(size, 10.0, "a.tif")
