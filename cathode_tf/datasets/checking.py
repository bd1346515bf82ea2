"""A folder of images and masks, or a record set, in; everything that could be wrong with it out.

Other functions stop at the first thing that is wrong. This one goes on, and collects.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.datasets.duplicates import alike, thumbnail
from cathode_tf.datasets.encoding import Row, Source, read_examples, row_of
from cathode_tf.datasets.plan import sources_of
from cathode_tf.datasets.record_set import RecordSet, open_records, versions
from cathode_tf.datasets.schema import Example, check_example, deserialize
from cathode_tf.datasets.standardization import image_statistics
from cathode_tf.datasets.summary import doubtful_phases, summarize_rows
from cathode_tf.datasets.tfrecord import read_frames
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import pixel_sha256
from cathode_tf.imaging import MAX_MEGAPIXELS
from cathode_tf.imaging.folders import suggest_suffix
from cathode_tf.imaging.plausibility import grey_order
from cathode_tf.phases import Phases
from cathode_tf.progress import track

SATURATED = 0.2
"""Share of the pixels at the lowest or highest value above which an image counts as saturated."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (`error`) or doubtful (`warning`), in which image or file, in a sentence."""

    severity: str
    kind: str
    where: str
    message: str


@dataclass
class Report:
    """What `check` found.

    Attributes:
        path: What was checked.
        table: One dict a split (or one for a folder), as `summarize` gives it.
        findings: Errors first.
    """

    path: Path
    table: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings may be."""
        return not any(finding.severity == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        table = [
            row
            | {
                "sizes": [{"height": h, "width": w, "images": n} for (h, w), n in row["sizes"].items()],
                "pixel_sizes_nm": [{"nm": s, "images": n} for s, n in row["pixel_sizes_nm"].items()],
            }
            for row in self.table
        ]
        findings = [asdict(finding) for finding in self.findings]
        return {"path": str(self.path), "ok": self.ok, "splits": table, "findings": findings}


def check(
    path: str | Path,
    masks: str | Path | None = None,
    *,
    phases: Phases | None = None,
    mask_suffix: str = "_mask",
    annotated_only: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Report:
    """Look for everything that could be wrong with a record set, or with images and masks.

    Args:
        path: Record set, or folder of images.
        masks: Folder of the masks, or one annotation file; None: beside the images.
        phases: What the masks hold; for a record set its own.
        mask_suffix: What the stem of a mask has behind the stem of its image.
        annotated_only: Images that have no mask are no error.
        max_megapixels: Larger images are errors.

    Returns:
        All that was found: unreadable files, missing partners, shapes, ids, hashes, groups on two sides, equal and
        nearly equal images, phases that are missing, pixel sizes that disagree, empty and saturated images.

    Raises:
        InputError: If `path` does not exist.

    Example:
        >>> check("records/sample").ok
        True
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: must be a record set or a folder of images. It does not exist.")
    looked = _Looked(Report(path))
    if is_record_set(path):
        _check_records(path, looked)
    else:
        options = {"pixel_size_nm": None, "databar": "auto", "max_megapixels": max_megapixels}
        template = Source(0, Path(), Path(), options, phases or Phases.default())
        _check_folder(path, masks, mask_suffix, template, looked, annotated_only)
    return looked.finish()


def is_record_set(path: Path) -> bool:
    """Whether `path` is looked at as a record set, or one version of it; else as images."""
    return bool(versions(path)) or (path / "features.json").is_file()


