"""A run's folder: the names of its files, the state that a killed run goes on from, history and curves.

One file, `state/last.npz`, holds everything a later process needs to go on as if nothing had happened:
weights, optimizer with its averages, best value, history, time spent. It is replaced as a whole.
"""

from __future__ import annotations

import csv
import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.learning.averaging import WeightAverage
from cathode_tf.learning.models import BEST
from cathode_tf.ownership import unlike_entry

CONFIG = "config.json"
CARD = "card.json"
HISTORY = "history.csv"
CURVES = "curves.png"
RELIABILITY = "reliability.png"
LOGS = "logs"
TRIALS = "tests.json"
"""Where `evaluate` notes the tests that the model has passed."""
STATE = Path("state") / "last.npz"
_OURS = re.compile(
    rf"{'|'.join(map(re.escape, (CONFIG, CARD, HISTORY, CURVES, RELIABILITY, BEST, STATE.as_posix(), TRIALS)))}"
    rf"|{LOGS}/events\.out\.tfevents\..*|((state/)?\.tmp-.*)"
)
_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True)
class Run:
    """A training that ended.

    Attributes:
        path: The run's folder.
        history: One row an epoch: `epoch`, `loss`, `mean_dice`, `dice` by phase, `learning_rate`, `seconds`.
        stopped: Why it ended: `"done"`, `"time limit"`, `"no improvement"` or `"diverged"`.
    """

    path: Path
    history: list[dict[str, Any]]
    stopped: str

    @property
    def best_path(self) -> Path:
        """The model of the highest validation mean Dice."""
        return self.path / BEST

    @property
    def best_dice(self) -> float:
        """Highest validation mean Dice, 0-1."""
        return max(row["mean_dice"] for row in self.history)


@dataclass
class Progress:
    """What changes from epoch to epoch, beside the weights.

    Attributes:
        epoch: Epochs that are complete.
        step: Optimizer steps that are complete.
        elapsed_s: Seconds spent so far, over all processes of the run.
        best_dice: Highest validation mean Dice so far; -1 before the first.
        best_at: Share of the schedule (0-1) at which it was reached.
        history: One row an epoch.
        stopped: Why the run ended; empty while it has not.
    """

    epoch: int = 0
    step: int = 0
    elapsed_s: float = 0.0
    best_dice: float = -1.0
    best_at: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = ""


def foreign_entry(folder: Path) -> str | None:
    """The first file in `folder` that no run writes, or all of it if there is no run; None if a run may go."""
    return unlike_entry(folder, _OURS if (folder / CONFIG).exists() else _NOTHING)


def save_state(folder: Path, model: keras.Model, progress: Progress, average: WeightAverage) -> None:
    """Write weights, their average, optimizer and progress as one file, whole or not at all."""
    arrays: dict[str, Any] = {f"model_{i}": np.asarray(v) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer_{i}": np.asarray(v) for i, v in enumerate(model.optimizer.variables)}
    arrays |= {f"average_{i}": v for i, v in enumerate(average.values)}
    arrays["progress"] = np.frombuffer(json.dumps(vars(progress)).encode(), np.uint8)
    with atomic_file(folder / STATE, force=True) as temporary:
        np.savez(temporary, **arrays)


def load_progress(folder: Path) -> Progress | None:
    """How far the run in `folder` got, or None if it has no state yet."""
    if not (folder / STATE).exists():
        return None
    with _open(folder) as state:
        return Progress(**json.loads(state["progress"].tobytes()))


def restore_state(folder: Path, model: keras.Model, average: WeightAverage) -> None:
    """Give a compiled model, its optimizer and `average` the values of the saved state."""
    with _open(folder) as state:
        for kind, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
            for i, variable in enumerate(variables):
                variable.assign(state[f"{kind}_{i}"])
        count = sum(name.startswith("average_") for name in state.files)
        average.values = [state[f"average_{i}"] for i in range(count)]


def _open(folder: Path) -> Any:
    try:
        return np.load(folder / STATE)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{folder / STATE}: cannot be read ({error}). Start the run again with --force."
        ) from error


def write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    """`history.csv`: a row an epoch, a column a phase."""
    rows = [
        {k: v for k, v in row.items() if k != "dice"} | {f"dice_{k}": v for k, v in row["dice"].items()}
        for row in history
    ]
    with (
        atomic_file(folder / HISTORY, force=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def draw_curves(folder: Path, history: list[dict[str, Any]], colors: dict[str, str]) -> None:
    """`curves.png`: training loss, and validation Dice of each phase and their mean, over the epochs."""
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [row["loss"] for row in history], color="black")
    left.set(xlabel="epoch", ylabel="training loss (Dice + cross-entropy)")
    for name, color in colors.items():
        right.plot(epochs, [row["dice"][name] for row in history], color=color, label=name)
    right.plot(epochs, [row["mean_dice"] for row in history], color="black", linewidth=2, label="mean")
    best = max(history, key=lambda row: row["mean_dice"])
    right.plot(best["epoch"], best["mean_dice"], "o", color="black")
    right.annotate(
        f"best {best['mean_dice']:.3f}",
        (best["epoch"], best["mean_dice"]),
        textcoords="offset points",
        xytext=(-4, 8),
        ha="right",
    )
    right.set(xlabel="epoch", ylabel="validation Dice, mean over images", ylim=(0, 1))
    right.legend(loc="lower right", fontsize="small")
    with atomic_file(folder / CURVES, force=True) as temporary:
        figure.savefig(temporary, dpi=120)
