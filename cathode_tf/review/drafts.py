"""Unfinished work: the mask a person began with and every stroke since, on disk before the browser goes on.

Strokes come in as they are made; after a closed tab, a reload or a killed server the same strokes go
out, with what is needed to undo them.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, read_json, write_json
from cathode_tf.phases import IGNORE
from cathode_tf.review.runs import Stroke, apply_stroke, decode_mask, decode_strokes, encode_mask
from cathode_tf.rounds import ImageState, Project


class OutOfStep(InputError):
    """The draft on disk is not the one the browser has been working on."""


class Draft:
    """The draft of one image, in `drafts/<key>/`: `base.runs`, `strokes` and `draft.json`.

    Args:
        project: The project.
        image: The image.
    """

    def __init__(self, project: Project, image: ImageState) -> None:
        self.project, self.image = project, image
        self.folder = project.path / "drafts" / image.key
        self._strokes = self.folder / "strokes"

    @property
    def exists(self) -> bool:
        """Whether something was painted that is not yet accepted."""
        return self.size > 0

    @property
    def size(self) -> int:
        """Bytes of strokes that were wholly received."""
        return int(self._card().get("bytes", 0))

    @property
    def seconds(self) -> float:
        """Time spent on it so far, idle time excluded."""
        return float(self._card().get("seconds", 0.0))

    @property
    def who(self) -> str:
        """Who painted last."""
        return str(self._card().get("who", ""))

    def _card(self) -> dict[str, Any]:
        path = self.folder / "draft.json"
        return read_json(path) if path.exists() else {}

    def base(self) -> bytes:
        """The mask that the strokes start from, as runs."""
        path = self.folder / "base.runs"
        return path.read_bytes() if path.exists() else encode_mask(self.project.starting_mask(self.image))

    def strokes(self) -> bytes:
        """All strokes so far."""
        size = self.size  # first: what is added while we read is not ours
        return self._strokes.read_bytes()[:size] if self._strokes.exists() else b""

    def append(self, data: bytes, at: int, *, who: str, seconds: float = 0.0) -> int:
        """Add strokes and time; on the disk when this returns.

        Args:
            data: Strokes as bytes; may be empty, to add time only.
            at: How many bytes of strokes the browser knows to be kept.
            who: Name of the person.
            seconds: Time spent since the last call.

        Returns:
            How many bytes of strokes are kept now.

        Raises:
            OutOfStep: If the draft has another length than `at`.
            InputError: If a stroke leaves the image or paints what is no phase.
        """
        self._check(data)
        with self.project.ledger.locked():
            size = self.size
            if at != size:
                raise OutOfStep(
                    f"draft: has {size} bytes of strokes. Received more from byte {at}. Reload the page."
                )
            if data:
                if not size:
                    with atomic_file(self.folder / "base.runs", force=True) as temporary:
                        temporary.write_bytes(encode_mask(self.project.starting_mask(self.image)))
                self.folder.mkdir(parents=True, exist_ok=True)
                # What a killed server left beyond the known length is cut off here.
                with open(self._strokes, "r+b" if self._strokes.exists() else "wb") as file:
                    file.truncate(size)
                    file.seek(size)
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            total = self.seconds + seconds
            card = {"bytes": size + len(data), "seconds": round(total, 2), "who": who}
            write_json(self.folder / "draft.json", card, force=True)
            return size + len(data)

    def _check(self, data: bytes) -> None:
        allowed = np.zeros(256, bool)
        allowed[[*self.project.phases.ids, IGNORE]] = True
        pixels = self.image.height * self.image.width
        for stroke in decode_strokes(data):
            ends = stroke.starts.astype(np.int64) + stroke.lengths
            if ends.size and ends.max() > pixels:
                raise InputError(
                    f"{self.image.name}: a stroke must stay within the image. Received {ends.max()}."
                )
            foreign = stroke.new[~allowed[stroke.new]]
            if foreign.size:
                raise InputError(
                    f"{self.image.name}: must hold only the ids of phases.toml "
                    f"({self.project.phases.describe()}; 255 is ignored). Received {foreign[0]}."
                )

    def spend(self) -> float:
        """The seconds so far, which from now on belong to the ledger."""
        with self.project.ledger.locked():
            card = self._card()
            if card:
                write_json(self.folder / "draft.json", {**card, "seconds": 0.0}, force=True)
            return float(card.get("seconds", 0.0))

    def mask(self) -> np.ndarray:
        """The mask with all strokes applied, uint8 (height, width)."""
        mask = decode_mask(self.base(), (self.image.height, self.image.width)).copy()
        for stroke in decode_strokes(self.strokes()):
            apply_stroke(mask.reshape(-1), stroke)
        return mask

    def painted(self) -> np.ndarray:
        """What stands painted by hand, uint8 (height, width): a phase's id, 255 elsewhere.

        Steps taken back count as never made. What the eraser went over, or was painted "ignore", tells
        of no phase.

        Raises:
            InputError: If a step is taken back or made again that was never made.
        """
        done: list[Stroke] = []
        undone: list[Stroke] = []
        for stroke in decode_strokes(self.strokes()):
            if stroke.kind in ("do", "auto"):
                done.append(stroke)
                undone.clear()
                continue
            source, target = (done, undone) if stroke.kind == "undo" else (undone, done)
            if not source:
                raise InputError(f"{self.image.name}: its draft has {stroke.kind} without a step.")
            target.append(source.pop())
        painted = np.full((self.image.height, self.image.width), IGNORE, np.uint8)
        for stroke in done:
            nothing = np.full_like(stroke.new, IGNORE)
            apply_stroke(painted.reshape(-1), stroke if stroke.kind == "do" else replace(stroke, new=nothing))
        return painted

    def discard(self) -> None:
        """Forget it: the work was accepted, or the person wants to begin again."""
        with self.project.ledger.locked():
            # The card first: without it the rest, what a killed server left included, means nothing.
            (self.folder / "draft.json").unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)
