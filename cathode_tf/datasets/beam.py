"""Sources in, the same staged records as `encode_all` out, made by an Apache Beam pipeline.

Needs the extra `[beam]`. The staging folder lies beside the record set, which all workers must be able to reach;
only names and sizes travel through the pipeline, and the launcher puts the shards together.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cathode_tf.datasets.encoding import Source, Staged, encode_source, pass_on
from cathode_tf.errors import InputError

UNLISTED = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}
"""Runners that come with Beam and that it does not know by their name."""


def encode_with_beam(
    sources: Sequence[Source], staging: Path, runner: str, options: Sequence[str] = ()
) -> Iterator[list[Staged]]:
    """`encode_source` for each source, in order of the sources, by any Beam runner.

    Args:
        sources: What to encode.
        staging: Folder for the record files; the same path must mean the same folder to all workers.
        runner: `"DirectRunner"`, `"DaskRunner"`, `"FlinkRunner"`, `"SparkRunner"` ...
        options: Pipeline options as on a command line: `"--parallelism=8"`.

    Raises:
        InputError: If Beam is not installed, knows no such runner, or something is wrong with an image.
    """
    beam, pipeline = open_pipeline(runner, options)
    pipeline | beam.Create(list(sources)) | beam.Map(_encode_and_note, str(staging))
    try:
        run_pipeline(pipeline)
    except Exception as error:
        # A full disk, which runners bury in errors of their own.
        found = re.search(r"\[Errno (\d+)\]", str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
    for source in sources:
        with open(_note(staging, source), "rb") as file:
            done = pickle.load(file)
        if isinstance(done, str):
            raise InputError(done)
        yield pass_on(done)


def open_pipeline(runner: str, options: Sequence[str] = ()) -> tuple[Any, Any]:
    """The module `apache_beam`, and a new pipeline.

    Raises:
        InputError: If Beam is not installed or knows no such runner.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise InputError(
            '--runner: needs Apache Beam. Install it: pip install "cathode-tf[beam]".'
        ) from error
    if runner == "DaskRunner" and importlib.util.find_spec("distributed") is None:
        raise InputError('--runner: DaskRunner needs Dask. Install it: pip install "cathode-tf[dask]".')
    try:
        chosen = PipelineOptions(_spread(runner, options))
        return beam, beam.Pipeline(runner=UNLISTED.get(runner, runner), options=chosen)
    except (ValueError, ImportError, AttributeError) as error:
        raise InputError(
            f"--runner: must be the name of a Beam runner. Received {runner!r} ({error})."
        ) from error


def run_pipeline(pipeline: Any) -> None:
    """Run a pipeline to its end.

    Raises:
        InputError: If nobody answers where its runner looks for a cluster.
    """
    try:
        pipeline.run().wait_until_finish()
    except OSError as error:
        if "connect" not in str(error).lower():
            raise
        raise InputError(
            f"--runner: must reach a running cluster. {error} Start its scheduler, or mend the address."
        ) from error


def _spread(runner: str, options: Sequence[str]) -> list[str]:
    """The options, with one item a partition for Dask, unless they say otherwise.

    By default its runner puts 128 items together: work that takes seconds an item would all go to one process.
    """
    said = any(option.startswith(("--dask_partition_size", "--dask_npartitions")) for option in options)
    return [*options, *(["--dask_partition_size=1"] if runner == "DaskRunner" and not said else [])]


def _encode_and_note(source: Source, staging: str) -> None:
    done: tuple[list[Staged], list[str]] | str
    try:
        done = encode_source(source, Path(staging))
    except (
        InputError
    ) as error:  # a sentence for the launcher; Beam would retry it, and bury it in a traceback
        done = str(error)
    with open(_note(Path(staging), source), "wb") as file:
        pickle.dump(done, file)


def _note(staging: Path, source: Source) -> Path:
    return staging / f"{source.index:08d}.note"
