"""Pictures keep the grey of the micrograph and the colours of the phases."""

import numpy as np
import pytest
from PIL import Image

from cathode_tf.errors import InputError
from cathode_tf.imaging import display, overlay, write_overlay
from cathode_tf.phases import Phases, rgb

DEFAULT = Phases.default()


def test_display_ignores_hot_pixels():
    pixels = np.tile(np.arange(100, 200, dtype=np.uint16), (100, 1))
    pixels[0, 0] = 65535
    shown = display(pixels)
    assert shown.dtype == np.uint8 and shown[50, 0] == 0 and shown[50, -1] == 255
    assert 120 <= shown[50, 50] <= 135


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_display_of_a_constant_image(value):
    assert (display(np.full((3, 3), value, np.uint16)) == 128).all()


def test_display_of_a_nearly_constant_image():
    pixels = np.zeros((100, 100), np.uint8)
    pixels[0, 0] = 10  # beyond the percentiles
    assert display(pixels).max() == 255


def test_overlay_blends_and_leaves_ignored_pixels_bare():
    pixels = np.array([[0, 255], [0, 255]], np.uint8)
    mask = np.array([[1, 1], [255, 255]], np.uint8)
    picture = overlay(pixels, mask, DEFAULT, alpha=0.5)
    color = np.array(rgb(DEFAULT["ncm"].color))
    assert np.array_equal(picture[0, 0], np.rint(color / 2))
    assert np.array_equal(picture[0, 1], np.rint((255 + color) / 2))
    assert picture[1].tolist() == [[0, 0, 0], [255, 255, 255]]
    with pytest.raises(InputError, match="same"):
        overlay(pixels, mask[:1], DEFAULT)


def test_write_overlay(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    mask = np.zeros((3, 4), np.uint8)
    path = write_overlay(tmp_path / "o.png", pixels, mask, DEFAULT)
    with Image.open(path) as picture:
        assert picture.mode == "RGB"
        # The legend hangs below, and beside, as its names are wider than 4 px.
        np.testing.assert_array_equal(np.asarray(picture)[:3, :4], overlay(pixels, mask, DEFAULT))
        assert picture.height > 3
    with_bar = write_overlay(tmp_path / "b.png", pixels, mask, DEFAULT, pixel_size_nm=5.0)
    assert path.read_bytes() != with_bar.read_bytes()
