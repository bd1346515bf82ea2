"""Strokes on an image: the rest of it follows them, and what the model knows is not lost."""

import cv2
import numpy as np
import pytest

from cathode_tf import InputError, InputWarning, Phases, Segmenter
from cathode_tf.imaging import read_mask
from cathode_tf.inference.folders import segment_files
from cathode_tf.inference.segmentation import MAPS, maps_of
from cathode_tf.inference.strokes import follow_strokes
from cathode_tf.learning.counterparts import told_in

NINE = (4, 12, 20, 36, 46, 56, 70, 78, 88)
THREE = Phases.from_names(("pore", "binder", "ncm"))


def layers(seed=0):
    """Three horizontal layers of grey 60, 100, 180 with noise of 8, and which is which; (96, 96)."""
    reference = np.repeat(np.arange(3, dtype=np.uint8), 32)[:, None] * np.ones((1, 96), np.uint8)
    grey = np.array([60, 100, 180])[reference] + np.random.default_rng(seed).normal(0, 8, reference.shape)
    return grey.clip(0, 255).astype(np.uint8), reference


def strokes_at(reference, rows):
    """A stroke of 3 by 30 px in each of these rows, of the phase that is there."""
    strokes = np.full(reference.shape, 255, np.uint8)
    for row in rows:
        strokes[row : row + 3, 10:40] = reference[row, 10]
    return strokes


def sure_of(reference, n, share=0.9):
    answer = np.full((*reference.shape, n), (1 - share) / (n - 1), np.float32)
    np.put_along_axis(answer, reference[..., None].astype(int), share, axis=-1)
    return answer


def test_an_image_follows_strokes_against_the_model():
    """The model calls the middle layer pore; three strokes a phase say that it is binder."""
    image, reference = layers()
    wrong = sure_of(np.where(reference == 1, 0, reference), 3, share=0.7)
    answer = follow_strokes(wrong, image, strokes_at(reference, NINE), THREE)
    # Grey 60 and 100 lie 5 standard deviations of the noise apart: smoothed, they do not overlap. At the border
    # of two layers smoothed grey is that of neither, so two rows on either side may go either way.
    inside = np.ones(96, bool)
    inside[[30, 31, 32, 33, 62, 63, 64, 65]] = False
    assert (answer.argmax(-1) == reference)[inside].mean() > 0.97
    assert (wrong.argmax(-1) == reference)[inside].mean() < 0.7


def test_strokes_that_agree_with_the_model_change_next_to_nothing():
    image, reference = layers()
    right = sure_of(reference, 3)
    answer = follow_strokes(right, image, strokes_at(reference, (12, 46, 78)), THREE)
    assert (answer.argmax(-1) == reference).mean() > 0.999


def test_one_stroke_of_one_phase_does_not_flood_the_image():
    """The model's own answer, over the image, counts beside it."""
    image, reference = layers()
    right = sure_of(reference, 3)
    answer = follow_strokes(right, image, strokes_at(reference, (12,)), THREE)
    assert (answer.argmax(-1) == reference).mean() > 0.98


def test_painted_pixels_stay_as_they_were_painted():
    image, reference = layers()
    strokes = strokes_at(reference, (12, 46, 78))
    strokes[13, 20] = 2  # against all reason
    answer = follow_strokes(sure_of(reference, 3), image, strokes, THREE)
    painted = strokes != 255
    np.testing.assert_array_equal(answer.argmax(-1)[painted], strokes[painted])
    assert answer[painted].max(-1).min() == 1 and answer[~painted].max() < 1
    np.testing.assert_allclose(answer.sum(-1), 1, atol=1e-5)


def test_a_phase_that_the_model_does_not_know_is_taught():
    image, reference = layers()
    unaware = sure_of(np.where(reference == 1, 0, reference), 3)
    unaware[..., 1] = 0
    strokes = strokes_at(reference, NINE)
    assert (follow_strokes(unaware, image, strokes, THREE).argmax(-1) == reference).mean() > 0.9


