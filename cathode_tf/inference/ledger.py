"""What `segment` did in a folder: which content became which files, at which pixel size; which files are its own."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, read_json, write_json
from cathode_tf.imaging.stories import Story, file_sha256, read_stories
from cathode_tf.inference.segmentation import MAPS

if TYPE_CHECKING:
    from cathode_tf.inference.image_files import SegmentedFile

LEDGER = "segmented.json"
KINDS = (*MAPS, "overlay", "labels", "draws")
"""The files of an image are `<stem>_<kind>`, `.png` or `.tif`."""


class Ledger:
    """Which content was segmented by which model, and what files, of what content, came of it.

    Args:
        out: The folder; its ledger is read if there is one.
        fingerprint: Of the model.
        uncertainty: Whether the maps of the uncertainty are written as well.
        pixel_size_nm: That was given by hand; None = the images'.

    Raises:
        InputError: If the file of that name is not a ledger.
    """

    def __init__(self, out: Path, fingerprint: str, uncertainty: bool, pixel_size_nm: float | None = None):
        self._out, self._path = out, out / LEDGER
        by_hand = "" if pixel_size_nm is None else f" {float(pixel_size_nm)} nm"
        self._salt = f"{fingerprint} {uncertainty}{by_hand}"
        self._done, self._written = _read(out)
        self._stories = read_stories(out)

    def key(self, path: Path, others: Sequence[Path] = ()) -> str:
        """Of the content of an image file, this model, the pixel size by hand, and what is to be written.

        Args:
            path: The image.
            others: Files whose content decides the answer too.
        """
        contents = " ".join(file_sha256(file) for file in (path, *others))
        return hashlib.sha256(f"{contents} {self._salt}".encode()).hexdigest()

    def kept(self, stem: str) -> str | None:
        """The first file of this stem that `segment` did not write, or that has changed since; None if none is."""
        for name in output_names(stem):
            path = self._out / name
            if path.exists() and file_sha256(path) not in self._written.get(name, ()):
                return name
        return None

    def knows(self, key: str) -> bool:
        """Whether the files of this content are there, under whatever stem.

        They are as they were written last: neither those of before, which a kill left, nor corrected ones.
        """
        entry = self._done.get(key)
        return entry is not None and all(self._is_last(name) for name in entry["files"])

    def restore(self, key: str, stem: str) -> None:
        """Copy the files of a content that is known to `stem`, if they have another."""
        entry = self._done[key]
        if entry["stem"] == stem:
            return
        copies = {name: name.replace(entry["stem"], stem, 1) for name in entry["files"]}
        for name, copy in copies.items():
            self._note(copy, self._written[name][-1])
            if name in self._stories:
                self._stories[copy] = self._stories[name]
        self._write()
        for name, copy in copies.items():
            with atomic_file(self._out / copy, force=True) as temporary:
                shutil.copyfile(self._out / name, temporary)

    def add(self, key: str, path: Path, files: list[Path], image: SegmentedFile, story: Story) -> None:
        """Note what is about to be put in place, and its mask's story; what its stem held before is replaced."""
        stem = path.stem
        self._done = {k: entry for k, entry in self._done.items() if entry["stem"] != stem}
        self._done[key] = {
            "stem": stem,
            "files": [path.name for path in files],
            "pixel_size_nm": image.pixel_size_nm,
            "pixel_size_source": image.pixel_size_source,
            "micrograph": os.path.relpath(path, self._out),
        }
        for file in files:
            digest = file_sha256(file)
            self._note(file.name, digest)
            if file.stem == f"{stem}_mask":
                self._stories[file.name] = replace(story, sha256=digest)
        self._write()

    def _is_last(self, name: str) -> bool:
        path, known = self._out / name, self._written.get(name, [])
        return path.exists() and known[-1:] == [file_sha256(path)]

    def _note(self, name: str, sha256: str) -> None:
        # A kill may leave the file of before in place, so its hash stays known too.
        path, known = self._out / name, self._written.get(name, ())
        before = [file_sha256(path)] if known and path.exists() else []
        self._written[name] = [*(digest for digest in before if digest in known), sha256]

    def _write(self) -> None:
        stories = {name: story.to_dict() for name, story in self._stories.items()}
        content = {"done": self._done, "sha256": self._written, "stories": stories}
        write_json(self._path, content, force=True)


def output_names(stem: str) -> list[str]:
    """Every name that a file of this image may get."""
    return [f"{stem}_{kind}{suffix}" for kind in KINDS for suffix in (".png", ".tif")]


def results_among(paths: Sequence[Path]) -> list[Path]:
    """Those of the paths that are no micrographs, but what `segment` made of one.

    They stand in the ledger of their folder, or beside the image whose name they bear.
    """
    there = {(path.parent, path.stem) for path in paths}
    listed = {folder / name for folder in {path.parent for path in paths} for name in _read(folder)[1]}

    def is_result(path: Path) -> bool:
        stem, _, kind = path.stem.rpartition("_")
        return path in listed or (kind in KINDS and (path.parent, stem) in there)

    return [path for path in paths if is_result(path)]


def micrographs_beside(masks: Sequence[Path]) -> list[Path | None]:
    """Where `segment` noted that the micrograph of each mask lies, if it still lies there; None if nothing."""
    noted: dict[Path, Path] = {}
    for folder in {path.parent for path in masks}:
        for entry in _read(folder)[0].values():
            if entry.get("micrograph"):
                noted |= {folder / name: folder / entry["micrograph"] for name in entry["files"]}
    found = [noted.get(path) for path in masks]
    return [path if path is not None and path.is_file() else None for path in found]


def labels_beside(mask: Path) -> Path | None:
    """The label image `<stem>_labels.tif` that lies beside `<stem>_mask.png` or `<stem>.png`, if one does."""
    path = mask.with_name(f"{mask.stem.removesuffix('_mask')}_labels.tif")
    return path if path.is_file() and path != mask else None


def pixel_sizes_beside(masks: Sequence[Path]) -> list[tuple[float | None, str]]:
    """What `segment` noted of each mask: the pixel size in nm and where it was read; (None, "") if nothing."""
    noted: dict[Path, tuple[float | None, str]] = {}
    for folder in {path.parent for path in masks}:
        for entry in _read(folder)[0].values():
            known = (entry.get("pixel_size_nm"), entry.get("pixel_size_source", ""))
            noted |= {folder / name: known for name in entry["files"]}
    return [noted.get(path, (None, "")) for path in masks]


def _read(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """Stem and files by the key of each content, and the last hashes of each file that was written."""
    path = folder / LEDGER
    content = read_json(path) if path.exists() else {"done": {}, "sha256": {}}
    try:
        done = {
            k: {**entry, "stem": str(entry["stem"]), "files": list(entry["files"])}
            for k, entry in content["done"].items()
        }
        return done, {name: list(hashes) for name, hashes in content["sha256"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: must be the list that cathode-tf segment writes. Received another. Move it away."
        ) from error
