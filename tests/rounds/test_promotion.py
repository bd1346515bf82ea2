"""Promotion: paired on the same images, widened for few, refused where anything got surely worse."""

import dataclasses

import numpy as np
import pytest

from cathode_tf import InputError
from cathode_tf.rounds import compare_models, promote, record_review, rollback
from cathode_tf.rounds.promotion import Difference, difference, judge
from cathode_tf.rounds.status import project_status
from cathode_tf.rounds.verdict import what_changed

NAMES = ("pore", "ncm", "additive", "binder")


def test_the_interval_is_that_of_t_for_a_normal_sample():
    rng = np.random.default_rng(3)
    change = rng.normal(0.01, 0.02, 12)
    found = difference("ncm", [0.5] * 12, list(0.5 + change))
    half = 2.201 * change.std(ddof=1) / np.sqrt(12)  # t of 11 degrees of freedom
    assert found.difference == pytest.approx(change.mean())
    assert found.high - found.difference == pytest.approx(half, rel=0.12)


def test_one_image_carries_no_interval_and_two_prove_little():
    one = difference("ncm", [0.5], [0.4])
    two = difference("ncm", [0.5, 0.6], [0.45, 0.54])
    alike = difference("ncm", [0.9589, 0.9583], [0.9528, 0.9528])  # as -0.0061 and -0.0055, once measured
    assert one.low is None and not one.worse and not two.worse and not alike.worse
    assert difference("ncm", [0.9] * 30, [0.89] * 30).worse  # but thirty that agree prove something


def test_a_sure_regression_in_one_phase_is_enough_to_refuse():
    overall = Difference("mean Dice", 0.8, 0.85, 0.05, 0.02, 0.08, 9)
    binder = Difference("binder", 0.6, 0.5, -0.1, -0.15, -0.05, 9)
    assert not judge([overall, binder]).promote
    assert "binder" in judge([overall, binder]).reason
    assert judge([overall, dataclasses.replace(binder, high=0.01)]).promote


def test_a_lower_mean_is_refused_even_if_not_surely():
    assert not judge([Difference("mean Dice", 0.8, 0.79, -0.01, -0.03, 0.01, 9)]).promote


@pytest.fixture
def two_models(small_project):
    """Test images annotated and both models measured, so that no network is needed."""
    project = small_project
    tests = [i for i in project.state.images.values() if i.role == "test"]
    for image in tests:
        record_review(project, image.key, "accept", mask=project.truth)
    for number in (1, 2):
        (project.path / "models").mkdir(exist_ok=True)
        (project.path / f"models/00{number}.keras").write_text(f"model {number}")
        facts = {"path": f"models/00{number}.keras", "run": "", "records": {}, "start": "scratch"}
        project.ledger.append("train", model=number, round=number, images=[], minutes=0, **facts)
    project.ledger.append("promote", model=1, reason="first model")
    return project


@pytest.fixture
def first_model(small_project):
    """A test image annotated, one model that nobody promoted, and the shipped model measured at 0.7."""
    project = small_project
    test, pool = (next(i for i in project.state.images.values() if i.role == r) for r in ("test", "pool"))
    for image in (test, pool):
        record_review(project, image.key, "accept", mask=project.truth)
    (project.path / "models").mkdir()
    (project.path / "models/001.keras").write_text("model 1")
    facts = {"path": "models/001.keras", "run": "", "records": {}, "start": "default"}
    project.ledger.append("train", model=1, round=1, images=[pool.key], minutes=0, **facts)
    row = {"revision": 1, "mean": 0.7, "dice": dict.fromkeys(NAMES, 0.7)}
    project.ledger.append("baseline", test={test.key: row})
    return project


def measure(project, number, value):
    rows = {
        i.key: {"revision": i.revisions, "mean": value, "dice": dict.fromkeys(NAMES, value)}
        for i in project.state.annotated("test")
    }
    project.ledger.append("evaluate", model=number, test=rows)


def test_a_better_model_goes_behind_stable_and_back(two_models):
    measure(two_models, 1, 0.7)
    measure(two_models, 2, 0.8)
    assert promote(two_models).promote
    assert two_models.state.champion.number == 2
    assert (two_models.path / "models/stable.keras").read_text() == "model 2"
    assert rollback(two_models, reason="line 2").number == 1
    assert (two_models.path / "models/stable.keras").read_text() == "model 1"
    assert two_models.ledger.events()[-1]["reason"] == "line 2"
    # Before the first model the one that comes with the package was in use.
    assert rollback(two_models, reason="again") is None and two_models.state.champion is None
    assert not (two_models.path / "models/stable.keras").exists()
    with pytest.raises(InputError, match="to roll back"):
        rollback(two_models, reason="and again")


def test_a_first_model_that_is_worse_than_the_shipped_one_is_not_used(first_model):
    measure(first_model, 1, 0.6)
    assert "comes with the package" in project_status(first_model)["next"]
    verdict = promote(first_model)
    assert not verdict.promote and "fell by 0.1000" in verdict.reason
    assert first_model.state.champion is None and first_model.ledger.events()[-1]["champion"] is None
    found = what_changed(first_model)
    assert (found["advice"], found["dice"]) == ("keep", {"model": 0.6, "default": 0.7})
    # It was compared: the next step is another one.
    assert "promote" not in project_status(first_model)["next"]
    assert project_status(first_model)["change"]["champion"] == "default"


def test_a_first_model_that_is_better_than_the_shipped_one_takes_over(first_model):
    measure(first_model, 1, 0.8)
    assert what_changed(first_model)["advice"] == "promote"
    assert promote(first_model).promote and first_model.state.champion.number == 1
    assert what_changed(first_model)["stable"]


@pytest.mark.slow
def test_a_worse_model_needs_a_reason_that_the_ledger_keeps(two_models):
    measure(two_models, 1, 0.8)
    measure(two_models, 2, 0.7)
    assert not promote(two_models).promote
    assert two_models.state.champion.number == 1
    assert two_models.ledger.events()[-1]["event"] == "refuse"
    assert promote(two_models, force_reason="new detector").promote
    last = two_models.ledger.events()[-1]
    assert (last["event"], last["forced"], last["reason"]) == ("promote", True, "new detector")
    assert "fell" in last["verdict"]


def test_groups_of_two_or_more_are_compared(two_models):
    measure(two_models, 1, 0.7)
    measure(two_models, 2, 0.8)
    state = two_models.state
    rows = compare_models(two_models, state.models[1], state.models[2])
    assert [row.where for row in rows] == ["mean Dice", *NAMES]


def test_nothing_to_compare_is_said(small_project):
    with pytest.raises(InputError, match="rounds train"):
        promote(small_project)
