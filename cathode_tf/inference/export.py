"""Model in, a versioned SavedModel out that takes raw images and needs no code of this package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_folder
from cathode_tf.inference.segmenter import Segmenter
from cathode_tf.inference.serving import write_server_files, write_warmup
from cathode_tf.inference.sources import Source, savedmodel_folder

SERVED_AS = {
    "serving_default": "serve",
    "segment": "serve",
    "segment_png": "serve_png",
    "probabilities": "probabilities",
    "describe": "describe",
    "describe_by_rest": "describe_by_rest",
}
"""Each signature, and the function of the graph behind it."""


def export_savedmodel(
    model: Source | Segmenter | Sequence[Source], out: str | Path, *, version: int | None = None
) -> Path:
    """Write `out/<version>/`, a SavedModel for TF Serving or `tf.saved_model.load`.

    Its signature `serving_default`, also called `segment`, takes `image`, raw uint16 pixels (batch, height,
    width, 1) of any size (8-bit images unchanged in value), and gives `mask` (phase ids, uint8), `margin`
    (uint8), `phase_fractions` (float32, in the order of the phases) and `score` (float32).
    Standardisation, padding, tiles and blending are inside. `segment_png` takes encoded grey PNGs,
    `probabilities` gives float32 (batch, height, width, phases), and `describe` the model card as JSON.

    Beside the versions stand `models.config`, `batching.config` and `compose.yaml` for TF Serving; warm-up
    requests are in each version's `assets.extra`.

    Args:
        model: What `Segmenter` takes, or a `Segmenter`.
        out: Folder of the model's versions.
        version: Number of this version; default: one more than the highest there.

    Returns:
        The folder of the version.

    Raises:
        InputError: If the version exists, or the model cannot be used.
    """
    out = Path(out)
    if version is None:
        taken = [int(child.name) for child in out.iterdir() if child.name.isdigit()] if out.is_dir() else []
        version = max(taken, default=0) + 1
    if version < 1:
        raise InputError(f"version: must be a number from 1 up. Received {version}.")
    if savedmodel_folder(out) == out:
        raise InputError(f"{out}: is one version of a SavedModel itself. Give the folder above, or another.")
    if (out / str(version)).exists():
        raise InputError(
            f"{out}: must not hold the version to be written. Received {version}. Take another, or the next one "
            "by giving none."
        )
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    with atomic_folder(out / str(version), manifest=False) as folder:
        graph = segmenter.graph
        served = {signature: getattr(graph, function) for signature, function in SERVED_AS.items()}
        tf.saved_model.save(graph, str(folder), signatures=served)
        write_warmup(folder, out.resolve().name, segmenter.grid)
    write_server_files(out, version)
    return out / str(version)
