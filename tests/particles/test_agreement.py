"""Agreement of label images: counted by hand, then on outlines that overlap."""

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.particles.agreement import compare_instances, compare_outlines, total


def test_precision_quality_count_and_median_by_hand():
    truth = np.zeros((10, 30), int)
    truth[:, :10], truth[:, 10:20], truth[:, 20:30] = 1, 2, 3
    found = np.zeros_like(truth)
    found[:, :10] = 5  # the same: overlap 1
    found[:, 10:18] = 6  # 80 of 100: overlap 0.8
    found[:4, 20:30] = 7  # 40 of 100: no match
    agreement = compare_instances(found, truth)
    # 2 hits, 1 wrong, 1 missed; above 0.75 the same two.
    assert agreement.average_precision(0.5) == 2 / 4 and agreement.average_precision(0.75) == 2 / 4
    assert agreement.average_precision(0.9) == 1 / 5
    assert agreement.panoptic_quality == pytest.approx(1.8 / 3)
    assert agreement.count_error == 0
    # The middle one of 100, 80, 40 pixels is sqrt(0.8) as wide as that of the truth.
    assert agreement.median_error == pytest.approx(np.sqrt(0.8) - 1)
    both = total([agreement, agreement])
    assert both.expected == 6 and both.average_precision() == 0.5


def test_one_label_agrees_with_one_of_two_outlines_that_overlap():
    whole = np.ones((10, 10), bool)
    outlines = [((slice(0, 10), slice(0, 10)), whole), ((slice(0, 10), slice(2, 12)), whole)]
    labels = np.zeros((10, 12), int)
    labels[:, :10] = 1
    # It overlaps the second by 80 / 120 too, but may count once.
    agreement = compare_outlines(labels, outlines)
    assert agreement.overlaps.tolist() == [1.0] and agreement.average_precision() == 0.5


def test_nothing_at_all_is_nan_and_shapes_must_fit():
    none = np.zeros((4, 4), int)
    assert np.isnan(compare_instances(none, none).average_precision())
    assert compare_instances(none, none).to_dict()["ap50"] is None
    with pytest.raises(InputError, match="shape"):
        compare_instances(none, np.zeros((4, 5), int))
    with pytest.raises(InputError, match="integer"):
        compare_instances(none.astype(float), none.astype(float))
    with pytest.raises(InputError, match=r"0\.5 to 1"):
        compare_instances(none, none).average_precision(0.4)
