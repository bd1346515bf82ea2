"""Image files in, a folder of results for each out, made by an Apache Beam pipeline.

Needs the extra `[beam]`. The images, the model and the folder must have the same paths on all workers; only
names travel through the pipeline. Each worker loads the model once and takes the memory that is allowed.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cathode_tf.errors import InputError
from cathode_tf.files import read_json, write_json

if TYPE_CHECKING:
    from cathode_tf.inference.image_files import SegmentedFile
    from cathode_tf.inference.segmenter import Segmenter

NOTE = "note.json"


def segment_with_beam(
    segmenter: Segmenter,
    paths: Sequence[Path],
    staging: Path,
    *,
    uncertainty: bool,
    pixel_size_nm: float | None,
    runner: str,
    options: Sequence[str] = (),
) -> list[tuple[Path, SegmentedFile | str]]:
    """Segment each file to a folder of its own.

    Args:
        segmenter: Made from files, so that the workers can make it again.
        paths: What to segment.
        staging: An existing folder.
        uncertainty: Write the maps of the uncertainty as well.
        pixel_size_nm: Overrides what the files say.
        runner: `"DirectRunner"`, `"DaskRunner"`, `"FlinkRunner"`, `"SparkRunner"` ...
        options: Pipeline options as on a command line: `"--parallelism=8"`.

    Returns:
        For each file, in order, its folder, and what is known of it or the sentence that says what is wrong with it.

    Raises:
        InputError: If Beam is not installed or knows no such runner, or the model is no file.
    """
    from cathode_tf.datasets.beam import open_pipeline

    recipe = json.dumps(segmenter.recipe())
    beam, pipeline = open_pipeline(runner, options)
    folders = [staging / f"{index:08d}" for index in range(len(paths))]
    names = [
        (str(path.resolve()), str(folder.resolve())) for path, folder in zip(paths, folders, strict=True)
    ]
    with pipeline:
        work = beam.Map(_segment_and_note, recipe, uncertainty, pixel_size_nm)
        pipeline | beam.Create(names) | work
    return [(folder / "files", _outcome(read_json(folder / NOTE))) for folder in folders]


def _segment_and_note(
    names: tuple[str, str], recipe: str, uncertainty: bool, pixel_size_nm: float | None
) -> None:
    from cathode_tf.inference.image_files import segment_file

    path, folder = map(Path, names)
    shutil.rmtree(folder, ignore_errors=True)  # of a worker that died
    files = folder / "files"
    files.mkdir(parents=True)
    note: dict[str, Any]
    try:
        note = asdict(segment_file(_segmenter(recipe), path, files, uncertainty, pixel_size_nm))
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
