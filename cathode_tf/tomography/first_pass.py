"""Slices, one by one, in; the step to the slice before and the level of the stable material of each, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256
from cathode_tf.progress import track
from cathode_tf.tomography.brightness import level_of
from cathode_tf.tomography.geometry import Settings
from cathode_tf.tomography.samples import Samples
from cathode_tf.tomography.slices import Stack
from cathode_tf.tomography.steps import Step, StepEstimator
from cathode_tf.tomography.work import Work, ahead

LOG = "found.jsonl"


@dataclass(frozen=True)
class Found:
    """What the first pass says.

    Attributes:
        entries: Of each slice: `step` and, where that was refused, `across`; `edge`; `level`; `same` as the one before.
    """

    entries: list[dict[str, Any]]

    def steps(self, key: str = "step") -> list[Step]:
        """The steps from each slice to the next."""
        return [_step(entry[key]) for entry in self.entries[1:]]

    def across(self) -> dict[int, Step]:
        """Steps over a slice that is like none of its neighbours, by number of the slice behind it."""
        return {entry["index"]: _step(entry["across"]) for entry in self.entries if "across" in entry}

    def levels(self) -> list[list[float | None] | None]:
        """Level of the stable material in each slice and its quarters."""
        return [entry.get("level") for entry in self.entries]


def first_pass(stack: Stack, settings: Settings, samples: Samples, work: Work) -> Found:
    """Look at every slice; what an earlier run has found is not looked for again.

    Raises:
        InputError: If a slice is damaged, of another size, or there twice.
    """
    estimator = StepEstimator(stack.shape) if settings.does("align") else None
    window = None if settings.edge_px is None else StepEstimator(settings.edge_px[2:])
    done = work.lines(LOG)
    first = max(0, len(done) - 2)

    def look(index: int) -> tuple[np.ndarray, Any, Any]:
        pixels = stack.read(index)
        edge = None if settings.edge_px is None else _cut(pixels, settings.edge_px)
        return (
            pixels,
            estimator.spectra(pixels) if estimator else None,
            window.spectra(edge) if window and edge is not None else None,
        )

    recent: list[tuple[Any, Any]] = []
    numbers = range(first, len(stack))
    seen = track(ahead(look, numbers), "Comparing slices", total=len(numbers))
    for index, (pixels, spectra, edge) in zip(numbers, seen, strict=True):
        recent = [*recent, (spectra, edge)][-3:]
        if index < len(done):
            continue
        entry: dict[str, Any] = {"index": index, "sha256": pixel_sha256(pixels)}
        if index and estimator:
            entry["step"] = asdict(estimator.step(recent[-2][0], spectra))
            if index > 1 and entry["step"]["refused"] and done[-1]["step"]["refused"]:
                entry["across"] = asdict(estimator.step(recent[-3][0], spectra))
        if index and window:
            entry["edge"] = asdict(window.step(recent[-2][1], edge))
        if samples.material and settings.does("brightness"):
            entry["level"] = level_of(samples.even(pixels), samples.material)
        entry["same"] = bool(done and done[-1]["sha256"] == entry["sha256"])
        work.log(LOG, entry)
        done.append(entry)
    _refuse_twice(stack, done)
    return Found(done)


def named(numbers: Sequence[int]) -> str:
    """The slices as people count them: `slices 3, 4`."""
    shown = ", ".join(str(number + 1) for number in numbers[:5])
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"slice{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _refuse_twice(stack: Stack, found: list[dict[str, Any]]) -> None:
    """A few slices that hold the pixels of the one before; if most do, it is a picture that somebody repeated."""
    same = [entry["index"] for entry in found if entry["same"]]
    if same and len(same) < len(found) / 2:
        one, other = stack.slices[same[0] - 1].name, stack.slices[same[0]].path
        raise InputError(f"{other}: each slice must be there once. It holds the very pixels of {one}.")


def _cut(pixels: np.ndarray, edge: tuple[int, int, int, int]) -> np.ndarray:
    row, column, height, width = edge
    part = pixels[max(row, 0) : row + height, max(column, 0) : column + width]
    if part.shape != (height, width) or min(part.shape) < 16:
        raise InputError(
            f"--edge-px: must be a window of at least 16 x 16 px in slices of {pixels.shape[1]} x {pixels.shape[0]} "
            f"px. Received {' '.join(map(str, edge))}."
        )
    return part


def _step(content: dict[str, Any]) -> Step:
    quarters = tuple((float(y), float(x)) for y, x in content["quarters_px"])
    y, x = (np.inf if value is None else float(value) for value in content["u_px"])
    shift = content["shift_px"]
    return Step((shift[0], shift[1]), (y, x), content["disagreement_px"] or 0.0, quarters, content["refused"])
