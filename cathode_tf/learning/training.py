"""A plan in, a run's folder out: best model, card, history, curves, and a state to go on from."""

from __future__ import annotations

import itertools
import math
import shutil
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cathode_tf.datasets import RecordSet, patches
from cathode_tf.datasets.pipeline import input_errors
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import write_json
from cathode_tf.imaging import Micrograph
from cathode_tf.imaging.looks import looks_of
from cathode_tf.imaging.outliers import tamed
from cathode_tf.learning import run_folder
from cathode_tf.learning.averaging import WeightAverage
from cathode_tf.learning.callbacks import EpochEnd
from cathode_tf.learning.counterparts import partner
from cathode_tf.learning.distribution import choose_strategy, fit_distributed, is_chief, scope, workers
from cathode_tf.learning.losses import CombinedLoss
from cathode_tf.learning.models import load_model, read_card
from cathode_tf.learning.network import PRESETS, build_unet
from cathode_tf.learning.pace import Clock, Forecast, Schedule, Telling
from cathode_tf.learning.plan import Choices, Plan, plan_training
from cathode_tf.learning.prior import Prior, knows_phases, prior_phases
from cathode_tf.learning.processor import quicker
from cathode_tf.learning.resuming import resume_or_begin
from cathode_tf.learning.run_calibration import calibrate_run
from cathode_tf.learning.run_folder import Progress, Run
from cathode_tf.learning.scores import phases_in
from cathode_tf.ownership import refuse_foreign
from cathode_tf.phases import IGNORE, Phases

WEIGHT_DECAY = 0.01


def train(
    records: RecordSet | str | Path,
    out: str | Path,
    *,
    strategy: Any = None,
    force: bool = False,
    **choices: Any,
) -> Run:
    """Train a U-Net, keep the model of the highest validation mean Dice, and return the run.

    The model's pixel size is the median of the training images'; images of another are resampled to it, in
    training and validation as later when the model is used. Images of unknown pixel size are taken as they are.
    A phase of which no training mask has a pixel is left out of the network, and a warning says so.

    The same call goes on with a run that was killed, as if nothing had happened; with other `epochs` or another
    `time_limit_s` it goes on too, and the schedule follows the new end.

    Args:
        records: A record set (`open_records`) or its folder, with splits `train` and `validation`.
        out: The run's folder.
        strategy: A `tf.distribute.Strategy`. Default: all GPUs, or the machines that `TF_CONFIG` names,
            which all make the same call and see the same folders.
        force: Replace a run that is there.
        choices: The attributes of `learning.Choices`: the network (`preset`, `start`, `prior`, `precision`),
            how long (`epochs`, `steps_per_epoch`, `time_limit_s`, `patience`), and what a step is (`batch`,
            `patch_px`, `learning_rate`, `seed`).

    Returns:
        The run; `cathode_tf.Segmenter(run.path)` uses it.

    Raises:
        InputError: If the records lack a split or a phase, an option is out of range, or `out` holds another run,
            or one that has ended otherwise than `epochs` and `time_limit_s` say.
    """
    strategy = choose_strategy() if strategy is None else strategy
    plan = plan_training(records, out, Choices(**choices), strategy=strategy, force=force)
    if force and is_chief(strategy):
        refuse_foreign(plan.folder, run_folder.foreign_entry(plan.folder))
    progress = resume_or_begin(plan.folder, plan.to_dict(), force)
    if progress.stopped:
        return Run(plan.folder, progress.history, progress.stopped)
    return Training(plan, strategy).run(progress, force=force)


