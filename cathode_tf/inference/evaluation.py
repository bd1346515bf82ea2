"""Segmenter and record set in, the Dice table of a paper out: by image, mean over images, pooled."""

from __future__ import annotations

import csv
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_file, atomic_folder, write_json
from cathode_tf.inference.pictures import draw_evaluation
from cathode_tf.inference.segmenter import Segmenter
from cathode_tf.inference.separation import separate
from cathode_tf.inference.sources import Source
from cathode_tf.inference.trials import note_trial, trial_of
from cathode_tf.learning.counterparts import counterparts
from cathode_tf.learning.scores import confusion, dice_per_phase, mean_dice
from cathode_tf.particles.agreement import Agreement, compare_outlines, total
from cathode_tf.phases import IGNORE, Phases
from cathode_tf.progress import track

if TYPE_CHECKING:
    from cathode_tf.datasets import RecordSet
    from cathode_tf.datasets.schema import Example

MIN_AREA_PX = 20
"""Smaller particles are noise, in the reference as in what was found."""


@dataclass(frozen=True)
class ImageScore:
    """Dice of one image.

    Attributes:
        id: The image's id in the record set.
        dice: Dice (0-1) by phase name; NaN for a phase absent from reference and prediction.
        mean_dice: Mean over the phases that are there.
    """

    id: str
    dice: dict[str, float]
    mean_dice: float


