"""Micrographs and annotations in, a record set in TFDS folder format out.

The work has two halves. First each image becomes a serialised record in a staging folder, on its own, by any
number of workers. Then the splits are drawn from what was found, and the records are put together to shards.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cathode_tf.datasets.allotment import cut_blocks, draw, follow_file
from cathode_tf.datasets.beam import encode_with_beam
from cathode_tf.datasets.encoding import Row, Source, Staged, encode_all
from cathode_tf.datasets.record_set import RecordSet, fingerprint_of, next_version, open_records, versions
from cathode_tf.datasets.sheets import check_regex, read_groups, read_splits
from cathode_tf.datasets.splits import parse_ratios
from cathode_tf.datasets.summary import doubtful_phases
from cathode_tf.datasets.writing import foreign_entry, write_pointers, write_version
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_folder, refuse_overwrite
from cathode_tf.imaging import MAX_MEGAPIXELS, find_images, match_masks
from cathode_tf.imaging.annotations import is_text
from cathode_tf.imaging.folders import suggest_suffix
from cathode_tf.litter import clear_litter
from cathode_tf.ownership import refuse_foreign, refuse_inputs
from cathode_tf.phases import Phases
from cathode_tf.progress import track
from cathode_tf.texts import composed

Encode = Callable[[Sequence[Source], Path], Iterator[list[Staged]]]
ORIGINS = ("human", "corrected", "synthetic")
SPLIT = "70/20/10"
DRAWN = "drawn"
LABEL_SUFFIXES = ".tif", ".tiff", ".png"


def convert(
    images: str | Path | Sequence[str | Path],
    masks: str | Path | None = None,
    *,
    out: str | Path,
    phases: Phases | str | Path,
    mask_suffix: str = "_mask",
    annotated_only: bool = False,
    groups: str | Path | Mapping[str, str] | None = None,
    group_regex: str | None = None,
    split: str | None = None,
    seed: int | None = None,
    split_file: str | Path | Mapping[str, str] | None = None,
    guard_gap: int | None = None,
    pixel_size_nm: float | None = None,
    databar: str | int = "auto",
    max_megapixels: float = MAX_MEGAPIXELS,
    origin: str = "human",
    round: int = 0,
    annotator: str = "",
    instances: str | Path | None = None,
    add: bool = False,
    jobs: int = 1,
    runner: str | None = None,
    runner_options: Sequence[str] = (),
    force: bool = False,
) -> Path:
    """Convert micrographs and their masks to a record set.

    Args:
        images: Files or folders of micrographs.
        masks: Folder of the masks, or one annotation file for all images; None: beside the images, with
            `mask_suffix` behind their stems. All formats of `read_annotation`.
        out: Folder of the record set.
        phases: What the masks hold, or a `phases.toml`.
        mask_suffix: What the stem of a mask has behind the stem of its image.
        annotated_only: Leave out images that have no mask, of which a stack of single files may have many; without
            this they are an error.
        groups: CSV file with the columns id and group, or a mapping. Images from one stack, electrode or
            session belong to one group; without this each image, or stack, is its own.
        group_regex: The group is what this finds in the id (its first parenthesis, or all of it).
        split: Shares of train, validation and test, `"70/20/10"` by default; groups stay whole.
        seed: Of the draw; 0 by default.
        split_file: CSV file with the columns id and split, or a mapping; it is followed to the letter.
        guard_gap: Cut each group of neighbouring slices into blocks, one a split, and leave so many slices out
            at each border. For sets that have few stacks.
        pixel_size_nm: Overrides what the files say.
        databar: `"auto"`, `"none"`, or the number of rows to cut.
        max_megapixels: Larger images are refused.
        origin: `human`, `corrected` or `synthetic`.
        round: In which round of incremental learning the masks were made.
        annotator: By whom.
        instances: Keep the particles one by one, too (schema 2): `"drawn"` = each object that was drawn of a phase with
            the role particle is one; or a folder of label images, `<stem>.tif` or `<stem>_labels.tif` (or PNG).
        add: Append to the record set `out`, as its next version; nothing that is there is rewritten or moved
            to another split.
        jobs: So many processes work at once. Scripts that ask for more than one need the usual
            `if __name__ == "__main__":`.
        runner: Name of an Apache Beam runner that does the work instead (extra `[beam]`); same bytes.
        runner_options: For Beam, as on a command line: `"--parallelism=8"`.
        force: Replace an existing record set.

    Returns:
        `out`.

    Raises:
        InputError: If anything given cannot be used; then nothing is written.

    Example:
        >>> convert("samples/images", "samples/masks", out="records/first", phases="phases.toml")  # doctest: +SKIP
        PosixPath('records/first')
    """
    out = Path(out)
    refuse_inputs(out, [*([images] if isinstance(images, (str, Path)) else images), masks])
    previous = _previous(out, add, force)
    phases = phases if isinstance(phases, Phases) else Phases.from_toml(phases)
    if origin not in ORIGINS:
        raise InputError(f"origin: must be one of {', '.join(ORIGINS)}. Received {origin!r}.")
    if guard_gap is not None and (guard_gap < 0 or split_file is not None):
        raise InputError(
            f"--guard-gap: must be 0 or more, and goes with --split, not with --split-file. Received {guard_gap}."
        )
    if split_file is not None and (split is not None or seed is not None):
        raise InputError(
            "--split-file: says where each image goes, so that --split and --seed do not go with it. Leave "
            "either it or them out."
        )
    if seed is not None and seed < 0:
        raise InputError(f"--seed: must be 0 or more. Received {seed}.")
    if jobs < 1:
        raise InputError(f"--jobs: must be at least 1. Received {jobs}.")
    rule = _rule(previous if add else None, split, seed, split_file is not None, guard_gap)
    wanted = read_splits(split_file)
    template = Source(
        index=0,
        image=Path(),
        mask=Path(),
        options={"pixel_size_nm": pixel_size_nm, "databar": databar, "max_megapixels": max_megapixels},
        phases=phases,
        groups=read_groups(groups),
        group_regex=check_regex(group_regex),
        origin=origin,
        round=int(round),
        annotator=annotator,
    )
    encode = (
        partial(encode_with_beam, runner=runner, options=runner_options)
        if runner
        else partial(encode_all, jobs=jobs)
    )
    sources, missing = sources_of(images, masks, mask_suffix, template)
    if instances is not None:
        sources = with_instances(sources, instances)
    if not sources or (missing and not annotated_only):
        suggestion = "" if sources else suggest_suffix(missing)
        remedy = suggestion or "Add the masks, or give --annotated-only to leave these out."
        raise InputError(
            f"{missing[0] if missing else images}: must have a mask. Received none for {len(missing)} of "
            f"{len(missing) + len(sources)} images. {remedy}"
        )
    if missing:
        warnings.warn(
            f"images: {len(missing)} of {len(missing) + len(sources)} have no mask, and are left out.",
            InputWarning,
            stacklevel=2,
        )
    if not add:
        with atomic_folder(out, force=force, manifest=False) as folder:
            staged = _stage(sources, folder / ".staging", encode)
            _tell_doubts(staged, phases, ())
            staged = _allot(staged, rule, wanted, ())
            version = _version_after(out, previous, staged, phases)
            write_version(folder / version, staged, phases, version=version, split_rule=rule)
            shutil.rmtree(folder / ".staging")
            write_pointers(folder, version)
        return out
    assert previous is not None
    _check_phases(previous, phases)
    if previous.has_instances != (instances is not None):
        raise InputError(
            "--instances: must be given where the record set holds instances, and only there. "
            f"{out} holds {'some' if previous.has_instances else 'none'}."
        )
    version = next_version(previous.version, "minor")
    with _alone(out), tempfile.TemporaryDirectory(prefix=_STAGING, dir=out) as staging:
        staged = _stage(sources, Path(staging), encode, previous.metadata["image_dtype"])
        staged = _only_new(staged, previous)
        _tell_doubts(staged, phases, previous.rows)
        staged = _allot(staged, rule, wanted, previous.rows)
        if not staged:
            return out
        with atomic_folder(out / version, manifest=False) as folder:
            write_version(
                folder, staged, previous.phases, version=version, split_rule=rule, previous=previous
            )
    write_pointers(out, version)
    return out


_STAGING = ".staging-"


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Nobody else adds to the set meanwhile; what a killed conversion left there is cleared away."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(out / ".lock", timeout=0):
            for rest in (*out.glob(f"{_STAGING}*"), *out.glob(".tmp-*")):
                shutil.rmtree(rest, ignore_errors=True)
            yield
    except Timeout as error:
        raise InputError(f"{out}: another conversion is adding to it. Wait until it has ended.") from error
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}).") from error


def _previous(out: Path, add: bool, force: bool) -> RecordSet | None:
    """The record set that is there: to be added to, or to be replaced."""
    clear_litter(out.absolute().parent)
    if add:
        if force:
            raise InputError("--add: keeps what is there, --force replaces it. Give one of them.")
        if not versions(out):
            raise InputError(f"{out}: must be a record set, to add to. Convert without --add first.")
        return open_records(out)
    if not force:
        refuse_overwrite(out)
    if not out.is_dir() or not any(out.iterdir()):
        return None
    if not versions(out):
        raise InputError(
            f"{out}: must be a record set, to be replaced. It holds something else; name another."
        )
    refuse_foreign(out, foreign_entry(out))
    try:
        return open_records(out)
    except InputError:  # damaged, which may be why it is replaced
        return None


def _rule(
    previous: RecordSet | None, split: str | None, seed: int | None, by_file: bool, gap: int | None
) -> dict[str, Any]:
    """How splits are drawn, as it will stand in the metadata."""
    rule: dict[str, Any] = {"rule": "split file"} if by_file else {"rule": "whole groups, phases alike"}
    if not by_file:
        rule |= {"ratios": parse_ratios(split or SPLIT), "seed": seed or 0}
        if gap is not None:
            rule |= {"rule": "blocks of neighbouring slices", "guard_gap": gap}
    if previous is None or by_file:
        return rule
    decided = previous.metadata["split"]
    if "ratios" not in decided:
        return rule
    for name, given, stands in (
        ("--split", split and parse_ratios(split), decided["ratios"]),
        ("--seed", seed, decided["seed"]),
    ):
        if given is not None and given != stands:
            raise InputError(
                f"{name}: must be as the record set has it ({stands}), or be left out with --add."
            )
    return {**decided, **({"guard_gap": gap} if gap is not None else {})}


def sources_of(
    images: str | Path | Sequence[str | Path], masks: str | Path | None, suffix: str, template: Source
) -> tuple[list[Source], list[Path]]:
    """Each image with its annotation, filled into the template; and the images that have none.

    Raises:
        InputError: If a path does not exist, an annotation has no image, or two images have one stem.
    """
    pairs = match_masks(find_images(images), masks, suffix, phases=template.phases)
    by_stem: dict[str, dict[str, str]] = {}
    for name, group in template.groups.items():
        for stem in {name, name.rpartition("_z")[0] or name}:
            by_stem.setdefault(stem, {})[name] = group
    sources: dict[str, Source] = {}
    missing: list[Path] = []
    for image, mask in pairs:
        stem = composed(image.stem)
        if stem in sources:
            raise InputError(
                f"{image}: must have a stem of its own, which becomes its id. Received the stem of "
                f"{sources[stem].image} too. Rename one."
            )
        if mask is None:
            missing.append(image)
            continue
        groups = by_stem.get(stem, {})
        sources[stem] = replace(template, index=len(sources), image=image, mask=mask, groups=groups)
    alone = [stem for stem, source in sources.items() if not source.groups]
    if template.groups and alone and not template.group_regex:
        more = f" and {len(alone) - 1} others" if len(alone) > 1 else ""
        warnings.warn(
            f"--groups: should list every image by its stem. {alone[0]!r}{more} are not listed, and are a group "
            "each; images of one sample may then be on both sides of the split.",
            InputWarning,
            stacklevel=3,
        )
    return list(sources.values()), missing


def with_instances(sources: Sequence[Source], instances: str | Path) -> list[Source]:
    """The sources, each with the file in which its particles stand one by one.

    Args:
        sources: From `sources_of`.
        instances: `"drawn"`, or a folder of label images.

    Raises:
        InputError: If an image has no such file, or its annotation is a raster and `"drawn"` was said.
    """
    if instances == DRAWN:
        raster = next((source for source in sources if not is_text(source.mask)), None)
        if raster is not None:
            raise InputError(
                f"--instances drawn: needs annotations in which each object was drawn. Received {raster.mask}, a "
                "raster. Give the folder of its label images."
            )
        return [replace(source, instances=source.mask) for source in sources]
    folder = Path(instances)
    if not folder.is_dir():
        raise InputError(f"--instances: must be 'drawn', or a folder of label images. Received {instances}.")
    found = []
    for source in sources:
        names = [f"{source.image.stem}{end}{suffix}" for end in ("_labels", "") for suffix in LABEL_SUFFIXES]
        file = next((folder / name for name in names if (folder / name).is_file()), None)
        if file is None:
            raise InputError(
                f"{folder}: must hold the label image of {source.image.name} ({names[0]} or {names[-1]}). It does not."
            )
        found.append(replace(source, instances=file))
    return found


def _stage(
    sources: Sequence[Source], staging: Path, encode: Encode, dtype: str | None = None
) -> list[Staged]:
    """Encode all images, to one type: `dtype`, or the widest that occurs."""
    staging.mkdir(exist_ok=True)
    staged = _encode(sources, staging, encode)
    narrow = [item for item in staged if item.dtype == "uint8"]
    if dtype == "uint8" and len(narrow) < len(staged):
        wide = next(item for item in staged if item.dtype != "uint8")
        raise InputError(
            f"{wide.row.id}: must have 8 bit like the record set it is added to. Received 16 bit. Convert all "
            "images together instead."
        )
    if narrow and (dtype == "uint16" or len(narrow) < len(staged)):
        warnings.warn(
            f"images: must be all 8 bit or all 16 bit. Received {len(narrow)} with 8 and "
            f"{len(staged) - len(narrow)} with 16; all are stored with 16 bit, values unchanged.",
            InputWarning,
            stacklevel=3,
        )
        indices = {int(item.path.name[:8]) for item in narrow}
        again = [replace(source, image_dtype="uint16") for source in sources if source.index in indices]
        wide_ones = {item.path: item for item in _encode(again, staging, encode)}
        staged = [wide_ones.get(item.path, item) for item in staged]
    ids = [item.row.id for item in staged]
    twice = next((id_ for id_ in ids if ids.count(id_) > 1), None) if len(set(ids)) < len(ids) else None
    if twice:
        raise InputError(f"images: each id must occur once. Received {twice!r} twice. Rename a file.")
    return staged


def _encode(sources: Sequence[Source], staging: Path, encode: Encode) -> list[Staged]:
    done = track(encode(sources, staging), "Converting images", total=len(sources))
    return [item for staged in done for item in staged]


def _tell_doubts(staged: Sequence[Staged], phases: Phases, earlier: Sequence[Row]) -> None:
    """Warn of phases that cannot be what they are called, of the new images and of all together."""
    doubts = {item.row.id: item.doubt for item in staged if item.doubt}
    for sentence in doubtful_phases([*earlier, *(item.row for item in staged)], phases, doubts):
        warnings.warn(f"masks: {sentence}.", InputWarning, stacklevel=3)


def _allot(
    staged: list[Staged], rule: dict[str, Any], wanted: Mapping[str, str] | None, earlier: Sequence[Row]
) -> list[Staged]:
    """What is kept of the staged records, each with its split."""
    if wanted is not None:
        follow_file(staged, wanted, earlier)
        return staged
    if "guard_gap" in rule:
        staged, left_out = cut_blocks(staged, rule["ratios"], rule["guard_gap"], earlier)
        rule["left_out"] = [*rule.get("left_out", ()), *left_out]
    draw(staged, rule["ratios"], rule["seed"], earlier)
    return staged


def _only_new(staged: list[Staged], previous: RecordSet) -> list[Staged]:
    """Without the images that the set holds already, with the same pixels and mask."""
    known = {row.id: row for row in previous.rows}
    new = []
    for item in staged:
        row = known.get(item.row.id)
        if row is None:
            new.append(item)
        elif (changed := _changed(row, item.row)) is not None:
            raise InputError(
                f"{item.row.id}: must be new. The record set holds this id with another {changed}, and versions "
                "are never edited. Rename it, or convert all images to a new set."
            )
    if len(new) < len(staged):
        warnings.warn(
            f"images: {len(staged) - len(new)} of {len(staged)} are in the record set already, with the same "
            "pixels and masks; they are passed over.",
            InputWarning,
            stacklevel=3,
        )
    return new


def _changed(before: Row, now: Row) -> str | None:
    """What differs between two records of one id: image, mask or instances."""
    for what, same in (
        ("image", before.image_sha256 == now.image_sha256),
        ("mask", before.mask_sha256 == now.mask_sha256),
        ("annotation of its instances", before.instances_sha256 == now.instances_sha256),
    ):
        if not same:
            return what
    return None


def _check_phases(previous: RecordSet, phases: Phases) -> None:
    if not previous.phases.same_classes(phases):
        raise InputError(
            f"--phases: must be those of the record set ({previous.phases.describe()}). "
            f"Received {phases.describe()}."
        )


def _version_after(out: Path, previous: RecordSet | None, staged: Sequence[Staged], phases: Phases) -> str:
    """1.0.0; in place of another set its version if it holds the same, and a later one if not."""
    found = versions(out)
    if not found:
        return "1.0.0"
    last = found[-1].name
    if previous is None or not previous.phases.same_classes(phases):
        return next_version(last, "major")
    rows = [item.row for item in staged]
    if fingerprint_of(rows) != previous.fingerprint:
        return next_version(last, "major")
    # As text, in which an unknown pixel size (NaN) equals itself.
    same = sorted(map(repr, previous.rows)) == sorted(map(repr, rows))
    return last if same else next_version(last, "minor")