class Training:
    """What a plan needs to be carried out: start model, validation images, the model that will be saved.

    Args:
        plan: Of `plan_training`.
        strategy: Where it is carried out; None = here.

    Raises:
        InputError: If the start model or the validation images cannot be used. Nothing has been written then.
    """

    def __init__(self, plan: Plan, strategy: Any = None):
        self.plan, self.strategy = plan, strategy
        self.validation = _validation_images(plan.records)
        start = plan.choices.start
        self.before = None if start is None else load_model(start)
        self.twin = _saved_model(plan, self.before)

    def run(self, progress: Progress, *, force: bool = False) -> Run:
        """Train from where `progress` stands to the end of the plan; `force` clears the folder first."""
        plan, folder, strategy = self.plan, self.plan.folder, self.strategy
        if force and is_chief(strategy) and folder.is_dir():
            refuse_foreign(folder, run_folder.foreign_entry(folder))
            shutil.rmtree(folder)
        with scope(strategy):
            model = _training_model(self.twin, plan)
        average = WeightAverage(progress.step)
        if progress.epoch:
            run_folder.restore_state(folder, model, average)
        clock = Clock(
            plan.all_steps,
            plan.choices.time_limit_s,
            progress,
            validation_steps=plan.validation_steps,
        )
        callbacks: list[Any] = [Schedule(clock, plan.choices.learning_rate, progress), average]
        if is_chief(strategy):
            write_json(folder / run_folder.CONFIG, plan.to_dict(), force=True)
            callbacks += self._of_chief(clock, progress, average)
        try:
            self._fit(model, callbacks, progress)
        except KeyboardInterrupt:
            if is_chief(strategy):
                callbacks[-1].save_interrupted()
            raise
        if is_chief(strategy) and progress.stopped != "diverged":
            progress.stopped = progress.stopped or "done"
            calibrate_run(folder, self.validation, None if self.before is None else self.before[1])
            run_folder.save_state(folder, model, progress, average)
        return _finish(folder, progress)

    def _of_chief(self, clock: Clock, progress: Progress, average: WeightAverage) -> list[Any]:
        """What one machine of all does around the steps; the last one saves."""
        plan = self.plan
        return [
            Telling(clock, progress, plan.steps),
            Forecast(clock, from_model=self.before is not None, advice=_cheaper(plan.choices)),
            EpochEnd(
                self.twin,
                self.validation,
                folder=plan.folder,
                progress=progress,
                clock=clock,
                average=average,
                # The machine that validates cannot stop the others.
                patience=plan.choices.patience if workers(self.strategy) == 1 else 1.0,
                prior=_prior(self.twin, plan.records.phases, self.before, plan.choices.prior),
            ),
        ]

    def _fit(self, model: keras.Model, callbacks: list[Any], progress: Progress) -> None:
        chosen, steps = self.plan.choices, self.plan.steps
        data = patches(
            self.plan.records,
            "train",
            patch_px=chosen.patch_px,
            batch=chosen.batch,
            seed=chosen.seed,
            first_step=progress.step,
            pixel_size_nm=read_card(self.twin)["pixel_size_nm"],
        )
        extent: dict[str, Any] = {"epochs": chosen.epochs or 1_000_000, "initial_epoch": progress.epoch}
        with input_errors():
            if self.strategy is None:
                options = {"steps_per_epoch": steps, "verbose": 0, "shuffle": False}
                model.fit(data, callbacks=callbacks, **extent, **options)
            else:
                fit_distributed(model, data, self.strategy, callbacks=callbacks, steps=steps, **extent)


def _finish(folder: Path, progress: Progress) -> Run:
    if progress.stopped == "diverged":
        advice = "Lower the learning rate, and look at the records with `cathode-tf check`."
        if not progress.history:
            raise InputError(f"{folder}: the loss became infinite in the first epoch. {advice}")
        warnings.warn(
            InputWarning(
                f"{folder}: the loss became infinite in epoch {progress.epoch + 1}; the best model so far "
                f"is kept. {advice}"
            ),
            stacklevel=3,
        )
    return Run(folder, progress.history, progress.stopped)


def _cheaper(chosen: Choices) -> str:
    """What would let more steps fit into the time."""
    ways = []
    if chosen.start is None:
        ways.append("begin with the default model (preset base, start default)")
        if chosen.preset != "small":
            ways.append("take the preset small")
    if chosen.batch > 4:
        ways.append(f"take a batch of 4 patches in place of {chosen.batch}")
    return ", ".join(["Give more time", *ways[:-1]]) + (f", or {ways[-1]}." if ways else ".")


def _validation_images(records: RecordSet) -> list[tuple[Micrograph, np.ndarray]]:
    images = [
        (example.micrograph, records.phases.to_indices(example.mask))
        for example in records.examples("validation")
    ]
    if not any((reference != IGNORE).any() for _, reference in images):
        raise InputError(f"{records.path}: the validation split must hold an annotated pixel. Received none.")
    there = phases_in((reference for _, reference in images), len(records.phases))
    lacking = [name for name, is_there in zip(records.phases.names, there, strict=True) if not is_there]
    if lacking:
        warnings.warn(
            f"{records.path}: the validation images hold no pixel of {', '.join(lacking)}, so nothing tells "
            f"how well that is "
            "found; the epoch is chosen by the other phases. Put an image with it into the validation split.",
            InputWarning,
            stacklevel=3,
        )
    return images


