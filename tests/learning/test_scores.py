"""Confusion and Dice by hand."""

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.learning.scores import confusion, dice_per_phase, mean_dice


def test_confusion_counts_rows_of_reference_and_leaves_ignored_pixels_out():
    reference = np.array([[0, 0, 1], [2, 255, 255]], np.uint8)
    prediction = np.array([[0, 2, 1], [2, 0, 1]], np.uint8)
    expected = [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_array_equal(confusion(reference, prediction, 3), expected)


def test_dice_from_confusion_and_nan_for_absent_in_both():
    table = np.array([[6, 2, 0], [0, 4, 0], [0, 0, 0]])
    # Phase 0: 12 / (8 + 6); phase 1: 8 / (4 + 6); phase 2 is nowhere.
    np.testing.assert_allclose(dice_per_phase(table), [12 / 14, 8 / 10, np.nan])
    assert mean_dice(dice_per_phase(table)) == pytest.approx((12 / 14 + 8 / 10) / 2)


def test_a_phase_only_predicted_scores_zero():
    np.testing.assert_array_equal(dice_per_phase(np.array([[3, 1], [0, 0]]))[1], 0.0)


def test_nothing_annotated_is_nan():
    table = confusion(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), 2)
    assert np.isnan(mean_dice(dice_per_phase(table)))


def test_other_shapes_and_foreign_indices_are_refused():
    with pytest.raises(InputError, match=r"\(2, 2\) and \(2, 3\)"):
        confusion(np.zeros((2, 2), int), np.zeros((2, 3), int), 2)
    with pytest.raises(InputError, match="reference must hold class indices 0 to 1"):
        confusion(np.full((2, 2), 2), np.zeros((2, 2), int), 2)
    with pytest.raises(InputError, match="prediction must hold"):
        confusion(np.zeros((2, 2), int), np.full((2, 2), 255), 2)
