"""Which group of images is for training, which for validation, which for the test.

Sizes and phase pixels of groups in, a split for each group out: by ratio and seed, alike in their phases,
and never against what an earlier version of the record set has decided.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cathode_tf.datasets.schema import SPLITS
from cathode_tf.errors import InputError


def parse_ratios(text: str) -> dict[str, float]:
    """Shares of train, validation and test, which sum to 1.

    Example:
        >>> parse_ratios("70/20/10")
        {'train': 0.7, 'validation': 0.2, 'test': 0.1}
    """
    try:
        parts = [float(part) for part in text.split("/")]
    except ValueError:
        parts = []
    if len(parts) != 3 or min(parts) < 0 or not 0 < sum(parts) < float("inf") or parts[0] <= 0:
        raise InputError(
            f"split: must be three shares for {'/'.join(SPLITS)}, like 70/20/10. Received {text!r}."
        )
    return {split: part / sum(parts) for split, part in zip(SPLITS, parts, strict=True)}


def assign_splits(
    groups: Mapping[str, np.ndarray],
    ratios: Mapping[str, float],
    *,
    seed: int = 0,
    fixed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The split of each group, so that sizes come near the ratios and phase shares are alike.

    Groups go one by one to where images and phases are most wanting; of a few random orders the best is
    taken. Every split with a share gets a group where there are enough.

    Args:
        groups: For each group its number of images, followed by its pixels of each phase.
        ratios: Share of the images for each split.
        seed: Of the random orders.
        fixed: Splits that are decided already, and stay.

    Returns:
        Split by group, in the order of `groups`.

    Example:
        >>> assign_splits({"a": np.array([1, 9]), "b": np.array([2, 18])}, {"train": 0.6, "test": 0.4})
        {'a': 'test', 'b': 'train'}
    """
    names = sorted(groups)
    splits = [split for split in ratios if ratios[split] > 0]
    amounts = np.array([groups[name] for name in names], float).reshape(len(names), -1)
    total = np.maximum(amounts.sum(axis=0), 1e-9)
    # Images count as much as all phases together.
    weight = np.r_[1.0, np.full(amounts.shape[1] - 1, 1 / max(amounts.shape[1] - 1, 1))]
    amounts = amounts / total * np.sqrt(weight)
    targets = np.array([[ratios[split]] for split in splits]) * np.sqrt(weight)
    start = np.full(len(names), -1)
    for position, name in enumerate(names):
        if fixed and name in fixed:
            start[position] = splits.index(fixed[name]) if fixed[name] in splits else len(splits)
    rng = np.random.default_rng(seed)
    best, best_cost = start, np.inf
    for _ in range(int(np.clip(5_000 // max(len(names), 1), 1, 16))):
        choice = _greedy(amounts, targets, start, rng)
        cost = _cost(amounts, targets, choice)
        if cost < best_cost - 1e-12:
            best, best_cost = choice, cost
    decided = dict(fixed or {})
    chosen = {
        name: decided.get(name) or splits[index] for name, index in zip(names, best.tolist(), strict=True)
    }
    return {name: chosen[name] for name in groups}


def _greedy(
    amounts: np.ndarray, targets: np.ndarray, start: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    choice = start.copy()
    have = _sums(amounts, choice, len(targets))
    free = np.flatnonzero(start < 0)
    # Large groups first, with some chance: what is left at the end should be small.
    order = free[np.argsort(-amounts[free, 0] * rng.uniform(0.5, 1.5, len(free)), kind="stable")]
    for position, group in enumerate(order):
        empty = [s for s in range(len(targets)) if not (choice == s).any()]
        allowed = empty if len(order) - position <= len(empty) else range(len(targets))
        # What putting the group there changes in the sum of squared differences from the targets.
        change = [np.sum(amounts[group] * (amounts[group] + 2 * (have[s] - targets[s]))) for s in allowed]
        choice[group] = list(allowed)[int(np.argmin(change))]
        have[choice[group]] += amounts[group]
    return choice


def _sums(amounts: np.ndarray, choice: np.ndarray, count: int) -> np.ndarray:
    return np.stack([amounts[choice == split].sum(axis=0) for split in range(count)])


def _cost(amounts: np.ndarray, targets: np.ndarray, choice: np.ndarray) -> float:
    return float(np.sum((_sums(amounts, choice, len(targets)) - targets) ** 2))
