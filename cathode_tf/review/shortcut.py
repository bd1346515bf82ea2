"""A launcher for the desktop, for people without a terminal: a small text file that starts `cathode-tf app`."""

from __future__ import annotations

import sys
from pathlib import Path

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file

SYSTEMS = {"win32": "cathode_tf.bat", "darwin": "cathode_tf.command", "linux": "cathode_tf.desktop"}
"""Name of the launcher by `sys.platform`."""


def launcher(system: str, python: str) -> str:
    """Text of the launcher.

    Args:
        system: One of `SYSTEMS`.
        python: Path of the interpreter that has the package.

    Example:
        >>> print(launcher("darwin", "/opt/lab/bin/python"))
        #!/bin/sh
        exec '/opt/lab/bin/python' -m cathode_tf.tools app
    """
    if any(letter in python for letter in "\n\r\"'"):
        raise InputError(f"python: its path must hold no quotes or line ends. Received {python!r}.")
    if system == "win32":
        # A percent sign begins a variable in a batch file.
        path = python.replace("%", "%%")
        return f'@echo off\nchcp 65001 >nul\ntitle cathode_tf\n"{path}" -m cathode_tf.tools app\nif errorlevel 1 pause'
    if system == "darwin":
        return f"#!/bin/sh\nexec '{python}' -m cathode_tf.tools app"
    escaped = python.replace("\\", "\\\\").replace("%", "%%").replace("$", "\\$").replace("`", "\\`")
    return (
        "[Desktop Entry]\nType=Application\nName=cathode_tf\nComment=From micrographs of cathodes to a report\n"
        f'Exec="{escaped}" -m cathode_tf.tools app\nTerminal=true\nCategories=Science;'
    )


def write_shortcut(
    folder: str | Path | None = None, *, system: str | None = None, force: bool = False
) -> Path:
    """Write the launcher of this computer.

    Args:
        folder: Where to; default: the desktop.
        system: One of `SYSTEMS`; default: this one.
        force: Replace one that is there.

    Raises:
        InputError: If there is no desktop, or a launcher already.
    """
    system = system or ("linux" if sys.platform.startswith("linux") else sys.platform)
    if system not in SYSTEMS:
        raise InputError(f"system: must be one of {', '.join(SYSTEMS)}. Received {system!r}.")
    place = _desktop() if folder is None else Path(folder)
    if not place.is_dir():
        raise InputError(f"{place}: must be a folder, the desktop as a rule. There is none; give another.")
    path = place / SYSTEMS[system]
    end = "\r\n" if system == "win32" else "\n"
    text = launcher(system, sys.executable).replace("\n", end) + end
    with atomic_file(path, force=force) as temporary:
        temporary.write_bytes(text.encode("utf-8"))
        temporary.chmod(0o755)
    return path


def _desktop() -> Path:
    """The desktop's folder, under the name that it has in this language where the system says so."""
    known = Path.home() / ".config" / "user-dirs.dirs"
    if known.is_file():
        for line in known.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("XDG_DESKTOP_DIR="):
                return Path(line.split("=", 1)[1].strip('" ').replace("$HOME", str(Path.home())))
    return Path.home() / "Desktop"
