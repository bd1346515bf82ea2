"""Points of one measuring system, averages over a lot, bridges to another system, frozen phases."""

import numpy as np
import pytest

from cathode_tf.errors import InputError
from cathode_tf.lots.bridges import bridge_study, build_bridge, system_names
from cathode_tf.lots.monitoring import freeze, monitor
from cathode_tf.lots.series import mean_of, moderated, read_series

NEW = {"masks": "model bbbb"}


def porosity(mean, n=4, spread=0.01):
    return {"fraction/pore": (mean + spread * np.linspace(-1, 1, n)).tolist()}


def test_points_come_in_the_order_of_their_dates(plant):
    plant.lot("L2", porosity(0.30), day="2026-02-01")
    plant.lot("L1", porosity(0.32), day="2026-01-01")
    series = read_series(plant.ledger, "fraction/pore")
    assert series.labels == ["L1", "L2"]
    assert series.values == pytest.approx([0.32, 0.30])


def test_analyses_of_one_lot_are_averaged_with_their_spread():
    # Two alike: 0.01 / sqrt 2; two 0.1 apart with u = 0.01 each: their spread, 0.1 / 2.
    assert mean_of(np.array([0.3, 0.3]), np.array([0.01, 0.01])) == pytest.approx((0.3, 0.01 / 2**0.5))
    value, u = mean_of(np.array([0.25, 0.35]), np.array([0.01, 0.01]))
    assert value == pytest.approx(0.3)
    assert u == pytest.approx(0.05, rel=0.02)


def test_a_series_by_lot_and_by_sheet(plant):
    for sheet, mean in (("1", 0.28), ("2", 0.32)):
        plant.lot("L1", porosity(mean), sheet=sheet)
    assert read_series(plant.ledger, "fraction/pore").values == pytest.approx([0.30])
    assert read_series(plant.ledger, "fraction/pore", by="sheet").labels == ["L1/1", "L1/2"]


def test_moderated_uncertainties_are_steadier_than_their_own():
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (500, 4))
    own = x.std(axis=1, ddof=1) / 2
    steady = moderated(own, np.full(500, 4))
    # The truth is 1 / sqrt 4.
    assert steady == pytest.approx(np.full(500, 0.5), abs=0.15)
    assert own.std() > 5 * steady.std()
    # Where the lots do differ, they stay apart.
    apart = x * np.repeat([1, 10], 250)[:, None]
    found = moderated(apart.std(axis=1, ddof=1) / 2, np.full(500, 4))
    assert np.median(found[250:]) > 5 * np.median(found[:250])


