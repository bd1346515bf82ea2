"""Image files in, mask and overlay files out, with a list of what is done and of what was broken."""

from __future__ import annotations

import hashlib
import math
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_file, read_json, refuse_overwrite, write_json
from cathode_tf.imaging import Micrograph, find_images, read_micrograph, write_mask, write_overlay
from cathode_tf.imaging.rasters import open_raster
from cathode_tf.imaging.vendors import read_metadata
from cathode_tf.inference.large import TiffWindows, segment_large
from cathode_tf.inference.segmentation import SAME_SCALE, Segmentation
from cathode_tf.inference.segmenter import Segmenter
from cathode_tf.inference.sources import Source
from cathode_tf.inference.volumes import TiffVolume, segment_volume
from cathode_tf.phases import Phases
from cathode_tf.progress import track

LEDGER = "segmented.json"
LARGE_PX = 50_000_000
"""TIFFs of more pixels are read and written in parts."""


@dataclass
class Report:
    """What became of the images of `segment_files`.

    Attributes:
        scores: Mean entropy (0-1, higher = more uncertain) by image id, of the images that are done.
        skipped: Files that had been done before.
        broken: Files that could not be segmented, and why.
    """

    scores: dict[str, float] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)
    broken: list[tuple[Path, str]] = field(default_factory=list)


def segment_files(
    model: Segmenter | Source | Sequence[Source],
    images: Sequence[str | Path],
    out: str | Path,
    *,
    uncertainty: bool = False,
    resume: bool = False,
    force: bool = False,
) -> Report:
    """Segment image files and folders of them; write masks and overlays to `out`.

    A TIFF of several pages gives one label volume. A TIFF of more than 50 million pixels is read and
    written in parts. An image that cannot be read does not stop the others.

    Args:
        model: A `Segmenter`, or what it takes.
        images: Files and folders.
        out: Folder for `<stem>_mask.png` (`.tif` for volumes and large images) and `<stem>_overlay.png`.
        uncertainty: Write `<stem>_margin.png` and `<stem>_entropy.png` as well.
        resume: Skip images that this very model has segmented to `out` before, by their content.
        force: Replace files that exist.

    Returns:
        Scores, skipped and broken files. The list of what is done stands in `out/segmented.json`.

    Raises:
        InputError: If there is no image, two have one stem, or a mask exists and neither `resume` nor
            `force` is set.
    """
    out, paths = Path(out), find_images(images)
    stems = [path.stem for path in paths]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InputError(
            f"images: each stem must occur once, as masks are named by it. {twice[0]!r} occurs twice."
        )
    if not resume:
        for stem in stems:
            for suffix in (".png", ".tif"):
                refuse_overwrite(out / f"{stem}_mask{suffix}", force)
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    ledger = _Ledger(out, segmenter.fingerprint, uncertainty)
    report = Report()
    for path in track(paths, "Segmenting"):
        try:
            key = ledger.key(path)
            if resume and ledger.restore(key, path.stem):
                report.skipped.append(path)
                continue
            files, scores = _segment_file(segmenter, path, out, uncertainty, force or resume)
        except InputError as error:
            report.broken.append((path, str(error)))
            continue
        ledger.add(key, path.stem, files)
        report.scores.update(scores)
    return report


def _segment_file(
    segmenter: Segmenter, path: Path, out: Path, uncertainty: bool, force: bool
) -> tuple[list[Path], dict[str, float]]:
    pages, pixels = _tiff_size(path)
    if pages > 1 or pixels > LARGE_PX:
        _warn_of_scale(path, segmenter.card.get("pixel_size_nm"))
    if pages > 1:
        volume = segment_volume(segmenter, TiffVolume(path), out / f"{path.stem}_mask.tif", force=force)
        return [volume.path], {path.stem: volume.score}
    if pixels > LARGE_PX:
        files, score = segment_large(
            segmenter, TiffWindows(path), out, path.stem, uncertainty=uncertainty, force=force
        )
        return files, {path.stem: score}
    micrograph = read_micrograph(path)
    assert isinstance(micrograph, Micrograph)
    segmentation = segmenter.segment(micrograph)
    files = _write(out, micrograph, segmentation, segmenter.phases, uncertainty, force)
    return files, {micrograph.id: segmentation.score}


def _tiff_size(path: Path) -> tuple[int, int]:
    """Pages and pixels of a page of a TIFF; 1 and 0 for every other file."""
    with open_raster(path, max_megapixels=math.inf) as raster:
        return raster.count, raster.height * raster.width if raster.tiff else 0


def _warn_of_scale(path: Path, models: float | None) -> None:
    """Single images are resampled to the model's pixel size; what is worked on in parts is not."""
    with open_raster(path, max_megapixels=math.inf) as raster:
        own = read_metadata(raster).pixel_size_nm
    if own and models and abs(own / models - 1) > SAME_SCALE:
        warnings.warn(
            f"{path}: has pixels of {own:g} nm, the model was trained on {models:g} nm. Stacks and images of more "
            f"than {LARGE_PX // 1_000_000} megapixels are not resampled to that: look at the mask.",
            InputWarning,
            stacklevel=4,
        )


def _write(
    out: Path,
    micrograph: Micrograph,
    segmentation: Segmentation,
    phases: Phases,
    uncertainty: bool,
    force: bool,
) -> list[Path]:
    import cv2

    files = [out / f"{micrograph.id}_mask.png", out / f"{micrograph.id}_overlay.png"]
    write_mask(files[0], segmentation.mask, phases, force=force)
    write_overlay(files[1], micrograph.pixels, segmentation.mask, phases, force=force)
    for name in ("margin", "entropy") if uncertainty else ():
        files.append(out / f"{micrograph.id}_{name}.png")
        with atomic_file(files[-1], force=force) as temporary:
            cv2.imwrite(str(temporary), getattr(segmentation, name))
    return files


class _Ledger:
    """Which content was segmented by which model, and what files came of it."""

    def __init__(self, out: Path, fingerprint: str, uncertainty: bool):
        self._out, self._path = out, out / LEDGER
        self._salt = f"{fingerprint} {uncertainty}"
        self._entries: dict[str, dict[str, Any]] = read_json(self._path) if self._path.exists() else {}

    def key(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
        return hashlib.sha256(f"{content} {self._salt}".encode()).hexdigest()

    def restore(self, key: str, stem: str) -> bool:
        """Whether the files of this content are there under `stem`; copied from another stem if need be."""
        entry = self._entries.get(key)
        if entry is None or not all((self._out / name).exists() for name in entry["files"]):
            return False
        if entry["stem"] != stem:
            for name in entry["files"]:
                with atomic_file(self._out / name.replace(entry["stem"], stem, 1), force=True) as temporary:
                    shutil.copyfile(self._out / name, temporary)
        return True

    def add(self, key: str, stem: str, files: list[Path]) -> None:
        # What this stem held before is replaced.
        self._entries = {k: entry for k, entry in self._entries.items() if entry["stem"] != stem}
        self._entries[key] = {"stem": stem, "files": [path.name for path in files]}
        write_json(self._path, self._entries, force=True)
