"""One image file and its mask in, serialised records in a staging folder out; what a worker process does.

It loads no TensorFlow and keeps one slice in memory, so many of it can run side by side.
"""

from __future__ import annotations

import itertools
import math
import re
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.datasets.instances import instances_sha256, labelled
from cathode_tf.datasets.schema import Example, check_example, serialize
from cathode_tf.datasets.tfrecord import frame
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import (
    Micrograph,
    field_width_nm,
    iter_micrographs,
    open_stack_masks,
    read_annotation,
    read_instances,
)
from cathode_tf.imaging.plausibility import grey_order
from cathode_tf.imaging.rasters import open_raster
from cathode_tf.imaging.stacks import SLICE
from cathode_tf.phases import Phases
from cathode_tf.texts import composed


@dataclass(frozen=True)
class Source:
    """An image file to convert, and all that a worker must know for it.

    Attributes:
        index: Position in the order of the set.
        image, mask: The files.
        options: Arguments of `iter_micrographs`.
        phases: What the mask may hold.
        groups: Group by id, or by stem of a stack.
        group_regex: Finds the group in other ids; "" makes each image, or stack, a group.
        origin, round, annotator: As in the schema.
        image_dtype: `"uint16"` widens 8-bit images; None keeps what came.
        instances: Where its particles stand one by one; None: nowhere.
    """

    index: int
    image: Path
    mask: Path
    options: dict[str, Any]
    phases: Phases
    groups: dict[str, str] = field(default_factory=dict)
    group_regex: str = ""
    origin: str = "human"
    round: int = 0
    annotator: str = ""
    image_dtype: str | None = None
    instances: Path | None = None


@dataclass
class Row:
    """What the index of a record set says about one record."""

    id: str
    group: str
    split: str
    height: int
    width: int
    pixel_size_nm: float
    image_sha256: str
    mask_sha256: str
    origin: str
    round: int
    annotator: str
    counts: tuple[int, ...]  # pixels of each phase in the order of the phases, then ignored ones
    instances_sha256: str = ""  # "" where the set knows no instances


@dataclass(frozen=True)
class Staged:
    """A record that waits in the staging folder for its shard."""

    row: Row
    path: Path
    bytes: int
    dtype: str
    stack: str  # "" for an image that is no slice of a stack
    doubt: str = ""  # why its phases may be swapped


def encode_all(sources: Sequence[Source], staging: Path, jobs: int = 1) -> Iterator[list[Staged]]:
    """`encode_source` for each source, in order, by so many processes at once; warnings are passed on.

    Raises:
        InputError: The first thing that is wrong with an image; the others are then given up.
    """
    if jobs == 1 or len(sources) < 2 * jobs:
        for source in sources:
            yield pass_on(encode_source(source, staging))
        return
    import multiprocessing

    # Not forked from here: a fork copies the state of OpenCV's and TensorFlow's threads, and may hang. A fork server
    # has no threads of theirs, and imports this module once for all workers.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload([__name__])
    workers = ProcessPoolExecutor(jobs, mp_context=context, initializer=_set_up_worker)
    busy = True
    try:
        for done in workers.map(encode_source, sources, [staging] * len(sources)):
            yield pass_on(done)
        busy = False
    except BrokenProcessPool as error:
        raise InputError(
            "convert: a worker process ended early. Most likely memory ran out, so use a smaller --jobs; or your "
            'script calls convert outside of `if __name__ == "__main__":`, and must not.'
        ) from error
    finally:
        # Idle ones may take their time to end; busy ones must not write into a folder that is cleared away.
        workers.shutdown(wait=busy, cancel_futures=True)


def pass_on(done: tuple[list[Staged], list[str]]) -> list[Staged]:
    """What was staged; the warnings that came with it are given here."""
    for message in done[1]:
        warnings.warn(message, InputWarning, stacklevel=5)
    return done[0]


def encode_source(source: Source, staging: Path) -> tuple[list[Staged], list[str]]:
    """Write a record file for the image, or for each slice of the stack, and return what is in them.

    Args:
        source: The files.
        staging: Folder for the record files.

    Returns:
        What was staged, and warnings for the user.

    Raises:
        InputError: If image or mask cannot be used.
    """
    staged = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        for number, example in enumerate(read_examples(source)):
            counts = check_example(example, source.phases, source.mask)
            message, image_sha256, mask_sha256 = serialize(example)
            path = staging / f"{source.index:08d}-{number:06d}.record"
            with open(path, "wb") as file:
                file.writelines(frame(message))
            row = row_of(example, image_sha256, mask_sha256, counts)
            stack = composed(source.image.stem) if "slice_index" in example.acquisition else ""
            doubt = grey_order(example.image, example.mask, source.phases, example.acquisition)
            staged.append(Staged(row, path, path.stat().st_size, example.image.dtype.name, stack, doubt))
    messages = [str(w.message) for w in caught if issubclass(w.category, InputWarning)]
    return staged, list(dict.fromkeys(messages))


