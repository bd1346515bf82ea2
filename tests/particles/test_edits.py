"""Strokes on label images whose outcome follows by hand."""

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.particles.edits import merge, redraw, split


def two_squares():
    """Squares of 10 px, 1 and 2, two columns apart."""
    labels = np.zeros((14, 30), np.int32)
    labels[2:12, 2:12], labels[2:12, 14:24] = 1, 2
    return labels


def test_a_stroke_across_splits_what_it_crosses_and_nothing_else():
    labels = two_squares()
    before = labels.copy()
    found = split(labels, np.array([(0, 5), (13, 5)]))
    # The line runs down column 5; it goes to the nearer piece, columns 2-4 or 6-11.
    assert (found[5, :12] > 0).sum() == 10 and set(np.unique(found)) == {0, 1, 2, 3}
    assert (found[2:12, 2:5] == 3).all() and (found[2:12, 6:12] == 1).all()
    assert (found[:, 14:] == before[:, 14:]).all() and np.array_equal(labels, before)
    # Over both at once: four particles; every pixel stays in one.
    both = split(labels, np.array([(7, 0), (7, 29)]))
    assert len(np.unique(both)) == 5 and np.array_equal(both > 0, labels > 0)


def test_a_diagonal_stroke_leaks_nowhere():
    labels = np.ones((40, 40), np.int32)
    found = split(labels, np.array([(0, 0), (39, 39)]))
    assert len(np.unique(found)) == 2 and (found > 0).all()


def test_a_stroke_over_both_merges_and_one_around_redraws():
    labels = two_squares()
    assert (merge(labels, np.array([(6, 8), (6, 18)])) == np.minimum(labels, 1)).all()
    found = redraw(labels, np.array([(2, 8), (2, 17), (11, 17), (11, 8)]))
    assert (
        (found[2:12, 8:18] == 3).all() and (found[2:12, 2:8] == 1).all() and (found[2:12, 18:24] == 2).all()
    )


@pytest.mark.parametrize(
    ("edit", "stroke", "message"),
    [
        (split, [(0, 0), (0, 9)], "parts none"),
        (split, [(6, 4), (6, 8)], "parts none"),
        (merge, [(6, 4), (6, 8)], "over 1"),
        (redraw, [(6, 4), (6, 8)], "3 points"),
        (redraw, [(60, 4), (60, 8), (65, 8)], "beside it"),
        (merge, [1, 2], "points"),
        (merge, [(0, np.nan), (1, 1)], "points"),
        (merge, [(0, 1e9), (1, 1)], "million"),
    ],
)
def test_strokes_that_do_nothing_are_told(edit, stroke, message):
    with pytest.raises(InputError, match=message):
        edit(two_squares(), np.array(stroke, float))
