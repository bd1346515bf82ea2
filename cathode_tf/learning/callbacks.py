"""What happens at the end of an epoch of a training: validation, keeping, saving, history, logs."""

from __future__ import annotations

import math
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
from cathode_tf.learning.averaging import WeightAverage
from cathode_tf.learning.models import BEST, read_card, save_model, write_card
from cathode_tf.learning.pace import Clock, duration, say
from cathode_tf.learning.prediction import predict_image
from cathode_tf.learning.prior import Prior
from cathode_tf.learning.run_folder import Progress
from cathode_tf.learning.scores import confusion, dice_per_phase, judged, mean_dice, phases_in
from cathode_tf.phases import Phases

PATIENCE = 0.5
"""A run stops when this share of its schedule brought no better validation Dice, unless told otherwise."""


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
        say(epoch_line(row, best))

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
        f"epoch {row['epoch']:3d}  {duration(row['seconds'])}  loss {row['loss']:.3f}  "
        f"validation Dice: {dice}  mean {row['mean_dice']:.3f}{mark}"
    )


def _score(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.3f}"


def _mean_over_images(dice: np.ndarray) -> list[float]:
    columns = (column[~np.isnan(column)] for column in dice.T)
    return [float(column.mean()) if column.size else float("nan") for column in columns]