def row_of(
    example: Example, image_sha256: str, mask_sha256: str, counts: tuple[int, ...], split: str = ""
) -> Row:
    """What the index says about an example; `counts` come from `check_example`."""
    return Row(
        id=example.id,
        group=example.group,
        split=split,
        height=example.image.shape[0],
        width=example.image.shape[1],
        pixel_size_nm=example.pixel_size_nm,
        image_sha256=image_sha256,
        mask_sha256=mask_sha256,
        origin=example.origin,
        round=example.round,
        annotator=example.annotator,
        counts=counts,
        instances_sha256=instances_sha256(example.labels, example.outlines),
    )


def read_examples(source: Source) -> Iterator[Example]:
    """The image with its mask, or slice after slice of a stack with theirs.

    Raises:
        InputError: If image or mask cannot be read, or do not fit together.
    """
    micrographs = iter_micrographs(source.image, **source.options)
    first = next(micrographs)
    if "slice_index" in first.acquisition:
        if source.instances is not None:
            raise InputError(
                f"{source.image}: must be a single image where instances are kept. Received a stack. Convert its "
                "slices as single files, or leave --instances out."
            )
        yield from _slices(source, itertools.chain([first], micrographs))
        return
    if SLICE in source.mask.name:
        raise InputError(
            f"{source.image}: must be a stack, as {source.mask.name} stands for masks of its slices. Received one "
            "image. Rename the masks, or the image."
        )
    mask = read_annotation(
        source.mask,
        source.phases,
        shape=(first.height, first.width),
        image_name=source.image.name,
        databar_rows=first.acquisition.get("databar_rows", 0),
        max_megapixels=source.options["max_megapixels"],
    )
    example = _example(source, _with_stated_width(first, source), mask)
    yield example if source.instances is None else _with_instances(source, source.instances, example)


def _with_instances(source: Source, file: Path, example: Example) -> Example:
    """The example with its particles one by one, from the annotation itself or from a label image."""
    height, width = shape = example.image.shape
    full = height + example.acquisition.get("databar_rows", 0), width
    try:
        regions = read_instances(file, source.image.name, full)
    except InputError:
        if full == shape:
            raise
        regions = read_instances(file, source.image.name, shape)
    particles = {name.lower() for name in source.phases.with_role("particle")}
    outlines = []
    for region in regions:
        inside = region.inside[: max(0, height - region.row)]
        if inside.any() and (region.label.strip().lower() in particles or not region.label):
            rows, columns = region.window
            outlines.append(((slice(rows.start, rows.start + len(inside)), columns), inside))
    labels, whole = labelled(outlines, shape, example.image, str(file))
    return replace(example, labels=labels, outlines=whole)


def _slices(source: Source, micrographs: Iterator[Micrograph]) -> Iterator[Example]:
    """The slices that are labelled; the others are left out, with a warning."""
    limit = source.options["max_megapixels"]
    with open_raster(source.image, max_megapixels=limit) as raster:
        count = raster.count
    left_out = 0
    with open_stack_masks(
        source.mask, source.image.stem, count, source.phases, max_megapixels=limit
    ) as mask_of:
        for micrograph in micrographs:
            mask = mask_of(micrograph)
            if mask is None:
                left_out += 1
            else:
                yield _example(source, micrograph, mask)
    if left_out == count:
        raise InputError(f"{source.mask}: must label at least one slice of {source.image.name}. Labels none.")
    if left_out:
        warnings.warn(
            f"{source.image}: {left_out} of {count} slices have no label, and are left out.",
            InputWarning,
            stacklevel=2,
        )


def _with_stated_width(micrograph: Micrograph, source: Source) -> Micrograph:
    """Where the image states no scale, the width of the field that its VIA file states."""
    if micrograph.pixel_size_nm is not None:
        return micrograph
    width_nm = field_width_nm(source.mask, source.image.name)
    if not width_nm:
        return micrograph
    return replace(
        micrograph,
        pixel_size_nm=width_nm / micrograph.width,
        pixel_size_source=f"VIA {source.mask.name}, HFW",
    )


def _example(source: Source, micrograph: Micrograph, mask: np.ndarray) -> Example:
    pixels, size = micrograph.pixels, micrograph.pixel_size_nm
    if source.image_dtype:
        pixels = pixels.astype(source.image_dtype)
    stack = composed(source.image.stem) if "slice_index" in micrograph.acquisition else ""
    return Example(
        image=pixels,
        mask=mask,
        id=micrograph.id,
        group=group_of(source, micrograph.id, stack),
        # As float32, which is what the record holds.
        pixel_size_nm=math.nan if size is None else float(np.float32(size)),
        pixel_size_source=micrograph.pixel_size_source,
        origin=source.origin,
        round=source.round,
        annotator=source.annotator,
        acquisition=dict(micrograph.acquisition),
    )


def group_of(source: Source, id_: str, stack: str) -> str:
    """The group of an image: as listed, else as found in its id, else its stack, else itself."""
    for name in (id_, stack):
        if name and name in source.groups:
            return source.groups[name]
    if not source.group_regex:
        return stack or id_
    match = re.search(source.group_regex, id_)
    if match is None:
        raise InputError(
            f"{source.image}: --group-regex must match each id. {source.group_regex!r} finds nothing "
            f"in {id_!r}."
        )
    return (match.group(1) if match.re.groups else match.group(0)) or id_


def _set_up_worker() -> None:
    """One thread of OpenCV, no traceback at Ctrl-C, and no life after the parent's death."""
    import multiprocessing
    import multiprocessing.connection
    import os

    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
