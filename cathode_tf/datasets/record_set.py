"""A folder with records in, a checked `RecordSet` out that knows its phases, splits and examples."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.datasets.encoding import Row
from cathode_tf.datasets.instances import instances_sha256
from cathode_tf.datasets.schema import (
    SCHEMA_VERSIONS,
    SPLITS,
    Example,
    check_example,
    deserialize,
    shard_name,
)
from cathode_tf.datasets.tfrecord import read_frames
from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256, read_json
from cathode_tf.phases import IGNORE, Phase, Phases

METADATA = "metadata.json"
INDEX = "index.csv"
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class RecordSet:
    """One version of a record set.

    Attributes:
        path: Folder of the version.
        name: Name of the set: of the folder around its versions.
        version: `"1.0.0"`.
        phases: Names and ids of the masks.
        splits: Number of images by split; splits without images are left out.
        fingerprint: SHA-256 over ids, splits, and hashes of all images and masks.
        metadata: Content of `metadata.json`.
        rows: What the index says about each record, in the order of the shards.
        skipped: Phases of the masks that are left out (`skipping`): their pixels are read as ignored.
    """

    path: Path
    name: str
    version: str
    phases: Phases
    splits: dict[str, int]
    fingerprint: str
    metadata: dict[str, Any] = field(repr=False, compare=False)
    rows: tuple[Row, ...] = field(repr=False, compare=False)
    skipped: tuple[Phase, ...] = ()

    @property
    def has_instances(self) -> bool:
        """Whether the examples know their particles one by one (schema 2)."""
        return self.metadata["schema"] == 2

    @property
    def written_phases(self) -> Phases:
        """All that stand in the masks on disk: `phases`, then `skipped`."""
        return Phases((*self.phases, *self.skipped))

    def skipping(self, names: Collection[str]) -> RecordSet:
        """The same records, read as if these phases had been left unlabelled.

        Example:
            >>> records = open_records("records/sample").skipping(["additive"])
            >>> records.phases.names
            ('pore', 'ncm', 'binder')
            >>> 2 in next(records.examples("test")).mask
            False
        """
        stays = [name not in names for name in self.phases.names]
        skipped = [phase for phase, kept in zip(self.phases, stays, strict=True) if not kept]
        kept = [phase for phase, kept in zip(self.phases, stays, strict=True) if kept]
        rows = []
        for row in self.rows:
            *counts, ignored = row.counts
            staying = [count for count, kept in zip(counts, stays, strict=True) if kept]
            rows.append(replace(row, counts=(*staying, ignored + sum(counts) - sum(staying))))
        return replace(self, phases=Phases(tuple(kept)), skipped=(*self.skipped, *skipped), rows=tuple(rows))

    def examples(self, split: str, *, verify: bool = False) -> Iterator[Example]:
        """Every example of a split, in the order of the files: whole images, not shuffled.

        Args:
            split: `"train"`, `"validation"` or `"test"`.
            verify: Compare checksums and hashes with the pixels.

        Raises:
            InputError: If the split is empty, or a record is damaged or does not fit the phases.
        """
        if split not in self.splits:
            raise InputError(
                f"{self.path}: must have images in {split!r}. Received {_numbers(self.splits)}. "
                "Convert with another --split, or with more groups."
            )
        return self._examples(split, verify)

    def _examples(self, split: str, verify: bool) -> Iterator[Example]:
        rows = iter(self.rows_of(split))
        for path in self.shards(split):
            for message in read_frames(path, verify=verify):
                example, *written = deserialize(message, path)
                check_example(example, self.written_phases, f"{path}, {example.id!r}")
                row = next(rows, None)
                if row is None or row.id != example.id or [row.image_sha256, row.mask_sha256] != written:
                    raise InputError(
                        f"{path}: must hold the records that {INDEX} lists. Received {example.id!r}. "
                        "Convert the set again."
                    )
                if verify and row.instances_sha256 != instances_sha256(example.labels, example.outlines):
                    raise InputError(
                        f"{path}, {example.id!r}: the instances are not those that were written. Convert again."
                    )
                if verify and written != [pixel_sha256(example.image), pixel_sha256(example.mask)]:
                    raise InputError(
                        f"{path}, {example.id!r}: the pixels are not those that were written. Convert again."
                    )
                yield self._without_skipped(example)

    def _without_skipped(self, example: Example) -> Example:
        if not self.skipped:
            return example
        gone = np.isin(example.mask, [phase.id for phase in self.skipped])
        return replace(example, mask=np.where(gone, np.uint8(IGNORE), example.mask))

    def rows_of(self, split: str) -> list[Row]:
        """The index of one split, in the order of the files."""
        return [row for row in self.rows if row.split == split]

    def shards(self, split: str) -> list[Path]:
        """The files of a split, in order."""
        count = len(self.metadata["shards"].get(split, ()))
        return [self.path / shard_name(split, index, count) for index in range(count)]


def open_records(path: str | Path) -> RecordSet:
    """Open a record set, and check that it is whole.

    Args:
        path: Folder that `convert` wrote (its newest version is taken), or the folder of one version.

    Raises:
        InputError: If there is no record set, its schema is another, or a file is missing or not as written.

    Example:
        >>> records = open_records("records/sample")
        >>> records.phases.names, sorted(records.splits)
        (('pore', 'ncm', 'additive', 'binder'), ['test', 'train', 'validation'])
    """
    path = Path(path)
    folder = path
    if not (path / INDEX).is_file():
        inside = versions(path)
        if not inside:
            came = "a folder without one" if path.is_dir() else "no folder"
            raise InputError(f"{path}: must be a record set (made by 'cathode-tf convert'). Received {came}.")
        folder = inside[-1]
    metadata = read_json(folder / METADATA)
    schema = metadata.get("schema") if isinstance(metadata, dict) else None
    if schema not in SCHEMA_VERSIONS:
        raise InputError(
            f"{folder}: must be a record set of schema 1 or 2. Received schema {schema!r}. "
            "Convert the images again, or use the version of cathode_tf that wrote it."
        )
    try:
        phases = Phases.from_list(metadata["phases"], metadata.get("ignore_values"))
        shards, version, fingerprint = metadata["shards"], metadata["version"], metadata["fingerprint"]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{folder / METADATA}: must hold phases, shards, version and fingerprint. Convert again."
        ) from error
    rows = read_index(folder / INDEX, phases)
    if any(bool(row.instances_sha256) != (schema == 2) for row in rows):
        raise InputError(
            f"{folder / INDEX}: must list the instances of every image in schema 2, and of none in schema 1. "
            "Convert again."
        )
    splits = {split: sum(row.split == split for row in rows) for split in SPLITS}
    records = RecordSet(
        path=folder,
        name=folder.resolve().parent.name,
        version=version,
        phases=phases,
        splits={split: count for split, count in splits.items() if count},
        fingerprint=fingerprint,
        metadata=metadata,
        rows=tuple(rows),
    )
    if fingerprint_of(rows) != fingerprint:
        raise InputError(
            f"{folder}: the fingerprint must follow from {INDEX}. Received another; one of the files was "
            "edited. Convert again."
        )
    _check_shards(records, shards)
    return records


def versions(path: str | Path) -> list[Path]:
    """Folders of the whole versions in a record set, oldest first."""
    path = Path(path)
    if not path.is_dir():
        return []
    found = [p for p in path.iterdir() if _VERSION.fullmatch(p.name) and (p / INDEX).is_file()]
    return sorted(found, key=lambda p: tuple(map(int, p.name.split("."))))


def next_version(version: str, part: str) -> str:
    """The version after a `"major"` change (pixels, masks or splits) or a `"minor"` one (something was added).

    Example:
        >>> next_version("1.2.3", "minor")
        '1.3.0'
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise InputError(f"version: must look like 1.0.0. Received {version!r}.")
    major, minor = int(match[1]), int(match[2])
    return f"{major + 1}.0.0" if part == "major" else f"{major}.{minor + 1}.0"


