"""Chart formulas against NIST's worked examples, a second library, and simulated plants."""

import numpy as np
import pandas as pd
import pytest

from cathode_tf.errors import InputError
from cathode_tf.lots.capability import capability
from cathode_tf.lots.charts import Options, control_chart
from cathode_tf.lots.phase_one import PhaseOne, phase_one
from cathode_tf.lots.rules import broken
from cathode_tf.lots.run_length import run_length
from cathode_tf.statistics import Estimate

FLOW = np.array([49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1])
EWMA = np.array(
    [
        52,
        47,
        53,
        49.3,
        50.1,
        47,
        51,
        50.1,
        51.2,
        50.5,
        49.6,
        47.6,
        49.9,
        51.3,
        47.8,
        51.2,
        52.6,
        52.4,
        53.6,
        52.1,
    ]
)
CUSUM = np.array(
    [324.925, 324.675, 324.725, 324.350, 325.350, 325.225, 324.125, 324.525, 325.225, 324.600, 324.625, 325.150,
     328.325, 327.250, 327.825, 328.500, 326.675, 327.775, 326.875, 328.350]
)  # fmt: skip


def known(mean, sd, u=0.0):
    return PhaseOne(Estimate(mean, n=20), Estimate(sd, n=20), u, ())


def test_individuals_of_nist():
    # Mean 50.81, mean moving range 1.8778: limits 50.81 +- 3 * 1.8778 / 1.128 = 45.8159, 55.8041.
    chart = control_chart("individuals", FLOW, np.zeros(10), phase_one(FLOW, np.zeros(10)))
    assert chart.upper == pytest.approx(np.full(10, 55.8041), abs=0.002)
    assert chart.lower == pytest.approx(np.full(10, 45.8159), abs=0.002)
    assert not chart.alarms


def test_moving_range_of_nist():
    # Upper limit 3.267 * 1.8778 = 6.135.
    chart = control_chart("moving_range", FLOW, np.zeros(10), phase_one(FLOW, np.zeros(10)))
    assert chart.upper[3] == pytest.approx(6.135, abs=0.001)
    assert np.isnan(chart.statistic[0])
    assert chart.statistic[1] == pytest.approx(2.0)


def test_ewma_of_nist():
    # Target 50, s 2.0539, lambda 0.3, L 3: the statistic ends at 51.99 and the limits at 50 +- 2.5884.
    chart = control_chart("ewma", EWMA, np.zeros(20), known(50, 2.0539), options=Options(weight=0.3))
    nist = [50.60, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33, 50.11, 49.36, 49.52, 50.05, 49.38,
            49.92, 50.73, 51.23, 51.94, 51.99]  # fmt: skip
    assert chart.statistic == pytest.approx(nist, abs=0.01)
    assert chart.upper[-1] == pytest.approx(52.5884, abs=0.002)
    assert not chart.alarms


def test_cusum_of_nist():
    # Target 325, k = 0.3175 and h = 4.1959 in units of the data, that is of s = 1: alarms from point 14 on.
    options = Options(allowance=0.3175, decision=4.1959)
    chart = control_chart("cusum", CUSUM, np.zeros(20), known(325, 1.0), options=options)
    assert chart.statistic[12:] == pytest.approx(
        [3.01, 4.94, 7.45, 10.63, 11.99, 14.44, 16.00, 19.04], abs=0.01
    )
    assert [alarm.index for alarm in chart.alarms] == list(range(13, 20))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_charts_agree_with_a_second_library(seed):
    shewhart = pytest.importorskip("shewhart")
    x = np.random.default_rng(seed).normal(10, 2, 60)
    x[40:] += 3
    phase = phase_one(x, np.zeros(60))
    # 2 / sqrt(pi) here, 1.128 there.
    imr = shewhart.imr(pd.DataFrame({"x": x}), value="x", rules=None)
    chart = control_chart("individuals", x, np.zeros(60), phase)
    assert chart.upper[0] == pytest.approx(imr.stats["i_ucl"], rel=1e-3)
    ewma = shewhart.ewma(pd.DataFrame({"x": x}), value="x", lam=0.2, k=3.0, center=phase.mean, sigma=phase.sd)
    drawn = control_chart("ewma", x, np.zeros(60), phase)
    assert {a.index for a in drawn.alarms} == {point for signal in ewma.signals for point in signal.points}
    cusum = shewhart.cusum(pd.DataFrame({"x": x}), value="x", k=0.5, h=5.0, center=phase.mean, sigma=phase.sd)
    summed = control_chart("cusum", x, np.zeros(60), phase)
    assert {a.index for a in summed.alarms} == {point for signal in cusum.signals for point in signal.points}


def test_a_noisy_point_has_wider_limits_and_a_doubtful_alarm():
    # Process sd 1, limits of a point of u = 1: 3 sqrt(2) = 4.243; of u = 0: 3. Doubled u: 3 sqrt(5) = 6.708.
    x, u = np.array([4.0, 4.0, 5.0, 7.0]), np.array([0.0, 1.0, 1.0, 1.0])
    chart = control_chart("individuals", x, u, known(0, 1))
    assert chart.upper == pytest.approx([3, 4.2426, 4.2426, 4.2426], abs=1e-4)
    assert [(a.index, a.grade) for a in chart.alarms] == [
        (0, "process"), (2, "may be the measurement"), (3, "process"),
    ]  # fmt: skip


