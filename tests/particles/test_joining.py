"""Which pieces are one particle: features by hand, joined in rounds."""

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.particles.joining import Joining, join, mutual_best, terms
from cathode_tf.particles.pieces import FEATURES, Pieces


def squares(contact=0.0, grey=None):
    """Two squares of 10 px side by side and a third one alone; the contact along the border of the first two."""
    basins = np.zeros((14, 40), np.int32)
    basins[2:12, 2:12], basins[2:12, 12:22], basins[2:12, 28:38] = 1, 2, 3
    sure = np.zeros(basins.shape)
    sure[:, 11:13] = contact
    height = np.where(basins > 0, 0.5, 0.0)
    height[6, [6, 16, 32]] = 1.0
    return Pieces(basins, height, sure, grey)


def test_what_is_known_of_a_border_by_hand():
    grey = np.zeros((14, 40))
    grey[:, 12:] = 2.0
    known = dict(zip(FEATURES, squares(0.3, grey).features(np.array([0]))[0], strict=True))
    assert known["contact"] == pytest.approx(0.3) and known["gaps"] == 1
    assert known["contact_logit"] == pytest.approx(np.log(0.3 / 0.7))
    assert known["saddle"] == pytest.approx(0.5)  # half of the tops on both sides
    assert known["length"] == pytest.approx(1) and known["size_ratio"] == 0 and known["radius_ratio"] == 1
    assert known["solidity"] == pytest.approx(1) and known["solidity_lost"] == pytest.approx(0, abs=1e-9)
    # A rectangle w x h has the moments w^2 / 12 and h^2 / 12: w h / (4 pi w h / 12) = 3 / pi, whatever its sides.
    assert known["ellipse"] == pytest.approx(3 / np.pi) and known["ellipse_lost"] == pytest.approx(
        0, abs=1e-9
    )
    assert known["step"] == pytest.approx(2) and known["brightness"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("contact", "number"), [(0.99, 3), (0.5, 2)])
def test_a_sure_contact_parts_and_another_joins(contact, number):
    found = join(squares(contact), Joining.by_contact(0.92))
    assert found[0] == 0 and found.max() == number and found[3] != found[1]


def test_a_chain_is_joined_in_rounds_and_sums_are_those_of_the_whole():
    basins = np.repeat(np.arange(1, 6), 8)[None].repeat(8, 0).astype(np.int32)
    pieces = Pieces(basins, np.ones(basins.shape), np.zeros(basins.shape), None)
    assert join(pieces, Joining.by_contact(0.9)).tolist() == [0, 1, 1, 1, 1, 1]
    whole = Pieces(np.ones_like(basins), np.ones(basins.shape), np.zeros(basins.shape), None)
    assert len(pieces.pairs) == 0
    assert pieces.sums[1] == pytest.approx(whole.sums[1]) and pieces.hull_area[1] == 8 * 40
    assert mutual_best(np.zeros((0, 2), int), np.zeros(0), 3, 0.5).size == 0


def test_the_card_of_a_network_keeps_it():
    rule = Joining.by_contact(0.8)
    again = Joining.from_dict(rule.to_dict())
    known = np.random.default_rng(0).random((5, len(FEATURES)))
    assert again.probability(known) == pytest.approx(rule.probability(known), abs=1e-4)
    assert terms(known).shape == (5, len(again.weights))
    with pytest.raises(InputError, match="its card must say"):
        Joining.from_dict({"mean": []})
    with pytest.raises(InputError, match="must weigh"):
        Joining.from_dict({**rule.to_dict(), "weights": [1.0]})