def test_what_is_not_there_is_said(plant):
    plant.lot("L1", porosity(0.3))
    for name, words in (
        ("fracton/pore", "Did you mean fraction"), ("fraction/binder", "There are pore"), ("x50_3", "It is none"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            read_series(plant.ledger, name)
    with pytest.raises(InputError, match=r"system: must be the beginning"):
        read_series(plant.ledger, "fraction/pore", system="zz")


def model_change(plant, shift=0.03, both=6):
    """Twelve lots by the old model, `both` of them also by the new, six more by the new alone."""
    random = np.random.default_rng(0)
    means = 0.30 + 0.005 * random.normal(size=18)
    values = {k: (m + 0.01 * random.normal(size=5)) for k, m in enumerate(means)}
    for k in range(12):
        plant.lot(f"L{k:02d}", {"fraction/pore": values[k].tolist()}, day=f"2026-01-{k + 1:02d}")
    for k in range(both):
        again = values[k] + shift + 0.001 * random.normal(size=5)
        plant.lot(f"L{k:02d}", {"fraction/pore": again.tolist()}, system=NEW, day=f"2026-01-{k + 1:02d}")
    for k in range(12, 18):
        shifted = values[k] + shift
        plant.lot(f"L{k:02d}", {"fraction/pore": shifted.tolist()}, system=NEW, day=f"2026-02-{k - 11:02d}")
    return means


def test_another_model_does_not_join_until_a_bridge_study_says_by_how_much(plant):
    means = model_change(plant)
    freeze(plant.ledger, "fraction/pore", lots=[f"L{k:02d}" for k in range(12)], system=_old(plant))
    alone = monitor(plant.ledger, "fraction/pore")
    assert len(alone.chart.labels) == 12  # six by both, six by the new one
    assert any("`lots bridge`" in note and "model aaaa -> model bbbb" in note for note in alone.notes)
    bridge = build_bridge(plant.ledger, "fraction/pore", before=_old(plant))
    assert bridge.offset.value == pytest.approx(0.03, abs=0.001)
    assert bridge.offset.n == 30
    assert bridge.pairs == "image"
    assert not bridge.equal
    whole = monitor(plant.ledger, "fraction/pore")
    assert len(whole.chart.labels) == 18
    assert whole.frozen
    assert whole.series.values == pytest.approx(means + 0.03, abs=0.02)
    # The jump of 0.03, six sd of the process, is gone.
    assert abs(whole.series.values[12:].mean() - whole.series.values[:12].mean()) < 0.01
    assert not whole.chart.alarms
    assert whole.series.points["bridged"].sum() == 6
    # Carried points hold the bridge's uncertainty, too.
    assert (
        whole.series.u[6:12] > read_series(plant.ledger, "fraction/pore", system=_old(plant)).u[6:12]
    ).all()


def _old(plant):
    return next(iter(system_names(plant.ledger, "fraction/pore")))[:10]


def test_without_images_in_both_the_bridge_says_which_would_serve(plant):
    model_change(plant, both=0)
    with pytest.raises(
        InputError, match=r"needs 5 images .* The ledger has 0. Analyse the images of these lots"
    ):
        build_bridge(plant.ledger, "fraction/pore", before=_old(plant))
    with pytest.raises(InputError, match=r"must join two"):
        build_bridge(plant.ledger, "fraction/pore", before=_old(plant), after=_old(plant))


def test_a_difference_that_grows_is_carried_with_its_slope():
    random = np.random.default_rng(0)
    old = random.uniform(0.2, 0.4, 40)
    found = bridge_study(old, 1.2 * old + 0.01 + 0.002 * random.normal(size=40))
    assert found.slope == pytest.approx(0.2, abs=0.02)
    assert found.offset.value + found.slope * (0.3 - found.middle) == pytest.approx(0.07, abs=0.003)


def test_systems_that_agree_are_called_so():
    random = np.random.default_rng(0)
    old = random.uniform(0.2, 0.4, 20)
    found = bridge_study(old, old + 0.005 * random.normal(size=20))
    assert found.equal
    assert "they agree" in found.sentence


@pytest.mark.slow
def test_intervals_of_bridges_hold():
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        old = random.uniform(0.2, 0.4, 12)
        found = bridge_study(old, old + 0.02 + 0.01 * random.normal(size=12))
        inside += found.offset.ci[0] <= 0.02 <= found.offset.ci[1]
    assert 0.91 <= inside / 300 <= 0.99


def test_a_frozen_phase_judges_later_lots(plant):
    random = np.random.default_rng(2)
    for k in range(20):
        plant.lot(f"L{k:02d}", porosity(0.30 + 0.004 * random.normal()), day=f"2026-01-{k + 1:02d}")
    phase = freeze(plant.ledger, "fraction/pore", first=20)
    for k in range(3):
        plant.lot(f"M{k}", porosity(0.34), day=f"2026-02-{k + 1:02d}")
    found = monitor(plant.ledger, "fraction/pore")
    assert found.frozen
    assert found.chart.phase.mean == pytest.approx(phase.mean)
    assert [alarm.label for alarm in found.chart.alarms] == ["M0", "M1", "M2"]
    with pytest.raises(InputError, match=r"X is none"):
        freeze(plant.ledger, "fraction/pore", lots=["X"])
