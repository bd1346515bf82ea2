"""Masks and strokes on the wire: runs of equal pixels in row-major order, exact and compact.

A mask is `count`, `count` lengths (uint32), `count` values (uint8). A stroke is a list of runs that
it changed or confirmed: `kind`, `count`, starts and lengths (uint32), old and new values (uint8). All
little-endian. `static/runs.js` is the other side of this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cathode_tf.errors import InputError

KINDS = ("do", "undo", "redo", "auto")
"""`do` was painted by hand; `auto` has values that no hand chose: the eraser's, and spread strokes."""


def encode_mask(mask: np.ndarray) -> bytes:
    """Bytes of a uint8 mask (height, width).

    Example:
        >>> decode_mask(encode_mask(np.array([[1, 1], [1, 0]], np.uint8)), (2, 2))
        array([[1, 1],
               [1, 0]], dtype=uint8)
    """
    flat = np.ascontiguousarray(mask, np.uint8).ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1]) if flat.size else np.zeros(0, np.int64)
    lengths = np.diff(np.append(starts, flat.size)).astype("<u4")
    return np.array([len(lengths)], "<u4").tobytes() + lengths.tobytes() + flat[starts].tobytes()


def decode_mask(data: bytes, shape: tuple[int, int]) -> np.ndarray:
    """The uint8 mask (height, width) that `encode_mask` wrote.

    Raises:
        InputError: If the bytes are no mask of this shape.
    """
    count = int.from_bytes(data[:4], "little")
    if len(data) < 4 or len(data) != 4 + 5 * count:
        raise InputError(
            f"mask: must be {4 + 5 * count} bytes for {count} runs. Received {len(data)}. Send it again."
        )
    lengths = np.frombuffer(data, "<u4", count, 4).astype(np.int64)
    values = np.frombuffer(data, np.uint8, count, 4 + 4 * count)
    pixels = int(lengths.sum())
    if pixels != shape[0] * shape[1]:
        raise InputError(
            f"mask: must be {shape[0]} x {shape[1]} = {shape[0] * shape[1]} pixels as the image is. "
            f"Received {pixels}."
        )
    return np.repeat(values, lengths).reshape(shape)


@dataclass(frozen=True)
class Stroke:
    """Runs of one step: `kind` is one of `KINDS`; arrays of equal length.

    Where old and new are the same, a hand confirmed what was there.
    """

    kind: str
    starts: np.ndarray
    lengths: np.ndarray
    old: np.ndarray
    new: np.ndarray


def decode_strokes(data: bytes) -> Iterator[Stroke]:
    """The strokes in these bytes, oldest first.

    Raises:
        InputError: If the bytes end within a stroke or name an unknown kind.
    """
    position = 0
    while position < len(data):
        if position + 5 > len(data):
            raise InputError(f"draft: ends within a stroke at byte {position} of {len(data)}.")
        kind = data[position]
        count = int.from_bytes(data[position + 1 : position + 5], "little")
        end = position + 5 + 10 * count
        if kind >= len(KINDS) or end > len(data):
            raise InputError(f"draft: holds no whole stroke at byte {position} of {len(data)}.")
        starts = np.frombuffer(data, "<u4", count, position + 5)
        lengths = np.frombuffer(data, "<u4", count, position + 5 + 4 * count)
        old = np.frombuffer(data, np.uint8, count, position + 5 + 8 * count)
        new = np.frombuffer(data, np.uint8, count, position + 5 + 9 * count)
        yield Stroke(KINDS[kind], starts, lengths, old, new)
        position = end


def encode_stroke(stroke: Stroke) -> bytes:
    """Bytes that `decode_strokes` reads."""
    head = bytes([KINDS.index(stroke.kind)]) + np.array([len(stroke.starts)], "<u4").tobytes()
    body = (stroke.starts.astype("<u4"), stroke.lengths.astype("<u4"))
    values = (stroke.old.astype(np.uint8), stroke.new.astype(np.uint8))
    return head + b"".join(part.tobytes() for part in (*body, *values))


def apply_stroke(flat: np.ndarray, stroke: Stroke) -> None:
    """Write a stroke's new values into a flat mask, in place."""
    if not len(stroke.starts):
        return
    lengths = stroke.lengths.astype(np.int64)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    flat[np.repeat(stroke.starts.astype(np.int64), lengths) + offsets] = np.repeat(stroke.new, lengths)