def test_how_much_is_painted_in_one_place_does_not_decide():
    """A blob of 1,000 px beside strokes of 90: their phases are found all the same."""
    image, reference = layers()
    strokes = strokes_at(reference, (12, 46))
    strokes[66:94, 30:66] = 2
    undecided = np.full((*image.shape, 3), 1 / 3, np.float32)
    answer = follow_strokes(undecided, image, strokes, THREE).argmax(-1)
    assert (
        min((answer == reference)[rows].mean() for rows in (slice(0, 29), slice(35, 61), slice(67, 96))) > 0.9
    )


@pytest.mark.slow
def test_strokes_that_slip_are_not_believed_to_the_pixel(monkeypatch):
    """Four of ten painted pixels are wrong, and grey says nothing: what the model is sure of is not given up."""

    def wrong_share(seed):
        _, reference = layers()
        rng = np.random.default_rng(seed)
        image = rng.integers(90, 120, reference.shape).astype(np.uint8)
        sloppy = strokes_at(reference, NINE)
        slipped = (sloppy != 255) & (rng.random(sloppy.shape) < 0.4)
        sloppy[slipped] = (sloppy[slipped] + 1) % 3
        answer = follow_strokes(sure_of(reference, 3, share=0.6), image, sloppy, THREE).argmax(-1)
        return (answer != reference)[sloppy == 255].mean()

    careful = np.mean([wrong_share(seed) for seed in range(4)])
    monkeypatch.setattr("cathode_tf.inference.strokes.SLIP", 0.0)
    assert careful < 0.03 and careful < 0.7 * np.mean([wrong_share(seed) for seed in range(4)])


def test_a_flat_image_and_a_stroke_of_every_pixel():
    flat = np.full((40, 40), 7, np.uint8)
    strokes = np.full((40, 40), 255, np.uint8)
    strokes[:3, :3] = 1
    answer = follow_strokes(np.full((40, 40, 3), 1 / 3, np.float32), flat, strokes, THREE)
    assert np.isfinite(answer).all()
    image, reference = layers()
    np.testing.assert_array_equal(
        follow_strokes(sure_of(reference, 3), image, 2 - reference, THREE).argmax(-1), 2 - reference
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[:-1], "must be 96 x 96 px as the image is. Received 95 x 96"),
        (lambda s: np.where(s == 255, 255, 9).astype(np.uint8), "must hold only the ids.*Received 9"),
        (lambda s: np.full_like(s, 255), "must hold at least one stroke"),
    ],
)
def test_bad_strokes_are_refused(segmenter, change, message):
    image, reference = layers()
    with pytest.raises(InputError, match=message):
        segmenter.segment(image, strokes=change(strokes_at(reference, (12, 46))))


def test_the_maps_of_probabilities_are_those_of_the_segmenter(segmenter, image):
    pixels = image(50, 60)
    ours, theirs = maps_of(segmenter.probabilities(pixels), segmenter.phases), segmenter.segment(pixels)
    for name in MAPS:
        difference = np.abs(getattr(ours, name).astype(int) - getattr(theirs, name))
        assert difference.max() <= 1 and (difference > 0).mean() < 0.01
    assert ours.score == pytest.approx(theirs.score, abs=1e-3)
    np.testing.assert_array_equal(ours.mask, theirs.mask)


def test_a_model_answers_in_other_phases():
    """Of pore, ncm, additive, binder: additive and binder become one; metal is unknown to the model."""
    probabilities = np.array([[[0.1, 0.2, 0.3, 0.4]]], np.float32)
    theirs = Phases.from_names(("metal", "ncm", "binder", "pore"))
    np.testing.assert_allclose(told_in(probabilities, Phases.default(), theirs), [[[0, 0.2, 0.7, 0.1]]])
    # Where all is particle or pore, additive and binder are no particle: .1 + .3 + .4.
    two = Phases.from_names(("pore", "ncm"))
    np.testing.assert_allclose(told_in(probabilities, Phases.default(), two), [[[0.8, 0.2]]], rtol=1e-6)
    # Without a phase that stands for them, what is left sums to 1: .2 of .2.
    solid = Phases.from_names(("metal", "ncm", "additive"))
    np.testing.assert_allclose(
        told_in(probabilities, Phases.default(), solid), [[[0, 2 / 9, 7 / 9]]], rtol=1e-6
    )
    with pytest.raises(InputError, match="must share two names or roles"):
        told_in(probabilities, Phases.default(), Phases.from_names(("steel", "slag")))


