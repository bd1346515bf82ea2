import pytest

from cathode_tf import InputError
from cathode_tf.statistics import Estimate, Spec, decide
from cathode_tf.statistics.decision import conformity


def estimate(value: float, u: float, unit: str = "") -> Estimate:
    return Estimate(
        value, unit, ci=(value - 1.959964 * u, value + 1.959964 * u), n=12, components={"between_images": u}
    )


def test_jcgm_106_example():
    assert conformity(13.6, 1.8, 12.5, 16.3) == pytest.approx(0.6626, abs=1e-4)


def test_a_guard_band_of_two_u_leaves_2_3_percent():
    assert 1 - conformity(10 - 2 * 0.5, 0.5, upper=10) == pytest.approx(0.0228, abs=1e-4)


@pytest.mark.parametrize(
    ("value", "verdict", "accepted"),
    [
        (0.30, "PASS", True),
        (0.345, "CONDITIONAL_PASS", True),
        (0.355, "CONDITIONAL_FAIL", False),
        (0.40, "FAIL", False),
        (0.20, "FAIL", False),
    ],
)
def test_guarded_acceptance_knows_four_states(value, verdict, accepted):
    # Limits 0.25-0.35, u = 0.01: surely inside up to 0.3304, surely outside from 0.3696.
    decision = decide(estimate(value, 0.01), Spec("fraction/pore", 0.25, 0.35))
    assert (decision.verdict, decision.accepted) == (verdict, accepted)
    assert decision.guard_band == pytest.approx(0.0196, abs=1e-4)


def test_simple_acceptance_must_be_asked_for():
    assert decide(estimate(0.345, 0.01), Spec("p", 0.25, 0.35, rule="simple_acceptance")).verdict == "PASS"
    assert Spec("p", 0.25, 0.35).rule == "guarded_acceptance"


def test_guarded_rejection_gives_the_benefit_of_the_doubt():
    spec = Spec("p", 0.25, 0.35, rule="guarded_rejection")
    assert decide(estimate(0.355, 0.01), spec).verdict == "CONDITIONAL_PASS"
    assert decide(estimate(0.38, 0.01), spec).verdict == "FAIL"


def test_too_uncertain_is_insufficient_and_tells_how_many_more():
    decision = decide(estimate(0.30, 0.03), Spec("fraction/pore", 0.25, 0.35))
    assert decision.verdict == "INSUFFICIENT" and "more images are needed" in decision.sentence


def test_no_value_and_no_interval_are_insufficient():
    spec = Spec("fraction/pore", upper=0.35)
    refused = decide(Estimate.refused("too few"), spec)
    bare = decide(Estimate(0.3, n=1, flags={"NO_INTERVAL": "one image"}), spec)
    assert refused.verdict == bare.verdict == "INSUFFICIENT"
    assert "too few" in refused.sentence and "one image" in bare.sentence
    assert refused.to_dict()["p_conform"] is None


def test_units_and_methods_must_fit():
    with pytest.raises(InputError, match="unit must be"):
        decide(estimate(9.0, 0.1, "px"), Spec("x50_3/ncm", 8, 12, unit="um"))
    with pytest.raises(InputError, match="laser_diffraction"):
        Spec("x50_3/ncm", 8, 12, unit="um", method="laser_diffraction")
    spec = Spec("x50_3/ncm", 8, 12, unit="um", method="laser_diffraction", bias=-1.0)
    # 7.5 um in the image stands for 8.5 um by laser diffraction.
    assert decide(estimate(7.5, 0.1, "um"), spec).verdict == "PASS"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"lower": 2, "upper": 1},
        {"lower": 1, "rule": "hope"},
        {"lower": 1, "max_pfa": 0.7},
        {"lower": float("nan")},
        {"lower": 1, "bias": float("nan")},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(fields):
    with pytest.raises(InputError, match="spec q"):
        Spec("q", **fields)


def test_spec_from_a_table():
    assert Spec.from_dict({"name": "a", "lower": 1}).text == "at least 1"
    with pytest.raises(InputError, match="may hold"):
        Spec.from_dict({"name": "a", "low": 1})
    with pytest.raises(InputError, match="must have a name"):
        Spec.from_dict({"lower": 1})