KINDS_FROM = 64
"""So many training images tell what kinds of image a model learned."""


def _saved_model(plan: Plan, start: tuple[keras.Model, dict[str, Any]] | None) -> keras.Model:
    """The float32 model that is validated and saved, with its first weights and its card."""
    records, chosen, config = plan.records, plan.choices, plan.to_dict()
    sizes = [row.pixel_size_nm for row in records.rows_of("train") if math.isfinite(row.pixel_size_nm)]
    card = {
        "preset": chosen.preset,
        "pixel_size_nm": float(np.median(sizes)) if sizes else None,
        "trained_on": {**config["records"], "images": records.splits["train"], "start": config["start"]},
        "training": {key: value for key, value in config.items() if key not in ("records", "start")},
    }
    options: dict[str, Any] = {"filters": PRESETS[chosen.preset]}
    if start is not None:
        before, before_card = start
        if before.input_shape[-1] != 1 or "architecture" not in before_card:
            raise InputError(
                f"{chosen.start}: must be a U-Net of this package, which takes one channel. "
                f"Received a model with input {before.input_shape}."
            )
        options = before_card["architecture"]
        if before_card.get("kind"):
            # It goes on to know what its start model knew, and these images.
            some = itertools.islice(records.examples("train"), KINDS_FROM)
            looks = np.round(looks_of([tamed(e.image) for e in some]), 4).tolist()
            card["kind"] = {**before_card["kind"], "looks": [*before_card["kind"].get("looks", []), *looks]}
    model = build_unet(records.phases, seed=chosen.seed, card=card, **options)
    multiple = read_card(model)["size_multiple"]
    if chosen.patch_px % multiple:
        raise InputError(
            f"patch_px: must be a multiple of {multiple} for this network. Received {chosen.patch_px}. "
            f"Take {math.ceil(chosen.patch_px / multiple) * multiple}."
        )
    if start is not None:
        adapt_weights(before, model)
    return model


def _prior(
    twin: keras.Model, phases: Phases, start: tuple[keras.Model, dict[str, Any]] | None, wanted: bool
) -> Prior | None:
    """The start model as it is kept beside the network, where it is wanted and knows all phases."""
    if start is None or not wanted or not knows_phases(prior_phases(start[0]), phases):
        return None
    return Prior(twin, start[0])


def _training_model(twin: keras.Model, plan: Plan) -> keras.Model:
    """A compiled model with the weights of `twin`, in the precision to train in."""
    options, chosen = read_card(twin)["architecture"], plan.choices
    model = quicker(build_unet(plan.records.phases, seed=chosen.seed, dtype=chosen.precision, **options))
    model.set_weights(twin.get_weights())
    model.compile(
        optimizer=keras.optimizers.AdamW(chosen.learning_rate, weight_decay=WEIGHT_DECAY),
        loss=CombinedLoss(),
    )
    model.optimizer.build(model.trainable_variables)
    return model


def adapt_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy all weights from `source`; scores of phases that `source` knows move to their new place.

    A phase is known by its name, or else by its role where one phase of `source` alone has it: `particle` goes
    on from `ncm`. Phases that it does not know keep the fresh weights of `target`, and a warning names them.

    Raises:
        InputError: If the two differ in anything but their phases.
    """
    old, new = (Phases.from_list(read_card(m)["phases"]) for m in (source, target))
    partners = {phase.name: partner(phase, old) for phase in new}
    unknown = [name for name, known in partners.items() if known is None]
    if unknown:
        warnings.warn(
            InputWarning(
                f"The start model does not know the phases {', '.join(unknown)} (it has "
                f"{', '.join(old.names)}); what it learned of the others is kept, these begin anew."
            ),
            stacklevel=2,
        )
    kept = [(new.names.index(name), old.names.index(p)) for name, p in partners.items() if p is not None]
    for layer in target.layers:
        values = source.get_layer(layer.name).get_weights()
        if layer.name == "scores":
            fresh = layer.get_weights()
            for now, was in zip(fresh, values, strict=True):
                # The last axis is (block position, phase), phase fastest.
                to, come = (a.reshape(*a.shape[:-1], -1, n) for a, n in ((now, len(new)), (was, len(old))))
                for k, j in kept:
                    to[..., k] = come[..., j]
            values = fresh
        layer.set_weights(values)
