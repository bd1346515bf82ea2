"""Where a project stands: counts, models and what they reached, what the next ten images are worth, what to do next."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from cathode_tf.learning.counterparts import translation
from cathode_tf.phases import Phases
from cathode_tf.rounds.curve import Advice, advise, fit_curve
from cathode_tf.rounds.project import Project
from cathode_tf.rounds.promotion import difference
from cathode_tf.rounds.state import ModelState, State


def project_status(project: Project) -> dict[str, Any]:
    """JSON-able status of a project, as the page and `rounds status` show it."""
    state = project.state
    counts: dict[str, int] = {}
    for image in state.images.values():
        counts[image.status] = counts.get(image.status, 0) + 1
    champion, challenger = state.champion, state.challenger
    models = [_model_row(state, model) for model in state.models.values()]
    points = [model for model in state.models.values() if _measured(state, model) is not None]
    curve = None
    if points:
        table = np.array([_measured(state, model) for model in points])
        curve = fit_curve(np.array([len(model.images) for model in points]), table)
    advice = advise(curve)
    if not state.annotated("pool"):
        advice = Advice("go on", "Nothing is annotated to learn from yet; annotate a few images first.")
    return {
        "name": state.name,
        "round": state.round,
        "images": len(state.images),
        "counts": counts,
        "test_images": sum(image.role == "test" for image in state.images.values()),
        "test_annotated": len(state.annotated("test")),
        "pool_annotated": len(state.annotated("pool")),
        "minutes": round(state.minutes, 2),
        "champion": champion.name if champion else None,
        "challenger": challenger.name if challenger else None,
        "phases": [{"name": p.name, "color": p.color} for p in project.phases.entries],
        "models": models,
        "change": _change(project),
        "proposals": _proposal_rows(state),
        "curve": asdict(curve) if curve else None,
        "advice": asdict(advice),
        "next": next_step(project),
    }


def _measured(state: State, model: ModelState) -> list[float] | None:
    """Mean Dice on each annotated test image, or None where some is missing or was corrected since."""
    tests = state.annotated("test")
    rows = [model.test.get(image.key) for image in tests]
    if not tests or any(r is None or r["revision"] != i.revisions for r, i in zip(rows, tests, strict=True)):
        return None
    return [row["mean"] for row in rows if row is not None]


def _model_row(state: State, model: ModelState) -> dict[str, Any]:
    values = _measured(state, model)
    row: dict[str, Any] = {
        "name": model.name,
        "round": model.round,
        "images": len(model.images),
        "minutes": model.minutes,
        "start": model.start,
        "stable": state.champion is model,
        "was_stable": model.number in state.champions,
        "dice": None,
        "low": None,
        "high": None,
        "by_phase": {},
    }
    if values:
        # The same bootstrap as for differences, against zero.
        found = difference("mean Dice", [0.0] * len(values), values)
        low, high = (end if end is None else min(1.0, max(0.0, end)) for end in (found.low, found.high))
        row |= {"dice": found.difference, "low": low, "high": high}
        names = next(iter(model.test.values()))["dice"]
        for name in names:
            phase = [r["dice"][name] for r in model.test.values() if r["dice"][name] is not None]
            row["by_phase"][name] = float(np.mean(phase)) if phase else None
    return row


def _change(project: Project) -> dict[str, Any] | None:
    """The newest comparison between two models, promoted or refused."""
    for event in reversed(project.ledger.events()):
        if event["event"] in ("promote", "refuse") and "differences" in event:
            return {
                "champion": "default" if event["champion"] is None else f"{event['champion']:03d}",
                "challenger": f"{event['model']:03d}",
                "promoted": event["event"] == "promote",
                "forced": event.get("forced", False),
                "reason": event["reason"],
                "differences": event["differences"],
            }
    return None


def _proposal_rows(state: State) -> list[dict[str, Any]]:
    """For each round: how good the proposals were before anyone corrected them, and what correcting cost."""
    rows: dict[int, list[dict[str, Any]]] = {}
    for review in state.reviews:
        if review["decision"] == "accept":
            rows.setdefault(review["round"], []).append(review)
    table = []
    for number, reviews in sorted(rows.items()):
        dice = [r["dice"]["mean"] for r in reviews if r["dice"] and r["dice"]["mean"] is not None]
        minutes = [r["minutes"] for r in reviews]
        table.append(
            {
                "round": number,
                "images": len(reviews),
                "untouched": sum(r["untouched"] for r in reviews),
                "dice": float(np.mean(dice)) if dice else None,
                "minutes_each": float(np.mean(minutes)),
            }
        )
    return table


def next_step(project: Project) -> str:
    """The command that brings the project on."""
    state, path = project.state, project.path
    pool = {image.key for image in state.annotated("pool")}
    if not pool:
        if not state.round and translation(Phases.default(), project.phases) is not None:
            return (
                f"Let the model that comes with the package propose masks: cathode-tf rounds propose {path}"
            )
        return f"Annotate an image or two: cathode-tf review {path}"
    if state.champion is None and not state.models:
        return f"Train the first model: cathode-tf rounds train {path}"
    if state.challenger is not None and state.challenger.number not in state.refused:
        if not state.annotated("test"):
            return f"Annotate a test image, then compare the models: cathode-tf review {path}"
        rival = "champion" if state.champion else "model that comes with the package"
        return f"Compare the new model with the {rival}: cathode-tf rounds promote {path}"
    learned = set(state.models[max(state.models)].images)
    number = state.champion.number if state.champion else "default"
    if pool - learned and not any(i.status == "proposed" for i in state.queue()[:1]):
        return f"Learn from what was annotated since: cathode-tf rounds train {path}"
    if any(image.status == "new" for image in state.images.values()) or not any(
        image.proposal and image.proposal["model"] == number for image in state.queue()
    ):
        if state.queue():
            return f"Let the model propose masks for the other images: cathode-tf rounds propose {path}"
        model = (
            f"{path}/models/stable.keras"
            if state.champion
            else "the model that comes with the package (default)"
        )
        return f"Every image is annotated. Segment new ones with {model}"
    if pool - learned:
        return f"Review more proposals (cathode-tf review {path}), or learn: cathode-tf rounds train {path}"
    return f"Review the first proposals of the queue: cathode-tf review {path}"


def status_text(status: dict[str, Any]) -> str:
    """The status for a terminal."""
    counts = ", ".join(f"{count} {name}" for name, count in status["counts"].items())
    lines = [
        f"{status['name']}: round {status['round']}, {status['images']} images ({counts})",
        f"Annotated: {status['pool_annotated']} to learn from, "
        f"{status['test_annotated']} of {status['test_images']} test images; "
        f"{status['minutes']:.1f} min of work",
    ]
    if status["models"]:
        lines += ["", "model  round  images  minutes  mean Dice on the test images"]
        for row in status["models"]:
            lines.append(
                f"{row['name']:<5}  {row['round']:>5}  {row['images']:>6}  {row['minutes']:>7.1f}  "
                f"{_interval(row)}{'  <- stable' if row['stable'] else ''}"
            )
    if status["proposals"]:
        lines += ["", "round  reviewed  untouched  Dice before correction  minutes each"]
        for row in status["proposals"]:
            dice = "-" if row["dice"] is None else f"{row['dice']:.3f}"
            lines.append(
                f"{row['round']:>5}  {row['images']:>8}  {row['untouched']:>9}  {dice:>22}  "
                f"{row['minutes_each']:>12.1f}"
            )
    lines += ["", f"{status['advice']['decision'].capitalize()}: {status['advice']['because']}"]
    return "\n".join([*lines, f"Next: {status['next']}"])


def _interval(row: dict[str, Any]) -> str:
    if row["dice"] is None:
        return "not measured"
    if row["low"] is None:
        return f"{row['dice']:.3f} (one image)"
    return f"{row['dice']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
