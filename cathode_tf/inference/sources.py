"""Whatever a user calls a model in (run, `.keras` file, SavedModel, Keras model), a traced graph out."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from cathode_tf.errors import InputError
from cathode_tf.inference.graph import SegmentationGraph
from cathode_tf.inference.network import Network
from cathode_tf.inference.reach import measured_reach
from cathode_tf.inference.tiles import Grid
from cathode_tf.learning import load_model, read_card
from cathode_tf.phases import Phases

TILE_PX = 2048
RAMP_PX = 16
BASE_BYTES = 1_000_000_000
"""TensorFlow with a loaded network (0.75 GB), and the parts of an image in work."""
WHOLE_BYTES = 1_000_000_000
"""What measuring an image as a whole may take on top of that, for the normalisation of a network that has one."""

Source: TypeAlias = "str | Path | keras.Model"


@dataclass(frozen=True)
class Traced:
    """A graph with what is known about it; `graph` is a `SegmentationGraph` or a loaded SavedModel."""

    graph: Any
    phases: Phases
    grid: Grid
    card: dict[str, Any]
    bytes_per_px: float
    fingerprint: str


def savedmodel_folder(path: str | Path) -> Path | None:
    """The folder with `saved_model.pb`: `path` itself, or its highest version; None without one."""
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        return path
    if not path.is_dir():
        return None
    versions = [
        child for child in path.iterdir() if child.name.isdigit() and (child / "saved_model.pb").is_file()
    ]
    return max(versions, key=lambda child: int(child.name)) if versions else None


def trace(
    sources: Source | Sequence[Source],
    *,
    max_memory: str | int | None = None,
    tile_px: int | None = None,
    orientations: int = 1,
) -> Traced:
    """The graph of a model, or of several whose probabilities are averaged.

    Raises:
        InputError: If there is no such model, the members have different phases, or a SavedModel is asked
            for what was fixed when it was exported.
    """
    members: list[Any] = list(sources) if isinstance(sources, (list, tuple)) else [sources]
    if not members:
        raise InputError("model: must be at least one. Received an empty list.")
    exported = [member for member in members if not isinstance(member, keras.Model)]
    exported = [member for member in exported if savedmodel_folder(member)]
    if exported:
        if len(members) > 1 or tile_px is not None or orientations != 1:
            raise InputError(
                f"{exported[0]}: the members, the tile size and the orientations of an exported SavedModel "
                "are fixed. Give them when exporting, or use the run or the .keras file."
            )
        traced = _load(Path(str(savedmodel_folder(exported[0]))))
        needed = BASE_BYTES + traced.bytes_per_px * traced.grid.largest_px
        if max_memory is not None and parse_bytes(max_memory) < needed:
            raise InputError(
                f"{exported[0]}: its tiles were fixed by export and need {needed / 1e9:.1f}GB, more than "
                f"{max_memory}. Export it with --max-memory {max_memory}, or use the run or the .keras file."
            )
        return traced
    return _build(members, max_memory, tile_px, orientations)


def _load(folder: Path) -> Traced:
    try:
        graph = tf.saved_model.load(str(folder))
        description = json.loads(graph.describe()["card"].numpy())
        phases, grid = Phases.from_list(description["phases"]), Grid(**description["grid"])
    except InputError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{folder}: must be a whole SavedModel of cathode-tf export. It cannot be read ({reason})."
        ) from error
    return Traced(
        graph, phases, grid, description["card"], description["bytes_per_px"], description["fingerprint"]
    )


def _build(
    members: Sequence[Source], max_memory: str | int | None, tile_px: int | None, orientations: int
) -> Traced:
    if orientations not in (1, 2, 4, 8):
        raise InputError(f"orientations: must be 1, 2, 4 or 8. Received {orientations}.")
    for member in members:
        if not isinstance(member, keras.Model) and member != "default" and not Path(member).exists():
            raise InputError(
                f"{member}: must be a model: a run's folder, a .keras file, an exported SavedModel, or "
                '"default". There is no such file or folder.'
            )
    loaded = [
        (member, read_card(member)) if isinstance(member, keras.Model) else load_model(member)
        for member in members
    ]
    # Of several models the newest rule counts: in ordinary images all are one.
    card = {**loaded[0][1], "standardization": max(str(c["standardization"]) for _, c in loaded)}
    phases = Phases.from_list(card["phases"])
    for source, (_, other) in zip(members, loaded, strict=True):
        theirs = Phases.from_list(other["phases"])
        if not phases.same_classes(theirs):
            raise InputError(
                f"{source}: the members of an ensemble must have the same phases. "
                f"Received {theirs.describe()} beside {phases.describe()}."
            )
    networks = [Network(model) for model, _ in loaded]
    multiple = max(int(other["size_multiple"]) for _, other in loaded)
    reach = max(measured_reach(network, multiple) for network in networks)
    bytes_per_px = max(network.bytes_per_px for network in networks)
    whole_px = None
    if any(network.packed_size for network in networks):
        whole_px = min(TILE_PX**2, int(WHOLE_BYTES / bytes_per_px))
    if tile_px is None:
        tile_px = TILE_PX
        if max_memory is not None:
            least_px = max(whole_px or 0, least_tile(reach, multiple) ** 2)
            tile_px = min(TILE_PX, tile_for(max_memory, bytes_per_px, least_px))
    grid = make_grid(reach, multiple, tile_px, whole_px)
    known: dict[str, Any] = {
        "card": card,
        "phases": phases.to_list(),
        "grid": grid.to_dict(),
        "bytes_per_px": bytes_per_px,
    }
    known["fingerprint"] = _fingerprint(
        [model for model, _ in loaded], {**known, "orientations": orientations}
    )
    graph = SegmentationGraph(
        networks, phases, grid, description=known, orientations=orientations, rule=card["standardization"]
    )
    return Traced(graph, phases, grid, card, bytes_per_px, known["fingerprint"])


def _fingerprint(models: Sequence[keras.Model], known: dict[str, Any]) -> str:
    """SHA-256 of everything that decides an answer: the weights, the phases, the grid."""
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for model in models:
        for values in model.get_weights():
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def tile_for(max_memory: str | int, bytes_per_px: float, least_px: int) -> int:
    """The largest side of a tile with which a process stays within `max_memory`.

    Raises:
        InputError: If it is no amount of memory, or too little for `least_px` pixels at once.
    """
    limit = parse_bytes(max_memory)
    least = BASE_BYTES + bytes_per_px * least_px
    if limit < least:
        raise InputError(
            f"max_memory: must be at least {math.ceil(least / 1e8) / 10:.1f}GB for this model. "
            f"Received {max_memory}."
        )
    return int(((limit - BASE_BYTES) / bytes_per_px) ** 0.5)


def parse_bytes(amount: str | int) -> int:
    """Bytes of `"2GB"`, `"500MB"`, `"1.5GiB"`, or a plain number.

    Example:
        >>> parse_bytes("2GB"), parse_bytes("1.5 GiB")
        (2000000000, 1610612736)
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kMGT]?)(i?)B?\s*", str(amount), re.IGNORECASE)
    if not found:
        raise InputError(f"max_memory: must be an amount such as 2GB or 800MB. Received {amount!r}.")
    power = " KMGT".index(found.group(2).upper() or " ")
    return int(float(found.group(1)) * (1024 if found.group(3) else 1000) ** power)


def make_grid(reach: int, multiple: int, tile_px: int, whole_px: int | None = None) -> Grid:
    """The grid whose tiles have a margin of `reach` and are at most `tile_px` wide.

    Args:
        reach: How far the network sees.
        multiple: What the network's input sides must be multiples of.
        tile_px: Largest side of a tile.
        whole_px: Up to how many pixels an image is measured as a whole; None if nothing is to be measured.
    """
    tile, least = tile_px // multiple * multiple, least_tile(reach, multiple)
    if tile < least:
        raise InputError(
            f"tile_px: must be at least {least}, since this network sees {reach} px far. Received {tile_px}."
        )
    return Grid(tile, reach, _ramp(multiple), multiple, tile**2 if whole_px is None else whole_px)


def least_tile(reach: int, multiple: int) -> int:
    """The smallest side of a tile of which at least half is the tile's own."""
    return 2 * (2 * reach + _ramp(multiple))


def _ramp(multiple: int) -> int:
    return -(-RAMP_PX // multiple) * multiple
