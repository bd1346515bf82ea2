"""Masks and strokes on the wire: exact, and refused when damaged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cathode_tf import InputError
from cathode_tf.review.runs import (
    Stroke,
    apply_stroke,
    decode_mask,
    decode_strokes,
    encode_mask,
    encode_stroke,
)


@given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, 3)))
def test_any_mask_comes_back(mask):
    assert np.array_equal(decode_mask(encode_mask(mask), mask.shape), mask)


def test_a_mask_of_another_size_is_refused_before_it_is_made():
    # One run of 4 billion pixels in 9 bytes: must not be unpacked.
    bomb = (1).to_bytes(4, "little") + (2**32 - 1).to_bytes(4, "little") + b"\1"
    with pytest.raises(InputError, match="48 x 64 = 3072"):
        decode_mask(bomb, (48, 64))


@pytest.mark.parametrize("cut", [0, 3, 5, 8])
def test_a_cut_mask_is_refused(cut):
    with pytest.raises(InputError, match="bytes"):
        decode_mask(encode_mask(np.zeros((4, 4), np.uint8))[:cut], (4, 4))


def test_strokes_come_back_and_paint():
    stroke = Stroke("do", np.array([2, 10]), np.array([3, 1]), np.array([0, 1]), np.array([7, 8]))
    [back] = decode_strokes(encode_stroke(stroke))
    flat = np.zeros(12, np.uint8)
    apply_stroke(flat, back)
    assert flat.tolist() == [0, 0, 7, 7, 7, 0, 0, 0, 0, 0, 8, 0]
    assert back.kind == "do"


def test_a_cut_or_unknown_stroke_is_refused():
    data = encode_stroke(Stroke("do", *(np.array([1]),) * 4))
    for bad in (data[:-1], data[:3], b"\7" + data[1:]):
        with pytest.raises(InputError, match="stroke"):
            list(decode_strokes(bad))
