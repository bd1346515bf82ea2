"""Whole outlines of particles that may overlap in; the label image of what is seen of each, and which are lost, out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Outline = tuple[tuple[slice, slice], np.ndarray]
"""Where the box of a particle lies, and its pixels within the box, Boolean."""

ON_TOP = 0.6
"""A particle of which so much lies within a larger one sits on it: behind it, it would not have been seen."""


def label_visible(
    outlines: Sequence[Outline], shape: tuple[int, int], grey: np.ndarray | None = None
) -> tuple[np.ndarray, list[int]]:
    """Who is seen where outlines overlap, as annotators draw particles whole that others hide in part.

    Pixels that two claim go to the one they look like: to whose own pixels their grey is nearer. Without a micrograph,
    or where the smaller one sits on the larger, the smaller one is in front.

    Args:
        outlines: One a particle; `imaging.read_instances` gives them as `(region.window, region.inside)`.
        shape: (height, width) of the image.
        grey: Its micrograph (height, width).

    Returns:
        int32 (height, width), particle k as k + 1, 0 = none; and the k of every particle that no pixel is left of.

    Example:
        >>> square = np.ones((4, 4), bool)
        >>> grey = np.full((4, 7), 50); grey[:, :4] = 200
        >>> labels, lost = label_visible(
        ...     [((slice(0, 4), slice(0, 4)), square), ((slice(0, 4), slice(3, 7)), square)], (4, 7), grey)
        >>> labels[0].tolist(), lost
        ([1, 1, 1, 1, 2, 2, 2], [])
    """
    labels = np.zeros(shape, np.int32)
    areas = np.array([int(inside.sum()) for _, inside in outlines])
    order = np.argsort(-areas, kind="stable")
    for k in order:
        window, inside = outlines[k]
        labels[window][inside] = k + 1
    if grey is not None:
        claimed = np.zeros(shape, np.int32)
        for window, inside in outlines:
            claimed[window] += inside
        _by_looks(labels, outlines, areas, claimed, np.asarray(grey))
    seen = np.bincount(labels.ravel(), minlength=len(outlines) + 1)[1:]
    return labels, np.flatnonzero(seen == 0).tolist()


def _by_looks(
    labels: np.ndarray, outlines: Sequence[Outline], areas: np.ndarray, claimed: np.ndarray, grey: np.ndarray
) -> None:
    """Give pixels that two particles claim back to the larger one where they look like it."""
    looks = [_look(grey[window][inside & (claimed[window] == 1)]) for window, inside in outlines]
    for small in np.argsort(areas, kind="stable").tolist():
        window, inside = outlines[small]
        for large in np.flatnonzero(areas >= areas[small]).tolist():
            if large == small:
                continue
            both = _common(window, inside, *outlines[large])
            if both is None:
                continue
            place, shared = both
            if shared.sum() > ON_TOP * areas[small] or not shared.any():
                continue
            mine, theirs = looks[small], looks[large]
            if mine is None or theirs is None:
                continue
            seen = float(np.median(grey[place][shared]))
            if abs(seen - theirs) < abs(seen - mine):
                here = labels[place]
                here[shared & (here == small + 1)] = large + 1


def _look(pixels: np.ndarray) -> float | None:
    return float(np.median(pixels)) if pixels.size else None


def _common(
    window: tuple[slice, slice], inside: np.ndarray, other_window: tuple[slice, slice], other: np.ndarray
) -> tuple[tuple[slice, slice], np.ndarray] | None:
    """Where two particles overlap: the box, and their common pixels in it."""
    place = tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(window, other_window, strict=True)
    )
    if any(part.start >= part.stop for part in place):
        return None
    mine, theirs = (
        pixels[tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(place, box, strict=True))]
        for pixels, box in ((inside, window), (other, other_window))
    )
    return (place[0], place[1]), mine & theirs
