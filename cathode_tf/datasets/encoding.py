"""One image file and its mask in, serialised records in a staging folder out; what a worker process does.

It loads no TensorFlow and keeps one slice in memory, so many of it can run side by side.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.datasets.schema import Example, check_example, serialize
from cathode_tf.datasets.tfrecord import frame
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import fit_mask_to_cut, iter_micrographs
from cathode_tf.imaging.masks import to_mask
from cathode_tf.imaging.rasters import open_raster
from cathode_tf.phases import IGNORE, Phases


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


@dataclass(frozen=True)
class Staged:
    """A record that waits in the staging folder for its shard."""

    row: Row
    path: Path
    bytes: int
    dtype: str
    stack: str  # "" for an image that is no slice of a stack
    slice_index: int


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
        for number, (example, stack, slice_index) in enumerate(_examples(source)):
            check_example(example, source.phases, source.mask)
            message, image_sha256, mask_sha256 = serialize(example)
            path = staging / f"{source.index:08d}-{number:06d}.record"
            framed = frame(message)
            path.write_bytes(framed)
            row = Row(
                id=example.id,
                group=example.group,
                split="",
                height=example.image.shape[0],
                width=example.image.shape[1],
                pixel_size_nm=example.pixel_size_nm,
                image_sha256=image_sha256,
                mask_sha256=mask_sha256,
                origin=example.origin,
                round=example.round,
                annotator=example.annotator,
                counts=phase_counts(example.mask, source.phases),
            )
            staged.append(Staged(row, path, len(framed), example.image.dtype.name, stack, slice_index))
    messages = [str(w.message) for w in caught if issubclass(w.category, InputWarning)]
    return staged, list(dict.fromkeys(messages))


def phase_counts(mask: np.ndarray, phases: Phases) -> tuple[int, ...]:
    """Pixels of each phase, in the order of the phases, then of ignored ones."""
    counts = np.bincount(mask.ravel(), minlength=256)
    return tuple(counts[[*phases.ids, IGNORE]].tolist())


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


def _examples(source: Source) -> Iterator[tuple[Example, str, int]]:
    with open_raster(source.mask, max_megapixels=source.options["max_megapixels"]) as raster:
        if raster.lossy:
            raise InputError(
                f"{source.mask}: must be a mask without loss (PNG or TIFF). {raster.lossy} compression "
                "invents values at every boundary; export the mask again from the tool that made it."
            )
        number = -1
        for number, micrograph in enumerate(iter_micrographs(source.image, **source.options)):
            if number >= raster.count:
                raise InputError(
                    f"{source.mask}: must have a page for each slice of {source.image.name}. "
                    f"Received {raster.count}."
                )
            acquisition = dict(micrograph.acquisition)
            mask = to_mask(raster.read(number), source.phases, source.mask)
            shape = micrograph.pixels.shape
            mask = fit_mask_to_cut(mask, shape, acquisition.get("databar_rows", 0), str(source.mask))
            stack = source.image.stem if "slice_index" in acquisition else ""
            pixels = micrograph.pixels
            if source.image_dtype:
                pixels = pixels.astype(source.image_dtype)
            size = micrograph.pixel_size_nm
            example = Example(
                image=pixels,
                mask=mask,
                id=micrograph.id,
                group=group_of(source, micrograph.id, stack),
                pixel_size_nm=math.nan if size is None else float(np.float32(size)),
                pixel_size_source=micrograph.pixel_size_source,
                origin=source.origin,
                round=source.round,
                annotator=source.annotator,
                acquisition=acquisition,
            )
            yield example, stack, acquisition.get("slice_index", 0)
        if number + 1 != raster.count:
            raise InputError(
                f"{source.mask}: must have a page for each slice of {source.image.name} ({number + 1}). "
                f"Received {raster.count}."
            )


def set_up_worker() -> None:
    """One thread of OpenCV a worker: as many workers run as there are processors."""
    import cv2

    cv2.setNumThreads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
