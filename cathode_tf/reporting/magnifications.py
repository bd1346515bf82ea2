"""A batch of several magnifications in, the lengths of each in a folder of its own out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cathode_tf.analysis import Analysis, analyze
from cathode_tf.reporting.report import write_report

SAME_SIZE = 1e-3
"""Pixel sizes that differ by less, relative, are the same."""


def write_by_magnification(
    analysis: Analysis,
    masks: Callable[[], Iterable[Any]],
    sizes: Mapping[str, float | None],
    folder: Path,
) -> dict[float, int]:
    """The numbers and the report of the masks of each pixel size, where a batch has several.

    Args:
        analysis: Of the whole batch; its `mixed` names the sizes, nm.
        masks: Gives (name, mask) or longer rows, one at a time; called once for each size.
        sizes: Pixel size of each image by name, nm; None = unknown: in none of the folders.
        folder: `11.16nm/` and so on are made in it.

    Returns:
        How many masks each size has.
    """
    counts = {}
    for size in analysis.mixed:
        mine = [row for row in masks() if _is(sizes[row[0]], size)]
        # `replicate` may have become "group" for images of one place; this batch finds its own.
        settings = replace(analysis.settings, replicate="image")
        found = analyze(
            mine, analysis.mask_phases or analysis.phases, pixel_size_nm=size, settings=settings,
            drawn_by=analysis.drawn_by,
        )  # fmt: skip
        found = replace(found, stories=analysis.stories, mask_files=analysis.mask_files)
        place = folder / f"{size:.4g}nm"
        place.mkdir()
        found.write_into(place)
        title = f"Cathode analysis at {size:.4g} nm a pixel"
        drawn = {name: mask for name, mask, *_ in mine}
        write_report(found, place / "report.html", masks=drawn, title=title)
        counts[size] = len(mine)
    return counts


def _is(size: float | None, other: float) -> bool:
    return size is not None and math.isclose(size, other, rel_tol=SAME_SIZE)
