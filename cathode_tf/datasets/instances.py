"""Outlines of the particles of one image in, what records of schema 2 hold of them out; and back.

The label image says who is seen where. Where annotators drew whole particles that others hide in part, the text holds
every outline beside it, one mask each: run lengths along the rows of its box, outside first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256
from cathode_tf.imaging.regions import regions_of
from cathode_tf.imaging.visible import Outline, label_visible

MOST = 65535
"""Instances of an image: the label image is a 16-bit PNG."""


def labelled(
    outlines: Sequence[Outline], shape: tuple[int, int], grey: np.ndarray, source: str
) -> tuple[np.ndarray, tuple[Outline, ...]]:
    """The label image int32 (height, width) of what is seen, and the outlines where it does not say them all.

    Args:
        outlines: One a particle.
        shape: (height, width) of the image.
        grey: The micrograph: it says who is in front.
        source: File name for the message.

    Raises:
        InputError: If there are more particles than a record can number.
    """
    if len(outlines) > MOST:
        raise InputError(f"{source}: must hold at most {MOST} instances an image. Received {len(outlines)}.")
    labels, _ = label_visible(outlines, shape, grey)
    seen = np.bincount(labels.ravel(), minlength=len(outlines) + 1)[1:]
    whole = all(int(inside.sum()) == count for (_, inside), count in zip(outlines, seen, strict=True))
    return labels, () if whole else tuple(outlines)


def outlines_of(labels: np.ndarray) -> tuple[Outline, ...]:
    """Every instance of a label image, by number."""
    return tuple((region.window, region.inside) for region in regions_of(labels))


def outlines_to_text(outlines: Sequence[Outline]) -> str:
    """JSON of the outlines; "" for none.

    Example:
        >>> outlines_to_text([((slice(2, 4), slice(5, 7)), np.array([[True, True], [False, True]]))])
        '[{"box":[2,5,2,2],"runs":[0,2,1,1]}]'
    """
    if not outlines:
        return ""
    return json.dumps([_packed(window, inside) for window, inside in outlines], separators=(",", ":"))


def outlines_from_text(text: str, source: str) -> tuple[Outline, ...]:
    """What `outlines_to_text` wrote.

    Raises:
        InputError: If the text is not of that kind.
    """
    try:
        return tuple(_unpacked(item) for item in json.loads(text or "[]"))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{source}: must hold outlines as run lengths. Received others ({error})."
        ) from error


def instances_sha256(labels: np.ndarray | None, outlines: Sequence[Outline]) -> str:
    """Hash of what a record says of its instances; "" where it says nothing."""
    if labels is None:
        return ""
    text = pixel_sha256(labels.astype(np.uint16)) + outlines_to_text(outlines)
    return hashlib.sha256(text.encode()).hexdigest()


def _packed(window: tuple[slice, slice], inside: np.ndarray) -> dict[str, list[int]]:
    flat = inside.ravel()
    turns = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *turns, flat.size]).tolist()
    return {
        "box": [window[0].start, window[1].start, *inside.shape],
        "runs": [0, *runs] if flat.size and flat[0] else runs,
    }


def _unpacked(item: dict[str, Any]) -> Outline:
    row, column, height, width = map(int, item["box"])
    runs = np.asarray(item["runs"], np.int64)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return (slice(row, row + height), slice(column, column + width)), flat.reshape(height, width)
