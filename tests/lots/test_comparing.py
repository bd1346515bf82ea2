"""Two lots, variance by level, another method."""

import numpy as np
import pandas as pd
import pytest

from cathode_tf.errors import InputError
from cathode_tf.lots.agreement import agree, bland_altman
from cathode_tf.lots.comparing import compare_lots, lot_estimates, nested_variances, variance_split
from cathode_tf.lots.process import PROPERTY
from cathode_tf.lots.settings import Setting


def lot(plant, name, mean, n=20, spread=0.01, **place):
    x = np.linspace(-1, 1, n)
    plant.lot(name, {"fraction/pore": (mean + spread * x / x.std(ddof=1)).tolist()}, **place)


def only(found):
    (item,) = found
    return item


def test_equivalent_different_or_undecided_with_how_many_more_images(plant):
    lot(plant, "A", 0.300)
    lot(plant, "B", 0.3005)
    lot(plant, "C", 0.340)
    lot(plant, "D", 0.302, n=4)
    margins = {"fraction/pore": 0.01}
    assert only(compare_lots(plant.ledger, "A", "B", margins=margins)).difference.verdict == "equivalent"
    assert only(compare_lots(plant.ledger, "A", "C", margins=margins)).difference.verdict == "different"
    item = only(compare_lots(plant.ledger, "A", "D", margins=margins))
    assert item.difference.verdict == "undecided"
    # (1.645 + 0.842)^2 * (0.01^2 + 0.01^2) / (0.01 - 0.002)^2 = 19.3 -> but at least one more than now: 21.
    assert item.more_images == 21
    assert "about 21 images of each (now 20 and 4) would show them equivalent" in item.sentence
    open_question = only(compare_lots(plant.ledger, "A", "D"))
    # (1.96 + 0.842)^2 * 0.0002 / 0.002^2 = 392.6.
    assert (open_question.more_images, open_question.aim) == (393, "different")


def test_lots_of_two_systems_are_not_compared(plant):
    lot(plant, "A", 0.3)
    plant.lot("B", {"fraction/pore": [0.3, 0.31, 0.32]}, system={"masks": "model bbbb"})
    with pytest.raises(InputError, match=r"must have been measured with one system"):
        compare_lots(plant.ledger, "A", "B")


def test_what_cannot_be_compared_is_said(plant):
    lot(plant, "lot_1", 0.3)
    lot(plant, "lot_2", 0.31)
    with pytest.raises(InputError, match=r"Did you mean"):
        compare_lots(plant.ledger, "lot_1", "lot_3")
    with pytest.raises(InputError, match=r"must name a quantity of both"):
        compare_lots(plant.ledger, "lot_1", "lot_2", margins={"x50_3": 1})
    with pytest.raises(InputError, match=r"above 0"):
        compare_lots(plant.ledger, "lot_1", "lot_2", margins={"fraction/pore": 0})
    plant.ledger.set("plain", [Setting("a", 1.0, None, "")])
    with pytest.raises(InputError, match=r"has no current analysis"):
        compare_lots(plant.ledger, "lot_1", "plain")


def test_sheets_of_a_lot_are_averaged(plant):
    lot(plant, "A", 0.28, sheet="1")
    lot(plant, "A", 0.32, sheet="2")
    found, _ = lot_estimates(plant.ledger, "A")
    estimate = found["fraction", "pore"]
    assert estimate.value == pytest.approx(0.30)
    assert estimate.n == 40
    assert estimate.components["between_images"] == pytest.approx(
        0.02, rel=0.02
    )  # 0.04 / 2: their spread counts


def nested(random, sds, shape=(40, 3, 2, 5)):
    lots, sheets, sections, images = shape
    rows = []
    for a in range(lots):
        x = sds[0] * random.normal()
        for b in range(sheets):
            y = x + sds[1] * random.normal()
            for c in range(sections):
                z = y + sds[2] * random.normal()
                rows += [(a, b, c, z + sds[3] * random.normal()) for _ in range(images)]
    return pd.DataFrame(rows, columns=["lot", "sheet", "section", "value"])


def test_variances_of_nested_levels_are_found():
    truth = (2.0, 1.0, 0.5, 1.5)
    found = nested_variances(nested(np.random.default_rng(0), truth), ["lot", "sheet", "section"])
    for (name, estimate), sd in zip(found.items(), truth, strict=True):
        assert estimate.ci[0] <= sd <= estimate.ci[1], name
    assert found["image"].value == pytest.approx(1.5, rel=0.05)


@pytest.mark.slow
def test_intervals_of_variances_hold():
    inside = np.zeros(2)
    random = np.random.default_rng(1)
    for _ in range(150):
        table = nested(random, (1.0, 0.0, 0.0, 1.0), (15, 1, 1, 4))
        # Unbalanced: some images are missing.
        found = nested_variances(table[random.random(len(table)) > 0.15], ["lot"])
        inside += [
            found["lot"].ci[0] <= 1 <= found["lot"].ci[1],
            found["image"].ci[0] <= 1 <= found["image"].ci[1],
        ]
    assert ((inside / 150 >= 0.90) & (inside / 150 <= 0.99)).all()


def test_the_split_from_a_ledger(plant):
    random = np.random.default_rng(0)
    for k in range(8):
        base = 0.3 + 0.03 * random.normal()
        for sheet in "12":
            plant.lot(
                f"L{k}", {"fraction/pore": (base + 0.005 * random.normal(size=6)).tolist()}, sheet=sheet
            )
    found = variance_split(plant.ledger, "fraction/pore")
    assert list(found) == ["lot", "sheet", "image"]
    assert found["lot"].ci[0] < 0.03 < found["lot"].ci[1]
    assert found["image"].value == pytest.approx(0.005, rel=0.2)


def test_bland_altman_of_its_textbook_formulas():
    ours, theirs = np.array([1.0, 2, 3, 4, 5, 6]), np.array([1.2, 1.9, 3.3, 4.1, 5.4, 6.3])
    d = ours - theirs  # mean -0.2, sd 0.2
    bias, low, high, _ = bland_altman(ours, theirs)
    assert bias.value == pytest.approx(d.mean())
    assert (low.value, high.value) == pytest.approx(
        (d.mean() - 1.96 * d.std(ddof=1), d.mean() + 1.96 * d.std(ddof=1))
    )
    # t(5) = 2.5706.
    assert bias.half_width == pytest.approx(2.5706 * d.std(ddof=1) / 6**0.5, rel=1e-4)


def test_mercury_is_held_against_images_in_one_unit(plant):
    random = np.random.default_rng(0)
    for k in range(10):
        truth = 0.25 + 0.01 * k
        plant.lot(f"L{k}", {"fraction/pore": (truth + 0.005 * random.normal(size=6)).tolist()})
        percent = 100 * (truth + 0.02) + 0.2 * random.normal()
        plant.ledger.set(f"L{k}", [Setting("porosity_hg", percent, None, "%")], kind=PROPERTY)
    found = agree(plant.ledger, "fraction/pore", "porosity_hg")
    assert found.bias.ci[0] < -0.02 < found.bias.ci[1]
    assert len(found.lots) == 10
    assert "a bias" in found.sentences[0]
    assert 0.1 < found.own_share <= 1
    with pytest.raises(InputError, match=r"must be a property of the ledger"):
        agree(plant.ledger, "fraction/pore", "helium")
