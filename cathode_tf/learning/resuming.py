"""A run's folder and the options of today in, how far that run got out: a run that was cut off goes on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.files import read_json, refuse_overwrite
from cathode_tf.learning import run_folder
from cathode_tf.learning.run_folder import Progress
from cathode_tf.words import counted

ENDS = ("epochs", "time_limit_s")
"""The options that say when a run ends; a run that has not ended may be given others."""


def resume_or_begin(folder: Path, config: dict[str, Any], force: bool) -> Progress:
    """The progress to go on from; a folder of another run, or of something else, is refused.

    A run that has not ended may be given another end, which its schedule then follows.
    """
    if force:
        return Progress()
    if not (folder / run_folder.CONFIG).exists():
        refuse_overwrite(folder)
        return Progress()
    before = read_json(folder / run_folder.CONFIG)
    for name, value in config.items():
        if name not in ENDS and before.get(name) != value:
            raise InputError(
                f"{folder}: holds a run with {name} {before.get(name)}. Received {value}. "
                "Give the same to go on with it, another folder, or --force to replace it."
            )
    progress = run_folder.load_progress(folder) or Progress()
    if any(before.get(name) != config[name] for name in ENDS):
        if progress.stopped:
            raise InputError(
                f"{folder}: holds a run that has ended ({progress.stopped}, {counted(progress.epoch, 'epoch')}), its "
                f"learning rate run down. To train on from its best model, give --from {folder} and another --out."
            )
        print(
            f"{folder}: goes on after {counted(progress.epoch, 'epoch')} and {progress.elapsed_s / 60:.1f} min, now to "
            f"{_end(config)} (was {_end(before)}); the learning rate follows the new end.",
            file=sys.stderr,
            flush=True,
        )
    # As a share of the end that holds now; a kill may have left one of another.
    progress.best_at = _best_at(progress, config)
    return progress


def _end(config: dict[str, Any]) -> str:
    """When a run ends, in words."""
    epochs, seconds = (config.get(name) for name in ENDS)
    words = [counted(epochs, "epoch")] if epochs else []
    words += [f"{seconds / 60:.3g} min"] if seconds else []
    return " or ".join(words)


def _best_at(progress: Progress, config: dict[str, Any]) -> float:
    """At which share (0-1) of the run, as `config` ends it, the best validation was; 0 before the first."""
    for row in progress.history:
        if row["mean_dice"] == progress.best_dice:
            reached = zip((row["epoch"], row["seconds"]), (config[name] for name in ENDS), strict=True)
            return min(max(value / end for value, end in reached if end), 1.0)
    return 0.0
