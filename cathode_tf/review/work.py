"""What the jobs of a page do: a project and what was asked in, files and events of the project out.

Each kind calls the functions that its verb on the command line calls, and goes on where a killed one was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from cathode_tf.errors import InputError
from cathode_tf.review import forecast
from cathode_tf.rounds import Project
from cathode_tf.rounds.state import OPEN, ImageState


class Ended(Exception):
    """The person asked for an end: `state` is `stopped` or `paused`."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Stages:
    """How far work of several stages is, and how long it will still take.

    Args:
        expected: Label that a stage's progress is told under, and how long it takes, seconds; in order.
        may_not_end: Whether stopping or pausing between two images is out of the question.
    """

    def __init__(self, expected: Sequence[tuple[str, float]], *, may_not_end: bool = False) -> None:
        self.expected = list(expected)
        self.may_not_end = may_not_end
        self.at, self.part = 0, 0.0
        self.left: float | None = None
        self._began = time.monotonic()

    def heard(self, label: str, done: float, total: float | None, left_s: float | None) -> None:
        """A stage tells of its progress."""
        for index, (name, _) in enumerate(self.expected):
            if name == label and index > self.at:
                self.at, self._began = index, time.monotonic()
        if self.expected and self.expected[self.at][0] == label:
            self.part = min(1.0, done / total) if total else 0.0
            spent = time.monotonic() - self._began
            # Two of ten tell more than one, whose first call also compiles.
            pace = spent / self.part - spent if self.part and done > 1 else None
            self.left = left_s if left_s is not None else pace

    def share(self) -> float:
        """0-1 of all stages, by the time they take."""
        whole = sum(seconds for _, seconds in self.expected) or 1.0
        before = sum(seconds for _, seconds in self.expected[: self.at])
        return min(1.0, (before + self.part * self.expected[self.at][1]) / whole)

    def left_s(self) -> float:
        """Seconds to go."""
        mine = self.expected[self.at][1] * (1 - self.part) if self.left is None else self.left
        return round(mine + sum(seconds for _, seconds in self.expected[self.at + 1 :]), 1)


Note = Callable[..., None]


class Work(Protocol):
    """One job: `stages`, and `run`, which may note facts in the job's state and gives its result."""

    stages: Stages

    def run(self, note: Note) -> dict[str, Any]:
        """Do it."""


class Propose:
    """Masks by the present model, for a few images to look at first, or for all that wait."""

    def __init__(self, project: Project, options: dict[str, Any], who: str, state: dict[str, Any]) -> None:
        self.project, self.who = project, who
        self.only = options.get("only")
        waiting = project.state.with_status(*OPEN)
        chosen = [image for image in waiting if self.only is None or image.key in self.only]
        expected = forecast.propose_seconds(chosen, options.get("pace") or forecast.PACE)
        self.stages = Stages([("Proposing", expected)])

    def run(self, note: Note) -> dict[str, Any]:
        from cathode_tf.rounds import propose

        began = time.monotonic()
        ranked = propose(self.project, only=self.only, who=self.who)
        pixels = sum(
            image.height * image.width
            for row in ranked
            if (image := self.project.image(row["key"])).proposal is not None
        )
        seconds = time.monotonic() - began
        # What each image costs beside its pixels is told by `propose_seconds`; here are the pixels alone.
        pace = max(seconds - forecast.IMAGE_S * len(ranked), 0.2 * seconds) / max(pixels / 1e6, 1e-6)
        return {
            "keys": [row["key"] for row in ranked],
            "seconds": round(seconds, 1),
            "s_per_megapixel": round(pace, 2),
        }


