"""Whole outlines that overlap: who is seen where, by hand."""

import numpy as np

from cathode_tf.imaging.visible import label_visible


def test_who_is_in_front_is_told_by_grey_and_by_size():
    box = np.ones((10, 10), bool)
    outlines = [((slice(0, 10), slice(0, 10)), box), ((slice(0, 10), slice(6, 16)), box)]
    grey = np.zeros((10, 16))
    grey[:, :10], grey[:, 10:] = 200, 80  # the first is in front: what both claim is as bright as it
    labels, lost = label_visible(outlines, (10, 16), grey)
    assert (labels == 1).sum() == 100 and not lost
    # Without a micrograph the later of two equals is in front; a small one on a large one always is.
    assert (label_visible(outlines, (10, 16))[0] == 2).sum() == 100
    small = ((slice(2, 5), slice(2, 5)), np.ones((3, 3), bool))
    assert (label_visible([small, outlines[0]], (10, 16), grey)[0] == 1).sum() == 9
    assert label_visible([small, small], (10, 16))[1] == [0]
