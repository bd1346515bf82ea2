"""A project: one folder that holds images, masks, proposals, models and the ledger of what happened.

Every other room of the loop asks the `Project` where things are and what its state is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import read_json
from cathode_tf.imaging import Micrograph
from cathode_tf.phases import IGNORE, Phases
from cathode_tf.rounds.ledger import Ledger
from cathode_tf.rounds.state import ImageState, State, fold

SCHEMA = "cathode-rounds/1"
SEPARATION = "models/separation.keras"
"""The separation network that a project taught, if it did (`rounds.particles`)."""


class Project:
    """An existing project folder.

    Args:
        path: The folder that `create_project` made.

    Raises:
        InputError: If it is no project, or one of a newer schema.

    Attributes:
        path: The folder.
        phases: What its masks mean.
        ledger: Its events.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        card = self.path / "project.json"
        if not card.is_file():
            raise InputError(
                f"{self.path}: must be a project folder (with project.json). "
                f"Make one: cathode-tf rounds init {self.path} --phases phases.toml --images FOLDER"
            )
        self.card: dict[str, Any] = read_json(card)
        if self.card.get("schema") != SCHEMA:
            raise InputError(
                f"{card}: must be of schema {SCHEMA}. Received {self.card.get('schema')!r}. "
                "Update cathode_tf to open it."
            )
        self.phases = Phases.from_toml(self.path / "phases.toml")
        self.ledger = Ledger(self.path / "ledger.jsonl")
        self._state: tuple[int, State] = (-1, State())

    @property
    def state(self) -> State:
        """The project as of now; do not change it."""
        events = self.ledger.events()
        if len(events) != self._state[0]:
            self._state = (len(events), fold(events))
        return self._state[1]

    @property
    def active(self) -> Phases:
        """The phases that are proposed and learned: all but those that were switched off."""
        off = self.state.off
        return Phases(tuple(phase for phase in self.phases if phase.name not in off)) if off else self.phases

    @property
    def separation(self) -> Path | None:
        """The separation network that learned from particles corrected here; None: the one that ships is in use."""
        path = self.path / SEPARATION
        return path if path.is_file() else None

    def image(self, key_or_name: str) -> ImageState:
        """The image with this key, or with this name where only one has it.

        Raises:
            InputError: If there is none, or more than one.
        """
        images = self.state.images
        if key_or_name in images:
            return images[key_or_name]
        found = [image for image in images.values() if image.name == key_or_name]
        if len(found) != 1:
            raise InputError(
                f"{self.path}: must hold one image named {key_or_name!r}. Received {len(found)}; "
                f"there are: {', '.join(i.name for i in list(images.values())[:8])} ..."
            )
        return found[0]

    def pixels(self, image: ImageState) -> np.ndarray:
        """The image as acquired, uint8 or uint16 (height, width)."""
        return read_png(self.path / image.path, (image.height, image.width))

    def micrograph(self, image: ImageState) -> Micrograph:
        """The image with its pixel size, as models take it."""
        path = self.path / image.path
        return Micrograph(self.pixels(image), image.pixel_size_nm, path=path)

    def strip(self, image: ImageState) -> np.ndarray | None:
        """The data strip that was cut off below an image of unknown pixel size, (rows, width), or None."""
        path = self.path / "images" / f"{image.key}_strip.png"
        rows = int(image.acquisition.get("databar_rows") or 0)
        return read_png(path, (rows, image.width)) if rows and path.exists() else None

    def mask(self, image: ImageState) -> np.ndarray | None:
        """Its accepted mask, uint8 ids (height, width), or None."""
        return None if image.mask is None else self._ids(self.path / image.mask, image)

    def mask_at(self, path: str, image: ImageState) -> np.ndarray:
        """A mask that was accepted for an image once, by its path within the project."""
        return self._ids(self.path / path, image)

    def proposal(self, image: ImageState) -> np.ndarray | None:
        """Its latest proposed mask, uint8 ids (height, width), or None."""
        if image.proposal is None:
            return None
        return self._ids(self.path / image.proposal["mask"], image)

    def uncertainty(self, image: ImageState) -> np.ndarray | None:
        """How unsure the latest proposal is at each pixel, uint8 (0 sure - 255) (height, width), or None."""
        if image.proposal is None:
            return None
        return read_png(self.path / image.proposal["uncertainty"], (image.height, image.width))

    def starting_mask(self, image: ImageState) -> np.ndarray:
        """What a person begins with: the accepted mask, else the proposal, else nothing labelled (255)."""
        for mask in (self.mask(image), self.proposal(image)):
            if mask is not None:
                return mask
        return np.full((image.height, image.width), IGNORE, np.uint8)

    def _ids(self, path: Path, image: ImageState) -> np.ndarray:
        mask = read_png(path, (image.height, image.width))
        self.phases.check_mask(mask, path)
        return mask


def read_png(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Grey or palette PNG as stored: palette indices stay indices."""
    import cv2
    from PIL import Image

    try:
        with Image.open(path) as file:
            # OpenCV decodes faster, but would turn the ids of a palette into colours.
            plain = file.mode in ("L", "I;16", "I")
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if plain else np.asarray(file)
            if pixels is None:  # damaged, or a name that OpenCV cannot read; Pillow says what is wrong
                pixels = np.asarray(file)
    except (OSError, SyntaxError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Restore it from a backup.") from error
    if pixels.dtype == np.int32:  # how Pillow gives 16-bit grey
        pixels = pixels.astype(np.uint16)
    if pixels.shape != shape:
        raise InputError(f"{path}: must be {shape[0]} x {shape[1]} pixels. Received {pixels.shape}.")
    return pixels