@pytest.mark.usefixtures("untraced")
def test_the_segmenter_follows_strokes_in_phases_of_ones_own(model):
    image, reference = layers()
    strokes = strokes_at(reference, NINE)
    found = Segmenter(model).segment(image, strokes=strokes, phases=THREE)
    assert (found.mask == reference).mean() > 0.9
    assert (
        set(found.phase_fractions) == {"pore", "binder", "ncm"} and (found.entropy[strokes != 255] == 0).all()
    )


@pytest.fixture
def painted_folder(tmp_path):
    """Two images; on the first someone painted, in colours on a transparent layer."""
    folder = tmp_path / "images"
    folder.mkdir()
    image, reference = layers()
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.png"), image)
    strokes = strokes_at(reference, NINE)
    layer = np.zeros((96, 96, 4), np.uint8)
    for phase in THREE:
        red, green, blue = (int(phase.color[i : i + 2], 16) for i in (1, 3, 5))
        layer[strokes == phase.id] = blue, green, red, 255
    (tmp_path / "strokes").mkdir()
    cv2.imwrite(str(tmp_path / "strokes" / "a_strokes.png"), layer)
    return tmp_path


def test_files_of_strokes(segmenter, painted_folder):
    _, reference = layers()
    out = painted_folder / "out"
    chosen = {"phases": THREE, "strokes": painted_folder / "strokes"}
    report = segment_files(segmenter, [painted_folder / "images"], out, **chosen)
    assert report.followed == ["a.png"] and sorted(report.scores) == ["a", "b"]
    assert (read_mask(out / "a_mask.png", THREE) == reference).mean() > 0.9
    plain = read_mask(out / "b_mask.png", THREE)
    assert (plain == reference).mean() < 0.6
    # Done is what was done with these strokes.
    assert len(segment_files(segmenter, [painted_folder / "images"], out, resume=True, **chosen).skipped) == 2
    layer = cv2.imread(str(painted_folder / "strokes" / "a_strokes.png"), cv2.IMREAD_UNCHANGED)
    layer[10:20] = 0
    cv2.imwrite(str(painted_folder / "strokes" / "a_strokes.png"), layer)
    again = segment_files(segmenter, [painted_folder / "images"], out, resume=True, **chosen)
    assert list(again.scores) == ["a"] and [path.name for path in again.skipped] == ["b.png"]


def test_files_that_strokes_cannot_go_with(segmenter, painted_folder, monkeypatch):
    images, strokes = painted_folder / "images", painted_folder / "strokes"
    with pytest.raises(InputError, match=r"must hold the strokes of an image, b_strokes\.png say"):
        segment_files(segmenter, [images / "b.png"], painted_folder / "out", strokes=strokes, phases=THREE)
    layer = np.zeros((96, 96, 4), np.uint8)
    layer[4:7, 10:40] = 0, 0, 0, 255
    cv2.imwrite(str(strokes / "a_strokes.png"), layer)
    report = segment_files(
        segmenter, [images / "a.png"], painted_folder / "out", strokes=strokes, phases=THREE
    )
    assert "Received" in report.broken[0][1]  # black is the colour of no phase
    cv2.imwrite(str(strokes / "a_strokes.png"), np.where(layer[..., 3] > 0, 1, 255).astype(np.uint8))
    with pytest.warns(InputWarning, match="must hold strokes of two phases.*Received binder alone"):
        segment_files(segmenter, [images / "a.png"], painted_folder / "out", strokes=strokes, phases=THREE)
