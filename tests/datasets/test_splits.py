"""Ratios, whole groups, phases alike, decisions that stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cathode_tf.datasets.splits import assign_splits, parse_ratios
from cathode_tf.errors import InputError

RATIOS = parse_ratios("70/20/10")


def test_a_hundred_equal_groups_are_split_exactly():
    splits = list(assign_splits({f"g{i}": np.array([1, 50, 50]) for i in range(100)}, RATIOS).values())
    assert [splits.count(name) for name in RATIOS] == [70, 20, 10]


def test_phases_are_spread_alike():
    # Half of the groups are all pore, half all ncm: each split should get both in equal parts.
    groups = {f"g{i:02d}": np.array([1, 100 * (i % 2), 100 * (1 - i % 2)]) for i in range(40)}
    splits = assign_splits(groups, parse_ratios("50/25/25"))
    for split in RATIOS:
        pore, ncm = sum(groups[g][1:] for g in groups if splits[g] == split)
        assert pore == ncm


def test_the_seed_decides_and_repeats():
    groups = {f"g{i}": np.array([1, 10 + i, 90 - i]) for i in range(12)}
    assert assign_splits(groups, RATIOS, seed=5) == assign_splits(groups, RATIOS, seed=5)
    assert len({tuple(assign_splits(groups, RATIOS, seed=seed).values()) for seed in range(8)}) > 1


def test_three_groups_fill_three_splits_however_unequal():
    groups = {"big": np.array([100, 900]), "small": np.array([1, 9]), "tiny": np.array([1, 8])}
    splits = assign_splits(groups, RATIOS)
    assert sorted(splits.values()) == ["test", "train", "validation"]
    assert splits["big"] == "train"


def test_what_is_decided_stays_and_the_rest_makes_up_for_it():
    groups = {f"g{i}": np.array([1, 10]) for i in range(10)}
    fixed = {f"g{i}": "test" for i in range(5)}
    splits = assign_splits(groups, RATIOS, fixed=fixed)
    assert all(splits[group] == "test" for group in fixed)
    assert "test" not in [splits[group] for group in groups if group not in fixed]


def test_a_share_of_zero_gets_nothing():
    splits = assign_splits({f"g{i}": np.array([1, 10]) for i in range(9)}, parse_ratios("80/20/0"))
    assert "test" not in splits.values()


@given(
    sizes=st.lists(
        st.tuples(st.integers(1, 50), st.integers(0, 999), st.integers(0, 999)), min_size=1, max_size=30
    ),
    seed=st.integers(0, 9),
)
@settings(max_examples=30, deadline=None)
def test_every_group_has_one_split_and_no_split_stays_empty_without_need(sizes, seed):
    groups = {f"g{i}": np.array(size) for i, size in enumerate(sizes)}
    splits = assign_splits(groups, RATIOS, seed=seed)
    assert list(splits) == list(groups)
    assert len(set(splits.values())) == min(3, len(groups))


@pytest.mark.parametrize("text", ["70/30", "a/b/c", "0/50/50", "-1/1/1", "", "70/20/nan", "inf/1/1"])
def test_other_ratios_are_refused(text):
    with pytest.raises(InputError, match="70/20/10"):
        parse_ratios(text)