@dataclass(frozen=True)
class Evaluation:
    """How well a model does on a split of a record set.

    Attributes:
        phases: Names and ids.
        images: One `ImageScore` an image, in the order of the split.
        confusions: Pixel counts by image id: int64 (n, n), rows reference, columns prediction.
        source: Names and fingerprints of what was evaluated.
        looks: What the images look like to the model, (images, features), in the order of `images`.
        particles: By image id, how the particles found agree with those of the records; empty where these know none.
    """

    phases: Phases
    images: list[ImageScore]
    confusions: dict[str, np.ndarray]
    source: dict[str, Any]
    looks: np.ndarray | None = None
    particles: dict[str, Agreement] = field(default_factory=dict)

    @property
    def mean_dice(self) -> float:
        """Mean over the images of their mean Dice: the figure to quote."""
        return mean_dice(np.array([image.mean_dice for image in self.images]))

    @property
    def dice(self) -> dict[str, float]:
        """Mean over the images of each phase's Dice, by name."""
        return {
            name: mean_dice(np.array([image.dice[name] for image in self.images]))
            for name in self.phases.names
        }

    @property
    def pooled(self) -> dict[str, Any]:
        """Dice of all pixels taken together: `{"dice": {phase: x}, "mean_dice": x}`."""
        values = dice_per_phase(sum(self.confusions.values(), np.zeros((len(self.phases),) * 2, np.int64)))
        return {
            "dice": dict(zip(self.phases.names, values.tolist(), strict=True)),
            "mean_dice": mean_dice(values),
        }

    def rows(self) -> list[list[Any]]:
        """The table: a header, a row an image, `mean over images`, `pooled`."""
        names = self.phases.names
        rows: list[list[Any]] = [["image", *names, "mean_dice"]]
        rows += [[image.id, *(image.dice[name] for name in names), image.mean_dice] for image in self.images]
        rows.append(["mean over images", *self.dice.values(), self.mean_dice])
        rows.append(["pooled", *self.pooled["dice"].values(), self.pooled["mean_dice"]])
        return rows

    def __str__(self) -> str:
        """The table as text, three decimals, `-` where a phase is in neither mask."""
        header, *rows = self.rows()
        cells = [header] + [
            [row[0], *("-" if np.isnan(value) else f"{value:.3f}" for value in row[1:])] for row in rows
        ]
        widths = [max(len(str(row[column])) for row in cells) for column in range(len(header))]
        lines = [
            "  ".join(
                str(cell).ljust(w) if i == 0 else str(cell).rjust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in cells
        ]
        rule = "-" * len(lines[0])
        table = "\n".join([lines[0], rule, *lines[1:-2], rule, *lines[-2:]])
        return f"{table}\n{total(self.particles.values())}" if self.particles else table

    def to_dict(self) -> dict[str, Any]:
        """What `evaluation.json` holds."""
        return {
            "images": [
                {"id": image.id, "dice": image.dice, "mean_dice": image.mean_dice} for image in self.images
            ],
            "mean_dice": self.mean_dice,
            "dice": self.dice,
            "pooled": self.pooled,
            "confusions": {id_: table.tolist() for id_, table in self.confusions.items()},
            "phases": self.phases.to_list(),
            "source": self.source,
            **({"particles": self._particles()} if self.particles else {}),
        }

    def _particles(self) -> dict[str, Any]:
        images = {id_: agreement.to_dict() for id_, agreement in self.particles.items()}
        return {"all": total(self.particles.values()).to_dict(), "images": images}


def evaluate(
    model: Segmenter | Source | Sequence[Source],
    records: RecordSet | str | Path,
    split: str = "test",
    out: str | Path | None = None,
    *,
    force: bool = False,
) -> Evaluation:
    """Dice of each image and phase of a split, by what a user of the `Segmenter` gets.

    Images whose record knows their pixel size are resampled to the model's, as elsewhere.

    The unit is the image: the mean Dice is the mean over images of each image's mean over its phases.
    A phase that is neither in the reference nor in the prediction of an image does not count there.
    Where the model's phases are others than the records', those of the same name, or else of the same role, stand
    for each other, whatever their ids; a phase of the records that the model does not know has Dice 0.
    Where the records hold particles one by one, those found in the predicted mask (`cathode_tf.separate`) are held
    against them: average precision, panoptic quality, errors of the count and of the median diameter.

    Args:
        model: A `Segmenter`, or what it takes.
        records: A record set, or its folder.
        split: Name of the split.
        out: Where `evaluation.json`, `evaluation.csv` and a picture an image are written; default: nowhere.
        force: Replace `out` if it exists.

    Raises:
        InputError: If the split is empty or missing, or model and records share fewer than two phases.
    """
    from cathode_tf.datasets import open_records

    if isinstance(records, (str, Path)):
        records = open_records(records)
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    _check_phases(segmenter.phases, records)
    if not records.splits.get(split):
        there = ", ".join(f"{name} {count}" for name, count in records.splits.items())
        raise InputError(f"{records.path}: must have images in the split {split!r}. Received {there}.")
    source = {
        "split": split,
        "records": {
            "name": records.name,
            "version": str(records.version),
            "fingerprint": records.fingerprint,
        },
        "model": {"fingerprint": segmenter.fingerprint, "card": segmenter.card},
    }
    if out is None:
        return _noted(_evaluate(segmenter, records, split, source, None), segmenter)
    with atomic_folder(out, force=force) as folder:
        evaluation = _evaluate(segmenter, records, split, source, folder)
        write_json(folder / "evaluation.json", evaluation.to_dict())
        _write_csv(folder / "evaluation.csv", evaluation.rows())
    return _noted(evaluation, segmenter)


def _noted(evaluation: Evaluation, segmenter: Segmenter) -> Evaluation:
    """The evaluation, noted beside the model as a test that it passed: its masks tell of it."""
    learned_from = evaluation.source["split"] == "train"
    if len(segmenter.sources) == 1 and evaluation.looks is not None and not learned_from:
        names, images = evaluation.phases.names, evaluation.images
        trial = trial_of(
            f"{evaluation.source['records']['name']} {evaluation.source['split']}",
            [image.id for image in images],
            {name: [image.dice[name] for image in images] for name in names},
            [image.mean_dice for image in images],
            evaluation.looks,
        )
        note_trial(segmenter.sources[0], segmenter.fingerprint, trial)
    return evaluation


def _evaluate(
    segmenter: Segmenter, records: RecordSet, split: str, source: dict[str, Any], folder: Path | None
) -> Evaluation:
    phases, images, tables, looks = records.phases, [], {}, []
    particles: dict[str, Agreement] = {}
    told_in = None if segmenter.phases.same_classes(phases) else phases
    for example in track(records.examples(split), f"Evaluating {split}", total=records.splits[split]):
        segmentation = segmenter.segment(example.micrograph, phases=told_in)
        reference, prediction = phases.to_indices(example.mask), phases.to_indices(segmentation.mask)
        table = confusion(reference, prediction, len(phases))
        values = dice_per_phase(table)
        dice = dict(zip(phases.names, values.tolist(), strict=True))
        images.append(ImageScore(example.id, dice, mean_dice(values)))
        tables[example.id] = table
        looks.append(segmenter.look(example.micrograph))
        if example.labels is not None:
            particles[example.id] = _particles_found(segmentation.mask, example, phases)
        if folder is not None:
            draw_evaluation(
                _picture(folder, example.id),
                example.image,
                example.mask,
                segmentation.mask,
                phases,
                title=f"{example.id}   mean Dice {images[-1].mean_dice:.3f}",
                pixel_size_nm=example.micrograph.pixel_size_nm,
            )
    return Evaluation(phases, images, tables, source, np.array(looks), particles)


def _particles_found(mask: np.ndarray, example: Example, phases: Phases) -> Agreement:
    """How the particles of a predicted mask agree with those of a record; where nobody looked, none count."""
    labels = separate(mask, phases, example.micrograph)
    size = np.bincount(labels.ravel())
    unknown = np.bincount(labels.ravel(), example.mask.ravel() == IGNORE, size.size)
    labels[((size < MIN_AREA_PX) | (2 * unknown > size))[labels]] = 0
    return compare_outlines(labels, [one for one in example.instances if one[1].sum() >= MIN_AREA_PX])


def _check_phases(known: Phases, records: RecordSet) -> None:
    """Raise where the model's phases can say nothing of the records'; warn where they miss one."""
    if known.same_classes(records.phases):
        return
    table = counterparts(known, records.phases)
    told = {int(table[phase.id]) for phase in known}
    missed = [phase.name for phase in records.phases if phase.id not in told]
    if missed:
        warnings.warn(
            InputWarning(f"The model does not know {', '.join(missed)}, which therefore has Dice 0."),
            stacklevel=3,
        )


def _picture(folder: Path, id_: str) -> Path:
    """A file named by the id, in letters that are safe everywhere; numbered where two ids would get one name."""
    stem = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in id_)
    names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
    return next(path for name in names if not (path := folder / f"{name}.png").exists())


def _write_csv(path: Path, rows: list[list[Any]]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for row in rows:
            writer.writerow(["" if isinstance(value, float) and np.isnan(value) else value for value in row])
