"""A record set in, a run's folder out: best model, card, history, curves, and a state to go on from."""

from __future__ import annotations

import itertools
import math
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cathode_tf.datasets import RecordSet, open_records, patches
from cathode_tf.datasets.pipeline import input_errors
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import read_json, write_json
from cathode_tf.imaging import Micrograph
from cathode_tf.imaging.looks import Known, looks_of
from cathode_tf.imaging.outliers import tamed
from cathode_tf.learning import run_folder
from cathode_tf.learning.averaging import WeightAverage
from cathode_tf.learning.callbacks import PATIENCE, Clock, EpochEnd, Forecast, Schedule, Telling
from cathode_tf.learning.counterparts import partner
from cathode_tf.learning.distribution import choose_strategy, fit_distributed, is_chief, scope, workers
from cathode_tf.learning.losses import CombinedLoss
from cathode_tf.learning.models import DEFAULT, load_model, read_card
from cathode_tf.learning.network import PRESETS, build_unet
from cathode_tf.learning.precision import choose_precision
from cathode_tf.learning.prior import Prior, knows_phases, prior_phases
from cathode_tf.learning.processor import quicker
from cathode_tf.learning.resuming import resume_or_begin
from cathode_tf.learning.run_calibration import calibrate_run
from cathode_tf.learning.run_folder import Progress, Run
from cathode_tf.learning.scores import phases_in
from cathode_tf.ownership import refuse_foreign, refuse_inputs
from cathode_tf.phases import IGNORE, Phases

LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.01


