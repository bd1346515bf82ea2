"""Effects that were built in, laws, confounding, what to try next: against truth and against statsmodels."""

import numpy as np
import pytest

from cathode_tf.errors import InputError
from cathode_tf.lots.calendering import fit_calendering
from cathode_tf.lots.causes import causes
from cathode_tf.lots.mixed import fit_mixed
from cathode_tf.lots.trial import Target, next_trial

CARRIED = {"thickness": 60.0, "loading": 200.0}


def fill(plant, rows, response, noise=0.004, images=6, seed=0):
    """A lot a row of settings; its images scatter by 0.01 around what `response` says."""
    random = np.random.default_rng(seed)
    for k, row in enumerate(rows):
        mean = response(row) + noise * random.normal()
        settings = {**{name: value + random.normal() for name, value in CARRIED.items()}, **row}
        values = {"fraction/pore": (mean + 0.01 * random.normal(size=images)).tolist()}
        plant.lot(f"L{k:02d}", values, settings=settings, day=f"2026-{1 + k // 28:02d}-{1 + k % 28:02d}")


def test_a_linear_effect_is_found_with_the_carried_covariates(plant):
    loads = np.tile([100, 200, 300, 400], 5)
    fill(plant, [{"line_load": q} for q in loads], lambda row: 0.40 - 0.0003 * row["line_load"])
    found = causes(plant.ledger, "fraction/pore", factors=["line_load"])
    effect = found["line_load"]
    assert effect.verdict == "moves"
    assert effect.form == "linear"
    assert effect.change.ci[0] < -0.09 < effect.change.ci[1]
    assert effect.slope.value == pytest.approx(-0.0003, abs=3e-5)
    assert {e.factor for e in found.effects} == {"line_load", "thickness", "loading"}
    assert found["thickness"].verdict == "not shown"
    assert found["thickness"].more_lots is None or found["thickness"].more_lots > 0
    assert "falls by 0.0" in effect.sentence("fraction/pore")
    assert "correlation" in found.notes[-1]


def test_the_calender_is_told_apart_from_the_load_it_came_with(plant):
    # New machines ran at higher loads, but not always: porosity hangs on the load alone.
    rows = [{"calender": "old", "line_load": q} for q in (100, 150, 200, 100, 150, 250)]
    rows += [{"calender": "new", "line_load": q} for q in (250, 300, 200, 300, 250, 150)]
    fill(plant, rows, lambda row: 0.45 - 0.0005 * row["line_load"], noise=0.002)
    found = causes(plant.ledger, "fraction/pore", factors=["calender"])
    assert found["calender"].verdict == "not shown"
    assert found["line_load"].verdict == "moves"
    assert found.answer.startswith("Answer: not shown.")


def test_factors_that_changed_together_cannot_be_told_apart(plant):
    rows = [{"calender": "old", "line_load": 100}] * 6 + [{"calender": "new", "line_load": 200}] * 6
    fill(plant, rows, lambda row: 0.45 - 0.0005 * row["line_load"])
    found = causes(plant.ledger, "fraction/pore", factors=["calender"])
    assert found["calender"].verdict == "cannot be told apart"
    assert found["calender"].aliased == ("line_load",)
    assert "they changed together in every lot" in found["calender"].sentence("porosity")
    assert found.answer.startswith("Answer: fraction/pore changed, but whether by calender cannot be told")
    assert any("goes with time" in note for note in found.notes)


def test_a_change_once_in_time_says_what_it_cannot_rule_out(plant):
    rows = [{"calender": "old"}] * 8 + [{"calender": "new"}] * 8
    fill(plant, rows, lambda row: 0.30 + 0.03 * (row["calender"] == "new"))
    found = causes(plant.ledger, "fraction/pore", factors=["calender"])
    assert found["calender"].change.ci[0] < 0.03 < found["calender"].change.ci[1]
    assert found["calender"].with_drift is not None
    assert "unless something that is not in the ledger" in found.answer


