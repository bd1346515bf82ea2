"""Image files in, mask and overlay files out, with a list of what is done and of what was broken."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cathode_tf.errors import InputError
from cathode_tf.files import refuse_overwrite, temporary_folder
from cathode_tf.imaging import find_images
from cathode_tf.imaging.micrographs import check_pixel_size
from cathode_tf.imaging.stories import MODEL, Story
from cathode_tf.inference.draws import DRAWS
from cathode_tf.inference.facts import model_facts
from cathode_tf.inference.image_files import SegmentedFile, segment_file
from cathode_tf.inference.ledger import Ledger, output_names, results_among
from cathode_tf.inference.segmenter import Segmenter
from cathode_tf.inference.sources import Source
from cathode_tf.learning.counterparts import counterparts
from cathode_tf.phases import Phases
from cathode_tf.progress import track
from cathode_tf.texts import composed


@dataclass
class Report:
    """What became of the images of `segment_files`.

    Attributes:
        scores: Mean entropy (0-1, higher = more uncertain) by image id, of the images that are done.
        pixel_sizes: Edge of a pixel in nm (None = unknown) and where that was read, by image id.
        skipped: Files that had been done before.
        broken: Files that could not be segmented, and why.
        kept: Images whose mask, or another file, is not of `segment` or was changed since: it was left as it is.
        followed: Names of the files whose masks follow strokes.
        left_out: Files that are masks or pictures of other images, not micrographs.
        foreign: Images of a kind that the model does not know, by id, and what tells so.
    """

    scores: dict[str, float] = field(default_factory=dict)
    pixel_sizes: dict[str, tuple[float | None, str]] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)
    broken: list[tuple[Path, str]] = field(default_factory=list)
    kept: list[tuple[Path, str]] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)
    foreign: dict[str, str] = field(default_factory=dict)


def segment_files(
    model: Segmenter | Source | Sequence[Source],
    images: Sequence[str | Path],
    out: str | Path,
    *,
    uncertainty: bool = False,
    pixel_size_nm: float | None = None,
    resume: bool = False,
    force: bool = False,
    runner: str | None = None,
    runner_options: Sequence[str] = (),
    phases: Phases | None = None,
    strokes: str | Path | None = None,
    draws: int = DRAWS,
) -> Report:
    """Segment image files and folders of them; write masks and overlays to `out`.

    A TIFF of several pages gives one label volume. A TIFF of more than 50 million pixels is read and
    written in parts. An image that cannot be read does not stop the others. Masks and pictures that an
    earlier call wrote among the images are left out.

    Args:
        model: A `Segmenter`, or what it takes.
        images: Files and folders.
        out: Folder for `<stem>_mask.png` (`.tif` for volumes and large images), `<stem>_overlay.png`, and
            where a phase is particles, their label image `<stem>_labels.tif`.
        uncertainty: Write `<stem>_margin.png` and `<stem>_entropy.png` as well.
        pixel_size_nm: Overrides what the files say.
        resume: Skip images that this very model has segmented to `out` before, by their content, at this pixel
            size. Masks that it did not write there, or that someone corrected since, are kept.
        force: Replace files that exist, corrected ones too.
        runner: Name of an Apache Beam runner that does the work instead (extra `[beam]`); same bytes. The model must
            then be a file.
        runner_options: For Beam, as on a command line: `"--parallelism=8"`.
        phases: Of the masks and strokes, where the model's own shall not be used: `Segmenter.segment`.
        strokes: Folder with `<stem>_strokes` or `<stem>` of each image that someone painted a few strokes on, in any
            format of masks: what is not painted is ignored (255), or transparent. Its mask follows them. Of one
            image, the file will do.
        draws: So many plausible masks of each image, `<stem>_draws.tif`, from which `analyze` tells what the mask's
            error does to its numbers; 0: none. There are none where the model's card does not tell what its
            probabilities are worth, of masks that follow strokes, of volumes, and of images above 16 megapixels.

    Returns:
        Scores, pixel sizes, skipped, kept and broken files. What is done, at which pixel size, stands in
        `out/segmented.json`.

    Raises:
        InputError: If there is no image, two have one stem, or a mask exists and neither `resume` nor
            `force` is set; if there are strokes for none of the images; or if the model knows fewer than two of
            the phases.
    """
    check_pixel_size(pixel_size_nm)
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
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    if phases is not None:
        counterparts(segmenter.phases, phases)
    of = _strokes_of(paths, strokes)
    if draws and draws < 2:
        raise InputError(f"draws: must be 0, or at least 2. Received {draws}.")
    told = "" if phases is None else f" {phases.to_list()}"
    # Masks of before are there without draws: who wants some gets them.
    told += f" {draws} draws" if draws and segmenter.calibration is not None else ""
    ledger = Ledger(out, segmenter.fingerprint + told, uncertainty, pixel_size_nm)
    report = Report(left_out=left_out)
    facts = model_facts(segmenter)
    waiting: list[tuple[Path, str]] = []
    for path in paths:
        try:
            key = ledger.key(path, [of[path]] if path in of else [])
        except InputError as error:
            report.broken.append((path, str(error)))
            continue
        kept = ledger.kept(path.stem) if resume and not force else None
        if kept:
            report.kept.append((path, kept))
        elif resume and ledger.restore(key, path.stem):
            report.skipped.append(path)
        else:
            waiting.append((path, key))
    todo = [path for path, _ in waiting]
    results = (
        _by_beam(segmenter, todo, out, uncertainty, pixel_size_nm, runner, runner_options)
        if runner
        else _one_by_one(segmenter, todo, out, uncertainty, pixel_size_nm, phases, of, draws)
    )
    for (path, key), (folder, outcome) in zip(waiting, results, strict=True):
        try:
            if isinstance(outcome, str):
                raise InputError(outcome)
            files = sorted(folder.iterdir())
            for file in files:
                refuse_overwrite(out / file.name, force or resume)
            by = "strokes" if path in of else ""
            story = Story(MODEL, by=by, model=facts, image=outcome.image, kind=outcome.kind)
            ledger.add(key, path, files, outcome, story)
            for file in files:
                os.replace(file, out / file.name)
            report.scores[outcome.id] = outcome.score
            if outcome.kind is not None and outcome.kind["foreign"]:
                report.foreign[outcome.id] = outcome.kind["reason"]
            if path in of:
                report.followed.append(path.name)
            report.pixel_sizes[outcome.id] = (outcome.pixel_size_nm, outcome.pixel_size_source)
        except InputError as error:
            report.broken.append((path, str(error)))
    return report


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


Result = tuple[Path, SegmentedFile | str]
"""A folder with an image's files, and what is known of it, or the sentence that says what is wrong."""


def _one_by_one(
    segmenter: Segmenter,
    paths: Sequence[Path],
    out: Path,
    uncertainty: bool,
    pixel_size_nm: float | None,
    phases: Phases | None,
    strokes: Mapping[Path, Path],
    draws: int,
) -> Iterator[Result]:
    for path in track(paths, "Segmenting"):
        with temporary_folder(out) as folder:
            try:
                outcome: SegmentedFile | str = segment_file(
                    segmenter,
                    path,
                    folder,
                    uncertainty,
                    pixel_size_nm,
                    phases=phases,
                    strokes=strokes.get(path),
                    draws=draws,
                )
            except InputError as error:
                outcome = str(error)
            yield folder, outcome


def _by_beam(
    segmenter: Segmenter,
    paths: Sequence[Path],
    out: Path,
    uncertainty: bool,
    pixel_size_nm: float | None,
    runner: str,
    options: Sequence[str],
) -> Iterator[Result]:
    from cathode_tf.inference.beam import segment_with_beam

    with temporary_folder(out) as staging:
        yield from segment_with_beam(
            segmenter,
            paths,
            staging,
            uncertainty=uncertainty,
            pixel_size_nm=pixel_size_nm,
            runner=runner,
            options=options,
        )
