"""A drawn bar or ruler is found to the pixel, and nothing is found where none is drawn."""

import numpy as np
import pytest
from PIL import Image

from cathode_tf.imaging import Ruler, find_ruler, read_micrograph


def noise(height=200, width=320):
    return np.random.default_rng(0).integers(20, 200, (height, width)).astype(np.uint8)


def test_a_bar_of_40_px():
    picture = noise()
    picture[180:184, 250:290] = 255
    assert find_ruler(picture) == Ruler(180, 250, 40)
    assert find_ruler(picture.astype(np.uint16) * 257) == Ruler(180, 250, 40)


def test_a_black_bar_on_a_white_strip():
    picture = noise()
    picture[160:] = 255
    picture[180:183, 30:90] = 0
    assert find_ruler(picture) == Ruler(180, 30, 60)


def test_eleven_marks_in_one_distance():
    picture = noise()
    for mark in range(11):
        picture[170:178, 100 + 20 * mark : 102 + 20 * mark] = 255
    assert find_ruler(picture) == Ruler(170, 100, 200, 11)


@pytest.mark.parametrize(
    "pixels", [noise(), np.zeros((200, 320), np.uint8), np.full((200, 320), 255, np.uint8), noise(20, 20)]
)
def test_nothing_where_none_is_drawn(pixels):
    assert find_ruler(pixels) is None


def test_the_upper_part_is_not_searched():
    picture = noise()
    picture[100:104, 250:290] = 255
    assert find_ruler(picture) is None


def test_real_rulers_and_bars(real_data):
    """As the card of the data has them: eleven ticks over 504 px; bars of JEOL's strip; 1 um = 213 px."""
    for name in ("C1-3_A_m06.tif", "X2-1_m09.tif"):
        found = find_ruler(read_micrograph(real_data / "vendor/hitachi" / name, databar="none").pixels)
        assert (found.length_px, found.marks) == (504, 11)
    bar = find_ruler(np.asarray(Image.open(real_data / "spheres_sem/A01-1.png").convert("L")))
    assert abs(bar.length_px - 213) <= 1 and bar.row >= 960
    for path in sorted((real_data / "powder_sem/images").iterdir()):
        assert find_ruler(read_micrograph(path).pixels) is None
