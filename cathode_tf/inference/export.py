"""Model in, a versioned SavedModel out that takes raw images and needs no code of this package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_folder
from cathode_tf.inference.segmenter import Segmenter
from cathode_tf.inference.sources import Source, savedmodel_folder


def export_savedmodel(
    model: Source | Segmenter | Sequence[Source], out: str | Path, *, version: int | None = None
) -> Path:
    """Write `out/<version>/`, a SavedModel for TF Serving or `tf.saved_model.load`.

    Its signature `serving_default` takes `image`, raw uint16 pixels (batch, height, width, 1) of any size
    (8-bit images unchanged in value), and gives `mask` (phase ids, uint8), `margin` (uint8) and
    `phase_fractions` (float32, in the order of the phases). Standardisation, padding, tiles and blending
    are inside; `describe` gives the model card with the phases as JSON.

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
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    with atomic_folder(out / str(version)) as folder:
        tf.saved_model.save(segmenter.graph, str(folder), signatures=signatures(segmenter))
    return out / str(version)


def signatures(segmenter: Segmenter) -> dict[str, tf.types.experimental.GenericFunction]:
    """The functions a server offers, by name."""
    graph = segmenter.graph
    return {"serving_default": graph.serve, "describe": graph.describe}
