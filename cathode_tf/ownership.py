"""A folder in, what in it is not ours out: `--force` replaces only what this package wrote and nobody changed.

A finished folder holds a list of its files and their SHA-256, `.cathode-tf.json`; the same files give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cathode_tf.errors import InputError

MANIFEST = ".cathode-tf.json"
DESKTOP = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file managers leave wherever someone looks."""


def write_manifest(folder: Path) -> None:
    """List what `folder` holds now, as the files that are ours."""
    content = {"files": {name: _sha256(path) for name, path in sorted(_files(folder))}}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def foreign_entry(folder: Path) -> str | None:
    """The first file, by name, that is not on the list of `folder`, or has changed since; None if all are ours.

    Without a list nothing is ours. An empty folder holds nothing foreign.
    """
    try:
        ours = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        ours = {}
    for name, path in sorted(_files(folder)):
        if name not in ours or ours[name] != _sha256(path):
            return name
    return None


def unlike_entry(folder: Path, ours: re.Pattern[str]) -> str | None:
    """The first file, by name, whose path in `folder` is not like that of a file of ours; None if all are."""
    return min((name for name, _ in _files(folder) if not ours.fullmatch(name)), default=None)


def refuse_foreign(folder: Path, entry: str | None) -> None:
    """Raise `InputError` if there is an `entry` that must not go when `folder` is replaced."""
    if entry is not None:
        raise InputError(
            f"{folder}: --force replaces only what cathode-tf wrote there. Received also {entry}, which it did "
            "not write, or not as it is now. Move it away, or choose another name."
        )


def refuse_inputs(out: str | Path, inputs: Iterable[str | Path | None], name: str = "--out") -> None:
    """Raise `InputError` if `out` is one of the inputs, or a folder around one: it would be replaced.

    Args:
        out: What is to be written.
        inputs: Files and folders that are read; None, and words such as `"default"`, are left out.
        name: What the user calls `out`.
    """
    target = Path(out).resolve()
    for given in inputs:
        if given is None or not os.path.exists(given):
            continue
        path = Path(given).resolve()
        if target == path or target in path.parents:
            where = "must not be what is read" if target == path else f"must not hold what is read ({given})"
            raise InputError(f"{name}: {where}. Received {out}. Choose another name.")


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name from `folder` on, as in a URL, and path of each file under it; a link to a folder counts as a file."""
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        for name in (*files, *links):
            path = Path(root, name)
            relative = path.relative_to(folder).as_posix()
            if relative != MANIFEST and name not in DESKTOP:
                yield relative, path


def _sha256(path: Path) -> str:
    """Of the content of a file, or of where a link leads; "" for what has no content, such as a pipe."""
    if path.is_symlink():
        return hashlib.sha256(f"link {os.readlink(path)}".encode()).hexdigest()
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
