"""A record set in, tables and a picture for people out."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cathode_tf.datasets.encoding import Row
from cathode_tf.datasets.record_set import RecordSet
from cathode_tf.datasets.schema import Example
from cathode_tf.files import atomic_file
from cathode_tf.imaging import display, overlay
from cathode_tf.imaging.plausibility import odd_shares
from cathode_tf.phases import Phases, rgb
from cathode_tf.words import counted

MOSTLY_IGNORED = 0.5


def summarize(records: RecordSet) -> list[dict[str, Any]]:
    """For each split: images, groups, sizes, pixel sizes and phase shares, from the index alone.

    Returns:
        One dict a split: `split`, `images`, `groups`, `sizes` (height, width) and `pixel_sizes_nm` (None =
        unknown) with how many images have them, `fractions` by phase (of labelled pixels, sum 1) and
        `ignored_fraction` (of all pixels).
    """
    return [
        {"split": split, **summarize_rows(records.rows_of(split), records.phases)} for split in records.splits
    ]


def summarize_rows(rows: Sequence[Row], phases: Phases) -> dict[str, Any]:
    """The same for any rows of an index, without `split`."""
    counts = np.sum([row.counts for row in rows], axis=0, dtype=float)
    labelled = max(counts[:-1].sum(), 1.0)
    return {
        "images": len(rows),
        "groups": len({row.group for row in rows}),
        "sizes": Counter((row.height, row.width) for row in rows),
        "pixel_sizes_nm": Counter(
            None if math.isnan(row.pixel_size_nm) else row.pixel_size_nm for row in rows
        ),
        "fractions": dict(zip(phases.names, (counts[:-1] / labelled).tolist(), strict=True)),
        "ignored_fraction": float(counts[-1] / counts.sum()),
    }


def doubtful_phases(rows: Sequence[Row], phases: Phases, doubts: Mapping[str, str]) -> list[str]:
    """Sentences on phases that cannot be what they are called, by their grey, their share, or because none is there.

    Args:
        rows: Of an index, all that there are.
        phases: Of the masks.
        doubts: What `grey_order` says, by id.
    """
    told = []
    if doubts:
        id_, doubt = next(iter(doubts.items()))
        others = f" and {counted(len(doubts) - 1, 'other image')}" if len(doubts) > 1 else ""
        told.append(f"{id_}{others}: {doubt}")
    found = summarize_rows(rows, phases) if rows else None
    # Of a few strokes the shares say nothing.
    if found is not None and found["ignored_fraction"] < MOSTLY_IGNORED:
        told += odd_shares(found["fractions"], phases)
    return told


def draw_records(
    records: RecordSet, path: str | Path, *, images_per_split: int = 4, force: bool = False
) -> Path:
    """Write a picture: the first images of each split, each beside itself with its mask overlaid.

    Args:
        records: The record set.
        path: PNG file to write.
        images_per_split: How many images of each split are drawn.
        force: Replace an existing file.

    Raises:
        InputError: If the file exists and `force` is not set, or a record is damaged.
    """
    blocks = [
        _row(example, split, records)
        for split in records.splits
        for example in itertools.islice(records.examples(split), images_per_split)
    ]
    columns = 2 if len(blocks) > 4 else 1
    per_lane = math.ceil(len(blocks) / columns)
    lanes = [np.vstack(blocks[lane * per_lane : (lane + 1) * per_lane]) for lane in range(columns)]
    height = max(len(lane) for lane in lanes)
    lanes = [np.pad(lane, ((0, height - len(lane)), (0, 0), (0, 0)), constant_values=255) for lane in lanes]
    picture = np.vstack([_legend(records, lanes[0].shape[1] * columns), np.hstack(lanes)])
    ok, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    if not ok:
        raise RuntimeError("OpenCV could not encode a PNG")
    with atomic_file(path, force=force) as temporary:
        temporary.write_bytes(data.tobytes())
    return Path(path)


_CELL = 320
_GAP = 8
_TEXT = 26


def _row(example: Example, split: str, records: RecordSet) -> np.ndarray:
    """Micrograph and overlay side by side under a line of text, RGB."""
    grey = display(example.image)
    pair = [
        np.repeat(_fit(grey)[..., None], 3, axis=2),
        _fit(overlay(example.image, example.mask, records.phases)),
    ]
    cells = []
    for picture in pair:
        cell = np.full((picture.shape[0] + _GAP, _CELL + _GAP, 3), 255, np.uint8)
        cell[: picture.shape[0], _GAP // 2 : _GAP // 2 + picture.shape[1]] = picture
        cells.append(cell)
    height, width = example.mask.shape
    size = "" if math.isnan(example.pixel_size_nm) else f", {example.pixel_size_nm:.4g} nm"
    line = np.full((_TEXT, 2 * (_CELL + _GAP), 3), 255, np.uint8)
    _write(line, f"{split}: {_ascii(example.id)[:44]}  {width} x {height} px{size}", (_GAP // 2, 17), 0.44)
    return np.vstack([line, np.hstack(cells)])


def _fit(picture: np.ndarray) -> np.ndarray:
    scale = _CELL / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)


def _legend(records: RecordSet, width: int) -> np.ndarray:
    line = np.full((34, width, 3), 255, np.uint8)
    x = _GAP // 2
    for phase in records.phases:
        cv2.rectangle(line, (x, 9), (x + 16, 25), rgb(phase.color), cv2.FILLED)
        _write(line, phase.name, (x + 22, 22), 0.5)
        x += 22 + cv2.getTextSize(phase.name, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0] + 18
    return line


def _write(picture: np.ndarray, text: str, place: tuple[int, int], scale: float) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (40, 40, 40), 1, cv2.LINE_AA)


def _ascii(text: str) -> str:
    """OpenCV's font has no other letters."""
    return text.encode("ascii", "replace").decode()
