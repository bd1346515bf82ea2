"""Small CSV files that a user writes in, groups and splits by id out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from cathode_tf.datasets.schema import SPLITS
from cathode_tf.errors import InputError
from cathode_tf.texts import composed, read_table


def read_groups(groups: str | Path | Mapping[str, str] | None) -> dict[str, str]:
    """Group by id, from a CSV file with the columns id and group, or as given."""
    if groups is None:
        return {}
    if isinstance(groups, Mapping):
        return {composed(name): group for name, group in groups.items()}
    return _read_columns(Path(groups), "group")


def read_splits(splits: str | Path | Mapping[str, str] | None) -> dict[str, str] | None:
    """Split by id, from a CSV file with the columns id and split, or as given."""
    if splits is None:
        return None
    source = "split" if isinstance(splits, Mapping) else str(splits)
    found = (
        {composed(n): s for n, s in splits.items()}
        if isinstance(splits, Mapping)
        else _read_columns(Path(splits), "split")
    )
    for name, split in found.items():
        if split not in SPLITS:
            raise InputError(
                f"{source}: each split must be one of {', '.join(SPLITS)}. {name!r} has {split!r}."
            )
    return found


def check_regex(text: str | None) -> str:
    """`text`, or "" for None; an `InputError` if it is no regular expression."""
    try:
        re.compile(text or "")
    except re.error as error:
        raise InputError(
            f"--group-regex: must be a regular expression ({error}). Received {text!r}."
        ) from error
    return text or ""


def _read_columns(path: Path, column: str) -> dict[str, str]:
    table = read_table(path)
    if not {"id", column} <= set(table.columns):
        raise InputError(
            f"{path}: must be a CSV file with the columns id and {column}. Received {', '.join(table.columns)}."
        )
    out: dict[str, str] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        name, value = composed(row["id"]), row[column]
        if not name or not value:
            raise InputError(f"{path}: line {line} must have an id and a {column}.")
        if out.setdefault(name, value) != value:
            raise InputError(
                f"{path}: {name!r} must have one {column}. Received {out[name]!r} and {value!r}."
            )
    return out
