"""Writing without loss: under a temporary name, renamed when whole, nothing overwritten by accident."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.litter import clear_litter, temporary_prefix
from cathode_tf.ownership import foreign_entry, refuse_foreign, write_manifest
from cathode_tf.texts import read_text


def refuse_overwrite(path: str | Path, force: bool = False) -> None:
    """Raise `InputError` if `path` exists, unless `force` is set.

    A folder may exist while it is empty; with `force`, also while it holds nothing but what this package wrote.
    """
    path = Path(path)
    with _disk_errors(path):
        clear_litter(path.absolute().parent)
        if not path.exists() or (force and not path.is_dir()):
            return
        if path.is_dir() and (force or not any(path.iterdir())):
            refuse_foreign(path, foreign_entry(path))
            return
    only = ", if cathode-tf wrote it" if path.is_dir() else ""
    raise InputError(f"{path}: exists already. Choose another name, or give --force to replace it{only}.")


@contextlib.contextmanager
def atomic_file(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`; it takes `path`'s place when the block ends without an error.

    Args:
        path: Where the file is to appear; its folder is made.
        force: Replace an existing file.

    Raises:
        InputError: If `path` exists and `force` is not set, or the folder cannot be written.
    """
    path = Path(path)
    with _disk_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        refuse_overwrite(path, force)
        with _disk_errors(path, whatever=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            # The suffix stays last: encoders choose the format by it.
            handle, name = tempfile.mkstemp(prefix=temporary_prefix(), suffix=path.suffix, dir=path.parent)
            os.close(handle)
        temporary = Path(name)
        # mkstemp makes private files; what a user asked for gets the permissions any new file has.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path, *, force: bool = False, manifest: bool = True) -> Iterator[Path]:
    """A temporary folder of the same name; it takes `path`'s place when the block ends without an error.

    Args:
        path: Where the folder is to appear.
        force: Replace an existing folder; the old one goes only when the new one is whole.
        manifest: List the files in the folder, and replace only a folder that holds no others. False where
            the caller knows in another way what may be replaced.

    Raises:
        InputError: If `path` is not empty and `force` is not set, if it holds what is not ours, or if its
            parent cannot be written.
    """
    # A link stays, and what it points to is written; the folder that someone stands in cannot be replaced.
    path = Path(path).resolve() if Path(path).is_symlink() else Path(path)
    with _disk_errors(path):
        _refuse_replacing(path, force, manifest)
        with _disk_errors(path, whatever=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            around = Path(tempfile.mkdtemp(prefix=temporary_prefix(), dir=path.parent))
        temporary = around / path.name
        try:
            temporary.mkdir()
            yield temporary
            if manifest:
                write_manifest(temporary)
            # Once more: it may have taken hours.
            _refuse_replacing(path, force, manifest)
            _put_in_place(temporary, path)
        finally:
            shutil.rmtree(around, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder(parent: str | Path) -> Iterator[Path]:
    """A folder in `parent`, which is made, for the time of the block; cleared away later if the process is killed.

    Raises:
        InputError: If `parent` cannot be written.
    """
    parent = Path(parent)
    with _disk_errors(parent):
        with _disk_errors(parent, whatever=True):
            parent.mkdir(parents=True, exist_ok=True)
            clear_litter(parent.absolute())
            folder = tempfile.TemporaryDirectory(prefix=temporary_prefix(), dir=parent)
        with folder as name:
            yield Path(name)


@contextlib.contextmanager
def no_empty_folder(path: str | Path) -> Iterator[None]:
    """A folder that was made in the block and holds nothing at its end, as where all failed, goes again."""
    path = Path(path)
    was_there = path.exists()
    try:
        yield
    finally:
        if not was_there:
            with contextlib.suppress(OSError):
                path.rmdir()


def _refuse_replacing(path: Path, force: bool, manifest: bool) -> None:
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: must be a folder. Received a file. Choose another name.")
    if path.is_dir() and path.resolve() in (here := Path.cwd(), *here.parents):
        raise InputError(f"{path}: must not be the folder that you are in. Choose a new folder in it.")
    if manifest or not force:
        refuse_overwrite(path, force)


def _put_in_place(temporary: Path, path: Path) -> None:
    if not path.exists():
        os.replace(temporary, path)
        return
    old = Path(tempfile.mkdtemp(prefix=temporary_prefix("old"), dir=path.parent))
    os.replace(path, old / path.name)
    os.replace(temporary, path)
    shutil.rmtree(old)


_DISK = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,  # larger than a file may be here
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EBUSY,
    errno.ENAMETOOLONG,
}


@contextlib.contextmanager
def _disk_errors(path: Path, whatever: bool = False) -> Iterator[None]:
    """Turn what the disk refuses into one sentence; other errors pass through, unless it is `whatever` it says."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK and not whatever:
            raise
        in_the_way = error.errno in (errno.EEXIST, errno.ENOTDIR)
        reason = "a file stands where a folder must be" if in_the_way else error.strerror
        raise InputError(f"{path}: cannot be written ({reason}).") from error


def write_json(path: str | Path, content: Any, *, force: bool = False) -> Path:
    """Write `content` as readable JSON; NaN becomes null, numpy scalars become numbers."""
    with atomic_file(path, force=force) as temporary:
        text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def read_json(path: str | Path) -> Any:
    """The content of a JSON file, or an `InputError` that names the file."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}).") from error


def plain(value: Any) -> Any:
    """The value as JSON can hold it: NaN and infinity are None, arrays are lists."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def pixel_sha256(pixels: np.ndarray) -> str:
    """SHA-256 of decoded pixels: dtype, shape and values, whatever file they came from.

    Example:
        >>> pixel_sha256(np.zeros((2, 2), np.uint8))[:8]
        'ef1c39a2'
    """
    array = np.ascontiguousarray(pixels)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{array.dtype.name} {array.shape} ".encode())
    digest.update(little.data)
    return digest.hexdigest()
