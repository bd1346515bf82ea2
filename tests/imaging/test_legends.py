"""The strip under a picture: the picture above it is untouched, the bar has the length that it states."""

import numpy as np
import pytest

from cathode_tf import Phases
from cathode_tf.imaging.legends import INK, PAPER, heading, scale_bar, with_legend

COLORS = {phase.name: phase.color for phase in Phases.default()}


@pytest.mark.parametrize("height, width", [(256, 256), (700, 900), (30, 40), (40, 3000), (900, 40)])
def test_the_picture_keeps_its_place_and_the_strip_hangs_below(height, width):
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    out = with_legend(picture, COLORS, pixel_size_nm=20.0)
    np.testing.assert_array_equal(out[:height, :width], picture)
    assert out.shape[0] > height and (out[:height, width:] == 255).all()
    strip = out[height:]
    for color in COLORS.values():
        rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (strip == rgb).all(-1).sum() >= 50, color  # a patch of it, whole
    for edge in (strip[0], strip[-1], strip[:, 0], strip[:, -1]):
        assert (edge == 255).all()  # nothing is cut off


def test_the_bar_is_as_long_as_it_says():
    # 30 % of 1000 px of 20 nm are 6 um: the bar is 5 um, 250 px.
    out = with_legend(np.zeros((500, 1000, 3), np.uint8), {}, pixel_size_nm=20.0)
    row = (out[500:] == INK).all(-1)
    assert row.sum(1).max() >= 250
    longest = max(len(run) for line in row for run in "".join("x" if ink else " " for ink in line).split())
    assert longest == 250


@pytest.mark.parametrize(
    "width, size, length, words",
    [
        (1000, 10 / 3, 300, "1 µm"),  # 30 % are 1 um to the last bit: it is not rounded away
        (1024, 11.16, 2000 / 11.16, "2 µm"),
        (256, 5000.0, 40, "200 µm"),
        (4000, 1000.0, 1000, "1 mm"),
        (100, 0.01, 20, "0.2 nm"),
        (1, 7.0, 2 / 7, "2 nm"),
    ],
)
def test_lengths_are_round(width, size, length, words):
    assert scale_bar(width, size) == (pytest.approx(length), words)


def test_without_names_and_size_nothing_is_added():
    picture = np.zeros((5, 6, 3), np.uint8)
    assert with_legend(picture, {}) is picture


def test_a_long_heading_fits():
    strip = heading("a name that is much too long for its picture", 200, 20)
    assert strip.shape == (30, 200, 3)
    assert (strip[:, -5:] == PAPER).all() and (strip == INK).all(-1).any()
