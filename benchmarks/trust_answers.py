"""What a model says of drawn bodies, kept in files: the network runs once, what is measured of it runs without it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from trust_bodies import DrawnBody, draw_body, read_body

from cathode_tf.phases import Phases

DEFAULT = Path(__file__).parents[1] / "cathode_tf" / "learning" / "default.keras"


@dataclass(frozen=True)
class Answer:
    """What a model says of some sections of a body.

    Attributes:
        probabilities: float32 (sections, height, width, phases).
        masks: uint8 (sections, height, width) of phase ids.
        labels: int32, the particles as the separation network tells them apart.
    """

    probabilities: np.ndarray
    masks: np.ndarray
    labels: np.ndarray


class Answers:
    """The answers of one model to the bodies of a folder.

    Args:
        model: A run, `.keras` file, or the word default.
        folder: With the bodies; answers are kept in a folder of it, named by the model's weights.
    """

    def __init__(self, model: str, folder: Path) -> None:
        path = DEFAULT if model == "default" else Path(model)
        self.path = path / "best.keras" if path.is_dir() else path
        self.bodies, self.card = folder, card_of(self.path)
        self.phases = Phases.from_list(self.card["phases"])
        self.folder = folder / weights_of(self.path)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._segmenter: Any = None

    def body(self, number: int, cuts: int) -> DrawnBody:
        """Body `number`, drawn if it is not there."""
        return read_body(draw_body(self.bodies, number, cuts))

    def to(self, body: DrawnBody, sections: int) -> Answer:
        """The answer to the first sections of a body."""
        path = self.folder / f"answer_{body.number:05d}.npz"
        if not path.exists():
            self._answer(body, sections, path)
        with np.load(path) as content:
            return Answer(
                np.square(content["roots"].astype(np.float32) / 65535), content["masks"], content["labels"]
            )

    def _answer(self, body: DrawnBody, sections: int, path: Path) -> None:
        from cathode_tf.imaging import Micrograph
        from cathode_tf.inference import Segmenter
        from cathode_tf.inference.separation import separate

        self._segmenter = self._segmenter or Segmenter(self.path)
        found = []
        for image in body.images[:sections]:
            micrograph = Micrograph(image, pixel_size_nm=body.pixel_size_nm)
            probabilities = self._segmenter.probabilities(micrograph)
            mask = self.phases.to_ids(probabilities.argmax(-1))
            # Roots of 16 bits keep small probabilities, too.
            roots = np.rint(np.sqrt(probabilities) * 65535).astype(np.uint16)
            found.append((roots, mask, separate(mask, self.phases, micrograph)))
        roots, masks, labels = (np.stack(each) for each in zip(*found, strict=True))
        unfinished = path.with_suffix(".part.npz")
        np.savez_compressed(unfinished, roots=roots, masks=masks, labels=labels)
        os.replace(unfinished, path)


def card_of(path: Path) -> dict[str, Any]:
    """The card of a `.keras` file, read without Keras."""
    with zipfile.ZipFile(path) as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    return next(layer["config"]["card"] for layer in layers if layer["class_name"] == "Card")


def weights_of(path: Path) -> str:
    """Twelve digits that name the weights of a `.keras` file; another card leaves them as they are."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:

        def add(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                digest.update(name.encode() + np.ascontiguousarray(item[()]).tobytes())

        file.visititems(add)
    return digest.hexdigest()[:12]
