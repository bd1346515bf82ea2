"""The `phases.toml` beside masks: written with them, read with them, and held against one given by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.phases import Phases

NAME = "phases.toml"


def refuse_other_phases(folder: str | Path, phases: Phases, force: bool = False) -> None:
    """Raise `InputError` if the folder's `phases.toml` has other names or ids, unless `force` is set."""
    path = Path(folder) / NAME
    if path.exists() and not force and not _same_ids(theirs := Phases.from_toml(path), phases):
        raise InputError(
            f"{path}: must have the names and ids of the model ({phases.describe()}). Received "
            f"{theirs.describe()}. Choose another folder, or give --force to replace it."
        )


def write_phases(folder: str | Path, phases: Phases, force: bool = False) -> None:
    """Write `phases.toml` into the folder of masks; one with the same names and ids stays as it is.

    Raises:
        InputError: If there is one with others, unless `force` is set.
    """
    refuse_other_phases(folder, phases, force)
    path = Path(folder) / NAME
    if path.exists() and (not force or _is_same(path, phases)):
        return
    with atomic_file(path, force=force) as temporary:
        temporary.write_text(phases.to_toml(), encoding="utf-8")


def phases_beside(paths: Sequence[Path], given: Path | None) -> tuple[Phases, Path]:
    """The phases of masks, and the file that says them: the one given, or else the one in the masks' folder.

    Raises:
        InputError: If none is given and none lies beside the masks, or if two of them have other names or ids.
    """
    folders = list(dict.fromkeys(path.parent for path in paths))
    beside = [folder / NAME for folder in folders if (folder / NAME).is_file()]
    if given is None and len(beside) < len(folders):
        without = next(folder for folder in folders if not (folder / NAME).is_file())
        raise InputError(
            f"--phases: must name the phases.toml of the masks, as none lies beside those in {without}. Received none. "
            "If these are micrographs, name the model that shall segment them (--model)."
        )
    source = given or beside[0]
    phases = Phases.from_toml(source)
    for path in beside:
        if not _same_ids(theirs := Phases.from_toml(path), phases):
            raise InputError(
                f"{source}: must have the names and ids of {path} beside the masks ({theirs.describe()}). "
                f"Received {phases.describe()}. Correct the one that is wrong."
            )
    return phases, source


def _same_ids(one: Phases, other: Phases) -> bool:
    return set(zip(one.names, one.ids, strict=True)) == set(zip(other.names, other.ids, strict=True))


def _is_same(path: Path, phases: Phases) -> bool:
    try:
        return _same_ids(Phases.from_toml(path), phases)
    except InputError:
        return False
