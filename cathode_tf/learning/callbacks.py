"""What happens around the steps of a training: learning rate, stopping, validation, keeping, telling."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import write_json
from cathode_tf.imaging import Micrograph
from cathode_tf.learning import run_folder
from cathode_tf.learning.averaging import WeightAverage, synchronize
from cathode_tf.learning.models import BEST, read_card, save_model, write_card
from cathode_tf.learning.prediction import predict_image
from cathode_tf.learning.prior import Prior
from cathode_tf.learning.run_folder import Progress
from cathode_tf.learning.scores import confusion, dice_per_phase, judged, mean_dice, phases_in
from cathode_tf.phases import Phases
from cathode_tf.progress import stop_asked, tell

PATIENCE = 0.5
"""A run stops when this share of its schedule brought no better validation Dice, unless told otherwise."""


class Clock:
    """How much of a run is over, by steps and by time, whichever is further.

    Args:
        steps: All steps of the run; None where only the time limits it.
        limit_s: Seconds for the whole run; None where only the steps limit it.
        progress: Where the run stands at the start of this process.
    """

    def __init__(self, steps: int | None, limit_s: float | None, progress: Progress):
        self.steps, self.limit_s = steps, limit_s
        self.before_s, self.start, self.step = progress.elapsed_s, time.monotonic(), progress.step
        self.learning_rate = math.nan  # of the last step
        self.reserve_s = 0.0  # for the last validation, once it is known how long one takes
        self._first: tuple[int, float] | None = None

    def elapsed_s(self) -> float:
        return self.before_s + time.monotonic() - self.start

    def share(self) -> float:
        """0 at the start, 1 at the end."""
        by_step = self.step / self.steps if self.steps else 0.0
        by_time = self.elapsed_s() / max(self.limit_s - self.reserve_s, 1e-9) if self.limit_s else 0.0
        return min(max(by_step, by_time), 1.0)

    def tick(self) -> None:
        """A step is over. The first of a process, which compiles, says nothing about the pace."""
        self.step += 1
        if self._first is None:
            self._first = (self.step, time.monotonic())

    def watched_s(self) -> float:
        """Seconds since the first step of this process ended."""
        return 0.0 if self._first is None else time.monotonic() - self._first[1]

    def step_s(self) -> float:
        """Seconds a step takes, validation included; NaN before the second."""
        if self._first is None or self.step == self._first[0]:
            return math.nan
        return self.watched_s() / (self.step - self._first[0])

    def steps_allowed(self) -> float:
        """All steps of the run that fit into the time limit at this pace; NaN if there is none or before the second."""
        if not self.limit_s:
            return math.nan
        return self.step + max(self.limit_s - self.reserve_s - self.elapsed_s(), 0.0) / self.step_s()

    def left_s(self) -> float:
        """Seconds to go, by the steps at this pace or by the time limit, whichever comes first; NaN if unknown."""
        by_step = (self.steps - self.step) * self.step_s() if self.steps else math.nan
        by_time = max(self.limit_s - self.elapsed_s(), 0.0) if self.limit_s else math.nan
        return float(np.fmin(by_step, by_time))


class Schedule(keras.callbacks.Callback):
    """Warm-up, then cosine decay to a hundredth, tied to the clock; stops when time is up or loss is NaN.

    Args:
        clock: The run's clock.
        peak: Highest learning rate.
        progress: Told why the run stops.
        warmup_steps: Steps of linear growth at the beginning.
    """

    def __init__(self, clock: Clock, peak: float, progress: Progress, warmup_steps: int = 20):
        super().__init__()
        self.clock, self.peak, self.progress, self.warmup_steps = clock, peak, progress, warmup_steps

    def rate(self) -> float:
        """The learning rate of the step that comes."""
        warm = min((self.clock.step + 1) / self.warmup_steps, 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * self.clock.share()))
        return self.peak * warm * (0.01 + 0.99 * cosine)

    def on_train_batch_begin(self, batch, logs=None):
        synchronize(self.model)
        self.clock.learning_rate = self.rate()
        self.model.optimizer.learning_rate = self.clock.learning_rate

    def on_train_batch_end(self, batch, logs=None):
        self.clock.tick()
        if not math.isfinite(float(logs["loss"])):
            self.progress.stopped = "diverged"
        elif self.clock.limit_s and self.clock.elapsed_s() + self.clock.reserve_s >= self.clock.limit_s:
            self.progress.stopped = "time limit"
        elif stop_asked():
            self.progress.stopped = "asked"
        if self.progress.stopped:
            self.model.stop_training = True


class EpochEnd(keras.callbacks.Callback):
    """Validates on whole images, keeps the best model, saves the state, writes history and curves.

    Args:
        twin: float32 model of the same architecture, which takes the averaged weights and is saved.
        validation: Micrograph and reference class indices (height, width) of each validation image.
        folder: The run's folder.
        progress: Kept up to date.
        clock: The run's clock.
        average: Of the weights; it must come before this in the list of callbacks.
        patience: The run ends when this share of its schedule (0-1) brought no better validation Dice.
        prior: What the run began with, if it is to have its say in the model that is kept.
    """

    def __init__(
        self,
        twin: keras.Model,
        validation: list[tuple[Micrograph, np.ndarray]],
        *,
        folder: Path,
        progress: Progress,
        clock: Clock,
        average: WeightAverage,
        patience: float = PATIENCE,
        prior: Prior | None = None,
    ):
        super().__init__()
        self.twin, self.validation, self.average = twin, validation, average
        self.folder, self.progress, self.clock, self.patience = folder, progress, clock, patience
        self.prior = prior
        self.phases = Phases.from_list(read_card(twin)["phases"])
        self.logs = TensorBoardLog(folder / run_folder.LOGS)
        self.loss = math.nan

    def on_epoch_end(self, epoch, logs=None):
        if self.progress.stopped == "diverged":
            return
        self._keep(epoch, float(logs["loss"]))
        run_folder.save_state(self.folder, self.model, self.progress, self.average)

    def _keep(self, epoch: int, loss: float) -> None:
        progress, clock = self.progress, self.clock
        self.average.copy_to(self.twin)
        start = time.monotonic()
        if self.prior is None:
            dice, weight = validate(self.twin, self.validation), 0.0
        else:
            dice, weight = self.prior.validate(self.validation)
        names = self.phases.names
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "loss": loss,
            "mean_dice": float(np.nanmean([mean_dice(row) for row in dice])),
            "dice": dict(zip(names, _mean_over_images(dice), strict=True)),
            "learning_rate": clock.learning_rate,
            "seconds": clock.elapsed_s(),
        }
        if self.prior is not None:
            row["prior_weight"] = weight
        progress.history.append(row)
        progress.epoch, progress.step, progress.elapsed_s = epoch + 1, clock.step, clock.elapsed_s()
        best = row["mean_dice"] > progress.best_dice
        if best:
            progress.best_dice, progress.best_at = row["mean_dice"], clock.share()
            self._save_best(row)
        elif clock.share() - progress.best_at > self.patience:
            progress.stopped = progress.stopped or "no improvement"
            self.model.stop_training = True
        run_folder.write_history(self.folder, progress.history)
        colors = {phase.name: phase.color for phase in self.phases}
        run_folder.draw_curves(self.folder, progress.history, colors)
        self.logs.write(row)
        clock.reserve_s = 1.1 * (time.monotonic() - start)
        _say(epoch_line(row, best))

    def _save_best(self, row: dict[str, Any]) -> None:
        card = read_card(self.twin)
        dice = {name: None if math.isnan(value) else value for name, value in row["dice"].items()}
        card["dice"] = {"split": "validation", "mean": row["mean_dice"], **dice}
        card["trained_on"] |= {"epochs": row["epoch"], "steps": self.clock.step, "seconds": row["seconds"]}
        write_card(self.twin, card)
        model = self.twin if self.prior is None else self.prior.pooled(row["prior_weight"])
        save_model(model, self.folder / BEST, force=True)
        write_json(self.folder / run_folder.CARD, read_card(model), force=True)

    def on_train_batch_end(self, batch, logs=None):
        self.loss = float(logs["loss"])

    def save_interrupted(self) -> None:
        """After Ctrl-C in the first epoch: keep the weights, if a step was done, so that there is a model."""
        if not math.isnan(self.loss) and not (self.folder / BEST).exists():
            self._keep(self.progress.epoch, self.loss)


class Telling(keras.callbacks.Callback):
    """Tells every few seconds how far the epoch got, how fast, and how long it will still take."""

    def __init__(self, clock: Clock, progress: Progress, steps_per_epoch: int, every_s: float = 10.0):
        super().__init__()
        self.clock, self.progress = clock, progress
        self.steps_per_epoch, self.every_s = steps_per_epoch, every_s
        self.last, self.loss = 0.0, math.nan

    def on_train_begin(self, logs=None):
        _say("  The first step takes up to a minute, as the network is compiled ...")

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        self.loss = float(logs["loss"])
        tell("Training", self.clock.share(), 1.0, **self._facts())
        now, live = time.monotonic(), sys.stderr.isatty()
        if now - self.last < (0.5 if live else self.every_s):
            return
        self.last = now
        step_s = self.clock.step_s()
        left_s = self.clock.left_s()
        pace = "" if math.isnan(step_s) else f", {1 / max(step_s, 1e-9):.2f} steps/s"
        left = "" if math.isnan(left_s) else f", {_duration(left_s)} left"
        best = f", best Dice {self.progress.best_dice:.3f}" if self.progress.history else ""
        line = (
            f"  epoch {self.epoch} step {batch + 1}/{self.steps_per_epoch}{pace}, "
            f"loss {self.loss:.3f}{best}{left}"
        )
        print(f"\r{line:<110}" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)

    def _facts(self) -> dict[str, Any]:
        left_s, best = self.clock.left_s(), self.progress.best_dice
        return {
            "left_s": None if math.isnan(left_s) else left_s,
            "step": self.clock.step,
            "loss": self.loss if math.isfinite(self.loss) else None,
            "best_dice": best if self.progress.history else None,
        }


class Forecast(keras.callbacks.Callback):
    """Says once, within the first minute, what the pace means: how many steps the time allows, or how long it takes.

    Args:
        clock: The run's clock.
        from_model: Whether the weights begin with those of a model, which need fewer steps.
        advice: What to do where the steps are too few to learn from.
    """

    LEAST = 60
    LEAST_FROM_MODEL = 20
    """Steps: the learning rate is warm only after 20, and a fresh network tells bright phases apart after some 60."""
    WATCHED_S = 5.0
    AT_LATEST_S = 40.0

    def __init__(self, clock: Clock, *, from_model: bool, advice: str):
        super().__init__()
        self.clock, self.advice, self.told = clock, advice, False
        self.least = self.LEAST_FROM_MODEL if from_model else self.LEAST

    def on_train_batch_end(self, batch, logs=None):
        clock = self.clock
        step_s = clock.step_s()
        if self.told or math.isnan(step_s):
            return
        if clock.watched_s() < self.WATCHED_S and clock.elapsed_s() - clock.before_s < self.AT_LATEST_S:
            return
        self.told = True
        allowed = clock.steps_allowed()
        if math.isnan(allowed) or (clock.steps and clock.steps <= allowed):
            _say(
                f"  A step takes {step_s:.2g} s: {clock.steps - clock.step} more take {_duration(clock.left_s())}."
            )
            return
        limit = _duration(clock.limit_s)
        _say(f"  A step takes {step_s:.2g} s: the time limit of {limit} allows about {allowed:.0f} in all.")
        if allowed < self.least:
            _say(f"  Warning: that is too few to learn from (at least {self.least}). {self.advice}")


class TensorBoardLog:
    """Scalars for TensorBoard, written with what TensorFlow itself holds; nothing on other backends."""

    def __init__(self, folder: Path):
        self.folder, self.writer = folder, None
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self.writer = tf.summary.create_file_writer(str(folder))
            self.metadata = tf.compat.v1.SummaryMetadata(
                plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
            )

    def write(self, row: dict[str, Any]) -> None:
        """The scalars of one row of the history."""
        if self.writer is None:
            return
        import tensorflow as tf

        values = {"train/loss": row["loss"], "train/learning_rate": row["learning_rate"]}
        values["validation/mean_dice"] = row["mean_dice"]
        values |= {f"validation/dice_{name}": value for name, value in row["dice"].items()}
        if "prior_weight" in row:
            values["validation/prior_weight"] = row["prior_weight"]
        try:
            with self.writer.as_default(step=row["epoch"]):
                for tag, value in values.items():
                    tf.summary.write(tag, tf.constant(value, tf.float32), metadata=self.metadata)
            self.writer.flush()
        except tf.errors.OpError as error:
            raise InputError(f"{self.folder}: cannot be written ({error.message}).") from error


def validate(model: keras.Model, images: Sequence[tuple[np.ndarray | Micrograph, np.ndarray]]) -> np.ndarray:
    """Dice of each phase on each whole image, resampled to the model's pixel size as for a user.

    Args:
        model: A model of `build_unet`.
        images: Micrograph, or raw pixels, and reference class indices (height, width).

    Returns:
        float64 array (images, phases), NaN where a phase is in neither reference nor prediction, and for phases that
        no reference holds.
    """
    tables = []
    for image, reference in images:
        probabilities = predict_image(model, image)
        tables.append(confusion(reference, probabilities.argmax(axis=-1), probabilities.shape[-1]))
    there = phases_in((reference for _, reference in images), tables[0].shape[0])
    return judged(np.stack([dice_per_phase(table) for table in tables]), there)


def epoch_line(row: dict[str, Any], best: bool) -> str:
    """One epoch for people: `epoch 3  loss 0.512  Dice pore .91 ncm .95  mean .93  best`."""
    dice = "  ".join(f"{name} {_score(value)}" for name, value in row["dice"].items())
    mark = f", start model's say {row['prior_weight']:.1f}" if row.get("prior_weight") else ""
    mark += "  best so far" if best else ""
    return (
        f"epoch {row['epoch']:3d}  {_duration(row['seconds'])}  loss {row['loss']:.3f}  "
        f"validation Dice: {dice}  mean {row['mean_dice']:.3f}{mark}"
    )


def _score(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.3f}"


def _mean_over_images(dice: np.ndarray) -> list[float]:
    columns = (column[~np.isnan(column)] for column in dice.T)
    return [float(column.mean()) if column.size else float("nan") for column in columns]


def _say(line: str) -> None:
    print(f"\r{line:<110}" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"
