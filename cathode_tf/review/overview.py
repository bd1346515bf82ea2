"""What the page's stations show: how far each is, what to do next, and how long it will take here."""

from __future__ import annotations

from typing import Any

from cathode_tf.review import batch, forecast, work
from cathode_tf.review.desk import Desk
from cathode_tf.rounds import Project, knows_default
from cathode_tf.rounds.choices import PRESETS, in_words, odd_ones, phases_named
from cathode_tf.rounds.state import OPEN

STATIONS = ("images", "phases", "propose", "correct", "train", "apply", "report", "people")


def overview(desk: Desk) -> dict[str, Any]:
    """JSON-able: the desk, the project on it, its stations, and the one to go to next."""
    speed = desk.worker.speed()
    found: dict[str, Any] = {
        "who": desk.who,
        "folder": str(desk.folder) if desk.folder else None,
        "recent": desk.recent(),
        "speed": speed,
        "copying": desk.copying,
        "presets": [
            {
                "id": id_,
                "title": title,
                "phases": [{**p, "says": in_words(p["name"], names)} for p in phases_named(names).to_list()],
            }
            for id_, (title, names) in PRESETS.items()
        ],
        "project": None,
        "next": "images",
    }
    if desk.has_project:
        desk.jobs.look_after()
        found["project"] = _project(desk)
        found["next"] = found["project"].pop("next")
    return found


def _project(desk: Desk) -> dict[str, Any]:
    project = desk.project
    state = project.state
    images = list(state.images.values())
    odd = {
        image.key
        for what in ("pixel_size_nm", "width", "height")
        for image, is_odd in zip(images, odd_ones([getattr(i, what) for i in images]), strict=True)
        if is_odd
    }
    pace = forecast.pace_of(desk)
    coming = {key for job in desk.jobs.cards() if job["state"] == "running" for key in _coming(project, job)}
    rows = [
        {
            "key": image.key,
            "name": image.name,
            "width": image.width,
            "height": image.height,
            "pixel_size_nm": image.pixel_size_nm,
            "pixel_size_source": image.pixel_size_source,
            "group": image.group,
            "role": image.role,
            "status": image.status,
            "proposed": image.proposal is not None or image.key in coming,
            "unsure": image.proposal.get("mean_entropy") if image.proposal else None,
            "model": image.proposal["model"] if image.proposal else None,
            "foreign": bool(image.proposal and image.proposal.get("foreign") and image.status in OPEN),
            "odd": image.key in odd,
            **{name: image.acquisition.get(name) for name in ("vendor", "kV", "detector", "date")},
        }
        for image in images
    ]
    waiting = state.with_status(*OPEN)
    return {
        "name": state.name,
        "path": str(project.path),
        "writable": _writable(project),
        "images": rows,
        "phases": [{**p, "off": p["name"] in state.off} for p in project.phases.to_list()],
        "fixed_phases": any(image.proposal or image.revisions for image in images) or bool(state.models),
        "can_propose": state.champion is not None or knows_default(project),
        "can_propose_default": knows_default(project),
        "can_regroup": not (state.annotated() or state.models),
        "round": state.round,
        "pool_annotated": len(state.annotated("pool")),
        "test_annotated": len(state.annotated("test")),
        "test_images": sum(image.role == "test" for image in images),
        "champion": state.champion.name if state.champion else None,
        "challenger": state.challenger.name if state.challenger else None,
        "can_roll_back": len(state.champions) > (0 if knows_default(project) else 1),
        "first": [image.key for image in work.first_three(project)],
        "seconds_first": None if pace is None else forecast.propose_seconds(work.first_three(project), pace),
        "seconds_all": None if pace is None else forecast.propose_seconds(waiting, pace),
        "minutes": None if pace is None else forecast.training_minutes(project, pace),
        "step_s": None if pace is None else round(forecast.step_seconds(project, pace), 2),
        "jobs": desk.jobs.cards()[:12],
        "batches": batch.batches(project),
        "next": _next(project, desk),
    }


def _coming(project: Project, job: dict[str, Any]) -> list[str]:
    """Images of a running `propose` whose masks are there before the round is."""
    if job["kind"] != "propose":
        return []
    number = project.state.round + 1
    keys = job["options"].get("only") or [image.key for image in project.state.with_status("new")]
    return [key for key in keys if (project.path / f"proposals/{key}/r{number:03d}.json").exists()]


def _writable(project: Project) -> bool:
    import os

    return os.access(project.path, os.W_OK)


def _next(project: Project, desk: Desk) -> str:
    """The station that brings the project on: one clear next step."""
    state = project.state
    running = [job["kind"] for job in desk.jobs.cards() if job["state"] not in ("done", "failed", "stopped")]
    if running:
        return running[0]
    pool = {image.key for image in state.annotated("pool")}
    if not state.round and not pool:
        return "propose" if desk.jobs.cards() or _chosen(project) else "phases"
    if not pool or (not state.models and not state.annotated("test") and _has_tests(project)):
        return "correct"
    if not state.models or pool - set(state.models[max(state.models)].images):
        return "train"
    if state.challenger is not None and state.challenger.number not in state.refused:
        return "train"
    done = desk.jobs.latest("apply", "done")
    if done is None:
        return "apply"
    return "report"


def _has_tests(project: Project) -> bool:
    return any(image.role == "test" for image in project.state.with_status(*OPEN))


def _chosen(project: Project) -> bool:
    """Whether someone said which phases these images show."""
    return any(event["event"] == "phases" for event in project.ledger.events())
