import json

import numpy as np
import pytest
from scipy import stats

from cathode_tf.statistics.estimate import NO_INTERVAL, Estimate, ratio_estimate


def test_prints_value_interval_and_n():
    assert str(Estimate(0.3123, ci=(0.2941, 0.3305), n=12)) == "0.312 +- 0.018 (95 %, 12 images)"


def test_prints_a_skewed_interval_by_its_ends():
    text = str(Estimate(0.01, ci=(0.0, 0.05), n=2, unit_of_replication="group"))
    assert text == "0.010 [0.000, 0.050] (95 %, 2 groups)"


def test_prints_units_and_large_numbers():
    assert str(Estimate(1234.6, "um", ci=(1200.6, 1268.6), n=1)) == "1235 +- 34 um (95 %, 1 image)"
    assert (
        str(Estimate(123456.0, "px", ci=(111111.0, 135801.0), n=3)) == "123000 +- 12000 px (95 %, 3 images)"
    )


def test_refusal_tells_why_and_has_no_value():
    estimate = Estimate.refused("no particle", unit="um")
    assert estimate.value is None and estimate.is_refused
    assert str(estimate) == "not estimable: no particle"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_silent_nan_cannot_be_made(value):
    with pytest.raises(ValueError, match="finite"):
        Estimate(value)
    with pytest.raises(ValueError, match="finite"):
        Estimate(1.0, ci=(0.0, value))
    with pytest.raises(ValueError, match="REFUSED"):
        Estimate(None)


def test_survives_json():
    estimate = Estimate(0.5, "um", (0.4, 0.6), n=3, components={"a": 0.1}, flags={"F": "because"})
    assert Estimate.from_dict(json.loads(json.dumps(estimate.to_dict()))) == estimate


def test_equal_images_give_the_mean_of_fields():
    # ASTM E562: mean 0.31, s = 0.0264575, t(2) = 4.30265 -> 0.0657 half width.
    values = np.array([0.28, 0.32, 0.33])
    estimate = ratio_estimate(values * 100, np.full(3, 100.0))
    half = stats.t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3)
    assert estimate.value == pytest.approx(0.31)
    assert estimate.half_width == pytest.approx(half)


def test_larger_images_count_for_more():
    assert ratio_estimate(np.array([10, 90]), np.array([100, 300])).value == pytest.approx(0.25)


@pytest.mark.parametrize("values", [[30], [30, 30, 30]])
def test_without_spread_there_is_no_interval_and_the_reason_is_given(values):
    estimate = ratio_estimate(np.array(values), np.full(len(values), 100))
    assert estimate.value == 0.3 and estimate.ci is None and NO_INTERVAL in estimate.flags


def test_nothing_to_refer_to_is_refused():
    assert ratio_estimate(np.zeros(3), np.zeros(3), what="ncm").is_refused


def test_an_end_cut_off_at_zero_makes_a_number_no_surer():
    # 0.01 +- 0.02, cut at 0: the standard uncertainty stays 0.02 / 1.96.
    cut = Estimate(0.01, ci=(0.0, 0.03), n=9)
    assert cut.standard_uncertainty == pytest.approx(0.02 / 1.959964)
    assert Estimate(0.01, n=1).standard_uncertainty is None
