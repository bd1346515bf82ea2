"""How long work will take on this computer: what a megapixel takes the default model here comes in, seconds go out.

Everything is told by that pace, which the worker measures before anyone waits: where a megapixel takes four times as
long, so does reading an image, or measuring a mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cathode_tf.files import read_json
from cathode_tf.imaging.draws import draws_beside
from cathode_tf.rounds import Project
from cathode_tf.rounds.state import ImageState
from cathode_tf.rounds.training import VALIDATION_SHARE

if TYPE_CHECKING:
    from cathode_tf.review.desk import Desk

PACE = 2.5
"""Seconds that a megapixel takes on one free core; what is told in seconds below was measured beside it."""

VIEWS = 4
"""`propose` looks at each image in so many orientations."""

IMAGE_S, APPLY_IMAGE_S = 1.5, 6.0
"""What an image of any size takes beside its pixels: to propose a mask; and with plausible masks and particles."""

REPORT_IMAGE_S, REPORT_DRAWS_S, DRAW_S = 3.0, 16.0, 8.0
"""What measuring a mask takes, measuring its plausible masks, and drawing the report."""

RECORDS_S, LOAD_S, MODEL_S, CALIBRATE_S = 5.0, 8.0, 5.0, 4.0
"""What a training takes beside its minutes: records, loading and tracing, measuring a model, calibrating it."""

CALIBRATION_IMAGES = 12
CALIBRATE_PER_MEGAPIXEL = 2.0

STEP_PER_MEGAPIXEL = 4.0
"""A training step of 16 patches takes about as long as segmenting so many megapixels once; a guess for the first
training, later ones know better."""

LEAST_MINUTES, MOST_MINUTES = 1.0, 30.0


def pace_of(desk: Desk) -> float | None:
    """Seconds that a megapixel takes here; None before the worker has measured it.

    A model of this project in its place says more of this computer than a probe before the first.
    """
    last = desk.jobs.latest("propose", "done")
    return last["result"]["s_per_megapixel"] / VIEWS if last else desk.worker.speed().get("s_per_megapixel")


def slowness(pace: float | None) -> float:
    """How many times as long as on a free core things take here, at least 1."""
    return max(1.0, (pace or PACE) / PACE)


def megapixels(images: Sequence[ImageState]) -> float:
    """Of all of them together."""
    return sum(image.height * image.width for image in images) / 1e6


def propose_seconds(images: Sequence[ImageState], pace: float) -> float:
    """How long `propose` takes for these images, where the model takes `pace` seconds for a megapixel."""
    return round(VIEWS * pace * megapixels(images) + slowness(pace) * IMAGE_S * len(images), 1)


def apply_seconds(images: Sequence[ImageState], pace: float) -> float:
    """How long a mask, its plausible masks and its particles take for each of these images."""
    return round(pace * megapixels(images) + slowness(pace) * APPLY_IMAGE_S * len(images), 1)


def measuring_seconds(mask: Path) -> float:
    """How long a mask, and the plausible masks that lie beside it, take a free core to measure."""
    return REPORT_IMAGE_S + (REPORT_DRAWS_S if draws_beside(mask) else 0.0)


def report_stages(project: Project, batch: str, pace: float | None) -> list[tuple[str, float]]:
    """The stages of a report; an image with plausible masks is measured once for each of them, too."""
    from cathode_tf.review.batch import batch_folder, read_batch

    folder = batch_folder(project, batch)
    seconds = [measuring_seconds(folder / row["mask"]) for row in read_batch(project, batch) if row["mask"]]
    measuring = sum(seconds)
    return [("Measuring", slowness(pace) * measuring), ("Drawing", slowness(pace) * DRAW_S)]


def training_stages(project: Project, limit_s: float, pace: float | None) -> list[tuple[str, float]]:
    """The stages of a training of `limit_s` seconds: records, training, what its probabilities are worth, test images.

    The training itself takes the seconds that it is given, whatever the computer.
    """
    slow, pace = slowness(pace), pace or PACE
    pool, tests = (project.state.annotated(role) for role in ("pool", "test"))
    learned = VALIDATION_SHARE * megapixels(pool[:CALIBRATION_IMAGES])
    calibrating = slow * (CALIBRATE_S + CALIBRATE_PER_MEGAPIXEL * learned) + pace * learned
    models = 1 if project.state.baseline else 2
    measuring = models * (slow * MODEL_S + 2 * pace * megapixels(tests))
    stages = [("Converting images", slow * RECORDS_S), ("Training", slow * LOAD_S + limit_s)]
    stages += [("Calibrating", calibrating)]
    return [*stages, ("Measuring models", measuring)] if tests else stages


def training_minutes(project: Project, pace: float) -> float:
    """How long to train on this computer: more for more images, until more brings little.

    A hundred steps teach a network that begins with the default model what a few images show; each image beyond
    is worth some more, up to four hundred.
    """
    steps = min(400, 100 + 25 * len(project.state.annotated("pool")))
    minutes = steps * step_seconds(project, pace) / 60
    return min(MOST_MINUTES, max(LEAST_MINUTES, math.ceil(2 * minutes) / 2))


def step_seconds(project: Project, pace: float) -> float:
    """How long a training step takes here: as in the last training, or guessed from how fast the model segments."""
    cards = sorted((project.path / "runs").glob("*/card.json"))
    trained: dict[str, Any] = read_json(cards[-1])["trained_on"] if cards else {}
    if trained.get("steps"):
        return float(trained["seconds"]) / int(trained["steps"])
    return STEP_PER_MEGAPIXEL * pace
