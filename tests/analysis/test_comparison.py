import numpy as np
import pytest

from cathode_tf import InputError, InputWarning, Phases
from cathode_tf.analysis import Settings, analyze, compare
from cathode_tf.analysis.comparison import difference
from cathode_tf.statistics import Estimate

PHASES = Phases.from_names(["pore", "ncm"])


def batch(seed: int, share: float, images: int = 6):
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(images):
        coarse = (rng.random((50, 50)) < share + rng.normal(0, 0.01)).astype(np.uint8)
        masks.append(coarse.repeat(4, 0).repeat(4, 1))
    return analyze(masks, PHASES, pixel_size_nm=50, settings=Settings(fragmentation=False), drawn_by="Ann")


def test_finds_a_difference_with_its_size():
    found = compare(batch(0, 0.30), batch(1, 0.40))["fraction", "ncm"]
    assert found.verdict == "different"
    assert found.difference.ci[0] < 0.10 < found.difference.ci[1]
    assert found.ratio.ci[0] < 4 / 3 < found.ratio.ci[1]
    assert found.effect_size.value > 3


def test_equal_batches_are_equivalent_only_with_a_margin():
    a, b = batch(2, 0.30), batch(3, 0.30)
    assert compare(a, b)["fraction", "ncm"].verdict == "undecided"
    assert compare(a, b, margins={"fraction": 0.05})["fraction", "ncm"].verdict == "equivalent"
    assert compare(a, b, margins={"fraction/ncm": 0.0001})["fraction", "ncm"].verdict == "undecided"


def test_a_sure_but_small_difference_says_both():
    a = Estimate(0.300, ci=(0.299, 0.301), n=9)
    b = Estimate(0.304, ci=(0.303, 0.305), n=9)
    assert difference("f", "p", a, b, margin=0.01).verdict == "different, within the margin"


def test_the_interval_of_a_difference_adds_both_sides():
    a = Estimate(1.0, ci=(0.7, 1.4), n=5)
    b = Estimate(2.0, ci=(1.6, 2.3), n=5)
    # Down: hypot(2 - 1.6, 1.4 - 1) = 0.5657; up: hypot(2.3 - 2, 1 - 0.7) = 0.4243.
    assert difference("q", "p", a, b).difference.ci == pytest.approx((1 - 0.5657, 1 + 0.4243), abs=1e-4)


def test_false_alarms_come_as_often_as_the_level_says():
    # 400 pairs of batches of 5 images from one normal population; 5 % should differ.
    rng = np.random.default_rng(4)
    from cathode_tf.statistics.estimate import ratio_estimate

    ones = np.ones(5)
    alarms = sum(
        difference("f", "p", *(ratio_estimate(rng.normal(0.3, 0.02, 5), ones) for _ in range(2))).verdict
        == "different"
        for _ in range(400)
    )
    assert alarms <= 32


def test_written_summaries_compare_like_analyses(tmp_path):
    a, b = batch(5, 0.3), batch(6, 0.4)
    a.write(tmp_path / "a")
    b.write(tmp_path / "b")
    written = compare(tmp_path / "a", tmp_path / "b" / "summary.json")
    assert written.table()["verdict"].tolist() == compare(a, b).table()["verdict"].tolist()
    path = written.write(tmp_path / "comparison.json")
    assert path.exists()


def test_what_is_not_estimable_is_not_compared():
    refused = Estimate.refused("too few particles", unit="um")
    found = difference("x50_3", "ncm", refused, Estimate(9.0, "um", ci=(8.0, 10.0), n=6))
    assert found.verdict == "not comparable" and "too few particles" in found.sentence
    bare = Estimate(9.0, "um", n=1, flags={"NO_INTERVAL": "one image"})
    assert "one image" in str(difference("x", "y", bare, bare).difference.flags)


def test_zero_in_the_reference_has_no_ratio():
    zero = Estimate(0.0, ci=(0.0, 0.01), n=4)
    assert difference("f", "p", zero, Estimate(0.1, ci=(0.05, 0.15), n=4)).ratio.is_refused


def test_batches_must_be_alike(tmp_path):
    bare = Settings(fragmentation=False)
    with pytest.raises(
        InputError, match=r"same length unit\. Received um and px\. Analyse the one in px again"
    ):
        compare(batch(0, 0.3), analyze([np.eye(20, dtype=np.uint8)], PHASES, settings=bare))
    a, b = (analyze([np.eye(20, dtype=np.uint8)], PHASES, pixel_size_nm=x, settings=bare) for x in (5, 10))
    with pytest.warns(InputWarning, match="pixel sizes differ"):
        compare(a, b)
    with pytest.raises(InputError, match="above 0, and finite"):
        compare(batch(0, 0.3), batch(1, 0.3), margins={"fraction": float("inf")})
    with pytest.raises(InputError, match="margin nothing"):
        compare(batch(0, 0.3), batch(1, 0.3), margins={"nothing": 1.0})
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match="that analyze wrote"):
        compare(tmp_path / "x.json", batch(0, 0.3))
