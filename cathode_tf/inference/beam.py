"""Image files in, a folder of results for each out, made by an Apache Beam pipeline.

Needs the extra `[beam]`. The images, the model and the folder must have the same paths on all workers; only
names travel through the pipeline. Each worker loads the model once and takes the memory that is allowed.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cathode_tf.errors import InputError
from cathode_tf.files import read_json, write_json

if TYPE_CHECKING:
    from cathode_tf.inference.image_files import SegmentedFile
    from cathode_tf.inference.plan import Manner, Task
    from cathode_tf.inference.segmenter import Segmenter

NOTE = "note.json"


def segment_with_beam(
    segmenter: Segmenter,
    tasks: Sequence[Task],
    staging: Path,
    manner: Manner,
    *,
    runner: str,
    options: Sequence[str] = (),
) -> list[tuple[Path, SegmentedFile | str]]:
    """Segment each image to a folder of its own.

    Args:
        segmenter: Made from files, so that the workers can make it again.
        tasks: What to segment.
        staging: An existing folder.
        manner: How.
        runner: `"DirectRunner"`, `"DaskRunner"`, `"FlinkRunner"`, `"SparkRunner"` ...
        options: Pipeline options as on a command line: `"--parallelism=8"`.

    Returns:
        For each task, in order, its folder, and what is known of it or the sentence that says what is wrong with it.

    Raises:
        InputError: If Beam is not installed or knows no such runner, or the model is no file.
    """
    from cathode_tf.datasets.beam import open_pipeline, run_pipeline

    recipe = json.dumps(segmenter.recipe())
    beam, pipeline = open_pipeline(runner, options)
    folders = [staging / f"{index:08d}" for index in range(len(tasks))]
    work = [(_resolved(task), folder.resolve()) for task, folder in zip(tasks, folders, strict=True)]
    pipeline | beam.Create(work) | beam.Map(_segment_and_note, recipe, manner)
    run_pipeline(pipeline)
    return [(folder / "files", _outcome(read_json(folder / NOTE))) for folder in folders]


def _resolved(task: Task) -> Task:
    """The task with paths that mean the same to all workers, whatever folder they were started in."""
    strokes = None if task.strokes is None else task.strokes.resolve()
    return replace(task, path=task.path.resolve(), strokes=strokes)


def _segment_and_note(work: tuple[Task, Path], recipe: str, manner: Manner) -> None:
    from cathode_tf.inference.image_files import segment_file

    task, folder = work
    shutil.rmtree(folder, ignore_errors=True)  # of a worker that died
    files = folder / "files"
    files.mkdir(parents=True)
    note: dict[str, Any]
    try:
        note = asdict(segment_file(_segmenter(recipe), task, files, manner))
    except InputError as error:  # for the launcher; Beam would retry it, and bury it in a traceback
        note = {"error": str(error)}
    write_json(folder / NOTE, note, force=True)


@functools.lru_cache(maxsize=1)
def _segmenter(recipe: str) -> Segmenter:
    from cathode_tf.inference.segmenter import Segmenter

    return Segmenter(**json.loads(recipe))


def _outcome(note: dict[str, Any]) -> SegmentedFile | str:
    from cathode_tf.inference.image_files import SegmentedFile

    return note["error"] if "error" in note else SegmentedFile(**note)
