"""The ledger for people: one line an event."""

from __future__ import annotations

from typing import Any

from cathode_tf.rounds.state import State
from cathode_tf.words import counted


def event_line(event: dict[str, Any], state: State) -> str:
    """Time, person and what happened, in one line.

    Args:
        event: An event of the ledger.
        state: For the names of images.
    """
    describe = _LINES.get(event["event"])
    what = describe(event, state) if describe else event["event"]
    return f"{event['n']:>4}  {event['at'][:16].replace('T', ' ')}  {event['who']:<10}  {what}"


def _review(event: dict[str, Any], state: State) -> str:
    image = state.images[event["key"]].name
    if event["decision"] != "accept":
        return f"{event['decision']} {image}"
    changed = sum(phase["gained"] for phase in event["pixels_changed"].values())
    dice = event["dice"]["mean"] if event["dice"] else None
    before = "" if dice is None else f", Dice of the proposal {dice:.3f}"
    touched = "untouched" if event["untouched"] else f"{changed} pixels changed"
    return f"accept {image}: {touched}{before}, {event['minutes']:.1f} min"


def _promote(event: dict[str, Any], state: State) -> str:
    forced = " by force" if event.get("forced") else ""
    return f"promote model {event['model']:03d}{forced}: {event['reason']}"


def _train(event: dict[str, Any], state: State) -> str:
    return (
        f"train model {event['model']:03d} on {counted(len(event['images']), 'image')} from {event['start']}, "
        f"validation Dice {event['validation_dice']:.3f}"
    )


def _evaluate(event: dict[str, Any], state: State) -> str:
    values = [row["mean"] for row in event["test"].values()]
    mean = sum(values) / len(values)
    return f"measure model {event['model']:03d} on {counted(len(values), 'test image')}: mean Dice {mean:.3f}"


def _particles(event: dict[str, Any], state: State) -> str:
    kept = "in use now" if event["kept"] else "not kept"
    return (
        f"learn particles from {len(event['images'])} corrected images, AP50 on {len(event['held_back'])} held back "
        f"{event['ap50_before']:.3f} -> {event['ap50_after']:.3f}: {kept}"
    )


_LINES = {
    "init": lambda event, state: f"begin project {event['name']} ({', '.join(event['phases'])})",
    "image": lambda event, state: f"add image {event['name']} ({event['role']})",
    "propose": lambda event, state: (
        f"round {event['round']}: model {event['model']:03} proposes {len(event['proposals'])} masks"
    ),
    "review": _review,
    "train": _train,
    "evaluate": _evaluate,
    "particles": _particles,
    "promote": _promote,
    "baseline": lambda event, state: (
        f"measure the default model on {counted(len(event['test']), 'test image')}"
    ),
    "scale": lambda event, state: (
        f"pixel size {event['pixel_size_nm']:.5g} nm for {len(event['keys'])} images, {event['pixel_size_source']}"
    ),
    "phases": lambda event, state: f"switch off {', '.join(event['off']) or 'no phase'}",
    "regroup": lambda event, state: (
        f"choose test images: {', '.join(state.images[key].name for key in event['tests'])}"
        if "tests" in event
        else f"group {len(event['images'])} images anew"
    ),
    "refuse": lambda event, state: f"refuse model {event['model']:03d}: {event['verdict']}",
    "rollback": lambda event, state: f"roll back model {event['model']:03d}: {event['reason']}",
}
