"""What a training will do, as a value: checked before anything is written, and what a run's folder holds."""

import json

import pytest

from cathode_tf import InputError
from cathode_tf.learning import plan as module
from cathode_tf.learning.plan import Choices, plan_training


def test_nothing_is_left_to_be_chosen_and_nothing_is_written(striped, tmp_path):
    plan = plan_training(striped, tmp_path / "run", Choices(start="scratch", batch=2, patch_px=32))
    assert (plan.choices.epochs, plan.choices.start) == (50, None) and plan.choices.precision != "auto"
    # 3 x 64 x 64 training pixels in steps of 2 x 32 x 32 are 6, fewer than an epoch has.
    assert (plan.steps, plan.all_steps) == (20, 1000)
    said = str(plan)
    assert "3 images to train on, 1 to validate" in said and "50 epochs of 20 steps" in said
    assert not (tmp_path / "run").exists()


def test_an_epoch_is_one_pass_and_validating_costs_a_tenth_of_it(striped):
    # 100,000 pixels in steps of 1,000; three times 50,000 pixels of validation are more.
    assert module._steps(100_000, 20_000, 1_000) == 100
    assert module._steps(100_000, 50_000, 1_000) == 150


def test_a_time_limit_alone_leaves_the_epochs_open(striped, tmp_path):
    plan = plan_training(striped, tmp_path / "run", Choices(time_limit_s=90.0, preset="small"))
    assert (plan.choices.epochs, plan.all_steps) == (None, None) and "for 1.5 min" in str(plan)


def test_what_the_folder_holds_tells_the_choices_and_the_records(striped, tmp_path):
    written = plan_training(striped, tmp_path / "run", Choices(start="scratch", seed=7)).to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written["records"]["fingerprint"] == striped.fingerprint and written["seed"] == 7
    assert "prior" not in written  # without a start model there is none
    assert plan_training(striped, tmp_path / "run", Choices(start="runs/a")).to_dict()["prior"] is True


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"preset": "huge"}, {"learning_rate": float("nan")}, {"seed": -1}, {"epochs": 0}]
)
def test_choices_out_of_range_are_refused_at_once(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Choices(**wrong)
