"""A folder for a computer without a network: wheels of all that is needed, and a script to double-click.

It is made where there is a network, from a clone, and carried over on a stick. The installer of Python itself, which
Windows lacks, is python.org's; a person puts it into the folder `python`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_folder

INSTALLERS = {"win32": "install.bat", "darwin": "install.command", "linux": "install.sh"}

_BAT = """@echo off
rem Installs cathode_tf from this folder; nothing is fetched from the network.
setlocal
chcp 65001 >nul
cd /d "%~dp0"
set "HOME_OF=%LOCALAPPDATA%\\cathode_tf"
set "PY=py"
where py >nul 2>nul || set "PY=%LOCALAPPDATA%\\Programs\\Python\\Launcher\\py.exe"
if not "%PY%"=="py" if not exist "%PY%" (
  for %%f in (python\\python-*.exe) do "%%f" /passive InstallAllUsers=0 Include_launcher=1
)
"%PY%" -{python} -m venv "%HOME_OF%" || goto failed
"%HOME_OF%\\Scripts\\python.exe" -m pip install --no-index --find-links wheels "cathode-tf[lots]" || goto failed
"%HOME_OF%\\Scripts\\python.exe" -m cathode_tf.tools app --shortcut --force || goto failed
echo Done: start cathode_tf from your desktop.
pause
exit /b 0
:failed
echo It did not work. Is Python {python} there?
echo Put python.org's installer into the folder "python", and start this again.
pause
exit /b 1
"""

_SH = """#!/bin/sh
# Installs cathode_tf from this folder; nothing is fetched from the network.
set -e
cd "$(dirname "$0")"
home="${{CATHODE_TF_HOME:-$HOME/.local/share/cathode_tf}}"
python{python} -m venv "$home"
"$home/bin/python" -m pip install --no-index --find-links wheels "cathode-tf[lots]"
"$home/bin/python" -m cathode_tf.tools app --shortcut --force ||
    echo "There is no desktop here. Start it with: $home/bin/python -m cathode_tf.tools app"
"""

_README = """cathode_tf, for a computer without a network

1. Copy this whole folder to the computer.
2. {first}
3. Double-click {script}. It installs from the folder "wheels" for you alone; no administrator is needed.
4. Start cathode_tf from your desktop.

The wheels are for {system}, Python {python}. {tried}
"""


def write_bundle(out: str | Path, *, source: str | Path | None = None, force: bool = False) -> Path:
    """Gather wheels for computers like this one, and write the script that installs from them.

    Of packages that come as source alone, wheels are made. For Windows it has to be run on Windows: pip cannot tell
    what another system needs.

    Args:
        out: Folder to make.
        source: A clone of the project; default: where this package lies, if that is one.
        force: Replace `out`, if this wrote it.

    Raises:
        InputError: If there is no clone, or pip cannot get a wheel.
    """
    system = "linux" if sys.platform.startswith("linux") else sys.platform
    if system not in INSTALLERS:
        raise InputError(f"system: must be one of {', '.join(INSTALLERS)}. This is {system}.")
    clone = Path(source) if source is not None else Path(__file__).parents[2]
    if not (clone / "setup.cfg").is_file():
        raise InputError(
            f"{clone}: must be a clone of the project (with setup.cfg), of which a wheel is made."
        )
    with atomic_folder(out, force=force) as folder:
        _pip("wheel", "--quiet", "--wheel-dir", str(folder / "wheels"), f"{clone}[lots]")
        write_installer(folder, system, f"{sys.version_info[0]}.{sys.version_info[1]}")
    return Path(out)


def write_installer(folder: Path, system: str, python: str) -> Path:
    """The script to double-click, and what to read first, beside the wheels."""
    windows = system == "win32"
    text = _BAT.replace("{python}", python) if windows else _SH.format(python=python)
    path = folder / INSTALLERS[system]
    path.write_bytes(text.replace("\n", "\r\n").encode() if windows else text.encode())
    path.chmod(0o755)
    (folder / "python").mkdir(exist_ok=True)
    first = f'Put the installer of Python {python} from python.org into the folder "python", unless Python is there.'
    readme = _README.format(
        first=first if windows else f"See that Python {python} is there: python{python} --version",
        script=INSTALLERS[system],
        system={"win32": "Windows", "darwin": "macOS", "linux": "Linux"}[system],
        python=python,
        tried="" if system == "linux" else "This script was checked for its content, and never run.",
    )
    (folder / "READ ME FIRST.txt").write_text(readme, encoding="utf-8", newline="\r\n" if windows else "\n")
    return path


def _pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [
            done.stderr[-300:]
        ]
        raise InputError(
            f"pip {arguments[0]}: must get every wheel. It said: {lines[-1].removeprefix('ERROR: ')}"
        )