def test_thickness_after_the_press_does_not_hide_what_the_press_did(plant):
    # Of 60 um without pores at 0.40: thickness = 36 / (1 - porosity), which is what the load made of it.
    def porosity(row):
        return 0.40 - 0.0004 * row["line_load"]

    loads = np.tile([100, 200, 300], 5)
    random = np.random.default_rng(3)
    rows = [
        {"line_load": q, "thickness": 36 / (1 - porosity({"line_load": q})) + 0.2 * random.normal()}
        for q in loads
    ]
    fill(plant, rows, porosity)
    found = causes(plant.ledger, "fraction/pore", factors=["line_load"])
    effect = found["line_load"]
    assert effect.results == ("thickness",)
    assert effect.verdict == "not shown"  # nothing is left to it beside its own result
    assert effect.unheld.ci[0] < -0.08 < effect.unheld.ci[1] < -0.05
    assert found.answer.startswith("Answer: lower by 0.0")
    assert "if thickness came out of it" in found.answer
    assert "--without thickness" in found.notes[0]
    alone = causes(plant.ledger, "fraction/pore", factors=["line_load"], without=["thickness"])
    assert alone["line_load"].change.value == pytest.approx(effect.unheld.value)
    assert alone.answer.startswith("Answer: yes, lower by 0.0")
    with pytest.raises(InputError, match=r"--without: must be a setting"):
        causes(plant.ledger, "fraction/pore", without=["speed"])


def test_a_bend_is_seen_and_the_law_of_calendering_preferred(plant):
    loads = np.tile([20, 60, 120, 240, 480], 5)
    fill(
        plant,
        [{"line_load": q} for q in loads],
        lambda row: 0.22 + 0.2 * np.exp(-row["line_load"] / 100),
        noise=0.002,
    )
    found = causes(plant.ledger, "fraction/pore", factors=["line_load"])["line_load"]
    assert found.form == "exponential"
    assert found.law.limit.ci[0] < 0.22 < found.law.limit.ci[1]
    assert found.law.gamma.ci[0] < 100 < found.law.gamma.ci[1]
    straight = causes(plant.ledger, "fraction/pore", factors=["line_load"], form="linear")
    assert straight["line_load"].lack_of_fit < 0.001
    assert any("form does not fit" in note for note in straight.notes)


@pytest.mark.slow
def test_intervals_of_the_law_hold():
    random = np.random.default_rng(0)
    q = np.tile([20, 60, 120, 240, 480], 4).astype(float)
    inside = np.zeros(3)
    for _ in range(200):
        y = 0.22 + 0.2 * np.exp(-q / 100) + 0.006 * random.normal(size=20)
        found = fit_calendering(q, y, np.full(20, 0.006**2))
        for k, (estimate, truth) in enumerate(((found.limit, 0.22), (found.start, 0.42), (found.gamma, 100))):
            inside[k] += estimate.ci[0] <= truth <= estimate.ci[1]
    assert ((inside / 200 >= 0.90) & (inside / 200 <= 0.99)).all(), inside


@pytest.mark.slow
def test_the_mixed_model_is_that_of_statsmodels_without_measurement_noise():
    sm = pytest.importorskip("statsmodels.api")
    random = np.random.default_rng(0)
    lots = np.repeat(np.arange(40), 3)
    x = np.column_stack([np.ones(120), np.repeat(random.normal(size=40), 3), random.normal(size=120)])
    y = x @ [1, 2, -1] + np.repeat(random.normal(size=40) * 0.5, 3) + 0.3 * random.normal(size=120)
    ours = fit_mixed(y, x, np.zeros(120), lots)
    theirs = sm.MixedLM(y, x, groups=lots).fit(reml=True)
    assert ours.beta == pytest.approx(theirs.fe_params, abs=1e-4)
    assert np.sqrt(np.diag(ours.covariance)) == pytest.approx(theirs.bse_fe, rel=0.01)
    assert ours.lot_sd == pytest.approx(float(theirs.cov_re[0, 0]) ** 0.5, rel=0.01)
    assert ours.row_sd == pytest.approx(theirs.scale**0.5, rel=0.01)
    # A factor between lots has the lots' degrees of freedom, one within them the rows'.
    assert ours.dof.tolist() == [38, 38, 79]


def test_known_measurement_noise_is_not_taken_for_the_lots():
    random = np.random.default_rng(0)
    u = random.uniform(0.5, 2, 2000)
    y = 3 + random.normal(size=2000) * np.sqrt(1 + u**2)
    found = fit_mixed(y, np.ones((2000, 1)), u, np.arange(2000))
    assert found.row_sd == pytest.approx(1.0, abs=0.12)