def fingerprint_of(rows: Iterable[Row]) -> str:
    """SHA-256 over ids, splits and hashes (of instances, too) of all records, whatever their order."""
    lines = sorted(
        "\t".join(
            [row.id, row.split, row.image_sha256, row.mask_sha256, *filter(None, [row.instances_sha256])]
        )
        + "\n"
        for row in rows
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


_COLUMNS = (
    "id",
    "group",
    "split",
    "height",
    "width",
    "pixel_size_nm",
    "image_sha256",
    "mask_sha256",
    "origin",
    "round",
    "annotator",
)


def write_index(path: Path, rows: Sequence[Row], phases: Phases) -> None:
    """Write the index of a version as CSV: a line a record, in the order of the shards."""
    more = ["instances_sha256"] if any(row.instances_sha256 for row in rows) else []
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_COLUMNS, *(f"{name}_pixels" for name in phases.names), "ignored_pixels", *more])
        for row in rows:
            values = [getattr(row, column) for column in _COLUMNS]
            values[5] = "" if math.isnan(row.pixel_size_nm) else repr(row.pixel_size_nm)
            writer.writerow([*values, *row.counts, *(getattr(row, name) for name in more)])


def read_index(path: Path, phases: Phases) -> list[Row]:
    """The rows of `write_index`."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        return [
            Row(
                id=line["id"],
                group=line["group"],
                split=line["split"],
                height=int(line["height"]),
                width=int(line["width"]),
                pixel_size_nm=float(line["pixel_size_nm"] or "nan"),
                image_sha256=line["image_sha256"],
                mask_sha256=line["mask_sha256"],
                origin=line["origin"],
                round=int(line["round"]),
                annotator=line["annotator"],
                counts=tuple(int(line[f"{name}_pixels"]) for name in (*phases.names, "ignored")),
                instances_sha256=line.get("instances_sha256") or "",
            )
            for line in lines
        ]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: must be the index that convert wrote. Convert the set again.") from error


def _check_shards(records: RecordSet, shards: dict[str, list[dict[str, int]]]) -> None:
    for split in shards:
        for path, shard in zip(records.shards(split), shards[split], strict=True):
            size = path.stat().st_size if path.is_file() else None
            if size != shard["bytes"]:
                came = "no file" if size is None else f"{size} bytes"
                raise InputError(f"{path}: must have {shard['bytes']} bytes. Received {came}. Copy it again.")


def _numbers(splits: dict[str, int]) -> str:
    return ", ".join(f"{count} in {split!r}" for split, count in splits.items()) or "none"
