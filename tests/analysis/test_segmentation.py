"""Plausible masks through the analysis: what their spread does to numbers whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cathode_tf import InputError, Phases
from cathode_tf.analysis import analyze
from cathode_tf.analysis.segmentation import _carried
from cathode_tf.imaging.draws import Draws
from cathode_tf.imaging.stories import HUMAN, MODEL, Story
from cathode_tf.statistics.estimate import MODEL_DOUBT
from cathode_tf.statistics.spreads import SEGMENTATION

PHASES = Phases.from_names(("pore", "ncm"))


def squares(side):
    """25 squares of ncm, (200, 200)."""
    mask = np.zeros((200, 200), np.uint8)
    for row in range(20, 200, 40):
        for column in range(20, 200, 40):
            mask[row - side // 2 : row + side // 2, column - side // 2 : column + side // 2] = 1
    return mask


def drawn(*sides, images=0, spreads=None, corner=(0, 0)):
    masks = np.stack([squares(side) for side in sides])
    return Draws(masks, {"images": images, "spreads": spreads or {}}, corner)


def test_every_number_gets_the_spread_of_its_draws():
    draws = drawn(18, 20, 22, 18, 20, 22)
    analysis = analyze([("a", squares(20), None, None, draws)], PHASES, pixel_size_nm=100.0)
    fraction = analysis.summary["fraction"]["ncm"]
    # 25 x 20^2 / 200^2 = .25; draws of 18 and 22: .2025 and .3025.
    assert fraction.value == pytest.approx(0.25) and fraction.ci[0] < 0.2025 and fraction.ci[1] > 0.3025
    size = analysis.summary["x50_3"]["ncm"]
    assert (
        SEGMENTATION in size.components
        and SEGMENTATION in analysis.summary["surface_density"]["ncm"].components
    )
    # No draw has another number of squares: the doubt of their number is nil.
    assert analysis.summary["number_density"]["ncm"].components.get(SEGMENTATION, 0.0) == pytest.approx(
        0, abs=1e-9
    )
    assert analysis.worth.doubt == 0 and MODEL_DOUBT in fraction.flags
    assert "model itself doubts, which was never held against known masks" in analysis.worth.sentence
    assert "masks unchecked" in str(fraction)


def test_the_count_of_label_images_tells_how_far_a_separation_is_off():
    mask = squares(20)
    labels = ndimage.label(mask)[0].astype(np.int32)
    analysis = analyze([(name, mask, None, labels) for name in "ab"], PHASES)
    number = analysis.summary["number_density"]["ncm"]
    # 50 squares, none cut: variance .16 each, and a shift of 5 % of all.
    u = (0.16 / 50 + 0.05**2) ** 0.5 * number.value
    assert number.value == pytest.approx(25 / 200**2)
    assert number.components["separation"] == pytest.approx(u)


def test_what_was_learned_of_draws_moves_the_interval():
    draws = drawn(18, 22, images=120, spreads={"fraction/ncm": [0.1, 0.0, 1.0, 0.01]})
    analysis = analyze([("a", squares(20), None, None, draws)], PHASES)
    fraction = analysis.summary["fraction"]["ncm"]
    assert fraction.value == pytest.approx(0.25) and fraction.ci[1] > 0.33
    assert "120 images with known masks" in analysis.worth.sentence
    pore = analysis.by_image["a"]["pore"]
    assert SEGMENTATION in pore.components


def test_masks_of_people_have_no_draws_and_foreign_images_no_doubt_that_counts():
    batch = [("a", squares(20), None, None, drawn(18, 22))]
    by_hand = analyze(batch, PHASES, drawn_by="A. Person")
    assert by_hand.doubt is None and SEGMENTATION not in by_hand.summary["fraction"]["ncm"].components
    analysis = analyze(batch, PHASES)
    corrected = replace(analysis, stories={"a": Story(HUMAN)})
    assert corrected.doubt is None
    foreign = replace(analysis, stories={"a": Story(MODEL, kind={"foreign": True, "reason": "far"})})
    assert foreign.doubt is None and "sampling only" in foreign.worth.sentence
    # One model's mask without draws leaves the error of the batch unknown.
    two = analyze([*batch, ("b", squares(24))], PHASES)
    two = replace(two, stories={"b": Story(MODEL)})
    assert two.doubt is None and "sampling only" in two.worth.sentence


def test_draws_of_the_middle_tell_of_the_whole():
    part = np.stack([squares(side)[20:180, 20:180] for side in (18, 22)])
    analysis = analyze([("a", squares(20), None, None, Draws(part, corner=(20, 20)))], PHASES)
    fraction = analysis.summary["fraction"]["ncm"]
    assert fraction.value == pytest.approx(0.25) and fraction.components[SEGMENTATION] > 0.01
    with pytest.raises(InputError, match="must lie within the mask"):
        analyze([("a", squares(20), None, None, Draws(part, corner=(60, 20)))], PHASES)


def test_labels_are_carried_over_to_draws():
    mask = squares(20)
    labels = np.zeros((200, 200), np.int32)
    labels[:, :40][mask[:, :40] == 1] = 1
    labels[:, 40:][mask[:, 40:] == 1] = 2
    grown = squares(24)
    grown[0:4, 0:4] = 1
    found = _carried(grown, labels, PHASES)
    assert set(np.unique(found)) == {0, 1, 2, found[1, 1]} and found[1, 1] > 2
    assert found[20, 31] == 1 and found[20, 49] == 2 and (found[grown == 0] == 0).all()
