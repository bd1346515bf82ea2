"""What a caller wants of a training in, a checked plan out: on which records, from which start, for how long.

The plan stands in the run's folder as `config.json`; a run goes on where the plan of today is the one that it holds.
"""

from __future__ import annotations

import math
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.datasets import RecordSet, open_records
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import read_json
from cathode_tf.learning import run_folder
from cathode_tf.learning.callbacks import PATIENCE
from cathode_tf.learning.distribution import workers
from cathode_tf.learning.models import DEFAULT
from cathode_tf.learning.network import PRESETS
from cathode_tf.learning.precision import choose_precision
from cathode_tf.learning.prior import knows_phases
from cathode_tf.ownership import refuse_inputs
from cathode_tf.phases import Phases

LEARNING_RATE = 2e-3
EPOCHS = 50
SEEDS = 1 << 63
FEWEST_STEPS = 20
"""Fewer would make no epoch."""


@dataclass(frozen=True)
class Choices:
    """What may be chosen about a training; `train` takes each by its name.

    Attributes:
        preset: Size of the network: `small`, `base` or `large`; with a start model, its size is taken.
        epochs: Default: 50, or as many as the time limit allows.
        steps_per_epoch: Default: about one pass over the training pixels, at least 20.
        batch: Patches a step.
        patch_px: Height and width of a patch; smaller images are padded with ignored pixels.
        learning_rate: Peak; it warms up, then decays with the steps or the time at hand.
        time_limit_s: Seconds after which the run ends with the best so far.
        start: Begin with the weights of this run, `.keras` file, or of `"default"`, the model that ships; or with
            `"scratch"` (or None). `"auto"` is `"default"` for the preset `base` where that model knows all
            phases by name or role, else `"scratch"`.
        prior: Keep the start model beside the trained network, frozen, with a say in each pixel whose weight
            the validation images choose (0 to 0.7), if that makes their mean Dice better by 0.002. Better with
            few images; such a model takes twice as long to segment. Nothing without `start`, or where it does not
            know all phases. A start model that has such a prior itself hands it on.
        precision: `auto`, `float32`, `mixed_bfloat16` or `mixed_float16`.
        seed: Of weights, patches and their order.
        patience: The run ends when this share of it (0-1) brought no better validation Dice; 1 goes to its end.

    Raises:
        InputError: If one is out of range.
    """

    preset: str = "base"
    epochs: int | None = None
    steps_per_epoch: int | None = None
    batch: int = 16
    patch_px: int = 256
    learning_rate: float = LEARNING_RATE
    time_limit_s: float | None = None
    start: str | Path | None = "auto"
    prior: bool = True
    precision: str = "auto"
    seed: int = 0
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise InputError(f"preset: must be one of {', '.join(PRESETS)}. Received {self.preset!r}.")
        for name in ("epochs", "steps_per_epoch", "batch", "patch_px", "learning_rate", "time_limit_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name}: must be above 0. Received {value}.")
        if not 0 <= self.seed < SEEDS:
            raise InputError(f"seed: must be from 0 to 2**63 - 1. Received {self.seed}.")


@dataclass(frozen=True)
class Plan:
    """What a training will do; `to_dict` is what its folder holds, `str` what people read.

    Attributes:
        folder: The run's.
        records: What it learns from, without the phases of which no training mask has a pixel.
        choices: With nothing left to be chosen: no default, no `auto`.
        steps: An epoch.
    """

    folder: Path
    records: RecordSet
    choices: Choices
    steps: int

    @property
    def all_steps(self) -> int | None:
        """Of the whole run; None where only the time limits it."""
        return self.choices.epochs and self.choices.epochs * self.steps

    @property
    def validation_steps(self) -> float:
        """Steps that take as long as validating once: looking takes about a third of learning."""
        step_pixels = self.choices.batch * self.choices.patch_px**2
        return _validation_pixels(self.records) / (3 * step_pixels)

    def to_dict(self) -> dict[str, Any]:
        """As `config.json` has it: what was chosen, and a fingerprint of the records."""
        chosen, records = self.choices, self.records
        return {
            "preset": chosen.preset,
            "epochs": chosen.epochs,
            "steps_per_epoch": chosen.steps_per_epoch,
            "batch": chosen.batch,
            "patch_px": chosen.patch_px,
            "learning_rate": chosen.learning_rate,
            "time_limit_s": chosen.time_limit_s,
            "start": None if chosen.start is None else str(chosen.start),
            **({} if chosen.start is None else {"prior": chosen.prior}),
            "precision": chosen.precision,
            "seed": chosen.seed,
            "records": {
                "name": records.name,
                "version": records.version,
                "fingerprint": records.fingerprint,
            },
        }

    def __str__(self) -> str:
        chosen, splits = self.choices, self.records.splits
        start = "new weights" if chosen.start is None else f"the weights of {chosen.start}"
        ends = [] if chosen.epochs is None else [f"{chosen.epochs} epochs of {self.steps} steps"]
        ends += [] if chosen.time_limit_s is None else [f"{chosen.time_limit_s / 60:.3g} min"]
        return "\n".join(
            (
                f"Records {self.records.name} {self.records.version}: {splits.get('train', 0)} images to train on, "
                f"{splits.get('validation', 0)} to validate; phases {', '.join(self.records.phases.names)}.",
                f"Network {chosen.preset} with {start}, in {chosen.precision}.",
                f"Batches of {chosen.batch} patches of {chosen.patch_px} px, for {' or '.join(ends)}.",
                f"Written to {self.folder}.",
            )
        )


