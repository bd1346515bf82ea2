import json

import numpy as np
import pandas as pd
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.analysis import analyze
from cathode_tf.statistics import draw_reference_points, plan_reference_points
from cathode_tf.statistics.reference_points import from_reference_points, post_stratified
from cathode_tf.statistics.transfer import (
    TRANSFER_UNVERIFIED,
    TestErrors,
    adjusted,
    read_evaluation,
    transferred,
)

PHASES = Phases.from_names(["pore", "ncm", "binder"])


def test_olofsson_2014_table_8():
    points = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
    areas = np.array([200000, 150000, 3200000, 6450000])
    result = post_stratified(points, areas / areas.sum())
    assert result.share[:2] * areas.sum() == pytest.approx([235086, 129846], abs=1)
    assert 1.96 * result.u[0] * areas.sum() == pytest.approx(68418, abs=2)
    assert 1.96 * result.u[1] * areas.sum() == pytest.approx(41731, abs=300)
    assert result.users_accuracy[0] == pytest.approx(0.88)
    assert result.producers_accuracy[0] == pytest.approx(0.75, abs=0.005)


def test_adjusted_stays_on_the_simplex():
    rates = np.array([[0.9, 0.1], [0.1, 0.9]])
    # Less than a false-positive rate was mapped: the best share is 0, not negative.
    assert adjusted(rates, np.array([0.05, 0.95])).tolist() == [0, 1]


def confused(rng: np.random.Generator, truth: np.ndarray, rates: np.ndarray) -> np.ndarray:
    draw = rng.random(truth.shape)
    edges = np.cumsum(rates, 1)
    return (draw[..., None] > edges[truth]).sum(-1).astype(np.uint8)


RATES = np.array([[0.85, 0.10, 0.05], [0.03, 0.92, 0.05], [0.20, 0.20, 0.60]])


def truths(rng: np.random.Generator, images: int, shares) -> list[np.ndarray]:
    """Masks whose composition varies a little from image to image."""
    result = []
    for _ in range(images):
        p = rng.dirichlet(np.array(shares) * 400)
        result.append(rng.choice(3, (80, 80), p=p).astype(np.uint8))
    return result


def confusions(rng, images, shares) -> np.ndarray:
    tables = []
    for truth in truths(rng, images, shares):
        code = truth.ravel().astype(int) * 3 + confused(rng, truth, RATES).ravel()
        tables.append(np.bincount(code, minlength=9).reshape(3, 3))
    return np.array(tables)


def test_transfer_recovers_a_composition_that_the_test_set_did_not_have():
    rng = np.random.default_rng(0)
    errors = TestErrors(confusions(rng, 6, [0.5, 0.3, 0.2]), PHASES.names)
    shares = [0.25, 0.70, 0.05]
    counts = []
    for truth in truths(rng, 8, shares):
        counts.append(np.bincount(confused(rng, truth, RATES).ravel(), minlength=3))
    counts = np.array(counts)
    raw = counts.sum(0) / counts.sum()
    assert abs(raw[2] - 0.05) > 0.02
    for index, (name, estimate) in enumerate(transferred(counts, errors, PHASES).items()):
        assert estimate.ci[0] <= shares[index] <= estimate.ci[1], name
        assert set(estimate.components) == {"between_images", "test_images"}
        assert TRANSFER_UNVERIFIED in estimate.flags


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (np.ones((2, 3, 3)), "at least 3 test images"),
        (np.array([np.diag([5, 5, 0])] * 4), "no test image shows binder"),
        (np.ones((4, 3, 3)) + np.eye(3) * 0.01, "confuses its phases"),
    ],
)
def test_transfer_is_refused_where_the_rates_cannot_be_trusted(tables, reason):
    found = transferred(np.array([[10, 20, 5]]), TestErrors(tables, PHASES.names), PHASES)
    assert all(estimate.is_refused and reason in str(estimate) for estimate in found.values())


def test_transfer_needs_the_same_phases():
    with pytest.raises(InputError, match="must have the phases"):
        transferred(np.array([[1, 2, 3]]), TestErrors(np.ones((3, 2, 2)), ("pore", "ncm")), PHASES)


def test_evaluation_json_is_read_and_its_absence_of_tables_is_told(tmp_path):
    path = tmp_path / "evaluation.json"
    tables = {f"i{k}": [[90, 6, 4], [3, 94, 3], [20, 20, 60]] for k in range(4)}
    path.write_text(json.dumps({"phases": PHASES.to_list(), "confusions": tables}))
    assert read_evaluation(path).confusions.shape == (4, 3, 3)
    masks = truths(np.random.default_rng(1), 3, [0.3, 0.6, 0.1])
    summary = analyze(masks, PHASES, evaluation=path).summary
    assert {"fraction", "fraction_corrected"} <= set(summary)
    path.write_text("{}")
    with pytest.raises(InputError, match="phases and confusions"):
        read_evaluation(path)


