"""Staged records in, each with its split out: by rule or by file, and never against an earlier version."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cathode_tf.datasets.encoding import Row, Staged
from cathode_tf.datasets.schema import SPLITS
from cathode_tf.datasets.splits import assign_splits
from cathode_tf.datasets.tfrecord import decode_example, encode_example, frame
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import natural_key

BLOCK = "#"
"""Stands in a group's name before the number of a block of neighbouring slices."""


def follow_file(staged: Sequence[Staged], wanted: Mapping[str, str], earlier: Sequence[Row] = ()) -> None:
    """Fill in the splits as listed, by id or by stack; warn where that tears a group.

    Raises:
        InputError: If an image is not listed.
    """
    for item in staged:
        if item.row.id not in wanted and item.stack not in wanted:
            raise InputError(f"--split-file: must list every image. {item.row.id!r} is missing.")
        item.row.split = wanted.get(item.row.id) or wanted[item.stack]
    found = {name for item in staged for name in (item.row.id, item.stack)}
    unknown = [name for name in wanted if name not in found]
    if unknown:
        more = f" and {len(unknown) - 1} others" if len(unknown) > 1 else ""
        _warn(f"--split-file: lists {unknown[0]!r}{more} without an image.")
    sides: dict[str, set[str]] = {}
    for row in [*earlier, *(item.row for item in staged)]:
        sides.setdefault(row.group, set()).add(row.split)
    torn = [group for group, splits in sides.items() if len(splits) > 1]
    if torn:
        more = f", and tears {len(torn) - 1} other groups" if len(torn) > 1 else ""
        _warn(
            f"--split-file: puts group {torn[0]!r} into {' and '.join(sorted(sides[torn[0]]))}{more}. "
            "Images of one group are alike, so the test will promise too much."
        )


def draw(
    staged: Sequence[Staged], ratios: Mapping[str, float], seed: int, earlier: Sequence[Row] = ()
) -> None:
    """Fill in the splits by whole groups, alike in their phases; groups of an earlier version stay.

    Groups that hold the same pixels count as one, so that no image is on two sides.
    """
    rows = [*earlier, *(item.row for item in staged)]
    joined = _join_equal_pixels(rows)
    amounts: dict[str, np.ndarray] = {}
    fixed: dict[str, str] = {}
    for row in rows:
        group = joined[row.group]
        amounts[group] = amounts.get(group, 0) + np.array([1, *row.counts[:-1]], float)
        if row.split:
            fixed[group] = row.split
    splits = assign_splits(amounts, ratios, seed=seed, fixed=fixed)
    for item in staged:
        item.row.split = splits[joined[item.row.group]]
    empty = [split for split in SPLITS if ratios.get(split) and split not in splits.values()]
    if empty:
        _warn(
            f"split: {' and '.join(empty)} must have a group of images too. Received {len(amounts)} "
            f"group{'s' if len(amounts) > 1 else ''} in all; give more images, or smaller groups, or cut a "
            "stack into blocks (--guard-gap)."
        )


def cut_blocks(
    staged: Sequence[Staged], ratios: Mapping[str, float], gap: int, earlier: Sequence[Row] = ()
) -> tuple[list[Staged], list[str]]:
    """Cut each group of neighbouring slices into one block a split, with slices between left out.

    Neighbouring slices show nearly the same. So the slices of a group, in the natural order of their ids, go
    to train, validation and test in unbroken runs, and `gap` slices at each border go nowhere. Groups too short
    for that stay whole. Slices added later go where both their neighbours are, or are left out.

    Returns:
        What is kept, with the block in the group's name, and the ids left out.
    """
    groups: dict[str, list[Staged]] = {}
    for item in staged:
        groups.setdefault(item.row.group, []).append(item)
    blocks = _blocks(earlier)
    kept, left_out = [], []
    places: Sequence[str | None]
    for group, items in groups.items():
        items.sort(key=lambda item: natural_key(item.row.id))
        if group in blocks:
            places = [_between(item.row.id, blocks[group]) for item in items]
        else:
            places = _runs(len(items), ratios, gap)
        for item, split in zip(items, places, strict=True):
            if split == "":
                left_out.append(item.row.id)
            elif split is None:
                kept.append(item)
            else:
                moved = _regroup(item, f"{group}{BLOCK}{SPLITS.index(split) + 1}")
                moved.row.split = split
                kept.append(moved)
    order = {item.path: position for position, item in enumerate(staged)}
    return sorted(kept, key=lambda item: order[item.path]), left_out


def _runs(count: int, ratios: Mapping[str, float], gap: int) -> list[str | None]:
    """The split of each of `count` slices in a row; "" = left out; None for all where there are too few."""
    splits = [split for split in SPLITS if ratios.get(split)]
    free = count - gap * (len(splits) - 1)
    if free < 2 * len(splits):
        return [None] * count
    ends = np.cumsum([ratios[split] for split in splits]) / sum(ratios[split] for split in splits)
    borders = np.round(ends * free).astype(int)
    sizes = np.maximum(np.diff([0, *borders]), 1)
    sizes[0] += free - sizes.sum()
    out: list[str | None] = []
    for split, size in zip(splits, sizes.tolist(), strict=True):
        out += [""] * (gap if out else 0) + [split] * size
    return out


def _blocks(earlier: Sequence[Row]) -> dict[str, list[Row]]:
    """Slices of groups that an earlier version cut into blocks, in their order."""
    blocks: dict[str, list[Row]] = {}
    for row in earlier:
        name, mark, number = row.group.rpartition(BLOCK)
        if mark and number.isdigit():
            blocks.setdefault(name, []).append(row)
    for rows in blocks.values():
        rows.sort(key=lambda row: natural_key(row.id))
    return blocks


def _between(id_: str, rows: Sequence[Row]) -> str:
    """The split of both neighbours of a slice, or "" where they differ."""
    position = sum(natural_key(row.id) < natural_key(id_) for row in rows)
    around = {row.split for row in rows[max(0, position - 1) : position + 1]}
    return around.pop() if len(around) == 1 else ""


def _regroup(item: Staged, group: str) -> Staged:
    """The same record with another group; pixels are not encoded again."""
    content = item.path.read_bytes()[12:-4]
    values: dict[str, Any] = {name: value[0] for name, value in decode_example(content).items()}
    pieces = frame(encode_example(values | {"group": group}))
    item.path.write_bytes(b"".join(pieces))
    return replace(item, row=replace(item.row, group=group), bytes=sum(map(len, pieces)))


def _join_equal_pixels(rows: Sequence[Row]) -> dict[str, str]:
    """For each group, the first group that it shares an image with, directly or by way of others."""
    parent = {row.group: row.group for row in rows}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    first: dict[str, Row] = {}
    for row in rows:
        twin = first.setdefault(row.image_sha256, row)
        if root(twin.group) != root(row.group):
            parent[root(row.group)] = root(twin.group)
            _warn(
                f"images: {twin.id!r} and {row.id!r} hold the same pixels. Their groups are kept on one side "
                "of the split; take one of them out if that is no intention."
            )
    return {group: root(group) for group in parent}


def _warn(message: str) -> None:
    warnings.warn(message, InputWarning, stacklevel=4)
