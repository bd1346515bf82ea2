"""Image files in, mask and overlay files out, with a list of what is done and of what was broken."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.files import refuse_overwrite, temporary_folder
from cathode_tf.imaging.stories import MODEL, Story
from cathode_tf.inference.facts import model_facts
from cathode_tf.inference.image_files import SegmentedFile, segment_file
from cathode_tf.inference.plan import Manner, Plan, plan_segmentation
from cathode_tf.inference.segmenter import Segmenter
from cathode_tf.inference.sources import Source
from cathode_tf.progress import track

Result = tuple[Path, SegmentedFile | str]
"""A folder with an image's files, and what is known of it, or the sentence that says what is wrong."""


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
        distances: How far each image is from what the model learned, by id; above 1: foreign.
    """

    scores: dict[str, float] = field(default_factory=dict)
    pixel_sizes: dict[str, tuple[float | None, str]] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)
    broken: list[tuple[Path, str]] = field(default_factory=list)
    kept: list[tuple[Path, str]] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)
    foreign: dict[str, str] = field(default_factory=dict)
    distances: dict[str, float] = field(default_factory=dict)


def segment_files(
    model: Segmenter | Source | Sequence[Source],
    images: Sequence[str | Path],
    out: str | Path,
    *,
    strokes: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    runner: str | None = None,
    runner_options: Sequence[str] = (),
    **manner: Any,
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
        strokes: Folder with `<stem>_strokes` or `<stem>` of each image that someone painted a few strokes on, in any
            format of masks: what is not painted is ignored (255), or transparent. Its mask follows them. Of one
            image, the file will do.
        resume: Skip images that this very model has segmented to `out` before, by their content, at this pixel
            size. Masks that it did not write there, or that someone corrected since, are kept.
        force: Replace files that exist, corrected ones too.
        runner: Name of an Apache Beam runner that does the work instead (extra `[beam]`); same bytes. The model must
            then be a file.
        runner_options: For Beam, as on a command line: `"--parallelism=8"`.
        manner: The attributes of `inference.plan.Manner`: `uncertainty`, `pixel_size_nm`, `phases`, `draws`.

    Returns:
        Scores, pixel sizes, skipped, kept and broken files. What is done, at which pixel size, stands in
        `out/segmented.json`.

    Raises:
        InputError: If there is no image, two have one stem, or a mask exists and neither `resume` nor
            `force` is set; if there are strokes for none of the images; or if the model knows fewer than two of
            the phases.
    """
    how = Manner(**manner)
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    plan = plan_segmentation(segmenter, images, out, how, strokes=strokes, resume=resume, force=force)
    if runner is None:
        return carry_out(plan, segmenter, _one_by_one(plan, segmenter))
    return carry_out(plan, segmenter, _by_beam(plan, segmenter, runner, runner_options))


def carry_out(plan: Plan, segmenter: Segmenter, results: Iterator[Result]) -> Report:
    """Put the results of a plan's tasks in their places, note them, and tell what became of all images.

    Args:
        plan: Of `plan_segmentation`.
        segmenter: That it was made with.
        results: Of each task, in order.
    """
    report = Report(broken=list(plan.broken), kept=list(plan.kept), left_out=list(plan.left_out))
    ledger, facts = plan.manner.ledger(plan.out, segmenter), model_facts(segmenter)
    for task in plan.done:
        ledger.restore(task.key, task.path.stem)
        report.skipped.append(task.path)
    for task, (folder, outcome) in zip(plan.tasks, results, strict=True):
        try:
            if isinstance(outcome, str):
                raise InputError(outcome)
            files = sorted(folder.iterdir())
            for file in files:
                refuse_overwrite(plan.out / file.name, plan.replaces)
            by = "" if task.strokes is None else "strokes"
            story = Story(MODEL, by=by, model=facts, image=outcome.image, kind=outcome.kind)
            ledger.add(task.key, task.path, files, outcome, story)
            for file in files:
                os.replace(file, plan.out / file.name)
        except InputError as error:
            report.broken.append((task.path, str(error)))
            continue
        report.scores[outcome.id] = outcome.score
        if outcome.kind is not None and outcome.kind["foreign"]:
            report.foreign[outcome.id] = outcome.kind["reason"]
        if outcome.kind is not None and outcome.kind["score"] is not None:
            report.distances[outcome.id] = outcome.kind["score"]
        if task.strokes is not None:
            report.followed.append(task.path.name)
        report.pixel_sizes[outcome.id] = (outcome.pixel_size_nm, outcome.pixel_size_source)
    return report


def _one_by_one(plan: Plan, segmenter: Segmenter) -> Iterator[Result]:
    for task in track(plan.tasks, "Segmenting"):
        with temporary_folder(plan.out) as folder:
            try:
                outcome: SegmentedFile | str = segment_file(segmenter, task, folder, plan.manner)
            except InputError as error:
                outcome = str(error)
            yield folder, outcome


def _by_beam(plan: Plan, segmenter: Segmenter, runner: str, options: Sequence[str]) -> Iterator[Result]:
    from cathode_tf.inference.beam import segment_with_beam

    with temporary_folder(plan.out) as staging:
        yield from segment_with_beam(
            segmenter, plan.tasks, staging, plan.manner, runner=runner, options=options
        )
