"""Ranking: unsure images first, of near-equal ones only one."""

import numpy as np

from cathode_tf import Phases
from cathode_tf.imaging.looks import look_of
from cathode_tf.rounds.ranking import ORIENTATIONS, disagreement, rank, standardized_looks


def test_ten_near_equal_neighbours_are_not_picked_in_a_row():
    # Ten images at 0 that are the least sure of all, and three others far apart.
    looks = np.array([[0.001 * i] for i in range(10)] + [[3.0], [6.0], [9.0]])
    scores = np.array([0.9] * 10 + [0.3, 0.3, 0.3])
    order, _ = rank(scores, looks, np.empty((0, 1)), first=np.zeros(13, bool))
    assert sum(index < 10 for index in order[:4]) == 1


def test_an_image_like_an_annotated_one_waits():
    order, distance = rank(
        np.array([0.5, 0.4]), np.array([[0.0], [5.0]]), np.array([[0.01]]), first=np.zeros(2, bool)
    )
    assert order == [1, 0] and distance[0] < 0.02


def test_test_images_come_first():
    first = np.array([False, False, True])
    assert rank(np.array([0.9, 0.8, 0.1]), np.eye(3), np.empty((0, 3)), first=first)[0][0] == 2


def test_disagreement_is_one_minus_the_mean_dice():
    phases = Phases.from_names(("pore", "ncm"))
    mask = np.array([[0, 0, 1, 1]], np.uint8)
    other = np.array([[0, 1, 1, 1]], np.uint8)
    # pore 2 x 1 / 3, ncm 2 x 2 / 5: mean 0.7333.
    assert np.isclose(disagreement(mask, [other], phases), 1 - (2 / 3 + 0.8) / 2)


def test_looks_tell_sharp_from_blurred_and_ignore_brightness():
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 200, (64, 64)).astype(np.uint8)
    blurred = (
        np.add.reduce([np.roll(sharp, (i, j), (0, 1)) for i in range(4) for j in range(4)], dtype=float) / 16
    )
    a, b, c = (look_of(p.astype(np.uint8)) for p in (sharp, sharp + 40, blurred))
    assert np.abs(a - b).max() < 0.05 < np.abs(a - c).max()


def test_looks_of_equal_images_do_not_divide_by_zero():
    assert np.isfinite(standardized_looks([np.ones(5), np.ones(5)])).all()


def test_each_view_comes_back_with_what_lies_behind_a_pixel():
    maps = np.arange(3 * 5 * 4).reshape(3, 5, 4)  # neither square nor flat, as probabilities are
    for turn, back in ORIENTATIONS:
        assert np.array_equal(back(turn(maps)), maps) and turn(maps).shape[2] == 4
        assert np.array_equal(back(turn(maps[..., 0])), maps[..., 0])
