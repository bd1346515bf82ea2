"""Plausible masks: of probabilities that are known, against what they must be."""

import numpy as np
import pytest

from cathode_tf.errors import InputError
from cathode_tf.imaging.draws import Draws, draws_beside, read_draws, write_draws
from cathode_tf.inference.draws import SIDE_PX, draw_masks, gumbel_field
from cathode_tf.learning.calibration import (
    Calibration,
    calibrate,
    draw_reliability,
    expected_error,
    look,
    reliability,
    softmax,
)
from cathode_tf.phases import Phases

PHASES = Phases.from_names(("pore", "ncm", "binder"))


def plain(length_px=1.0, shared=0.0, own=0.0, far=0.0):
    eye = np.eye(3)
    return Calibration(np.ones(3), np.zeros(3), length_px, far, shared**2 * eye, own**2 * eye, 1, (0.0, 0.0))


def test_each_phase_is_drawn_as_often_as_it_is_probable():
    probabilities = np.broadcast_to(np.array([0.6, 0.3, 0.1], np.float32), (200, 200, 3))
    masks = draw_masks(probabilities, plain(), PHASES, count=10).masks
    shares = [(masks == id_).mean() for id_ in PHASES.ids]
    # 400,000 pixels in patches of about 12 px: a standard error of sqrt(.6 x .4 x 12 / 400000) = 0.003.
    assert np.allclose(shares, [0.6, 0.3, 0.1], atol=0.012)


def test_patches_reach_as_far_as_the_errors():
    def neighbours(length):
        masks = draw_masks(np.full((128, 128, 3), 1 / 3, np.float32), plain(length), PHASES, count=2).masks
        return (masks[:, 6:] == masks[:, :-6]).mean()

    # Independent pixels are alike one time in three; 6 px are far for errors of 1 px and near for those of 12.
    assert neighbours(1.0) < 0.40 < 0.6 < neighbours(12.0)


def test_gumbel_fields_have_their_distribution_up_to_the_frame():
    field = gumbel_field((400, 400), 1.0, 0.0, np.random.default_rng(0))
    # Gumbel: mean 0.5772, standard deviation pi / sqrt(6) = 1.2825.
    assert abs(field.mean() - 0.5772) < 0.03 and abs(field.std() - 1.2825) < 0.03
    assert abs(field[:2].std() - 1.28) < 0.12
    fields = np.array([gumbel_field((130, 133), 1.0, 0.5, np.random.default_rng(n)) for n in range(24)])
    assert fields.shape[1:] == (130, 133)
    assert abs(fields.mean() - 0.5772) < 0.1 and abs(fields.std() - 1.2825) < 0.08
    # Half of the variance is left at 6 px, where that of a bell of 1 px is gone: exp(-36 / 4 / 256) / 2 = .48.
    deviation = (fields - 0.5772) / 1.2825
    assert abs((deviation[:, 6:] * deviation[:, :-6]).mean() - 0.45) < 0.1


def test_images_lean_together_in_each_draw_and_apart_between_draws():
    probabilities = np.broadcast_to(np.array([0.5, 0.3, 0.2], np.float32), (96, 96, 3))
    one, other = (
        [
            (mask == 0).mean()
            for mask in draw_masks(probabilities, plain(1, shared=1.0), PHASES, seed=seed).masks
        ]
        for seed in (1, 2)
    )
    assert np.corrcoef(one, other)[0, 1] > 0.95 and np.std(one) > 0.1
    one, other = (
        [(mask == 0).mean() for mask in draw_masks(probabilities, plain(1, own=1.0), PHASES, seed=seed).masks]
        for seed in (1, 2)
    )
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.8


def test_of_large_images_the_middle_is_drawn():
    probabilities = np.zeros((SIDE_PX + 40, 64, 3), np.float32)
    probabilities[..., 1] = 1
    draws = draw_masks(probabilities, plain(), PHASES, count=2)
    assert draws.corner == (20, 0) and draws.masks.shape == (2, SIDE_PX, 64)
    with pytest.raises(InputError, match="at least 2"):
        draw_masks(probabilities, plain(), PHASES, count=1)
    with pytest.raises(InputError, match=r"must be \(height, width, 3\)"):
        draw_masks(probabilities[..., :2], plain(), PHASES)


def test_files_keep_draws_and_others_are_refused(tmp_path):
    masks = np.random.default_rng(0).integers(0, 3, (4, 20, 30)).astype(np.uint8)
    path = write_draws(tmp_path / "a_draws.tif", Draws(masks, plain().to_dict(), (3, 5)))
    found = read_draws(path)
    assert np.array_equal(found.masks, masks) and found.corner == (3, 5)
    assert Calibration.from_dict(found.calibration).length_px == 1.0
    (tmp_path / "a_mask.png").touch()
    assert draws_beside(tmp_path / "a_mask.png") == path and draws_beside(tmp_path / "b_mask.png") is None
    (tmp_path / "c_draws.tif").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"c_draws\.tif: must be plausible masks"):
        read_draws(tmp_path / "c_draws.tif")


def test_a_network_that_is_too_sure_is_calibrated():
    rng = np.random.default_rng(1)
    looked = []
    for number in range(6):
        honest = softmax(1.5 * rng.standard_normal((64, 64, 3))).astype(np.float32)
        truth = (honest.cumsum(-1) < rng.random((64, 64, 1))).sum(-1)
        # Logarithms three times as large: it says .97 where .75 is right.
        sure = honest**3 / (honest**3).sum(-1, keepdims=True)
        looked.append(look(sure.astype(np.float32), truth, body=str(number)))
    found = calibrate(looked)
    assert found.error[0] > 0.1 and found.error[1] < 0.02
    assert np.allclose(found.scale, 1 / 3, atol=0.03) and found.images == 6
    assert Calibration.from_dict(found.to_dict()).scale.tolist() == np.round(found.scale, 4).tolist()
    assert Calibration.from_dict({"version": "calibration/0"}) is None
    assert draw_reliability(found).shape[2] == 3
    # Errors of pixels that know nothing of each other reach no further than a pixel.
    assert found.length_px < 1.5


def test_the_error_of_calibration_by_hand():
    # Ten pixels at .75, of which six are right, and ten at .95, all right: (10 x .15 + 10 x .05) / 20 = .10.
    probabilities = np.array([[0.75, 0.25]] * 10 + [[0.95, 0.05]] * 10, np.float32)
    truth = np.array([0] * 6 + [1] * 4 + [0] * 10)
    assert expected_error(reliability(probabilities, truth)) == pytest.approx(0.10, abs=1e-6)
