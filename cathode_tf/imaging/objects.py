"""The objects of an annotation file: each is drawn, or named with why it is not; and whose each of them is.

Every reader of objects hands what it finds to `assembled`, and every id or name to `unique`: what no pixel shows, and
what belongs to nothing, is never lost without a word.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.regions import Region, fill_outline
from cathode_tf.words import counted, some

Size = tuple[int, int]


@dataclass(frozen=True)
class Undrawn:
    """An object that covers no pixel.

    Attributes:
        label: What the annotator called it.
        why: Why it covers none, to stand behind its name.
        systematic: Others of its file will be so, too, so that the file is refused.
    """

    label: str
    why: str
    systematic: bool = False

    def __str__(self) -> str:
        return f"{self.label!r} {self.why}"


@dataclass(frozen=True)
class Drawing:
    """The objects somebody drew on one image.

    Attributes:
        regions: Objects in the order in which they lie on each other.
        size: (height, width) of the image as the tool saw it; None where the file does not say.
        left_out: The objects that cover no pixel.
    """

    regions: list[Region]
    size: Size | None
    left_out: tuple[Undrawn, ...] = ()


def outline(label: str, rings: Sequence[np.ndarray], canvas: Size) -> Region | Undrawn:
    """The pixels of an outline (see `fill_outline`), or why it has none."""
    region = fill_outline(label, rings, canvas)
    if region.area_px:
        return region
    if not rings:
        return Undrawn(label, "has no outline", systematic=True)
    xy = np.concatenate([np.asarray(ring, np.float64) for ring in rings])
    (left, top), (right, bottom) = xy.min(axis=0), xy.max(axis=0)
    height, width = canvas
    if left >= 0 and top >= 0 and max(right, bottom) <= 1 and min(height, width) > 1:
        return Undrawn(
            label, "has coordinates of 0 to 1, which are shares of the image and no pixels", systematic=True
        )
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return Undrawn(label, f"lies outside the image of {width} x {height} px")
    return Undrawn(label, f"is too small to cover a pixel's centre (at column {left:.4g}, row {top:.4g})")


def filled(label: str, region: Region) -> Region | Undrawn:
    """The region of a mask, or that it is empty."""
    return region if region.area_px else Undrawn(label, "is a mask without a pixel")


FAR_BEYOND = 0.05
"""Hands slip over the edge of an image; objects that reach out farther were drawn on another one."""


def _warn_of_cut_objects(regions: Sequence[Region], source: str, on: str) -> None:
    cut = [region for region in regions if region.beyond > FAR_BEYOND]
    if cut:
        farthest = max(cut, key=lambda region: region.beyond)
        warnings.warn(
            f"{source}: {len(cut)} of {counted(len(regions), 'object')}{on} reach out of the image, "
            f"{farthest.label!r} by {farthest.beyond:.0%} of its width or height, and are cut at its edge. If they "
            "were drawn on an image of another size, scale them.",
            InputWarning,
            stacklevel=4,
        )


def assembled(found: Iterable[Region | Undrawn], size: Size | None, source: str, image: str = "") -> Drawing:
    """The drawing of all objects found on an image.

    Args:
        found: In the order in which they lie on each other.
        size: (height, width) of the image as the tool saw it.
        source: Names the file.
        image: Names the image, where the file has several.

    Raises:
        InputError: If an object is drawn in another way than the file format means, or none covers a pixel.
    """
    objects = list(found)
    left_out = tuple(entry for entry in objects if isinstance(entry, Undrawn))
    drawing = Drawing([entry for entry in objects if isinstance(entry, Region)], size, left_out)
    on = f" of {image}" if image else ""
    _warn_of_cut_objects(drawing.regions, source, on)
    if not left_out:
        return drawing
    reasons = some([str(entry) for entry in left_out])
    systematic = next((entry for entry in left_out if entry.systematic), None)
    if systematic is not None or not drawing.regions:
        number = f"{len(left_out)} of {counted(len(objects), 'object')}{on}"
        raise InputError(
            f"{source}: each object must cover pixels. Received {number} that cover none: "
            f"{systematic or reasons}. Correct or remove them."
        )
    warnings.warn(
        f"{source}: {len(left_out)} of {counted(len(objects), 'object')}{on} are not drawn: {reasons}.",
        InputWarning,
        stacklevel=3,
    )
    return drawing


def id_of(value: Any) -> int | str:
    """An id as one value, whether it was written as a number or as text.

    Example:
        >>> id_of("7"), id_of(7.0), id_of("im_7")
        (7, 7, 'im_7')
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = str(value).strip()
    return int(text) if text.isdecimal() else text


def unique(ids: Sequence[int | str], what: str, source: str) -> None:
    """Raise unless each of the ids occurs once.

    Args:
        ids: By `id_of`.
        what: "image" or "category".
        source: Names the file.
    """
    twice = [id_ for id_, count in Counter(ids).items() if count > 1]
    if twice:
        raise InputError(
            f"{source}: each {what} must have an id of its own. Received {twice[0]!r} more than once; files "
            f"that were put "
            "together must be numbered anew."
        )


def belonging(ids: Iterable[int | str], known: Iterable[int | str], what: str, source: str) -> None:
    """Raise unless each object belongs to one of the known images or categories."""
    there = set(known)
    lost = Counter(id_ for id_ in ids if id_ not in there)
    if lost:
        first = next(iter(lost))
        raise InputError(
            f"{source}: each object must belong to {what} of the file. Received "
            f"{counted(sum(lost.values()), 'object')} of "
            f"{what.removeprefix('an ').removeprefix('a ')} {first!r}, which the file does not list."
        )