def test_the_process_variance_is_what_the_measurement_leaves():
    random = np.random.default_rng(0)
    u = random.uniform(0.5, 2.0, 4000)
    x = 5 + random.normal(size=4000) * np.sqrt(1.0 + u**2)
    for spread in ("moving_range", "all"):
        found = phase_one(x, u, spread=spread)
        assert found.sd == pytest.approx(1.0, abs=0.08)
        assert found.process_sd.ci[0] < 1.0 < found.process_sd.ci[1]
        assert found.mean == pytest.approx(5.0, abs=0.08)


def test_a_process_steadier_than_its_measurement_has_variance_zero():
    found = phase_one(np.array([1.0, 1.1, 0.9, 1.0, 1.05, 0.95]), np.full(6, 0.5))
    assert found.sd == 0
    assert "AT_ZERO" in found.process_sd.flags


@pytest.mark.slow
def test_intervals_of_the_process_sd_hold():
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        u = random.uniform(0.3, 1.5, 20)
        found = phase_one(random.normal(size=20) * np.sqrt(1 + u**2), u, spread="all")
        inside += found.process_sd.ci[0] <= 1 <= found.process_sd.ci[1]
    assert 0.92 <= inside / 300 <= 0.98


@pytest.mark.parametrize(
    ("rule", "run"),
    [
        (1, [0, 3.1]),
        (2, [0.1] * 9),
        (3, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (4, [0.5, -0.5] * 7),
        (5, [2.1, 0, 2.1]),
        (6, [1.1, 1.1, 0, 1.1, 1.1]),
        (7, [0.5, -0.5, 0.4] * 5),
        (8, [1.5, -1.5] * 4),
    ],
)
def test_each_rule_is_broken_at_the_last_point_of_its_run(rule, run):
    found = broken(np.array(run, float), rule)
    assert found[-1]
    assert not found[:-1].any()


def test_rule_four_needs_fourteen_points():
    assert not broken(np.array([0.5, -0.5] * 6 + [0.5]), 4).any()


@pytest.mark.slow
def test_the_run_length_of_a_known_process_is_that_of_the_tables():
    # Rule 1 at 3 sd: 370; CUSUM k 0.5, h 4, both sides: 168 (Montgomery's tables).
    phase = PhaseOne(Estimate(0.0, n=2000), Estimate(1.0, n=2000), 0.0, ())
    assert run_length("individuals", np.zeros(5), phase).known == pytest.approx(370, rel=0.15)
    assert run_length("cusum", np.zeros(5), phase, Options(decision=4)).known == pytest.approx(168, rel=0.12)


def test_the_run_length_counts_that_phase_one_is_short():
    phase = PhaseOne(Estimate(0.0, n=8), Estimate(1.0, n=8), 0.5, tuple("abcdefgh"))
    found = run_length("individuals", np.full(8, 0.5), phase)
    assert found.estimated < 0.7 * found.known
    assert "8 lots" in found.sentence


def test_capability_of_nist():
    # USL 20, LSL 8, mean 16, s 2: Cp 1.0, Cpk 0.6667.
    x = np.array([-1.5, -0.5, 0.5, 1.5, 0.0, 0.0])
    x = 16 + 2 * x / x.std(ddof=1)
    found = capability(x, np.zeros(6), lower=8, upper=20)
    assert found["cp_observed"].value == pytest.approx(1.0)
    assert found["cpk_observed"].value == pytest.approx(2 / 3)
    assert found["cp"].value == pytest.approx(1.0)


def test_capability_without_what_the_measurement_adds():
    random = np.random.default_rng(2)
    x = random.normal(size=4000) * np.sqrt(2)
    found = capability(x, np.ones(4000), lower=-6, upper=6)
    # Observed: 12 / (6 sqrt 2) = 1.414; the process alone: 2.
    assert found["cp_observed"].value == pytest.approx(1.414, rel=0.03)
    assert found["cp"].value == pytest.approx(2.0, rel=0.06)
    assert found["cpk_observed"].ci[0] < 1.414 < found["cpk_observed"].ci[1]
    assert found["measurement_share"].value == pytest.approx(2 * 1.96 / 12)


@pytest.mark.slow
def test_intervals_of_cpk_hold():
    random = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        found = capability(random.normal(0.5, 1, 30), np.zeros(30), lower=-4, upper=4)
        inside += found["cpk_observed"].ci[0] <= 3.5 / 3 <= found["cpk_observed"].ci[1]
    assert 0.92 <= inside / 400 <= 0.98


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: phase_one(np.zeros(4), np.zeros(4)), "at least 5 lots"),
        (lambda: phase_one(np.zeros(6), np.zeros(6), spread="range"), "spread: must be"),
        (lambda: Options(rules=(9,)), "numbers from 1 to 8"),
        (lambda: Options(weight=0), "weight: must be above 0"),
        (lambda: control_chart("p", FLOW, np.zeros(10), known(0, 1)), "chart: must be individuals"),
        (lambda: control_chart("ewma", FLOW, np.zeros(10), known(0, 0)), "there are no limits"),
        (lambda: capability(FLOW, np.zeros(10)), "needs --lower"),
        (lambda: capability(FLOW, np.zeros(10), lower=2, upper=1), "below the upper"),
    ],
)
def test_what_cannot_be_charted_is_said(call, words):
    with pytest.raises(InputError, match=words):
        call()
