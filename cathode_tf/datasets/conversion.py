"""Micrographs and annotations in, a record set in TFDS folder format out.

`plan.py` says what will be done; it is done here, in two halves. First each image becomes a serialised record in a
staging folder, on its own, by any number of workers. Then the splits are drawn from what was found, and the records
are put together to shards.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cathode_tf.datasets.allotment import cut_blocks, draw, follow_file
from cathode_tf.datasets.beam import encode_with_beam
from cathode_tf.datasets.encoding import Row, Source, Staged, encode_all
from cathode_tf.datasets.plan import Choices, Plan, plan_conversion
from cathode_tf.datasets.record_set import RecordSet, fingerprint_of, next_version, versions
from cathode_tf.datasets.summary import doubtful_phases
from cathode_tf.datasets.writing import write_pointers, write_version
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_folder
from cathode_tf.phases import Phases
from cathode_tf.progress import track

Encode = Callable[[Sequence[Source], Path], Iterator[list[Staged]]]


def convert(
    images: str | Path | Sequence[str | Path],
    masks: str | Path | None = None,
    *,
    out: str | Path,
    phases: Phases | str | Path,
    add: bool = False,
    force: bool = False,
    jobs: int = 1,
    runner: str | None = None,
    runner_options: Sequence[str] = (),
    **choices: Any,
) -> Path:
    """Convert micrographs and their masks to a record set.

    Args:
        images: Files or folders of micrographs.
        masks: Folder of the masks, or one annotation file for all images; None: beside the images, with
            `mask_suffix` behind their stems. All formats of `read_annotation`.
        out: Folder of the record set.
        phases: What the masks hold, or a `phases.toml`.
        add: Append to the record set `out`, as its next version; nothing that is there is rewritten or moved
            to another split.
        force: Replace an existing record set.
        jobs: So many processes work at once. Scripts that ask for more than one need the usual
            `if __name__ == "__main__":`.
        runner: Name of an Apache Beam runner that does the work instead (extra `[beam]`); same bytes.
        runner_options: For Beam, as on a command line: `"--parallelism=8"`.
        choices: The attributes of `datasets.Choices`: how masks are found (`mask_suffix`, `annotated_only`,
            `instances`), how images are read (`pixel_size_nm`, `databar`, `max_megapixels`), what belongs together
            (`groups`, `group_regex`), the split (`split`, `seed`, `split_file`, `guard_gap`), and who made the masks
            (`origin`, `round`, `annotator`).

    Returns:
        `out`.

    Raises:
        InputError: If anything given cannot be used; then nothing is written.

    Example:
        >>> convert("samples/images", "samples/masks", out="records/first", phases="phases.toml")  # doctest: +SKIP
        PosixPath('records/first')
    """
    if jobs < 1:
        raise InputError(f"--jobs: must be at least 1. Received {jobs}.")
    encode: Encode = partial(encode_all, jobs=jobs)
    if runner:
        encode = partial(encode_with_beam, runner=runner, options=runner_options)
    chosen = Choices(**choices)
    return carry_out(
        plan_conversion(images, masks, out=out, phases=phases, add=add, force=force, choices=chosen), encode
    )


def carry_out(plan: Plan, encode: Encode = encode_all) -> Path:
    """Convert as planned.

    Args:
        plan: Of `plan_conversion`.
        encode: Makes staged records of the sources, in their order.

    Returns:
        Folder of the record set.

    Raises:
        InputError: If an image or mask cannot be used; then nothing is written.
    """
    if plan.without_mask:
        without, all_ = len(plan.without_mask), len(plan.without_mask) + len(plan.sources)
        _warn(f"images: {without} of {all_} have no mask, and are left out.")
    if plan.added_to is None:
        _write_new(plan, encode)
    else:
        _append(plan, plan.added_to, encode)
    return plan.out


def _write_new(plan: Plan, encode: Encode) -> None:
    with atomic_folder(plan.out, force=plan.force, manifest=False) as folder:
        staged = _stage(plan.sources, folder / ".staging", encode)
        _tell_doubts(staged, plan.phases, ())
        staged, rule = _allot(staged, plan, ())
        version = _version_after(plan.out, plan.previous, staged, plan.phases)
        write_version(folder / version, staged, plan.phases, version=version, split_rule=rule)
        shutil.rmtree(folder / ".staging")
        write_pointers(folder, version)


def _append(plan: Plan, previous: RecordSet, encode: Encode) -> None:
    out, version = plan.out, next_version(previous.version, "minor")
    with _alone(out), tempfile.TemporaryDirectory(prefix=_STAGING, dir=out) as staging:
        staged = _stage(plan.sources, Path(staging), encode, previous.metadata["image_dtype"])
        staged = _only_new(staged, previous)
        _tell_doubts(staged, plan.phases, previous.rows)
        staged, rule = _allot(staged, plan, previous.rows)
        if not staged:
            return
        with atomic_folder(out / version, manifest=False) as folder:
            write_version(
                folder, staged, previous.phases, version=version, split_rule=rule, previous=previous
            )
    write_pointers(out, version)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, InputWarning, stacklevel=5)


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
        _warn(
            f"images: must be all 8 bit or all 16 bit. Received {len(narrow)} with 8 and "
            f"{len(staged) - len(narrow)} with 16; all are stored with 16 bit, values unchanged."
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
        _warn(f"masks: {sentence}.")


def _allot(staged: list[Staged], plan: Plan, earlier: Sequence[Row]) -> tuple[list[Staged], dict[str, Any]]:
    """What is kept of the staged records, each with its split, and the rule by which that was done."""
    rule = dict(plan.rule)
    if plan.wanted is not None:
        follow_file(staged, plan.wanted, earlier)
        return staged, rule
    if "guard_gap" in rule:
        staged, left_out = cut_blocks(staged, rule["ratios"], rule["guard_gap"], earlier)
        rule["left_out"] = [*rule.get("left_out", ()), *left_out]
    draw(staged, rule["ratios"], rule["seed"], earlier)
    return staged, rule


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
        _warn(
            f"images: {len(staged) - len(new)} of {len(staged)} are in the record set already, with the same "
            "pixels and masks; they are passed over."
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