def plan_training(
    records: RecordSet | str | Path,
    out: str | Path,
    choices: Choices,
    *,
    strategy: Any = None,
    force: bool = False,
) -> Plan:
    """Check what `train` was given, and choose what was left open.

    Raises:
        InputError: If the records lack a split or a phase, or the choices do not go with the devices.
    """
    records = open_records(records) if isinstance(records, (str, Path)) else records
    records, train_pixels = with_phases_there(records)
    start = chosen_start(choices.start, records.phases, choices.preset, None if force else Path(out))
    chosen = replace(
        choices,
        epochs=choices.epochs if choices.epochs or choices.time_limit_s else EPOCHS,
        start=start,
        precision=choose_precision(choices.precision),
    )
    _check_devices(chosen, strategy)
    refuse_inputs(out, [records.path, start if isinstance(start, (str, Path)) else None])
    step_pixels = chosen.batch * chosen.patch_px**2
    steps = chosen.steps_per_epoch or _steps(train_pixels, _validation_pixels(records), step_pixels)
    return Plan(Path(out), records, chosen, steps)


def _check_devices(choices: Choices, strategy: Any) -> None:
    if workers(strategy) > 1 and choices.time_limit_s:
        raise InputError(
            "time_limit_s: must not be set when several machines train together, as their clocks differ. "
            f"Received {choices.time_limit_s}. Give epochs."
        )
    replicas = strategy.num_replicas_in_sync if strategy is not None else 1
    if choices.batch % replicas:
        raise InputError(
            f"batch: must be a multiple of the {replicas} devices. Received {choices.batch}. "
            f"Take {math.ceil(choices.batch / replicas) * replicas}."
        )


def _validation_pixels(records: RecordSet) -> int:
    return sum(row.height * row.width for row in records.rows_of("validation"))


def _steps(train_pixels: int, validation_pixels: int, step_pixels: int) -> int:
    """One pass over the training pixels; enough steps that validating costs a tenth of training at most."""
    passes = math.ceil(train_pixels / step_pixels), math.ceil(3 * validation_pixels / step_pixels)
    return max(FEWEST_STEPS, *passes)


def with_phases_there(records: RecordSet) -> tuple[RecordSet, int]:
    """The records without the phases that no training mask shows, and the number of annotated training pixels."""
    if not records.rows_of("train"):
        next(records.examples("train"))  # says what is missing
    counts = np.sum([row.counts for row in records.rows_of("train")], axis=0)[:-1]
    missing = [name for name, count in zip(records.phases.names, counts, strict=True) if not count]
    if len(missing) == len(records.phases):
        raise InputError(
            f"{records.path}: the training split must hold annotated pixels. Received none: all are ignored."
        )
    if len(missing) == len(records.phases) - 1:
        raise InputError(
            f"{records.path}: the training split must hold two phases at least. Received no pixel of "
            f"{', '.join(missing)}. Annotate some."
        )
    if missing:
        warnings.warn(
            InputWarning(
                f"No training mask has a pixel of {', '.join(missing)}: left out. This model will never name it; "
                "annotate some where it is, and the next one will."
            ),
            stacklevel=4,
        )
        records = records.skipping(missing)
    return records, int(counts.sum())


def chosen_start(
    start: str | Path | None, phases: Phases, preset: str, folder: Path | None
) -> str | Path | None:
    """Which model to begin with, None for none; `auto` stays what it was in a run of `folder`."""
    if start in (None, "scratch"):
        return None
    if start != "auto":
        return start
    if folder is not None and (folder / run_folder.CONFIG).exists():
        return read_json(folder / run_folder.CONFIG).get("start")
    if preset != "base" or not DEFAULT.exists() or not knows_phases(Phases.default(), phases):
        return None
    print(
        "Begins with the model that ships with the package, which knows these phases (--from scratch begins with "
        "nothing).",
        file=sys.stderr,
        flush=True,
    )
    return "default"