class _Looked:
    """The report in the making, and what it needs of every image."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.phases: Phases | None = None
        self.rows: list[Row] = []
        self.thumbnails: list[np.ndarray] = []
        self.doubts: dict[str, str] = {}

    def error(self, kind: str, where: str | Path, message: str) -> None:
        self.report.findings.append(Finding("error", kind, str(where), message))

    def warn(self, kind: str, where: str | Path, message: str) -> None:
        self.report.findings.append(Finding("warning", kind, str(where), message))

    def look(self, example: Example, counts: tuple[int, ...], split: str) -> None:
        """Take note of one readable example, and look at its pixels."""
        assert self.phases is not None
        row = row_of(example, pixel_sha256(example.image), pixel_sha256(example.mask), counts, split)
        self.rows.append(row)
        self.thumbnails.append(thumbnail(example.image))
        _, std = image_statistics(example.image)
        if std < 1:
            self.warn("empty image", row.id, "the grey values hardly differ; nothing can be told from it.")
        lowest, highest = int(example.image.min()), int(example.image.max())
        for value, name in ((lowest, "dark"), (highest, "bright")):
            share = float((example.image == value).mean())
            if std >= 1 and share > SATURATED:
                self.warn(
                    "saturated image", row.id, f"{share:.0%} of the pixels have the {name} end ({value})."
                )
        doubt = grey_order(example.image, example.mask, self.phases, example.acquisition)
        if doubt:
            self.doubts[row.id] = doubt
        if not any(row.counts[:-1]):
            self.warn("no label", row.id, "all of the mask is ignored (255).")

    def finish(self) -> Report:
        """Look at all images together."""
        self._equal_ids_and_groups()
        self._equal_pixels()
        self._scales()
        if self.phases is not None:
            splits = dict.fromkeys(row.split for row in self.rows)
            for split in splits:
                rows = [row for row in self.rows if row.split == split]
                facts = {"split": split or "all", **summarize_rows(rows, self.phases)}
                self.report.table.append(facts)
                for name, share in facts["fractions"].items():
                    if share == 0:
                        self.warn("missing phase", facts["split"], f"no pixel of {name}.")
            for sentence in doubtful_phases(self.rows, self.phases, self.doubts):
                if not sentence.startswith("no image shows"):  # said above, of each split
                    self.warn("doubtful phase", self.report.path, f"{sentence}.")
        self.report.findings.sort(key=lambda finding: finding.severity)
        return self.report

    def _equal_ids_and_groups(self) -> None:
        for id_, count in Counter(row.id for row in self.rows).items():
            if count > 1:
                self.error("id", id_, f"occurs {count} times; each id must be unique.")
        sides: dict[str, set[str]] = {}
        for row in self.rows:
            sides.setdefault(row.group, set()).add(row.split)
        for group, splits in sides.items():
            if len(splits) > 1:
                self.warn("group on two sides", group, f"is in {' and '.join(sorted(splits))}.")

    def _equal_pixels(self) -> None:
        by_hash: dict[str, list[Row]] = {}
        for row in self.rows:
            by_hash.setdefault(row.image_sha256, []).append(row)
        for rows in by_hash.values():
            if len({row.split for row in rows}) > 1:
                names = ", ".join(f"{row.id} ({row.split})" for row in rows)
                self.error("same image on two sides", rows[0].id, f"the same pixels: {names}.")
            elif len(rows) > 1:
                self.warn("same image", rows[0].id, f"the same pixels: {', '.join(row.id for row in rows)}.")
        if not self.rows:
            return
        # Of a record set, what matters is the border between splits; of a folder, every pair.
        splits = [row.split for row in self.rows]
        sides = np.array(splits if any(splits) else [row.id for row in self.rows])
        named: set[int] = set()
        for first, second, value in alike(np.stack(self.thumbnails), sides):
            one, other = self.rows[first], self.rows[second]
            # Each image once, with the one most like it: a stack would fill pages otherwise.
            if one.image_sha256 != other.image_sha256 and not {first, second} <= named:
                named |= {first, second}
                where = f" ({one.split} and {other.split})" if one.split else ""
                message = f"shows nearly the same as {other.id}{where}: correlation {value:.2f}."
                self.warn("near-duplicate", one.id, message)

    def _scales(self) -> None:
        sizes = [row.pixel_size_nm for row in self.rows]
        known = [size for size in sizes if not math.isnan(size)]
        if known and len(known) < len(sizes):
            first = next(row.id for row in self.rows if math.isnan(row.pixel_size_nm))
            count = len(sizes) - len(known)
            self.warn("pixel size", first, f"unknown in {count} of {len(sizes)} images, known in the others.")
        if known and max(known) > 1.05 * min(known):
            rows = sorted(
                (r for r in self.rows if not math.isnan(r.pixel_size_nm)), key=lambda r: r.pixel_size_nm
            )
            self.warn(
                "pixel size",
                rows[-1].id,
                f"from {rows[0].pixel_size_nm:.4g} nm ({rows[0].id}) to {rows[-1].pixel_size_nm:.4g} nm; training "
                "brings all to the median.",
            )


def _check_folder(
    path: Path,
    masks: str | Path | None,
    suffix: str,
    template: Source,
    looked: _Looked,
    annotated_only: bool,
) -> None:
    try:
        sources, missing = sources_of(path, masks, suffix, template)
    except InputError as error:
        looked.error("files", path, str(error))
        return
    if not sources and (suggestion := suggest_suffix(missing)):
        looked.error("files", path, suggestion)
        return
    for image in () if annotated_only else missing:
        looked.error("missing mask", image, "has no mask.")
    for source in track(sources, "Checking images"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", InputWarning)
            try:
                for example in read_examples(source):
                    counts = check_example(example, source.phases, source.mask)
                    looked.phases = source.phases
                    looked.look(replace(example, group=example.id), counts, "")
            except InputError as error:
                looked.error("image or mask", source.image, str(error))
        for warning in caught:
            looked.warn("reading", source.image, str(warning.message))


def _check_records(path: Path, looked: _Looked) -> None:
    try:
        records = open_records(path)
    except InputError as error:
        looked.error("record set", path, str(error))
        return
    shards = [(split, shard) for split in records.splits for shard in records.shards(split)]
    with_rows = {split: iter(records.rows_of(split)) for split in records.splits}
    for split, shard in track(shards, "Checking shards"):
        try:
            for message in read_frames(shard, verify=True):
                _check_record(message, next(with_rows[split], None), records, shard, split, looked)
        except InputError as error:
            looked.error("shard", shard, str(error))
    for split, rows in with_rows.items():
        for row in itertools.islice(rows, 1):
            looked.error("missing record", row.id, f"the index has it in {split}, the shards do not.")


def _check_record(
    message: bytes, row: Row | None, records: RecordSet, shard: Path, split: str, looked: _Looked
) -> None:
    name = row.id if row else str(shard)
    try:
        example, *written = deserialize(message, shard)
        counts = check_example(example, records.phases, f"{shard}, {example.id!r}")
    except InputError as error:
        looked.error("record", name, str(error))
        return
    looked.phases = records.phases
    looked.look(example, counts, split)
    found = looked.rows[-1]
    if written != [found.image_sha256, found.mask_sha256]:
        looked.error("hash", name, "the pixels are not those that were written.")
    elif row is None or repr(replace(row, split=split)) != repr(found):
        looked.error("index", name, "the index says something else than the record.")


def sentences(findings: Sequence[Finding]) -> list[str]:
    """One line a finding, for people."""
    return [f"{f.severity}: {f.kind}: {f.where}: {f.message.removeprefix(f'{f.where}: ')}" for f in findings]
