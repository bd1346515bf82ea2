"""How draws and truth relate, and intervals that count it in: on numbers whose relation is known."""

import math

import numpy as np
import pytest

from cathode_tf.statistics.estimate import Estimate
from cathode_tf.statistics.spreads import (
    FEWEST_IMAGES,
    MASK_BIAS,
    MASK_UNKNOWN,
    SEGMENTATION,
    Spread,
    fit_spread,
    scaled,
    unscaled,
    with_draws,
)

rng = np.random.default_rng(3)


@pytest.mark.parametrize(("quantity", "value"), [("fraction", 0.3), ("fraction", 0.0), ("x50_3", 7.5)])
def test_the_scale_has_a_way_back(quantity, value):
    assert math.isclose(unscaled(quantity, scaled(quantity, value)), value, abs_tol=1e-12)


def test_what_was_put_in_comes_out_of_the_fit():
    spread, moved = rng.uniform(0.05, 0.2, 400), rng.normal(0, 0.3, 400)
    error = 0.1 + 0.7 * moved + np.hypot(1.5 * spread, 0.1) * rng.standard_normal(400)
    found = fit_spread(moved, spread, error)
    assert abs(found.constant - 0.1) < 0.04 and abs(found.follow - 0.7) < 0.1
    # 95 % of what it was fitted on lie inside its 95 %, by construction.
    inside = [
        abs(e - found.shift(m)) <= 1.96 * found.deviation(s) + 1e-9
        for m, s, e in zip(moved, spread, error, strict=True)
    ]
    assert 0.94 < np.mean(inside) < 0.96
    assert fit_spread(moved[: FEWEST_IMAGES - 1], spread[:19], error[:19]) is None


def test_spreads_join_in_quadrature_and_the_value_stays():
    # A share of 0.5 +- 0.02: on the scale asin(sqrt(x)), whose slope there is 1, +- 0.02 too. Draws that lie 0.01 apart
    # (standard deviation) add 1.96 x 0.01: sqrt(0.02^2 + 0.0196^2) = 0.0280.
    middle = math.asin(math.sqrt(0.5))
    # Ten values with standard deviation 0.01 exactly: +-a five times each, a = 0.01 sqrt(9 / 10).
    drawn = [math.sin(middle + sign * 0.01 * math.sqrt(0.9)) ** 2 for sign in (-1, 1) * 5]
    found = with_draws("fraction", Estimate(0.5, ci=(0.48, 0.52), n=4), 0.5, drawn, Spread())
    assert found.value == 0.5 and found.ci == pytest.approx((0.472, 0.528), abs=2e-4)
    assert found.components[SEGMENTATION] == pytest.approx(0.01, rel=0.01)


def test_a_bias_moves_the_interval_and_is_told():
    # Truth lies 0.2 above the mask on the scale; nothing else is doubtful.
    estimate = Estimate(0.1, ci=(0.09, 0.11), n=4)
    found = with_draws("fraction", estimate, 0.1, [0.1, 0.1, 0.1], Spread(0.2, 0.0, 1.0, 0.01))
    centre = math.sin(math.asin(math.sqrt(0.1)) + 0.2) ** 2
    assert found.value == 0.1 and found.ci[0] == 0.1 and found.ci[1] > centre
    assert "too low" in found.flags[MASK_BIAS]


def test_what_draws_cannot_tell_is_called_unknown():
    none = with_draws("number_density", Estimate(0.0), 0.0, [0.0, 0.1, 0.1], None)
    assert MASK_UNKNOWN in none.flags and none.ci is None
    few = with_draws("x50_3", Estimate(5.0, ci=(4, 6), n=3), 5.0, [None, None, 5.1], None)
    assert MASK_UNKNOWN in few.flags and few.ci == (4, 6)


def test_without_an_interval_of_sampling_there_is_that_of_the_segmentation():
    found = with_draws("x50_3", Estimate(5.0, n=1), 5.0, [4.9, 5.0, 5.1], None)
    assert found.ci[0] < 4.9 and found.ci[1] > 5.1
