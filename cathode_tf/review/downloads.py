"""Files that leave through the page, and those that come: archives of masks, tables and whole projects; dropped images.

Archives are written to a temporary file first, so that one of many gigabytes does not lie in memory.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from cathode_tf.errors import InputError
from cathode_tf.imaging.rasters import open_raster
from cathode_tf.review.batch import batch_folder
from cathode_tf.rounds import Project

_PRIVATE = {".review-token", ".people.json"}
_PASSING = ("claims", "thumbnails", "jobs")
"""Folders of a project that mean nothing on another computer."""

MAX_UNPACKED = 2**37


def download(project: Project, what: str, batch: str) -> Response:
    """`masks`, `tables` or `figures` of a batch, its `report`, or the whole `project`.

    Raises:
        HTTPException: If there is none.
    """
    folder = batch_folder(project, batch)
    if what == "report":
        path = folder / "analysis" / "report.html"
        if not path.exists():
            raise HTTPException(404, "There is no report yet.")
        return FileResponse(path, filename=f"{project.state.name}-report.html")
    if what == "xlsx":
        path = folder / "analysis" / "tables.xlsx"
        if not path.exists():
            raise HTTPException(404, "There are no tables yet.")
        return FileResponse(path, filename=f"{project.state.name}-tables.xlsx")
    parts = {
        "masks": lambda: _files(folder / "masks", "*_mask.*", "phases.toml", "*.json"),
        "figures": lambda: chain(
            _files(folder / "analysis" / "figures", "*.svg", "*.png"),
            ((f"overlays/{name}", path) for name, path in _files(folder / "masks", "*_overlay.png")),
        ),
        "tables": lambda: _tables(folder / "analysis"),
        "project": lambda: _project_files(project.path),
    }
    if what not in parts:
        raise HTTPException(404, "There is no such download.")
    found = list(parts[what]())
    if not found:
        raise HTTPException(404, "There is nothing to download yet.")
    name = re.sub(r"[^\w.-]+", "_", project.state.name)
    top = name if what == "project" else f"{name}-{what}"
    handle, temporary = tempfile.mkstemp(suffix=".zip")
    with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as archive:
        for inside, path in found:
            # Pictures and models are compressed already.
            packed = path.suffix in (".png", ".keras", ".xlsx", ".parquet", ".npz")
            method = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            archive.write(path, f"{top}/{inside}", method)
    return FileResponse(temporary, filename=f"{top}.zip", background=BackgroundTask(os.unlink, temporary))


def _tables(folder: Path) -> Iterator[tuple[str, Path]]:
    """Those of the batch, and of each magnification by itself where there are several."""
    for place in (folder, *sorted(folder.glob("*nm"))):
        for _, path in _files(place, "*.csv", "*.json", "*.xlsx", "*.parquet"):
            yield path.relative_to(folder).as_posix(), path


def _files(folder: Path, *patterns: str) -> Iterator[tuple[str, Path]]:
    if folder.is_dir():
        for pattern in patterns:
            for path in sorted(folder.glob(pattern)):
                yield path.name, path


def _project_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """All of a project that another computer needs, and nothing that must stay: no tokens, no claims."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".tmp-") for part in inside.parts)
        if not path.is_file() or path.is_symlink() or hidden or inside.parts[0] in _PASSING:
            continue
        if path.name in _PRIVATE or path.suffix == ".lock":
            continue
        yield inside.as_posix(), path


async def receive(request: Request, path: Path) -> dict[str, Any]:
    """Write the body to `path`, whole or not at all, if it is an image that can be read.

    Raises:
        InputError: If it is none; nothing is left then.
    """
    if path.exists():
        raise InputError(f"{path.name}: is there already.")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".tmp-", suffix=path.suffix, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            async for chunk in request.stream():
                file.write(chunk)
        try:
            with open_raster(temporary) as raster:
                size = [raster.width, raster.height]
        except InputError as error:
            raise InputError(f"{path.name}: {str(error).removeprefix(f'{temporary}: ')}") from error
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return {"name": path.name, "size": size}


async def receive_project(request: Request, home: Path) -> Path:
    """Unpack a project's archive from the body into a new folder of `home`.

    Raises:
        InputError: If it is no archive of a project, or a name in it leads out of it; nothing is left then.
    """
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=home) as name:
        packed, unpacked = Path(name) / "project.zip", Path(name) / "unpacked"
        with packed.open("wb") as file:
            async for chunk in request.stream():
                file.write(chunk)
        try:
            with zipfile.ZipFile(packed) as archive:
                top = _unpack(archive, unpacked)
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
            raise InputError(
                f"project: must be the zip of a project. It cannot be read ({error})."
            ) from error
        source = unpacked / top
        Project(source)  # says what is wrong with it
        target = _free(home / (re.sub(r"[^\w.-]+", "_", top) or "project"))
        shutil.move(source, target)
    return target


def _unpack(archive: zipfile.ZipFile, out: Path) -> str:
    """Unpack, refusing names that lead elsewhere, links, and more than a disk holds; gives the one folder within."""
    entries = [info for info in archive.infolist() if not info.is_dir()]
    tops = set()
    for info in entries:
        name = PurePosixPath(info.filename)
        bad = name.is_absolute() or ".." in name.parts or "\\" in info.filename or ":" in name.parts[0]
        if bad or len(name.parts) < 2 or stat.S_ISLNK(info.external_attr >> 16):
            raise InputError(
                f"project: its zip must hold plain files of one folder. Received {info.filename[:80]!r}."
            )
        tops.add(name.parts[0])
    if len(tops) != 1:
        raise InputError(f"project: its zip must hold one folder. Received {len(tops)}.")
    if sum(info.file_size for info in entries) > MAX_UNPACKED:
        raise InputError("project: its zip must unpack to less than 128 GB.")
    for info in entries:
        archive.extract(info, out)
    return tops.pop()


def _free(path: Path) -> Path:
    """This path, or the first with a number that is free."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