def test_points_lie_where_they_say_and_come_again_with_the_seed():
    masks = {f"m{k}": mask for k, mask in enumerate(truths(np.random.default_rng(2), 3, [0.3, 0.6, 0.1]))}
    points = draw_reference_points(masks, PHASES, {"pore": 10, "ncm": 30, "binder": 5}, seed=4)
    assert points["mapped"].value_counts().to_dict() == {"ncm": 30, "pore": 10, "binder": 5}
    assert not points.duplicated(["image", "row", "column"]).any()
    for point in points.itertuples():
        assert masks[point.image][point.row, point.column] == PHASES[point.mapped].id
    pd.testing.assert_frame_equal(
        points, draw_reference_points(masks, PHASES, {"pore": 10, "ncm": 30, "binder": 5}, seed=4)
    )


def test_labelled_points_correct_the_fraction():
    rng = np.random.default_rng(3)
    shares = [0.25, 0.70, 0.05]
    truth = {f"m{k}": mask for k, mask in enumerate(truths(rng, 6, shares))}
    mapped = {name: confused(rng, mask, RATES) for name, mask in truth.items()}
    points = draw_reference_points(mapped, PHASES, 250)
    points["reference"] = [PHASES.names[truth[p.image][p.row, p.column]] for p in points.itertuples()]
    corrected = analyze(mapped, PHASES).with_reference_points(points).summary
    for name, share in zip(PHASES.names, shares, strict=True):
        estimate = corrected["fraction_by_points"][name]
        assert estimate.ci[0] <= share <= estimate.ci[1]
        assert estimate.half_width < 0.06
    assert corrected["fraction_by_points"]["binder"].components["reference_points"] > 0


def test_planned_points_reach_the_planned_precision():
    # Mapped 25 / 67 / 8 %, right where mapped pore 0.9, missed 0.04: u = sqrt(sum W^2 p (1 - p) / n).
    mapped = {"pore": 0.25, "ncm": 0.67, "binder": 0.08}
    plan = plan_reference_points(mapped, "pore", half_width=0.026, missed=0.04)
    u2 = sum(
        mapped[name] ** 2 * p * (1 - p) / plan[name]
        for name, p in (("pore", 0.9), ("ncm", 0.04), ("binder", 0.04))
    )
    assert 1.96 * u2**0.5 == pytest.approx(0.026, rel=0.03)
    assert 260 < sum(plan.values()) < 300


def test_bad_points_are_clear_errors():
    counts = np.array([[10, 20, 5]])
    table = pd.DataFrame({"mapped": ["pore"] * 3, "reference": ["pore", "ncm", "pore"]})
    with pytest.raises(InputError, match="at least 2 labelled points"):
        from_reference_points(counts, table, PHASES)
    with pytest.raises(InputError, match="columns mapped and reference"):
        from_reference_points(counts, table[["mapped"]], PHASES)
    with pytest.raises(InputError, match="must be one of"):
        from_reference_points(counts, table.assign(reference="gold"), PHASES)
    with pytest.raises(InputError, match="at least one must be labelled"):
        from_reference_points(counts, table.assign(reference=""), PHASES)
    with pytest.raises(InputError, match="half width"):
        plan_reference_points({"pore": 1.0}, "pore", half_width=0)


def test_error_rates_and_points_know_pore_back_as_the_masks_do():
    phases = Phases.from_list(
        [{"name": "pore", "id": 0}, {"name": "ncm", "id": 1}, {"name": "pore_back", "id": 2, "role": "pore"}]
    )
    rng = np.random.default_rng(9)
    masks = {f"m{k}": rng.choice([0, 1, 2], (60, 60), p=[0.2, 0.7, 0.1]).astype(np.uint8) for k in range(4)}
    # A tenth of the pore is called pore_back and the other way round: no error once both are pore.
    table = np.array([[90.0, 0, 10], [0, 100, 0], [10, 0, 90]])
    errors = TestErrors(np.array([table] * 4), phases.names)
    found = analyze(masks, phases, evaluation=errors)
    raw, corrected = found.summary["fraction"]["pore"], found.summary["fraction_corrected"]["pore"]
    assert corrected.value == pytest.approx(raw.value) and "pore_back" in corrected.components
    points = draw_reference_points(masks, phases, 30)
    points["reference"] = points["mapped"]
    by_points = found.with_reference_points(points).summary["fraction_by_points"]["pore"]
    assert by_points.value == pytest.approx(raw.value)
