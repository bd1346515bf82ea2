"""Did it get better? In one sentence, and image by image: a model against the one before and the one that ships.

What the ledger holds of measurements comes in; nothing is computed on images here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cathode_tf.rounds.project import Project
from cathode_tf.rounds.promotion import compare_models, judge
from cathode_tf.rounds.state import ImageState, ModelState, State
from cathode_tf.words import counted

LEAST = 0.005
"""A change of Dice below this is none that a person would see."""


def what_changed(project: Project, number: int | None = None) -> dict[str, Any] | None:
    """The newest model (or the one of this number) beside what it has to beat.

    Returns:
        JSON-able: `model`, `before` (names), `sentence`, `advice` (`promote`, `keep`, `first` or
        `unmeasured`), `reason`, `dice` (by who: `model`, `before`, `default`), `phases` (gain by name) and `images`
        (each test image's Dice); None where there is no model yet.
    """
    state = project.state
    if not state.models:
        return None
    model = state.models[max(state.models) if number is None else number]
    before = _before(state, model)
    tests = state.annotated("test")
    found: dict[str, Any] = {
        "model": model.name,
        "before": before.name if before else None,
        "stable": state.champion is model,
        "was_stable": model.number in state.champions,
        "images": [],
        "dice": {},
        "phases": {},
    }
    measured = [image for image in tests if _row(model.test, image)]
    if not measured:
        waiting = [image.name for image in state.images.values() if image.role == "test"]
        where = f" ({', '.join(waiting[:3])})" if waiting else ""
        return found | {
            "advice": "unmeasured",
            "reason": "",
            "sentence": f"Model {model.name} is trained. How good it is can be said when a test image{where} is "
            "corrected: it measures, and is never learned from.",
        }
    tests_of = {"model": model.test, "default": state.baseline}
    if before is not None:
        tests_of["before"] = before.test
    for who, test in tests_of.items():
        values = [row["mean"] for image in measured if (row := _row(test, image))]
        if len(values) == len(measured):
            found["dice"][who] = round(float(np.mean(values)), 4)
    found["images"] = [
        {
            "key": image.key,
            "name": image.name,
            **{who: row["mean"] for who, test in tests_of.items() if (row := _row(test, image))},
        }
        for image in measured
    ]
    rival = "before" if "before" in found["dice"] else "default" if "default" in found["dice"] else None
    if rival:
        found["phases"] = _gains(project, measured, tests_of[rival], model.test)
    found |= _advice(project, before, model, measured)
    return found | {"sentence": _sentence(model, found, len(measured), rival)}


def _before(state: State, model: ModelState) -> ModelState | None:
    """What the model has to beat: the champion, or, if it is that itself, the champion before it."""
    champions = [state.models[number] for number in state.champions if number < model.number]
    champion, is_one = state.champion, model.number in state.champions
    if champion is not None and champion.number != model.number and not is_one:
        return champion
    return champions[-1] if champions else None


def _row(test: dict[str, Any], image: ImageState) -> dict[str, Any] | None:
    row = test.get(image.key)
    return row if row and row["revision"] == image.revisions else None


def _gains(
    project: Project, images: list[ImageState], old: dict[str, Any], new: dict[str, Any]
) -> dict[str, float]:
    gains = {}
    for name in project.phases.names:
        pairs = [
            (a["dice"][name], b["dice"][name])
            for image in images
            if (a := _row(old, image)) and (b := _row(new, image))
        ]
        pairs = [(a, b) for a, b in pairs if a is not None and b is not None]
        if pairs:
            gains[name] = round(float(np.mean([b - a for a, b in pairs])), 4)
    return gains


def _advice(
    project: Project, before: ModelState | None, model: ModelState, measured: list[ImageState]
) -> dict[str, str]:
    rival = project.state.baseline if before is None else before.test
    if any(_row(rival, image) is None for image in measured):
        return {"advice": "first", "reason": "There is no other model to compare it with."}
    if len(measured) < len(project.state.annotated("test")):
        return {"advice": "unmeasured", "reason": "Some test images were corrected since."}
    verdict = judge(compare_models(project, before, model))
    return {"advice": "promote" if verdict.promote else "keep", "reason": verdict.reason}


def _sentence(model: ModelState, found: dict[str, Any], tests: int, rival: str | None) -> str:
    dice = found["dice"]
    parts = [f"On your {counted(tests, 'test image')}: mean Dice {dice['model']:.2f}"]
    if "before" in dice:
        parts.append(f"before {dice['before']:.2f}")
    if "default" in dice:
        parts.append(f"the default model {dice['default']:.2f}")
    text = ", ".join(parts)
    gains = found["phases"]
    if rival and gains:
        best, worst = max(gains, key=gains.__getitem__), min(gains, key=gains.__getitem__)
        moved = []
        if gains[best] >= LEAST:
            moved.append(f"{best} gained most ({gains[best]:+.2f})")
        if gains[worst] <= -LEAST:
            moved.append(f"{worst} lost ({gains[worst]:+.2f})".replace("-", "−"))
        text += f"; {' and '.join(moved)}" if moved else "; no phase moved"
    few = " One test image proves little: correct another." if tests == 1 else ""
    return f"{text}.{few}"