def train(
    records: RecordSet | str | Path,
    out: str | Path,
    *,
    preset: str = "base",
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    batch: int = 16,
    patch_px: int = 256,
    learning_rate: float = LEARNING_RATE,
    time_limit_s: float | None = None,
    start: str | Path | None = "auto",
    prior: bool = True,
    precision: str = "auto",
    seed: int = 0,
    patience: float = PATIENCE,
    strategy: Any = None,
    force: bool = False,
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
        strategy: A `tf.distribute.Strategy`. Default: all GPUs, or the machines that `TF_CONFIG` names,
            which all make the same call and see the same folders.
        force: Replace a run that is there.

    Returns:
        The run; `cathode_tf.Segmenter(run.path)` uses it.

    Raises:
        InputError: If the records lack a split or a phase, an option is out of range, or `out` holds another run,
            or one that has ended otherwise than `epochs` and `time_limit_s` say.
    """
    records = open_records(records) if isinstance(records, (str, Path)) else records
    records, train_pixels = _with_phases_there(records)
    start = _chosen_start(start, records.phases, preset, None if force else Path(out))
    config: dict[str, Any] = {
        "preset": preset,
        "epochs": epochs if epochs or time_limit_s else 50,
        "steps_per_epoch": steps_per_epoch,
        "batch": batch,
        "patch_px": patch_px,
        "learning_rate": learning_rate,
        "time_limit_s": time_limit_s,
        "start": str(start) if start is not None else None,
        **({"prior": prior} if start is not None else {}),
        "precision": choose_precision(precision),
        "seed": seed,
        "records": {"name": records.name, "version": records.version, "fingerprint": records.fingerprint},
    }
    strategy = choose_strategy() if strategy is None else strategy
    _check_options(config, strategy)
    folder = Path(out)
    refuse_inputs(folder, [records.path, start if isinstance(start, (str, Path)) else None])
    if force and is_chief(strategy):
        refuse_foreign(folder, run_folder.foreign_entry(folder))
    progress = resume_or_begin(folder, config, force)
    if progress.stopped:
        return Run(folder, progress.history, progress.stopped)
    validation = _validation_images(records)
    steps = steps_per_epoch or _steps(train_pixels, validation, batch * patch_px**2)

    before = load_model(start) if start is not None else None
    twin = _saved_model(records, config, before)
    # Only now, when nothing can be wrong any more with what was given.
    if force and is_chief(strategy) and folder.is_dir():
        refuse_foreign(folder, run_folder.foreign_entry(folder))
        shutil.rmtree(folder)
    with scope(strategy):
        model = _training_model(twin, records.phases, config)
    average = WeightAverage(progress.step)
    if progress.epoch:
        run_folder.restore_state(folder, model, average)
    clock = Clock(config["epochs"] and config["epochs"] * steps, time_limit_s, progress)
    callbacks: list[Any] = [Schedule(clock, learning_rate, progress), average]
    if is_chief(strategy):
        write_json(folder / run_folder.CONFIG, config, force=True)
        callbacks += [
            Telling(clock, progress, steps),
            Forecast(clock, from_model=start is not None, advice=_cheaper(config)),
            EpochEnd(
                twin,
                validation,
                folder=folder,
                progress=progress,
                clock=clock,
                average=average,
                # The machine that validates cannot stop the others.
                patience=patience if workers(strategy) == 1 else 1.0,
                prior=_prior(twin, records.phases, before, prior),
            ),
        ]
    data = patches(
        records,
        "train",
        patch_px=patch_px,
        batch=batch,
        seed=seed,
        first_step=progress.step,
        pixel_size_nm=read_card(twin)["pixel_size_nm"],
    )
    extent: dict[str, Any] = {"epochs": config["epochs"] or 1_000_000, "initial_epoch": progress.epoch}
    try:
        with input_errors():
            if strategy is None:
                options = {"steps_per_epoch": steps, "verbose": 0, "shuffle": False}
                model.fit(data, callbacks=callbacks, **extent, **options)
            else:
                fit_distributed(model, data, strategy, callbacks=callbacks, steps=steps, **extent)
    except KeyboardInterrupt:
        if is_chief(strategy):
            callbacks[-1].save_interrupted()
        raise
    if is_chief(strategy) and progress.stopped != "diverged":
        progress.stopped = progress.stopped or "done"
        calibrate_run(folder, validation, None if before is None else before[1])
        run_folder.save_state(folder, model, progress, average)
    return _finish(folder, progress)


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


def _cheaper(config: dict[str, Any]) -> str:
    """What would let more steps fit into the time."""
    ways = []
    if config["start"] is None:
        ways.append("begin with the default model (preset base, start default)")
        if config["preset"] != "small":
            ways.append("take the preset small")
    if config["batch"] > 4:
        ways.append(f"take a batch of 4 patches in place of {config['batch']}")
    return ", ".join(["Give more time", *ways[:-1]]) + (f", or {ways[-1]}." if ways else ".")


def _check_options(config: dict[str, Any], strategy: Any) -> None:
    if config["preset"] not in PRESETS:
        raise InputError(f"preset: must be one of {', '.join(PRESETS)}. Received {config['preset']!r}.")
    for name in ("epochs", "steps_per_epoch", "batch", "patch_px", "learning_rate", "time_limit_s"):
        value = config[name]
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{name}: must be above 0. Received {value}.")
    if not 0 <= config["seed"] < 1 << 63:
        raise InputError(f"seed: must be from 0 to 2**63 - 1. Received {config['seed']}.")
    if workers(strategy) > 1 and config["time_limit_s"]:
        raise InputError(
            "time_limit_s: must not be set when several machines train together, as their clocks differ. "
            f"Received {config['time_limit_s']}. Give epochs."
        )
    replicas = strategy.num_replicas_in_sync if strategy is not None else 1
    if config["batch"] % replicas:
        raise InputError(
            f"batch: must be a multiple of the {replicas} devices. Received {config['batch']}. "
            f"Take {math.ceil(config['batch'] / replicas) * replicas}."
        )


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


def _with_phases_there(records: RecordSet) -> tuple[RecordSet, int]:
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
            stacklevel=3,
        )
        records = records.skipping(missing)
    return records, int(counts.sum())


def _steps(train_pixels: int, validation: list[tuple[Micrograph, np.ndarray]], step_pixels: int) -> int:
    """One pass over the training pixels; enough steps that validating costs a tenth of training at most."""
    validation_pixels = sum(image.pixels.size for image, _ in validation)
    return max(20, math.ceil(train_pixels / step_pixels), math.ceil(3 * validation_pixels / step_pixels))


def _chosen_start(
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


KINDS_FROM = 64
"""So many training images tell what kinds of image a model learned."""


def _saved_model(
    records: RecordSet, config: dict[str, Any], start: tuple[keras.Model, dict[str, Any]] | None
) -> keras.Model:
    """The float32 model that is validated and saved, with its first weights and its card."""
    sizes = [row.pixel_size_nm for row in records.rows_of("train") if math.isfinite(row.pixel_size_nm)]
    card = {
        "preset": config["preset"],
        "pixel_size_nm": float(np.median(sizes)) if sizes else None,
        "trained_on": {**config["records"], "images": records.splits["train"], "start": config["start"]},
        "training": {key: value for key, value in config.items() if key not in ("records", "start")},
    }
    options: dict[str, Any] = {"filters": PRESETS[config["preset"]]}
    if start is not None:
        before, before_card = start
        if before.input_shape[-1] != 1 or "architecture" not in before_card:
            raise InputError(
                f"{config['start']}: must be a U-Net of this package, which takes one channel. "
                f"Received a model with input {before.input_shape}."
            )
        options = before_card["architecture"]
        known = Known.from_dict(before_card.get("kind"))
        if known is not None:
            # It goes on to know what its start model knew, and these images.
            some = itertools.islice(records.examples("train"), KINDS_FROM)
            card["kind"] = known.extended(looks_of([tamed(e.image) for e in some])).to_dict()
    model = build_unet(records.phases, seed=config["seed"], card=card, **options)
    multiple = read_card(model)["size_multiple"]
    if config["patch_px"] % multiple:
        raise InputError(
            f"patch_px: must be a multiple of {multiple} for this network. Received {config['patch_px']}. "
            f"Take {math.ceil(config['patch_px'] / multiple) * multiple}."
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


def _training_model(twin: keras.Model, phases: Phases, config: dict[str, Any]) -> keras.Model:
    """A compiled model with the weights of `twin`, in the precision to train in."""
    options = read_card(twin)["architecture"]
    model = quicker(build_unet(phases, seed=config["seed"], dtype=config["precision"], **options))
    model.set_weights(twin.get_weights())
    model.compile(
        optimizer=keras.optimizers.AdamW(config["learning_rate"], weight_decay=WEIGHT_DECAY),
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
