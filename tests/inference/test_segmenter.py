"""One answer for an image, whatever its size and however it is cut."""

import numpy as np
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.inference import Segmenter, sources
from cathode_tf.learning import predict_image

pytestmark = pytest.mark.usefixtures("untraced")


def test_an_image_that_fits_gets_the_networks_own_answer(model, segmenter, image):
    pixels = image(70, 53)
    np.testing.assert_allclose(segmenter.probabilities(pixels), predict_image(model, pixels), atol=1e-6)


@pytest.mark.parametrize("tile_px", [pytest.param(100, marks=pytest.mark.slow), 144])
def test_the_answer_does_not_depend_on_the_tiles(model, segmenter, image, tile_px):
    pixels = image(200, 110)
    whole = segmenter.probabilities(pixels)
    tiled = Segmenter(model, tile_px=tile_px)
    assert tiled.grid.axis(200).count > 1
    np.testing.assert_allclose(tiled.probabilities(pixels), whole, atol=2e-5)
    assert (tiled.segment(pixels).mask == segmenter.segment(pixels).mask).mean() > 0.9995


@pytest.mark.slow
def test_what_is_measured_depends_on_the_image_not_on_the_tiles(model, image, monkeypatch):
    """Where an image is too large to be measured as a whole, four pieces along its axis are, for every tile."""
    monkeypatch.setattr(sources, "WHOLE_BYTES", 0)
    pixels = image(1300, 40)
    large, small = (Segmenter(model, tile_px=tile_px) for tile_px in (2048, 100))
    assert large.grid.axis(1300).count == 1 and not large.grid.whole((1300, 40))
    assert small.grid.axis(1300).count > 1
    np.testing.assert_allclose(small.probabilities(pixels), large.probabilities(pixels), atol=2e-5)


def test_networks_that_measure_nothing_are_not_run_to_measure(tiny, image):
    model, pixels = tiny(norm="batch"), image(200, 70)
    tiled = Segmenter(model, tile_px=144)
    assert tiled.graph.measure(pixels[None], 0.0, 1.0).shape == (1, 0)
    np.testing.assert_allclose(tiled.probabilities(pixels), predict_image(model, pixels), atol=2e-5)


@pytest.mark.slow
def test_two_grids_give_one_answer_for_images_of_every_size(model, image):
    large, small = (Segmenter(model, tile_px=tile_px) for tile_px in (2048, 600))
    for height, width in ((1, 1), (1, 5000), (2047, 2049), (5000, 3000)):
        pixels = image(height, width)
        pixels[: height // 2, : width // 2] = 9000  # a quarter without any structure
        expected, mask = large.probabilities(pixels), large.segment(pixels).mask
        np.testing.assert_allclose(small.probabilities(pixels), expected, atol=2e-5)
        assert (small.segment(pixels).mask != mask).sum() <= 1e-5 * mask.size
        # Away from its edges a constant region stays constant, but for the pixel's place in a block of four.
        inner = expected[48 : height // 2 - 48, 48 : width // 2 - 48]
        if inner.size:
            assert np.ptp(inner[::4, ::4], (0, 1)).max() < 2e-5


def test_eight_bit_and_sixteen_bit_pixels_of_equal_value_are_one_image(segmenter, image):
    pixels = (image(40, 40) >> 8).astype(np.uint8)
    a, b = segmenter.segment(pixels), segmenter.segment(pixels.astype(np.uint16))
    np.testing.assert_array_equal(a.mask, b.mask)
    np.testing.assert_array_equal(a.margin, b.margin)


def test_masks_hold_ids_not_positions(tiny, image):
    phases = Phases.from_list([{"name": "pore", "id": 0}, {"name": "ncm", "id": 3}])
    segmentation = Segmenter(tiny(phases)).segment(image(60, 60))
    assert set(np.unique(segmentation.mask)) <= {0, 3}
    # Fractions are shares of the mask.
    assert segmentation.phase_fractions["ncm"] == pytest.approx((segmentation.mask == 3).mean())


def test_margin_entropy_and_score_follow_from_the_probabilities(segmenter, image):
    pixels = image(50, 40)
    p, result = segmenter.probabilities(pixels), segmenter.segment(pixels)
    ordered = np.sort(p, -1)
    np.testing.assert_allclose(result.margin, (ordered[..., -1] - ordered[..., -2]) * 255, atol=0.51)
    entropy = -(p * np.log(p)).sum(-1) / np.log(4)
    np.testing.assert_allclose(result.entropy, entropy * 255, atol=0.51)
    assert result.score == pytest.approx(result.entropy.mean() / 255)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((0, 5), np.uint8),
        np.zeros((4, 4), np.float32),
        np.full((4, 4), np.nan),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((4, 4), np.int64),
    ],
    ids=["empty", "float", "nan", "rgb", "int64"],
)
def test_what_is_no_micrograph_is_refused_and_the_next_image_works(segmenter, wrong):
    with pytest.raises(InputError, match="must be uint8 or uint16"):
        segmenter.segment(wrong)
    assert segmenter.segment(np.zeros((4, 4), np.uint8)).mask.shape == (4, 4)


def test_constant_and_inverted_images_give_finite_answers(segmenter, image):
    for pixels in (np.full((30, 30), 65535, np.uint16), 65535 - image(30, 30)):
        assert np.isfinite(segmenter.probabilities(pixels)).all()
    uniform = segmenter.segment(np.full((64, 64), 7, np.uint8)).mask
    # Far from the edges all pixels of a constant image look alike.
    assert len(np.unique(uniform[24:40, 24:40])) == 1


def test_a_hot_pixel_changes_nothing_elsewhere(tiny, image):
    """16 bits of which 8 are used: by mean and spread alone one pixel of 65535 would darken all others."""
    clean = image(40, 50).astype(np.uint16)
    hot = clean.copy()
    hot[20, 25] = 65535
    segmenter = Segmenter(tiny())
    away = np.ones(clean.shape, bool)
    away[0:40, 5:45] = False  # as far as the small network sees
    mask, expected = segmenter.segment(hot).mask, segmenter.segment(clean).mask
    assert (mask != expected)[away].mean() < 0.01
    assert (mask != expected).mean() < 0.2
