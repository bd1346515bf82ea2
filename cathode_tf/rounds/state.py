"""What a project looks like now: a fold over the events of its ledger, and nothing else.

Events come in; images with their status, rounds, models and the champion go out. The files of a
project are always written before the event that names them, so every name in here exists.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

OPEN = ("new", "proposed", "skipped")
"""The states of an image that still waits for a person."""


@dataclass
class ImageState:
    """One image of a project.

    Attributes:
        key: First 16 digits of the SHA-256 of its pixels; names all its files.
        name: What the user called it.
        role: `"pool"` (may be trained on) or `"test"` (frozen, only ever measured on).
        group: Images of one stack, electrode or session share it.
        status: `new`, `proposed`, `skipped`, `accepted` or `rejected`.
        proposal: The latest proposal (`round`, `model`, `score`, `rank` ...), or None.
        mask: Path of the accepted mask within the project, or None.
        mask_round: Round in which that mask was accepted.
        annotator: Who accepted it.
        origin: `human` (drawn or brought along) or `corrected` (began as a proposal).
        revisions: How many masks were saved for it.
        minutes: Time people spent on it, idle time excluded.
    """

    key: str
    name: str
    role: str
    group: str
    height: int
    width: int
    pixel_size_nm: float | None = None
    pixel_size_source: str = ""
    acquisition: dict[str, Any] = field(default_factory=dict)
    status: str = "new"
    proposal: dict[str, Any] | None = None
    mask: str | None = None
    mask_round: int = 0
    annotator: str = ""
    origin: str = ""
    revisions: int = 0
    minutes: float = 0.0

    @property
    def path(self) -> str:
        """Its pixels, within the project."""
        return f"images/{self.key}.png"


@dataclass
class ModelState:
    """One trained model.

    Attributes:
        number: 1, 2 ...
        round: The round that made it.
        path: Its `.keras` file within the project.
        run: Its run's folder within the project.
        records: `path`, `version` and `fingerprint` of what it learned from.
        start: What it began with: a model's name, `"default"` or `"scratch"`.
        images: Keys of the images it learned from.
        minutes: Minutes people had spent on the project by then.
        test: By key of the test image: `revision` of its mask, `dice` by phase, `mean`.
    """

    number: int
    round: int
    path: str
    run: str
    records: dict[str, Any]
    start: str
    images: list[str]
    minutes: float
    test: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`"003"`."""
        return f"{self.number:03d}"


@dataclass
class State:
    """A project as of its last event.

    Attributes:
        name: The project's name.
        images: By key, in the order they were added.
        models: By number.
        champions: Numbers of the models that were `stable`, the present one last.
        round: The round people work in now: 0 before the first proposals.
        reviews: Every decision of a person, oldest first.
        refused: Numbers of the models that were compared and not promoted.
        off: Names of the phases that were switched off: neither proposed nor learned.
        baseline: As `ModelState.test`, of the model that ships with the package.
    """

    name: str = ""
    images: dict[str, ImageState] = field(default_factory=dict)
    models: dict[int, ModelState] = field(default_factory=dict)
    champions: list[int] = field(default_factory=list)
    round: int = 0
    reviews: list[dict[str, Any]] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    off: tuple[str, ...] = ()
    baseline: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def champion(self) -> ModelState | None:
        """The model behind `stable`."""
        return self.models[self.champions[-1]] if self.champions else None

    @property
    def challenger(self) -> ModelState | None:
        """The newest model, unless it is or was the champion."""
        newest = max(self.models, default=None)
        return None if newest is None or newest in self.champions else self.models[newest]

    @property
    def minutes(self) -> float:
        """Minutes people spent on images so far."""
        return sum(image.minutes for image in self.images.values())

    def with_status(self, *statuses: str) -> list[ImageState]:
        """The images in one of these states."""
        return [image for image in self.images.values() if image.status in statuses]

    def annotated(self, role: str | None = None) -> list[ImageState]:
        """The images with an accepted mask (of one role)."""
        return [i for i in self.with_status("accepted") if role is None or i.role == role]

    def queue(self) -> list[ImageState]:
        """The images that wait for a person: best ranked first, skipped ones last."""

        def place(image: ImageState) -> tuple[bool, float, bool]:
            rank = image.proposal["rank"] if image.proposal else float("inf")
            return image.status == "skipped", rank, image.role == "test"

        return sorted(self.with_status(*OPEN), key=place)


def fold(events: Iterable[dict[str, Any]]) -> State:
    """The state after these events; an event that this version does not know changes nothing."""
    state = State()
    for event in events:
        apply = _APPLY.get(event["event"])
        if apply:
            apply(state, event)
    return state


def _init(state: State, event: dict[str, Any]) -> None:
    state.name = event["name"]


def _image(state: State, event: dict[str, Any]) -> None:
    known = {f.name for f in dataclasses.fields(ImageState)}
    image = ImageState(**{name: value for name, value in event.items() if name in known})
    state.images[image.key] = image


def _propose(state: State, event: dict[str, Any]) -> None:
    state.round = event["round"]
    for proposal in event["proposals"]:
        image = state.images[proposal["key"]]
        # A test image keeps its first proposal, which then names round and model itself.
        image.proposal = {"round": event["round"], "model": event["model"], **proposal}
        if image.status == "new":
            image.status = "proposed"


def _review(state: State, event: dict[str, Any]) -> None:
    image = state.images[event["key"]]
    image.minutes += event.get("minutes", 0.0)
    state.reviews.append(event)
    image.status = {"accept": "accepted", "reject": "rejected", "skip": "skipped"}[event["decision"]]
    if event["decision"] == "accept":
        image.mask, image.mask_round = event["mask"], event["round"]
        image.annotator, image.origin = event["who"], event["origin"]
        image.revisions = event["revision"]


def _train(state: State, event: dict[str, Any]) -> None:
    model = ModelState(
        number=event["model"],
        round=event["round"],
        path=event["path"],
        run=event["run"],
        records=event["records"],
        start=event["start"],
        images=event["images"],
        minutes=event["minutes"],
    )
    state.models[model.number] = model


def _evaluate(state: State, event: dict[str, Any]) -> None:
    state.models[event["model"]].test.update(event["test"])


def _baseline(state: State, event: dict[str, Any]) -> None:
    state.baseline.update(event["test"])


def _scale(state: State, event: dict[str, Any]) -> None:
    for key in event["keys"]:
        image = state.images[key]
        image.pixel_size_nm, image.pixel_size_source = event["pixel_size_nm"], event["pixel_size_source"]


def _phases(state: State, event: dict[str, Any]) -> None:
    state.off = tuple(event["off"])


def _regroup(state: State, event: dict[str, Any]) -> None:
    for key, (group, role) in event["images"].items():
        state.images[key].group, state.images[key].role = group, role


def _promote(state: State, event: dict[str, Any]) -> None:
    state.champions.append(event["model"])
    state.refused.discard(event["model"])


def _refuse(state: State, event: dict[str, Any]) -> None:
    state.refused.add(event["model"])


def _rollback(state: State, event: dict[str, Any]) -> None:
    state.refused.add(state.champions.pop())


_APPLY = {
    "init": _init,
    "image": _image,
    "propose": _propose,
    "review": _review,
    "train": _train,
    "evaluate": _evaluate,
    "baseline": _baseline,
    "scale": _scale,
    "phases": _phases,
    "regroup": _regroup,
    "promote": _promote,
    "refuse": _refuse,
    "rollback": _rollback,
}
