"""What a caller wants of a segmentation in, a plan out: which images are still to be done, how, and to where.

Nothing is written, and no network is run. A plan is resumed by being made again: what its ledger knows is done.
No TensorFlow: what schedules the work on a cluster reads plans too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cathode_tf.errors import InputError
from cathode_tf.files import refuse_overwrite
from cathode_tf.imaging import find_images
from cathode_tf.imaging.micrographs import check_pixel_size
from cathode_tf.inference.draws import DRAWS
from cathode_tf.inference.ledger import Ledger, output_names, results_among
from cathode_tf.learning.counterparts import counterparts
from cathode_tf.phases import Phases
from cathode_tf.texts import composed
from cathode_tf.words import counted, some

if TYPE_CHECKING:
    from cathode_tf.inference.segmenter import Segmenter


@dataclass(frozen=True)
class Manner:
    """How each image is segmented, by whichever process; `segment_files` takes each attribute by its name.

    Attributes:
        uncertainty: Write `<stem>_margin.png` and `<stem>_entropy.png` as well.
        pixel_size_nm: Overrides what the files say.
        phases: Of the masks and strokes, where the model's own shall not be used: `Segmenter.segment`.
        draws: So many plausible masks of each image, `<stem>_draws.tif`, from which `analyze` tells what the mask's
            error does to its numbers; 0: none. There are none where the model's card does not tell what its
            probabilities are worth, of masks that follow strokes, of volumes, and of images above 16 megapixels.

    Raises:
        InputError: If one is out of range.
    """

    uncertainty: bool = False
    pixel_size_nm: float | None = None
    phases: Phases | None = None
    draws: int = DRAWS

    def __post_init__(self) -> None:
        check_pixel_size(self.pixel_size_nm)
        if self.draws and self.draws < 2:
            raise InputError(f"draws: must be 0, or at least 2. Received {self.draws}.")

    def ledger(self, out: Path, segmenter: Segmenter) -> Ledger:
        """What was done in the folder, if it was done by this model in this manner."""
        told = "" if self.phases is None else f" {self.phases.to_list()}"
        # Masks of before are there without draws: who wants some gets them.
        told += f" {self.draws} draws" if self.draws and segmenter.calibration is not None else ""
        return Ledger(out, segmenter.fingerprint + told, self.uncertainty, self.pixel_size_nm)


@dataclass(frozen=True)
class Task:
    """An image that is to be segmented.

    Attributes:
        path: The image.
        strokes: The strokes that its mask follows; None = none.
        key: Of its content and all that decides the answer, for the ledger.
    """

    path: Path
    strokes: Path | None = None
    key: str = ""


@dataclass(frozen=True)
class Plan:
    """What segmenting will do; `str` says it to people.

    Attributes:
        out: Folder of the results.
        manner: How each image is segmented.
        tasks: What is to be done.
        done: What has been done before; copied where its image has another name now.
        kept: Images whose mask, or another file, is not of `segment` or was changed since, and which.
        broken: Files that cannot be read, and why.
        left_out: Files that are masks or pictures of other images, not micrographs.
        replaces: Whether files that are there may be replaced.
    """

    out: Path
    manner: Manner
    tasks: tuple[Task, ...]
    done: tuple[Task, ...] = ()
    kept: tuple[tuple[Path, str], ...] = ()
    broken: tuple[tuple[Path, str], ...] = ()
    left_out: tuple[Path, ...] = ()
    replaces: bool = False

    def __str__(self) -> str:
        lines = [f"{counted(len(self.tasks), 'image')} to segment, written to {self.out}."]
        followed = [task.path.name for task in self.tasks if task.strokes is not None]
        for said, names in (
            ("Following strokes", followed),
            ("Done before", [task.path.name for task in self.done]),
            ("Kept, as segment did not write them, or they were changed since", [n for _, n in self.kept]),
            ("Left out, as masks or pictures of others", [path.name for path in self.left_out]),
            ("Cannot be read", [path.name for path, _ in self.broken]),
        ):
            lines += [f"{said}: {some(names)}."] if names else []
        return "\n".join(lines)


def plan_segmentation(
    segmenter: Segmenter,
    images: Sequence[str | Path],
    out: str | Path,
    manner: Manner,
    *,
    strokes: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
) -> Plan:
    """Find the images, and what of them is done.

    Args:
        segmenter, images, out, strokes, resume, force: As `segment_files` takes them.
        manner: How each image is segmented.

    Raises:
        InputError: As `segment_files`.
    """
    out, paths = Path(out), find_images(images)
    left_out = results_among(paths)
    paths = [path for path in paths if path not in set(left_out)]
    if not paths:
        raise InputError(
            f"images: must be micrographs. Received only {len(left_out)} files that segment wrote, "
            f"{left_out[0]} first."
        )
    stems = [path.stem for path in paths]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InputError(
            f"images: each stem must occur once, as masks are named by it. {twice[0]!r} occurs twice."
        )
    if not resume:
        for stem in stems:
            for name in output_names(stem):
                refuse_overwrite(out / name, force)
    if manner.phases is not None:
        counterparts(segmenter.phases, manner.phases)
    of, ledger = _strokes_of(paths, strokes), manner.ledger(out, segmenter)
    tasks: list[Task] = []
    done: list[Task] = []
    kept: list[tuple[Path, str]] = []
    broken: list[tuple[Path, str]] = []
    for path in paths:
        try:
            task = Task(path, of.get(path), ledger.key(path, [of[path]] if path in of else []))
        except InputError as error:
            broken.append((path, str(error)))
            continue
        changed = ledger.kept(path.stem) if resume and not force else None
        if changed:
            kept.append((path, changed))
        elif resume and ledger.knows(task.key):
            done.append(task)
        else:
            tasks.append(task)
    return Plan(
        out,
        manner,
        tuple(tasks),
        tuple(done),
        tuple(kept),
        tuple(broken),
        tuple(left_out),
        replaces=force or resume,
    )


def _strokes_of(images: Sequence[Path], place: str | Path | None) -> dict[Path, Path]:
    """The file of strokes of each image that has one; those of other images do not matter."""
    if place is None:
        return {}
    place = Path(place)
    if place.is_file() and len(images) == 1:
        return {images[0]: place}
    if not place.is_dir():
        raise InputError(
            f"{place}: must be the folder of the strokes, or of one image the file. Received neither."
        )
    files = sorted(path for path in place.iterdir() if path.is_file() and path not in set(images))
    found: dict[Path, Path] = {}
    for image in images:
        stem = composed(image.stem)
        own = [path for path in files if composed(path.stem) in (f"{stem}_strokes", stem)]
        if len(own) > 1:
            raise InputError(
                f"{own[0]}: must be the only strokes of {image.name}. {own[1].name} is there too."
            )
        if own:
            found[image] = own[0]
    if not found:
        raise InputError(
            f"{place}: must hold the strokes of an image, {images[0].stem}_strokes.png say. Received none of the "
            f"{len(images)} images."
        )
    return found
