"""Micrographs and annotations in, a record set in TFDS folder format out.

The work has two halves. First each image becomes a serialised record in a staging folder, on its own, by any
number of workers. Then the splits are drawn from what was found, and the records are put together to shards.
"""

from __future__ import annotations

import csv
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.datasets.encoding import Source, Staged, encode_source
from cathode_tf.datasets.schema import SPLITS
from cathode_tf.datasets.splits import assign_splits, parse_ratios
from cathode_tf.datasets.writing import write_pointers, write_version
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_folder
from cathode_tf.imaging import MAX_MEGAPIXELS, find_images, match_masks
from cathode_tf.phases import Phases
from cathode_tf.progress import track

ORIGINS = ("human", "corrected", "synthetic")


def convert(
    images: str | Path | Sequence[str | Path],
    masks: str | Path | None = None,
    *,
    out: str | Path,
    phases: Phases | str | Path,
    mask_suffix: str = "_mask",
    groups: str | Path | Mapping[str, str] | None = None,
    group_regex: str | None = None,
    split: str = "70/20/10",
    seed: int = 0,
    split_file: str | Path | None = None,
    pixel_size_nm: float | None = None,
    databar: str | int = "auto",
    max_megapixels: float = MAX_MEGAPIXELS,
    origin: str = "human",
    round: int = 0,
    annotator: str = "",
    force: bool = False,
) -> Path:
    """Convert micrographs and their masks to a record set.

    Args:
        images: Files or folders of micrographs.
        masks: Folder of the masks; None: beside the images, with `mask_suffix` behind their stems.
        out: Folder of the record set.
        phases: What the masks hold, or a `phases.toml`.
        mask_suffix: What the stem of a mask has behind the stem of its image.
        groups: CSV file with the columns id and group, or a mapping. Images from one stack, electrode or
            session belong to one group; without this each image, or stack, is its own.
        group_regex: The group is what this finds in the id (its first parenthesis, or all of it).
        split: Shares of train, validation and test; groups stay whole.
        seed: Of the draw.
        split_file: CSV file with the columns id and split, which is then followed to the letter.
        pixel_size_nm: Overrides what the files say.
        databar: `"auto"`, `"none"`, or the number of rows to cut.
        max_megapixels: Larger images are refused.
        origin: `human`, `corrected` or `synthetic`.
        round: In which round of incremental learning the masks were made.
        annotator: By whom.
        force: Replace an existing record set.

    Returns:
        `out`.

    Raises:
        InputError: If anything given cannot be used; then nothing is written.
    """
    out = Path(out)
    phases = phases if isinstance(phases, Phases) else Phases.from_toml(phases)
    if origin not in ORIGINS:
        raise InputError(f"origin: must be one of {', '.join(ORIGINS)}. Received {origin!r}.")
    ratios = parse_ratios(split)
    pairs = match_masks(find_images(images), masks, mask_suffix)
    missing = [image for image, mask in pairs if mask is None]
    if missing:
        raise InputError(
            f"{missing[0]}: must have a mask. Received none for {len(missing)} of {len(pairs)} images. "
            "Add the masks, or take these images out."
        )
    _check_stems(pairs)
    named, regex = read_groups(groups), check_regex(group_regex)
    sources = [
        Source(
            index=index,
            image=image,
            mask=mask,
            options={
                "pixel_size_nm": pixel_size_nm,
                "databar": databar,
                "max_megapixels": max_megapixels,
            },
            phases=phases,
            groups={name: named[name] for name in named if name.startswith(image.stem)},
            group_regex=regex,
            origin=origin,
            round=round,
            annotator=annotator,
        )
        for index, (image, mask) in enumerate(pairs)
        if mask is not None
    ]
    wanted = read_splits(split_file) if split_file else None
    with atomic_folder(out, force=force) as folder:
        staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder))
        staged = _stage(sources, staging)
        rule = _set_splits(staged, ratios, seed, wanted)
        write_version(folder / "1.0.0", staged, phases, version="1.0.0", split_rule=rule)
        shutil.rmtree(staging)
        write_pointers(folder, "1.0.0")
    return out


def read_groups(groups: str | Path | Mapping[str, str] | None) -> dict[str, str]:
    """Group by id, from a CSV file with the columns id and group."""
    if groups is None:
        return {}
    if isinstance(groups, Mapping):
        return dict(groups)
    return _read_columns(Path(groups), "group")


