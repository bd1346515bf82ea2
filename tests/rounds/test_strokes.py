"""Strokes of a review and a proposal's probabilities: what is kept of these, and what comes of both."""

import cv2
import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.rounds.strokes import read_probabilities, spread_strokes, write_probabilities


def test_probabilities_come_back(tmp_path):
    """An odd size; smooth, since only half the width and height is kept."""
    y, x = np.mgrid[:37, :51] / 60
    kept = np.stack([0.2 + 0.3 * x, 0.3 + 0.4 * y, 0.5 - 0.3 * x - 0.4 * y], axis=-1).astype(np.float32)
    path = tmp_path / "p.png"
    write_probabilities(path, kept)
    # Levels are 2.7 % apart; half a pixel of the half size is a pixel, along which these change by 0.007.
    np.testing.assert_allclose(read_probabilities(path, (37, 51), 3), kept, rtol=0.014, atol=0.012)
    with pytest.raises(InputError, match="must be 60 x 26 pixels"):
        read_probabilities(path, (39, 51), 3)


@pytest.fixture
def proposed(small_project):
    """One image of the small project, the left half of whose first stripe (pore, 0) is proposed as ncm (1)."""
    image = next(iter(small_project.state.images.values()))
    probabilities = np.full((48, 64, 4), 0.1, np.float32)
    np.put_along_axis(probabilities, small_project.proposal(image)[..., None].astype(int), 0.7, axis=-1)
    name = "proposals/p.png"
    write_probabilities(small_project.path / name, probabilities)
    image.proposal["probabilities"] = name
    return small_project, image


def test_strokes_spread_over_the_image(proposed):
    project, image = proposed
    truth = np.repeat(np.arange(4, dtype=np.uint8), 16)[None].repeat(48, axis=0)
    strokes = np.full((48, 64), 255, np.uint8)
    for row in (2, 22, 42):
        strokes[row : row + 3] = truth[row]
    strokes[:, [0, 15, 16, 31, 32, 47, 48, 63]] = 255
    mask = spread_strokes(project, image, strokes)
    assert mask.dtype == np.uint8 and (mask[strokes != 255] == strokes[strokes != 255]).all()
    # The proposal has 8 of 64 columns wrong; what is wrong now lies at the borders of the stripes.
    assert (project.proposal(image) == truth).mean() == 0.875
    assert (mask == truth).mean() > 0.97


def test_no_stroke_and_proposals_of_before_are_refused(proposed):
    project, image = proposed
    with pytest.raises(InputError, match="must hold at least one stroke"):
        spread_strokes(project, image, np.full((48, 64), 255, np.uint8))
    del image.proposal["probabilities"]
    with pytest.raises(InputError, match="Propose again: cathode-tf rounds propose"):
        spread_strokes(project, image, np.zeros((48, 64), np.uint8))


def test_a_lost_file_is_named(proposed):
    project, image = proposed
    (project.path / "proposals/p.png").unlink()
    with pytest.raises(InputError, match=r"p\.png: cannot be read"):
        spread_strokes(project, image, np.zeros((48, 64), np.uint8))
    cv2.imwrite(str(project.path / "proposals/p.png"), np.zeros((5, 5), np.uint8))
    with pytest.raises(InputError, match=r"p\.png: must be"):
        spread_strokes(project, image, np.zeros((48, 64), np.uint8))
