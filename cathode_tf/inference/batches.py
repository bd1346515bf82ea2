"""Mask files, or a model and micrographs, in; name, mask and pixels of one image after the other out."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import Micrograph, iter_micrographs, read_mask, write_mask
from cathode_tf.imaging.draws import Draws, draws_beside, read_draws, write_draws
from cathode_tf.imaging.label_images import read_labels, write_labels
from cathode_tf.imaging.micrographs import BY_HAND
from cathode_tf.imaging.stories import MODEL, Story, stories_beside, write_stories
from cathode_tf.inference.ledger import KINDS, labels_beside, micrographs_beside, pixel_sizes_beside
from cathode_tf.phases import Phases

if TYPE_CHECKING:
    pass

SAME_SIZE = 1e-3
"""Pixel sizes that differ by less, relative, are the same."""


class Masks:
    """Masks from files: (name, mask, micrograph, labels, draws), one at a time.

    Label image and plausible masks are those that lie beside the mask, the micrograph the one that `segment` noted;
    each may be None. What a person drew, corrected or changed has no plausible masks.

    Args:
        paths: Of the masks; they are named by `unique_names`.
        phases: Of the masks.
        pixel_size_nm: None = as `segment` noted it beside them, or else unknown.

    Attributes:
        pixel_size_nm: None = unknown.
        pixel_size_source: Where that was read.
        stories: What lies beside each mask about it, by name.
        sizes: Pixel size that is noted of each, by name; None = unknown.
        mixed: The pixel sizes, ascending, if they are several and none is given.
    """

    def __init__(self, paths: Sequence[Path], phases: Phases, pixel_size_nm: float | None) -> None:
        self._paths = paths
        self.phases = phases
        self.stories = dict(zip(unique_names(paths), stories_beside(paths), strict=True))
        self.sizes = dict(zip(self.stories, [size for size, _ in pixel_sizes_beside(paths)], strict=True))
        self.pixel_size_nm, self.pixel_size_source = _common_size(paths, pixel_size_nm)
        self.mixed = several_sizes(self.sizes.values()) if pixel_size_nm is None else ()

    def __iter__(
        self,
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray | None, np.ndarray | None, Draws | None]]:
        noted = micrographs_beside(self._paths)
        for name, path, image in zip(unique_names(self._paths), self._paths, noted, strict=True):
            mask, beside = read_mask(path, self.phases), labels_beside(path)
            pixels = None if image is None else next(iter_micrographs(image)).pixels
            if pixels is not None and pixels.shape != mask.shape:
                pixels = None
            drawn = draws_beside(path) if self.stories[name].origin == MODEL else None
            labels = None if beside is None else read_labels(beside)
            yield name, mask, pixels, labels, None if drawn is None else read_draws(drawn)


def _common_size(masks: Sequence[Path], given: float | None) -> tuple[float | None, str]:
    """Pixel size of a batch of masks, and where it was read: the one given, or the one that all are noted to have."""
    noted = pixel_sizes_beside(masks)
    known = [(path, size, source) for path, (size, source) in zip(masks, noted, strict=True) if size]
    expected = known[0][1] if given is None and known else given
    for path, size, source in known:
        if expected is not None and not math.isclose(size, expected, rel_tol=SAME_SIZE):
            if given is None:
                return None, ""  # Lengths are told of each size by itself.
            warnings.warn(
                f"{path}: was segmented at {size:.5g} nm a pixel ({source}). Taken is {given:.5g} nm, as given by "
                "hand; leave it out to take what was noted.",
                InputWarning,
                stacklevel=3,
            )
            break
    if given is not None:
        return given, BY_HAND
    return (expected, f"{known[0][2]}, noted by segment") if len(known) == len(masks) else (None, "")


def several_sizes(sizes: Iterable[float | None]) -> tuple[float, ...]:
    """The pixel sizes that differ, ascending, where there are several."""
    found: list[float] = []
    for size in sorted(size for size in sizes if size):
        if not found or not math.isclose(size, found[-1], rel_tol=SAME_SIZE):
            found.append(size)
    return tuple(found) if len(found) > 1 else ()


class Segmented:
    """Micrographs, segmented when they are asked for, their masks written: (name, mask, pixels, labels, draws) each.

    Args:
        model: A run, `.keras` file, SavedModel, or the word default.
        paths: Of the micrographs.
        pixel_size_nm: Of all of them; None: as they say.
        out: Folder for the masks.

    Attributes:
        phases: Of the model.
        pixel_size_nm: The one given, or else what the first micrograph says; the others must agree.
        pixel_size_source: Where that was read.
        stories: Of the masks so far, by name.

    Raises:
        InputError: If two micrographs have one stem; when asked for, if one has another pixel size.
    """

    def __init__(self, model: str, paths: Sequence[Path], pixel_size_nm: float | None, out: Path) -> None:
        # Who only reads masks need not wait for TensorFlow.
        from cathode_tf.inference import Segmenter
        from cathode_tf.inference.facts import model_facts

        stems = Counter(path.stem for path in paths)
        twice = next((path for path in paths if stems[path.stem] > 1), None)
        if twice:
            raise InputError(
                f"{twice}: must have a stem of its own, as the masks are named by it. Received "
                f"{stems[twice.stem]} images of that stem. Rename one."
            )
        self._segmenter = Segmenter(model)
        self._paths, self._out, self._given = paths, out, pixel_size_nm
        self.phases = self._segmenter.phases
        self._facts = model_facts(self._segmenter)
        self.stories: dict[str, Story] = {}
        first = next(iter_micrographs(paths[0], pixel_size_nm=pixel_size_nm))
        self.pixel_size_nm, self.pixel_size_source = first.pixel_size_nm, first.pixel_size_source

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray | None, Draws | None]]:
        from cathode_tf.inference.draws import DRAWS
        from cathode_tf.inference.image_files import image_facts
        from cathode_tf.inference.separation import network_beside, separate

        particles = bool(self.phases.with_role("particle"))
        sources = self._segmenter.sources
        network = network_beside(sources[0]) if sources else None
        for path in self._paths:
            for micrograph in iter_micrographs(path, pixel_size_nm=self._given):
                self._check_size(micrograph)
                found, draws = self._segmenter.segment_with_draws(micrograph, DRAWS)
                mask = found.mask
                file = write_mask(self._out / f"{micrograph.id}_mask.png", mask, self.phases)
                kind = self._segmenter.kind(micrograph)
                self.stories[micrograph.id] = Story(
                    MODEL, model=self._facts, image=image_facts(micrograph), kind=kind
                )
                write_stories(self._out, {file.name: self.stories[micrograph.id]})
                labels = separate(mask, self.phases, micrograph, network=network) if particles else None
                if labels is not None:
                    write_labels(self._out / f"{micrograph.id}_labels.tif", labels)
                if draws is not None:
                    write_draws(self._out / f"{micrograph.id}_draws.tif", draws)
                yield micrograph.id, mask, micrograph.pixels, labels, draws

    def _check_size(self, micrograph: Micrograph) -> None:
        first, size = self.pixel_size_nm, micrograph.pixel_size_nm
        same = (
            size == first if size is None or first is None else math.isclose(size, first, rel_tol=SAME_SIZE)
        )
        if not same:
            raise InputError(
                f"{micrograph.path}: must have the pixel size of the batch ({first or 'unknown'} nm). "
                f"Received {size or 'unknown'} nm. Segment them first (cathode-tf segment), and analyse their masks: "
                "then lengths are told of each magnification."
            )


def pictures_among(paths: Sequence[Path]) -> list[Path]:
    """Those of the paths that are no masks, but what `segment` put beside one: `a_overlay.png` beside `a_mask.png`."""
    there = {(path.parent, path.stem) for path in paths}

    def is_picture(path: Path) -> bool:
        stem, _, kind = path.stem.rpartition("_")
        beside = {f"{stem}_mask", stem} if kind in ("labels", "draws") else {f"{stem}_mask"}
        return kind in KINDS and kind != "mask" and any((path.parent, name) in there for name in beside)

    return [path for path in paths if is_picture(path)]


def unique_names(paths: Sequence[Path]) -> list[str]:
    """The stem of each path; where stems repeat, the path from where they part.

    Raises:
        InputError: If a path is given twice.

    Example:
        >>> unique_names([Path("/x/1/a.png"), Path("/x/2/a.png"), Path("/x/b.png")])
        ['1/a.png', '2/a.png', 'b']
    """
    parts = [path.resolve().parts for path in paths]
    deepest = max(map(len, parts), default=0)
    names = [path.stem for path in paths]
    for depth in range(2, deepest + 1):
        often = Counter(names)
        names = [
            name if often[name] == 1 else "/".join(own[-depth:])
            for name, own in zip(names, parts, strict=True)
        ]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice:
        raise InputError(f"{twice}: must be given once. Received it twice.")
    return names