def test_sheets_of_one_lot_may_have_settings_of_their_own(plant):
    from cathode_tf.lots.settings import Setting

    random = np.random.default_rng(0)
    for k in range(6):
        base = 0.40 + 0.01 * random.normal()
        for sheet, load in (("1", 100.0), ("2", 200.0), ("3", 300.0)):
            mean = base - 0.0004 * load + 0.001 * random.normal()
            values = {"fraction/pore": (mean + 0.004 * random.normal(size=5)).tolist()}
            plant.lot(f"L{k}", values, sheet=sheet)
            plant.ledger.set(f"L{k}", [Setting("line_load", load, None, "N/mm")], sheet=sheet)
    found = causes(plant.ledger, "fraction/pore", factors=["line_load"])
    # Within lots: their own scatter of 0.01 does not widen the interval.
    assert found["line_load"].change.value == pytest.approx(-0.08, abs=0.006)
    assert found["line_load"].change.half_width < 0.006
    assert found.fit.lots == 6


def test_what_cannot_be_asked_is_said(plant):
    fill(plant, [{"line_load": 100, "speed": v} for v in (1, 2, 3, 4, 5, 6, 7)], lambda row: 0.3)
    for factors, words in (
        (["dryer"], "must be a setting of the ledger .line_load"),
        (["line_load"], "line_load is the same in every lot"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            causes(plant.ledger, "fraction/pore", factors=factors)
    with pytest.raises(InputError, match=r"form: must be"):
        causes(plant.ledger, "fraction/pore", form="cubic")


def test_unknown_thickness_and_loading_are_named(plant):
    for k in range(8):
        plant.lot(f"L{k}", {"fraction/pore": [0.3 + 0.01 * k, 0.31 + 0.01 * k, 0.32]}, settings={"speed": k})
    assert any(
        "thickness and loading are not known" in note for note in causes(plant.ledger, "fraction/pore").notes
    )


def test_more_lots_are_told_before_an_effect_is_sure():
    # 10 lots with u = 1 and an effect of 1.5: (1.96 + 0.842)^2 / 1.5^2 * 10 = 34.9 lots, so 25 more.
    from cathode_tf.lots.effects import _more
    from cathode_tf.statistics import Estimate

    class Fit:
        lots = 10

    assert _more(Estimate(1.5, ci=(-0.8, 3.8), components={"between_lots": 1.0}), Fit) == 25
    assert _more(Estimate(1.5, ci=(0.1, 2.9), components={"between_lots": 0.7}), Fit) == 0
    assert _more(Estimate(0.01, ci=(-2.2, 2.2), components={"between_lots": 1.0}), Fit) is None


def test_the_next_trial_meets_a_target_and_names_what_would_teach(plant):
    rows = [{"line_load": q, "calender": c} for q in (100, 200, 300, 400) for c in ("old", "new")] * 2
    fill(
        plant,
        rows,
        lambda row: 0.40 - 0.0004 * row["line_load"] + 0.02 * (row["calender"] == "new"),
        noise=0.002,
    )
    found = next_trial(plant.ledger, [Target.parse("fraction/pore=30%+-1")])
    # 0.40 - 0.0004 q = 0.30 at q = 250 (old), 300 (new).
    load = float(found.settings["line_load"])
    assert load == pytest.approx(250 if found.settings["calender"] == "old" else 300, abs=16)
    assert found.predictions["fraction/pore"].ci[0] < 0.30 < found.predictions["fraction/pore"].ci[1]
    assert found.probability > 0.8
    assert float(found.teach["line_load"]) in (100.0, 400.0)  # the ends teach most
    now, then = found.narrower["fraction/pore"]
    assert then < now
    far = next_trial(plant.ledger, [Target.parse("fraction/pore<0.1")])
    assert far.probability < 0.01
    assert "No setting" in far.notes[0]


@pytest.mark.parametrize("text", ["fraction/pore", "fraction/pore=0.3", "x<a", "x<1+-2", "=3+-1"])
def test_targets_that_say_nothing_are_refused(text):
    with pytest.raises(InputError, match=r"--target: must look like"):
        Target.parse(text)
