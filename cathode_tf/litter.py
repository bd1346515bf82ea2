"""Temporary names in, and what killed processes left under such names cleared away or put back.

A name says which process on which machine, and in which of its containers, made it. Only what a dead process of
the same made is touched; what a machine that lost its power left stays.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import socket
import warnings
from pathlib import Path

from cathode_tf.errors import InputWarning

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")
_NAME = re.compile(r"\.(tmp|old)-([0-9a-f]{8})-(\d+)-")


def temporary_prefix(kind: str = "tmp") -> str:
    """How the name of a temporary file or folder of this process begins; `old` is what is being replaced."""
    return f".{kind}-{_machine()}-{os.getpid()}-"


@functools.lru_cache(maxsize=1024)
def clear_litter(folder: Path) -> None:
    """Once a process: delete what killed processes left in `folder`, and put back what they were replacing."""
    try:
        names = os.listdir(folder)
    except OSError:  # whoever writes there says why
        return
    for name in names:
        match = _NAME.match(name)
        if match is None or match[2] != _machine() or _lives(int(match[3])):
            continue
        if match[1] == "old":
            _put_back(folder / name)
        _remove(folder / name)


def _put_back(old: Path) -> None:
    """A process that dies between two renames leaves the old folder here, and nothing in its place."""
    for child in old.iterdir():
        target = old.parent / child.name
        if not target.exists():
            child.rename(target)
            warnings.warn(
                f"{target}: a process was killed while it replaced this. What was there before is back.",
                InputWarning,
                stacklevel=4,
            )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@functools.cache
def _machine() -> str:
    """Among whom a process id means one process: containers, and machines on one disk, may share a host name."""
    facts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # of Linux; elsewhere there is the name alone
        facts += [_BOOT.read_text(encoding="ascii"), str(_PIDS.stat().st_ino)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:8]


def _lives(pid: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 does not only ask
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
