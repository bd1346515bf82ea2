"""Serial cuts: the pictures are where truth says they are."""

import dataclasses
import json

import numpy as np
import pytest
import tifffile

from cathode_tf import InputError
from cathode_tf.synthesis import Cutting, Imaging, Parameters, synthesize_stack, write_stack

STILL = Cutting(thickness_spread=0, drift_px=0, gain_spread=0)
PLAIN = Parameters(pixel_size_nm=150, imaging=Imaging.plain())


def test_still_cuts_show_the_frame():
    for piece in synthesize_stack(2, seed=1, height=48, width=56, parameters=PLAIN, cutting=STILL):
        assert np.array_equal(piece.mask, piece.frame_mask) and np.array_equal(
            piece.labels, piece.frame_labels
        )


def test_a_shift_moves_the_picture_down_and_right():
    cutting = dataclasses.replace(STILL, trend_row_px=2, trend_column_px=1)
    stack = synthesize_stack(3, seed=1, height=48, width=56, parameters=PLAIN, cutting=cutting)
    last = stack[2]
    assert last.truth["shift_px"] == [4.0, 2.0]
    assert np.array_equal(last.mask[4:, 2:], last.frame_mask[:-4, :-2])
    levels = np.array([28, 178, 112, 70])
    assert np.array_equal(last.image[4:, 2:], levels[last.frame_mask[:-4, :-2]])


def test_half_a_pixel_is_half_of_both():
    cutting = dataclasses.replace(STILL, trend_column_px=0.5)
    stack = synthesize_stack(2, seed=1, height=48, width=56, parameters=PLAIN, cutting=cutting)
    levels = np.array([28, 178, 112, 70])[stack[1].frame_mask]
    # Half way between two numbers, rounding goes to the even one.
    middle = (levels[:, :-1] + levels[:, 1:]) / 2
    assert np.abs(stack[1].image[:, 1:] - middle).max() <= 0.5


def test_gain_is_a_factor_of_the_grey_levels():
    cutting = dataclasses.replace(STILL, gain_spread=0.1)
    stack = synthesize_stack(4, seed=2, height=48, width=48, parameters=PLAIN, cutting=cutting)
    gains = [piece.truth["gain"] for piece in stack]
    levels = [int(piece.image[piece.mask == 1].max()) for piece in stack]
    assert levels == [round(178 * gain) for gain in gains] and np.ptp(gains) > 0.02


def test_a_tilted_face_is_foreshortened():
    cutting = dataclasses.replace(STILL, row_scale=0.5)
    piece = synthesize_stack(2, seed=2, height=64, width=48, parameters=PLAIN, cutting=cutting)[0]
    assert piece.image.shape == piece.mask.shape == (32, 48)
    # Row r of the picture is the middle of rows 2 r and 2 r + 1 of the face.
    assert ((piece.mask == piece.frame_mask[::2]) | (piece.mask == piece.frame_mask[1::2])).all()


def test_thickness_is_uneven_and_adds_up():
    cutting = Cutting(thickness_nm=60, thickness_spread=0.3)
    rows = synthesize_stack(40, seed=0, height=32, width=32, parameters=PLAIN, cutting=cutting).truth[
        "slices"
    ]
    thickness = np.array([row["thickness_nm"] for row in rows])
    assert np.diff([row["z_nm"] for row in rows]) == pytest.approx(thickness[1:])
    # 40 of spread 18: standard error of the mean 2.9, of the spread 2.
    assert thickness.mean() == pytest.approx(60, abs=9) and thickness.std() == pytest.approx(18, abs=6)


def test_files_agree_with_the_slices(tmp_path):
    stack = synthesize_stack(2, seed=1, height=40, width=48, second=True)
    out = write_stack(stack, tmp_path / "cuts")
    truth = json.loads((out / "truth.json").read_text())
    for index, row in enumerate(truth["slices"]):
        assert np.array_equal(tifffile.imread(out / "images" / f"{row['name']}.tif"), stack[index].image)
        assert np.array_equal(tifffile.imread(out / "second" / f"{row['name']}.tif"), stack[index].second)
        found = tifffile.imread(out / "frame" / "labels" / f"{row['name']}.tif")
        assert np.array_equal(found, stack[index].frame_labels)
    assert sum(truth["fractions"].values()) == pytest.approx(1)


@pytest.mark.parametrize("bad", [{"slices": 1}, {"height": 8}, {"seed": -1}])
def test_impossible_stacks_are_refused(bad):
    with pytest.raises(InputError, match="synthesis"):
        synthesize_stack(**bad)


def test_impossible_cutting_is_refused():
    with pytest.raises(InputError, match="drift_px must be 0 to 10"):
        Cutting.parse(["drift_px=99"])
    with pytest.raises(InputError, match="one of thickness_nm"):
        Cutting.parse(["drift=1"])
