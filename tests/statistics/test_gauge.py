"""Gauge R&R: variances by construction, designs, refusals; the verb."""

import itertools

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cathode_tf import InputError
from cathode_tf.statistics import gauge_rr
from cathode_tf.tools.gauge import command

COLUMNS = ["part", "appraiser", "trial", "value"]


def measured(parts, appraisers, trials, *, part=3.0, appraiser=1.0, repeat=0.5, seed=0, nested=False):
    """Values with these standard deviations."""
    rng = np.random.default_rng(seed)
    of_appraiser = appraiser * rng.standard_normal(appraisers)
    of_part = part * rng.standard_normal((parts, appraisers if nested else 1)) * np.ones((1, appraisers))
    rows = [
        (f"p{p}-{a}" if nested else p, a, t, of_part[p, a] + of_appraiser[a] + repeat * rng.standard_normal())
        for p, a, t in itertools.product(range(parts), range(appraisers), range(trials))
    ]
    return pd.DataFrame(rows, columns=COLUMNS).sample(frac=1, random_state=1)


def test_effects_without_noise_by_hand():
    # value = part + appraiser, no noise: parts 0, 2, 4 (variance 4), appraisers 0, 1 (variance 0.5).
    rows = [(p, a, t, 2.0 * p + a) for p in range(3) for a in range(2) for t in range(2)]
    found = gauge_rr(pd.DataFrame(rows, columns=COLUMNS))
    assert found["repeatability"].value == 0
    assert found["reproducibility"].value == pytest.approx(np.sqrt(0.5))
    assert found["part_variation"].value == pytest.approx(2)
    assert found["grr_percent"].value == pytest.approx(100 * np.sqrt(0.5 / 4.5))
    assert found["distinct_categories"].value == pytest.approx(1.41 * 2 / np.sqrt(0.5))
    assert "not acceptable" in found["grr_percent"].flags["VERDICT"]


@pytest.mark.parametrize("design", ["crossed", "nested"])
def test_variances_are_found_in_both_designs(design):
    found = gauge_rr(measured(60, 12, 3, nested=design == "nested"), design=design)
    assert found["repeatability"].value == pytest.approx(0.5, rel=0.05)
    assert found["part_variation"].value == pytest.approx(3, rel=0.15)
    assert found["reproducibility"].value == pytest.approx(1, rel=0.5)


def test_intervals_hold_the_truth():
    inside = sum(
        low <= 0.5 <= high
        for seed in range(60)
        for low, high in [gauge_rr(measured(6, 2, 2, seed=seed))["repeatability"].ci]
    )
    assert inside >= 53  # of 60 at 95 %: less happens once in a hundred runs


def test_what_is_no_gauge_study_is_refused():
    table = measured(5, 2, 2)
    with pytest.raises(InputError, match="trial is missing"):
        gauge_rr(table.drop(columns="trial"))
    with pytest.raises(InputError, match="equally often"):
        gauge_rr(table.iloc[:-1])
    with pytest.raises(InputError, match="at least 2 parts"):
        gauge_rr(measured(1, 2, 2))
    with pytest.raises(InputError, match="must be a number"):
        gauge_rr(table.assign(value=["x"] * len(table)))
    with pytest.raises(InputError, match="crossed or nested"):
        gauge_rr(table, design="flat")
    assert gauge_rr(table.assign(value=1.0))["grr_percent"].is_refused


@pytest.mark.parametrize("column", ["part", "appraiser", "trial"])
@pytest.mark.parametrize("blank", [None, " "])
def test_a_row_that_does_not_say_what_it_measured_is_refused(column, blank):
    table = measured(5, 2, 2)
    table[column] = table[column].astype(object)
    table.iloc[2, COLUMNS.index(column)] = blank
    with pytest.raises(InputError, match=f"must name its {column}. Row 3 does not"):
        gauge_rr(table)


def test_a_trial_counts_once():
    table = measured(5, 2, 2).assign(trial=1)
    with pytest.raises(
        InputError, match=r"must occur once\. Row \d+ repeats part \d, appraiser \d, trial 1\."
    ):
        gauge_rr(table)


def test_the_verb_prints_and_writes(tmp_path):
    measured(10, 3, 2).to_csv(tmp_path / "t.csv", index=False)
    result = CliRunner().invoke(command, [str(tmp_path / "t.csv"), "--out", str(tmp_path / "g.json")])
    assert result.exit_code == 0 and "grr percent: " in result.output and (tmp_path / "g.json").exists()
    with pytest.raises(InputError, match="cannot be read"):
        CliRunner().invoke(command, [str(tmp_path / "no.csv")], catch_exceptions=False)
