"""Numbers of an index, and a picture with the colours of the phases."""

import cv2
import numpy as np
import pytest

from cathode_tf.datasets import open_records
from cathode_tf.datasets.summary import draw_records, summarize
from cathode_tf.errors import InputError


def test_summary_of_stripes(records_path):
    train = summarize(open_records(records_path))[0]
    assert (train["split"], train["images"], train["groups"]) == ("train", 7, 7)
    assert train["sizes"] == {(40, 64): 7}
    assert train["pixel_sizes_nm"] == {None: 7}
    # Four stripes of equal width.
    assert train["fractions"] == dict.fromkeys(("pore", "ncm", "additive", "binder"), 0.25)
    assert train["ignored_fraction"] == 0


def test_the_picture_shows_every_split_once(records_path, tmp_path):
    path = draw_records(open_records(records_path), tmp_path / "picture.png", images_per_split=1)
    picture = cv2.imread(str(path))
    # Three rows of two pictures 320 wide and 320 x 40 / 64 = 200 high, each under a line of 26, below a legend of 34.
    assert picture.shape == (34 + 3 * (26 + 200 + 8), 2 * 328, 3)
    legend = {tuple(color) for color in picture[17, :, ::-1]}
    assert {tuple(color) for color in open_records(records_path).phases.palette()[:4]} <= legend
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
    with pytest.raises(InputError, match="--force"):
        draw_records(open_records(records_path), path)
