"""Staged records in, the folder of one version out: shards, index, and what tensorflow-datasets reads."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cathode_tf.datasets.encoding import Staged
from cathode_tf.datasets.record_set import INDEX, METADATA, RecordSet, fingerprint_of, write_index
from cathode_tf.datasets.schema import (
    SPLITS,
    dataset_info_json,
    features_json,
    shard_name,
)
from cathode_tf.files import write_json
from cathode_tf.ownership import unlike_entry
from cathode_tf.phases import Phases

SHARD_BYTES = 256 << 20
"""A shard takes records until it has this size."""

_COPIERS = 2


_OURS = re.compile(
    r"(\d+\.\d+\.\d+/)?(metadata\.json|features\.json|dataset_info\.json|index\.csv)"
    r"|\d+\.\d+\.\d+/[\w-]+\.tfrecord-\d{5}-of-\d{5}"
    r"|\.lock|\.(staging|tmp)-.*"
)


def foreign_entry(path: Path) -> str | None:
    """The first file, by name, that does not belong in a record set's folder; None if all do."""
    return unlike_entry(path, _OURS)


def write_version(
    folder: Path,
    staged: Sequence[Staged],
    phases: Phases,
    *,
    version: str,
    split_rule: dict[str, Any],
    previous: RecordSet | None = None,
) -> None:
    """Write a version; the staged record files are used up.

    Args:
        folder: Where; empty, or made here.
        staged: The new records, with their splits.
        phases: Names and ids of the masks.
        version: `"1.0.0"`.
        split_rule: How the splits were drawn, for the metadata.
        previous: The version before; its shards come first, as links, and nothing of it is rewritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards: dict[str, list[dict[str, int]]] = {}
    new: dict[Path, list[Path]] = {}
    rows = []
    for split in SPLITS:
        old = previous.shards(split) if previous else []
        facts = list(previous.metadata["shards"].get(split, ())) if previous else []
        groups = _to_shards([item for item in staged if item.row.split == split])
        facts += [{"records": len(group), "bytes": sum(item.bytes for item in group)} for group in groups]
        for index, shard in enumerate(old):
            _link(shard, folder / shard_name(split, index, len(facts)))
        for index, group in enumerate(groups, start=len(old)):
            new[folder / shard_name(split, index, len(facts))] = [item.path for item in group]
        if facts:
            shards[split] = facts
        rows += previous.rows_of(split) if previous else []
        rows += [item.row for group in groups for item in group]
    with ThreadPoolExecutor(_COPIERS) as copiers:
        list(copiers.map(_concatenate, new.values(), new))
    dtype = previous.metadata["image_dtype"] if previous else staged[0].dtype
    schema = 2 if any(row.instances_sha256 for row in rows) else 1
    metadata = {
        "schema": schema,
        "version": version,
        "phases": phases.to_list(),
        "ignore_values": list(phases.ignore_values),
        "image_dtype": dtype,
        "split": split_rule,
        "shards": shards,
        "fingerprint": fingerprint_of(rows),
        "history": [
            *(previous.metadata["history"] if previous else ()),
            {"version": version, "images": len(rows), "added": len(staged)},
        ],
    }
    write_json(folder / "features.json", features_json(dtype, schema))
    write_json(folder / "dataset_info.json", dataset_info_json(version, shards))
    write_json(folder / METADATA, metadata)
    write_index(folder / INDEX, rows, phases)


def write_pointers(path: Path, version: str) -> None:
    """Let tensorflow-datasets read the set's own folder too, which then stands for its newest version."""
    from cathode_tf.files import read_json

    metadata = read_json(path / version / METADATA)
    write_json(path / METADATA, metadata, force=True)
    write_json(path / "features.json", features_json(metadata["image_dtype"], metadata["schema"]), force=True)
    info = dataset_info_json(version, metadata["shards"], f"{version}/")
    write_json(path / "dataset_info.json", info, force=True)


def _to_shards(staged: Sequence[Staged]) -> list[list[Staged]]:
    shards: list[list[Staged]] = []
    size = 0
    for item in staged:
        if not shards or size + item.bytes > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append(item)
        size += item.bytes
    return shards


def _concatenate(records: Sequence[Path], shard: Path) -> None:
    with open(shard, "wb") as out:
        for record in records:
            with open(record, "rb") as content:
                shutil.copyfileobj(content, out, 1 << 20)
            record.unlink()


def _link(old: Path, new: Path) -> None:
    """A second name for the same bytes, or a copy where the file system knows no links."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)
