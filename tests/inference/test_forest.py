"""A forest of one image's texture: what it tells apart, on large images too."""

import numpy as np
import pytest

from cathode_tf import Phases
from cathode_tf.inference import forest, strokes

TWO = Phases.from_names(("pore", "ncm"))


def grained(height=96, width=128, seed=0, check=2):
    """Left half smooth, right half grained in checks; both of mean grey 128."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((height, width))
    checks = np.where((rows // check + columns // check) % 2, 30, -30) * (columns >= width // 2)
    image = (128 + checks + rng.normal(0, 4, (height, width))).clip(0, 255).astype(np.uint8)
    return image, (columns >= width // 2).astype(np.uint8)


@pytest.mark.parametrize("large", [False, True])
def test_halves_of_equal_grey_are_told_apart_by_their_grain(monkeypatch, large):
    if large:  # as images of many pixels are looked at: in half their size
        monkeypatch.setattr(forest, "LARGE_PX", 100)
        monkeypatch.setattr(forest, "_looked_at", type(forest._looked_at)())
    image, reference = grained(97, 128, check=4 if large else 2)
    columns, rows = np.arange(image.size) % 128, np.arange(image.size) // 128
    places = np.flatnonzero(np.isin(columns, (12, 30, 90, 110)) & (rows % 3 == 0))
    answer, skill = forest.forest_answer(image, places, reference.ravel()[places], np.ones(len(places)))
    assert answer.shape == (97, 128, 2) and answer.dtype == np.float32 and answer.min() > 0 and skill > 0.6
    away = np.ones(128, bool)
    away[56:72] = False  # where both lie within the width of a feature
    assert (answer.argmax(-1) == reference)[:, away].mean() > 0.95


def test_what_was_looked_at_is_not_looked_at_again(monkeypatch):
    image, _ = grained()
    first = forest.textures(image)
    monkeypatch.setattr(forest, "_features", None)
    assert forest.textures(image.copy())[1] is first[1]
    with pytest.raises(TypeError):
        forest.textures(image + 1)


def test_strokes_turn_a_model_that_goes_by_grey_alone():
    """The model is undecided between two halves of equal grey: six strokes decide."""
    image, reference = grained()
    painted = np.full(image.shape, 255, np.uint8)
    for row in (10, 45, 80):
        painted[row : row + 3, 10:40], painted[row : row + 3, 80:110] = 0, 1
    undecided = np.full((*image.shape, 2), 0.5, np.float32)
    away = np.ones(128, bool)
    away[56:72] = False
    answer = strokes.follow_strokes(undecided, image, painted, TWO).argmax(-1)
    assert (answer == reference)[:, away].mean() > 0.9


def test_a_forest_that_found_nothing_says_so():
    """Noise alone, painted at random: trees foretell no more than a guess does."""
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (96, 96)).astype(np.uint8)
    places = np.sort(rng.choice(image.size, 400, replace=False))
    assert forest.forest_answer(image, places, rng.integers(0, 2, 400), np.ones(400))[1] < 0.2


def test_neighbours_of_one_stroke_do_not_vouch_for_each_other():
    """Noise alone under whole strokes: a tree knows a pixel by a neighbour's coarse features, and by nothing else."""
    skills = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        image = rng.integers(0, 255, (160, 160)).astype(np.uint8)
        painted = np.full(image.shape, 255, np.uint8)
        for number in range(8):
            row, column = rng.integers(0, 150), rng.integers(0, 130)
            painted[row : row + 3, column : column + 20] = number % 2
        places = np.flatnonzero(painted.ravel() != 255)
        skills.append(forest.forest_answer(image, places, painted.ravel()[places], np.ones(len(places)))[1])
    assert np.mean(skills) < 0.2


def test_a_phase_in_one_block_alone_is_no_test():
    image, reference = grained()
    places = np.array([5 * 128 + 5, 5 * 128 + 6, 5 * 128 + 100, 5 * 128 + 101])
    answer, skill = forest.forest_answer(image, places, reference.ravel()[places], np.ones(4))
    assert skill == 0 and answer.shape == (96, 128, 2)


def test_a_phase_that_nobody_painted_keeps_its_share():
    image, reference = grained()
    three = Phases.from_names(("pore", "ncm", "binder"))
    painted = np.full(image.shape, 255, np.uint8)
    painted[40:43, 10:40], painted[40:43, 80:110] = 0, 1
    model = np.zeros((*image.shape, 3), np.float32) + 0.05
    model[..., 2][60:] = 0.9
    model[:60][reference[:60] == 0, 0] = model[:60][reference[:60] == 1, 1] = 0.9
    answer = strokes.follow_strokes(model, image, painted, three).argmax(-1)
    assert (answer[64:] == 2).mean() > 0.9
