"""Outlines fill the pixels whose centres they hold, and the outlines of a mask fill that mask again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cathode_tf.errors import InputError
from cathode_tf.imaging import label_image
from cathode_tf.imaging.outlines import trace
from cathode_tf.imaging.regions import fill_outline, phase_mask, region_of
from cathode_tf.phases import Phases

DEFAULT = Phases.default()
SQUARE = np.array([(1, 1), (4, 1), (4, 4), (1, 4)], float)


def filled(rings, shape):
    region = fill_outline("x", rings, shape)
    mask = np.zeros(shape, bool)
    mask[region.window] = region.inside
    return mask


def test_a_square_on_pixel_edges():
    expected = np.zeros((6, 6), bool)
    expected[1:4, 1:4] = True
    assert np.array_equal(filled([SQUARE], (6, 6)), expected)
    assert np.array_equal(filled([SQUARE[::-1]], (6, 6)), expected)  # either way round


def test_a_triangle_by_centres():
    # Below the diagonal from (0, 0) to (4, 4); centres on it count to the left.
    inside = filled([np.array([(0, 0), (4, 4), (0, 4)])], (4, 4))
    assert inside.astype(int).tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]


def test_outlines_that_share_an_edge_share_no_pixel():
    corners = [(0, 0), (10, 0), (10, 10), (0, 10)]
    middle = (4.5, 5.5)  # the centre of a pixel
    parts = [
        filled([np.array([a, b, middle])], (10, 10))
        for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)
    ]
    assert np.array_equal(np.sum(parts, axis=0), np.ones((10, 10)))


def test_a_ring_within_a_ring_is_a_hole():
    inside = filled([SQUARE, np.array([(2, 2), (3, 2), (3, 3), (2, 3)])], (6, 6))
    assert inside.sum() == 8 and not inside[2, 2]


def test_outlines_are_cut_by_the_image():
    assert filled([SQUARE * 1000 - 1500], (7, 5)).all()
    assert fill_outline("x", [SQUARE + 100], (7, 5)).area_px == 0
    assert filled([SQUARE - 2], (6, 6)).sum() == 4


@pytest.mark.parametrize(
    "ring", [[(0, 0), (1, 1)], [], [(0, 0), (1, np.nan), (2, 2)], [(0, 0), (1e300, 1), (2, 2)]]
)
def test_wrong_outlines_are_refused(ring):
    with pytest.raises(InputError, match="'x'"):
        fill_outline("x", [np.array(ring).reshape(-1, 2)], (4, 4))


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_outlines_of_a_mask_give_the_mask_back(mask):
    again = np.zeros(mask.shape, int)
    for part in trace(mask):
        region = fill_outline("x", [part.outer, *part.holes], mask.shape)
        assert region.area_px == part.area_px
        again[region.window] += region.inside
        assert np.array_equal(fill_outline("x", [part.one_ring()], mask.shape).inside, region.inside)
    assert np.array_equal(again, mask)


def test_parts_that_touch_at_a_corner_are_two():
    assert [p.area_px for p in trace(np.eye(2, dtype=bool))] == [1, 1]
    assert len(trace(~np.eye(3, dtype=bool))) == 2  # holes at corners do not join the parts either


def test_later_objects_lie_on_top():
    first = region_of("pore", np.ones((2, 2), bool))
    second = region_of("NCM ", np.ones((2, 2), bool), 1, 1)
    mask = phase_mask([first, second], DEFAULT, (3, 4))
    assert mask.tolist() == [[0, 0, 255, 255], [0, 1, 1, 255], [255, 1, 1, 255]]
    assert phase_mask([second, first], DEFAULT, (3, 4))[1, 1] == 0
    assert label_image([first, second], (3, 4)).tolist() == [[1, 1, 0, 0], [1, 2, 2, 0], [0, 2, 2, 0]]


def test_labels_are_phases_or_ignore():
    region = region_of("ignore", np.ones((1, 1), bool))
    assert phase_mask([region], DEFAULT, (1, 1))[0, 0] == 255
    with pytest.raises(InputError, match=r"a\.json: labels must be phases .*Received 'graphite'"):
        phase_mask([region_of("graphite", np.ones((1, 1), bool))], DEFAULT, (1, 1), "a.json")


@given(st.integers(1, 6), st.integers(1, 6))
def test_region_of_nothing(height, width):
    assert region_of("x", np.zeros((height, width), bool)).area_px == 0
