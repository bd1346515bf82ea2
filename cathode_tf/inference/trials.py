"""The tests that a model has passed: an evaluation in, a note beside the model out, and read again with it.

A mask is worth what its model is worth on images of the same kind. So `evaluate` leaves beside the model on how many
images it was tested, with which Dice, and what they look like; `segment` takes it from there into the story of a mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from cathode_tf.errors import InputError
from cathode_tf.files import read_json, write_json
from cathode_tf.imaging.looks import alike
from cathode_tf.learning.run_folder import TRIALS


def trials_path(source: str | Path) -> Path | None:
    """Where the tests of a model are noted: in its folder, or beside its file; None for `"default"`."""
    if source == "default":
        return None
    path = Path(source)
    return path / TRIALS if path.is_dir() else path.with_name(f"{path.stem}.{TRIALS}")


def known_trials(source: str | Path, card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tests that the card and the note beside the model tell of, oldest first.

    Raises:
        InputError: If the note is damaged.
    """
    path = trials_path(source)
    noted = read_json(path) if path is not None and path.exists() else []
    if not isinstance(noted, list):
        raise InputError(
            f"{path}: must be the tests that evaluate noted. Received another file. Move it away."
        )
    return [*card.get("tests", []), *noted]


def note_trial(source: str | Path, fingerprint: str, trial: dict[str, Any]) -> Path | None:
    """Note a test beside the model, in place of the one on the same images; tests of another fingerprint go.

    Returns:
        The file; None where the model's place cannot be written, which costs nothing but the note.
    """
    path = trials_path(source)
    if path is None:
        return None
    try:
        before = known_trials(source, {})
        kept = [
            t for t in before if t.get("fingerprint") == fingerprint and t.get("images") != trial["images"]
        ]
        return write_json(path, [*kept, {**trial, "fingerprint": fingerprint}], force=True)
    except InputError:
        return None


def trial_of(
    name: str,
    ids: Sequence[str],
    dice: Mapping[str, Sequence[float]],
    mean: Sequence[float],
    looks: np.ndarray,
) -> dict[str, Any]:
    """What is kept of a test: number of images, Dice of each phase with its interval between images, looks.

    Example:
        >>> trial = trial_of("lab", ["a", "b"], {"pore": [0.6, 0.8]}, [0.6, 0.8], np.zeros((2, 3)))
        >>> trial["n"], [round(x, 2) for x in trial["dice"]["pore"]]
        (2, [0.7, 0.0, 1.0])
    """
    return {
        "records": name,
        "images": list(ids),
        "n": len(ids),
        "dice": {phase: _interval(values) for phase, values in dice.items()},
        "mean": _interval(mean),
        "looks": np.round(looks, 4).tolist(),
    }


def _interval(values: Sequence[float]) -> list[float] | None:
    """Mean and 95 % interval between images (t); the mean alone of one; None where the phase was never there."""
    known = np.array([value for value in values if value is not None and np.isfinite(value)], float)
    if not len(known):
        return None
    mean = float(known.mean())
    if len(known) == 1:
        return [mean]
    half = float(stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    return [mean, max(0.0, mean - half), min(1.0, mean + half)]


def trial_like(look: np.ndarray, trials: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The newest test on images that look like this one (`alike`), without its looks; None where there is none."""
    for trial in reversed(trials):
        if alike(look, np.asarray(trial.get("looks", ()), float)):
            return {name: value for name, value in trial.items() if name != "looks"}
    return None
