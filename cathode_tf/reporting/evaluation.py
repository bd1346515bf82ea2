"""How good a model is, as a section of a report: the content of `evaluation.json` in, a section out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cathode_tf.reporting.figures import picture_data
from cathode_tf.reporting.page import Picture, Section, Table

PICTURES = 2


def evaluation_section(
    evaluation: Mapping[str, Any], curves: Path | None = None, folder: Path | None = None
) -> Section:
    """The Dice table of the test images, with learning curves and a few of the pictures.

    Args:
        evaluation: Content of `evaluation.json`: `images` with `id`, `dice` by phase and `mean_dice`.
        curves: Picture of the training's curves.
        folder: Where `evaluate` wrote its pictures; the first two are shown.
    """
    section = Section(
        "How good the model is",
        texts=[
            "Dice compares the model's masks with reference masks of images that it never saw in training: 1 is "
            "perfect agreement, 0 none."
        ],
        tables=[dice_table(evaluation)],
        wide=True,
    )
    shown = sorted(folder.glob("*.png"))[:PICTURES] if folder else []
    captions = ["Training curves"] if curves else []
    captions += [path.stem for path in shown]
    for path, caption in zip([curves, *shown] if curves else shown, captions, strict=True):
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None  # Pictures that this package has just written.
        section.pictures.append(Picture(picture_data(pixels[..., ::-1]), caption))
    return section


def dice_table(evaluation: Mapping[str, Any]) -> Table:
    """A row an image, then the mean over images; a phase that is absent from both masks has no Dice."""
    images = evaluation["images"]
    names = list(images[0]["dice"])
    rows = [
        [image["id"], *(_cell(image["dice"][name]) for name in names), _cell(image["mean_dice"])]
        for image in images
    ]
    means = []
    for name in names:
        present = [image["dice"][name] for image in images if image["dice"][name] is not None]
        means.append(_cell(sum(present) / len(present) if present else None))
    rows.append(["mean over images", *means, _cell(evaluation["mean_dice"])])
    return Table(["image", *names, "mean Dice"], rows, numeric=True)


def _cell(value: float | None) -> str:
    return "absent" if value is None else f"{value:.3f}"