class Train:
    """Learn from all that is annotated, then measure every model on the test images."""

    def __init__(self, project: Project, options: dict[str, Any], who: str, state: dict[str, Any]) -> None:
        self.project, self.who = project, who
        self.minutes = float(options.get("minutes") or forecast.LEAST_MINUTES)
        if not (math.isfinite(self.minutes) and 0 < self.minutes <= 24 * 60):
            raise InputError(f"minutes: must be above 0, at most a day. Received {self.minutes:g}.")
        self.how = training_options(options.get("how") or {})
        self.model = state.get("model")  # trained by a process that was killed before it measured
        self.stages = Stages(forecast.training_stages(project, 60 * self.minutes, options.get("pace")))

    def run(self, note: Note) -> dict[str, Any]:
        from cathode_tf.rounds import evaluate_models, promote, train_round
        from cathode_tf.rounds.verdict import what_changed

        if self.model is None:
            limit = 60 * self.minutes
            model = train_round(self.project, who=self.who, time_limit_s=limit, patience=1.0, **self.how)
            self.model = model.number
            note(model=self.model)
        state = self.project.state
        if state.annotated("test"):
            evaluate_models(self.project, who=self.who)
            if (
                state.champion is None and self.model not in state.refused
            ):  # the first takes over if it beats default
                promote(self.project, model=self.model, who=self.who)
        return {"model": self.model, "verdict": what_changed(self.project, self.model)}


class Apply:
    """Masks for all images of the project, or of another folder; each is kept as it is made."""

    def __init__(self, project: Project, options: dict[str, Any], who: str, state: dict[str, Any]) -> None:
        self.project, self.folder = project, options.get("folder")
        waiting = [] if self.folder else project.state.with_status(*OPEN)
        expected = forecast.apply_seconds(waiting, options.get("pace") or forecast.PACE)
        self.stages = Stages([("Segmenting", expected or 60.0)])

    def run(self, note: Note) -> dict[str, Any]:
        from cathode_tf.review.batch import apply_to_folder, apply_to_project

        if self.folder:
            return apply_to_folder(self.project, Path(self.folder))
        return apply_to_project(self.project)


class Report:
    """Numbers with intervals, tables and one page, from the masks that `Apply` left."""

    def __init__(self, project: Project, options: dict[str, Any], who: str, state: dict[str, Any]) -> None:
        self.project, self.batch = project, str(options.get("batch") or "project")
        self.stages = Stages(forecast.report_stages(project, self.batch, options.get("pace")))

    def run(self, note: Note) -> dict[str, Any]:
        from cathode_tf.review.report import report_on

        return report_on(self.project, self.batch)


TRAINING = {"start": ("champion", "default", "scratch"), "preset": ("small", "base", "large")}
"""What a page may ask of a training beside its minutes, as the verb does."""


def training_options(asked: dict[str, Any]) -> dict[str, Any]:
    """The options of a training that were asked for, none that are not offered.

    Raises:
        InputError: If one is unknown.
    """
    for name, value in asked.items():
        if value not in TRAINING.get(name, ()):
            offered = "; ".join(f"{key}: {', '.join(values)}" for key, values in TRAINING.items())
            raise InputError(f"train: must be told one of {offered}. Received {name}: {value!r}.")
    return dict(asked)


WORK: dict[str, Callable[[Project, dict[str, Any], str, dict[str, Any]], Work]] = {
    "propose": Propose,
    "train": Train,
    "apply": Apply,
    "report": Report,
}


def first_three(project: Project) -> list[ImageState]:
    """A few images to look at first: one that measures, and two to learn from that lie apart in the list."""
    waiting = [image for image in project.state.queue() if image.proposal is None] or project.state.queue()
    pool = [image for image in waiting if image.role == "pool"]
    tests = [image for image in waiting if image.role == "test"]
    chosen = [*pool[:1], *tests[:1], *pool[len(pool) // 2 :][:1]]
    unique = {image.key: image for image in [*chosen, *waiting]}
    return list(unique.values())[:3]


def newest_history(project: Project) -> list[dict[str, float]]:
    """`minutes` and validation `mean_dice` after each epoch of the newest run, a running one too."""
    import csv

    paths = sorted((project.path / "runs").glob("*/history.csv"))
    if not paths:
        return []
    with open(paths[-1], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        {"minutes": round(float(row["seconds"]) / 60, 3), "mean_dice": round(float(row["mean_dice"]), 4)}
        for row in rows
    ]