def read_splits(path: str | Path) -> dict[str, str]:
    """Split by id, from a CSV file with the columns id and split."""
    splits = _read_columns(Path(path), "split")
    for name, split in splits.items():
        if split not in SPLITS:
            raise InputError(
                f"{path}: each split must be one of {', '.join(SPLITS)}. {name!r} has {split!r}."
            )
    return splits


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
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {"id", column} <= set(reader.fieldnames or ()):
                raise InputError(
                    f"{path}: must be a CSV file with the columns id and {column}. "
                    f"Received {', '.join(reader.fieldnames or ()) or 'an empty file'}."
                )
            out: dict[str, str] = {}
            for line in reader:
                name, value = (line["id"] or "").strip(), (line[column] or "").strip()
                if not name or not value:
                    raise InputError(f"{path}: line {reader.line_num} must have an id and a {column}.")
                if out.setdefault(name, value) != value:
                    raise InputError(
                        f"{path}: {name!r} must have one {column}. Received {out[name]!r} and {value!r}."
                    )
            return out
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: must be a CSV file in UTF-8 ({error}).") from error


def _check_stems(pairs: Iterable[tuple[Path, Path | None]]) -> None:
    first: dict[str, Path] = {}
    for image, _ in pairs:
        if image.stem in first:
            raise InputError(
                f"{image}: must have a stem of its own, which becomes its id. Received the stem of "
                f"{first[image.stem]} too. Rename one."
            )
        first[image.stem] = image


def _stage(sources: Sequence[Source], staging: Path) -> list[Staged]:
    staged = list(_encode(sources, staging))
    dtypes = {item.dtype for item in staged}
    if len(dtypes) > 1:
        narrow = sum(item.dtype == "uint8" for item in staged)
        warnings.warn(
            f"images: must be all 8 bit or all 16 bit. Received {narrow} with 8 and {len(staged) - narrow} "
            "with 16; all are stored with 16 bit, values unchanged.",
            InputWarning,
            stacklevel=3,
        )
        indices = {int(item.path.name[:8]) for item in staged if item.dtype == "uint8"}
        wide = [replace(s, image_dtype="uint16") for s in sources if s.index in indices]
        again = {item.path: item for item in _encode(wide, staging)}
        staged = [again.get(item.path, item) for item in staged]
    ids: dict[str, Path] = {}
    for item in staged:
        if item.row.id in ids:
            raise InputError(f"images: each id must occur once. Received {item.row.id!r} twice.")
        ids[item.row.id] = item.path
    return staged


def _encode(sources: Sequence[Source], staging: Path) -> Iterator[Staged]:
    for source in track(sources, "Converting images"):
        staged, messages = encode_source(source, staging)
        for message in messages:
            warnings.warn(message, InputWarning, stacklevel=4)
        yield from staged


def _set_splits(
    staged: list[Staged], ratios: dict[str, float], seed: int, wanted: dict[str, str] | None
) -> dict[str, Any]:
    """Fill in the split of each row; the rule, for the metadata, comes back."""
    if wanted is not None:
        _follow_split_file(staged, wanted)
        return {"rule": "split file"}
    amounts: dict[str, np.ndarray] = {}
    for item in staged:
        amount = np.array([1, *item.row.counts[:-1]], float)
        amounts[item.row.group] = amounts.get(item.row.group, 0) + amount
    splits = assign_splits(amounts, ratios, seed=seed)
    for item in staged:
        item.row.split = splits[item.row.group]
    empty = [split for split in ratios if ratios[split] and split not in splits.values()]
    if empty:
        warnings.warn(
            f"split: {' and '.join(empty)} must have a group of images too. Received {len(amounts)} "
            f"group{'s' if len(amounts) > 1 else ''} in all; give more images, or smaller groups.",
            InputWarning,
            stacklevel=3,
        )
    return {"rule": "whole groups, phases alike", "ratios": ratios, "seed": seed}


def _follow_split_file(staged: list[Staged], wanted: dict[str, str]) -> None:
    for item in staged:
        if item.row.id not in wanted and item.stack not in wanted:
            raise InputError(f"--split-file: must list every image. {item.row.id!r} is missing.")
        item.row.split = wanted.get(item.row.id) or wanted[item.stack]
    found = {item.row.id for item in staged} | {item.stack for item in staged}
    unknown = [name for name in wanted if name not in found]
    if unknown:
        warnings.warn(
            f"--split-file: lists {unknown[0]!r}{f' and {len(unknown) - 1} others' * (len(unknown) > 1)} "
            "without an image.",
            InputWarning,
            stacklevel=4,
        )
    sides: dict[str, set[str]] = {}
    for item in staged:
        sides.setdefault(item.row.group, set()).add(item.row.split)
    torn = [group for group, splits in sides.items() if len(splits) > 1]
    if torn:
        warnings.warn(
            f"--split-file: puts group {torn[0]!r} into {' and '.join(sorted(sides[torn[0]]))}"
            f"{f', and tears {len(torn) - 1} other groups' * (len(torn) > 1)}. "
            "Images of one group are alike, so the test will promise too much.",
            InputWarning,
            stacklevel=4,
        )
