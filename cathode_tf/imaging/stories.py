"""The story of masks, beside them: who or what made each, of which image. Written with masks, read with them.

`segment` tells it in its `segmented.json`, whoever else writes masks in a `masks.json`; both hold one table `stories`,
by file name. A file that is no longer what the story tells of (its SHA-256) was changed since, and says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import pixel_sha256, read_json, write_json
from cathode_tf.imaging.micrographs import read_micrograph

STORIES = "masks.json"
LEDGERS = (STORIES, "segmented.json")
"""Files that tell the stories of the masks beside them."""

MODEL, CORRECTED, HUMAN, CHANGED, UNKNOWN = "model", "corrected", "human", "changed", "unknown"
ORIGINS = (MODEL, CORRECTED, HUMAN, CHANGED, UNKNOWN)


@dataclass(frozen=True)
class Story:
    """What is known of one mask.

    Attributes:
        origin: `"model"`: as a model made it; `"corrected"`: a person corrected and accepted it in the review page;
            `"human"`: drawn by hand; `"changed"`: the file was changed since, by whom nobody said; `"unknown"`.
        by: Who corrected or drew it, or whose strokes it follows.
        changed: Share of the pixels (0-1) that this person changed; None = unknown.
        model: What is known of the model that made it: path, title, SHA-256, Dice, tests.
        image: Of the micrograph: path, SHA-256 of its pixels, shape, pixel size and where that was read, acquisition.
        kind: How far the image is from what the model learned: `score`, `limit`, `foreign`, `reason`.
        record: Where a record or project keeps it: key, round, minutes.
        sha256: Of the file of the mask, when the story was told.
    """

    origin: str = UNKNOWN
    by: str = ""
    changed: float | None = None
    model: Mapping[str, Any] | None = None
    image: Mapping[str, Any] = field(default_factory=dict)
    kind: Mapping[str, Any] | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, what is unknown left out."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "", {})}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Story:
        """The story that `to_dict` told; keys of a later version are left out."""
        known = {each.name for each in fields(cls)}
        story = cls(**{name: value for name, value in content.items() if name in known})
        return story if story.origin in ORIGINS else replace(story, origin=UNKNOWN)


def stories_beside(masks: Sequence[Path]) -> list[Story]:
    """What lies beside each mask about it, or a `Story()` that knows nothing.

    Raises:
        InputError: If a file of stories is damaged.
    """
    told: dict[Path, Story] = {}
    for folder in dict.fromkeys(path.parent for path in masks):
        for name, story in read_stories(folder).items():
            told[folder / name] = story
    return [_as_it_is(path, told.get(path, Story())) for path in masks]


def read_stories(folder: str | Path) -> dict[str, Story]:
    """The stories that a folder tells, by file name; what people did counts before what `segment` did."""
    found: dict[str, Story] = {}
    for name in reversed(LEDGERS):
        path = Path(folder) / name
        if not path.exists():
            continue
        content = read_json(path)
        try:
            found |= {file: Story.from_dict(story) for file, story in content.get("stories", {}).items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: must be what cathode-tf wrote beside masks. Received another file ({error}). Move it away."
            ) from error
    return found


def write_stories(folder: str | Path, stories: Mapping[str, Story]) -> Path:
    """Write `masks.json`: the stories by file name, beside those of other files that it tells already.

    The SHA-256 of each file that lies there is noted, so the masks are written first.
    """
    path = Path(folder) / STORIES
    content = read_json(path) if path.exists() else {}
    kept = content.get("stories", {}) if isinstance(content, dict) else {}
    told = {
        name: replace(story, sha256=file_sha256(Path(folder) / name)).to_dict()
        for name, story in stories.items()
    }
    return write_json(path, {"stories": {**kept, **told}}, force=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes; empty for a folder, as an OME-Zarr volume is one.

    Raises:
        InputError: If it cannot be read.
    """
    if path.is_dir():
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def micrograph_of(story: Story, shape: tuple[int, int]) -> np.ndarray | None:
    """The pixels that a mask is of, uint8 or uint16 (height, width), if they lie where they did and are the same."""
    path, expected = story.image.get("path"), story.image.get("pixel_sha256")
    if not path or not expected or not Path(path).is_file():
        return None
    try:
        micrographs = read_micrograph(path)
    except InputError:
        return None
    for micrograph in micrographs if isinstance(micrographs, list) else [micrographs]:
        if micrograph.pixels.shape == shape and pixel_sha256(micrograph.pixels) == expected:
            return micrograph.pixels
    return None


def _as_it_is(path: Path, story: Story) -> Story:
    if not story.sha256 or story.origin == UNKNOWN or file_sha256(path) == story.sha256:
        return story
    return replace(story, origin=CHANGED, by="", changed=None)
