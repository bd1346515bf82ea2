"""What a conversion will do, as a value: nothing is read, written or changed by making it."""

import dataclasses

import pytest

from cathode_tf.datasets import convert, open_records
from cathode_tf.datasets.conversion import carry_out
from cathode_tf.datasets.plan import Choices, plan_conversion
from cathode_tf.errors import InputError

from .conftest import stripes, write_pair


def test_a_plan_carried_out_is_what_convert_writes(pairs, tmp_path, phases):
    options = {"split": "60/20/20", "seed": 3, "annotator": "Ada"}
    plan = plan_conversion(pairs, None, out=tmp_path / "set", phases=phases, choices=Choices(**options))
    assert not (tmp_path / "set").exists()
    assert [source.image.name for source in plan.sources] == [f"a{index}.png" for index in range(10)]
    assert {source.annotator for source in plan.sources} == {"Ada"}
    planned = open_records(carry_out(plan))
    assert planned.metadata["split"] == plan.rule
    called = open_records(convert(pairs, out=tmp_path / "called", phases=phases, **options))
    assert called.fingerprint == planned.fingerprint and called.splits == planned.splits


def test_carrying_out_leaves_the_plan_as_it_was(tmp_path, phases):
    """Slices left out at the borders of blocks are found while it is carried out, and stand in the set alone."""
    for index in range(12):
        write_pair(tmp_path / "in", f"s_{index:02d}", stripes(shift=index))
    choices = Choices(guard_gap=1, group_regex="s", split="50/25/25")
    plan = plan_conversion(tmp_path / "in", None, out=tmp_path / "set", phases=phases, choices=choices)
    records = open_records(carry_out(plan))
    assert "left_out" not in plan.rule and len(records.metadata["split"]["left_out"]) == 2
    assert "1 slices left out between them" in str(plan)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.force = True


def test_the_next_version_follows_the_rule_that_stands(pairs, tmp_path, phases):
    out = convert(pairs, out=tmp_path / "set", phases=phases, split="60/20/20", seed=5)
    write_pair(tmp_path / "new", "b0", stripes())
    plan = plan_conversion(tmp_path / "new", None, out=out, phases=phases, add=True)
    assert (plan.rule["seed"], plan.rule["ratios"]["train"]) == (5, 0.6)
    assert plan.added_to is not None and "version 1.1.0 after 1.0.0" in str(plan)
    replaced = plan_conversion(tmp_path / "new", None, out=out, phases=phases, force=True)
    assert replaced.added_to is None and "in place of version 1.0.0" in str(replaced)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"origin": "guess"}, "origin: must be one of human"),
        ({"seed": -1}, "--seed: must be 0 or more"),
        ({"guard_gap": -1}, "--guard-gap: must be 0 or more"),
        ({"split_file": {}, "seed": 1}, "--split-file: says where each image goes"),
    ],
)
def test_choices_that_cannot_be_are_refused_at_once(wrong, message):
    with pytest.raises(InputError, match=message):
        Choices(**wrong)
