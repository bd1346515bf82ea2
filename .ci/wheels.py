"""Ask the index for the wheels of everything that is required, for systems that CI does not have; name what has none.

    python .ci/wheels.py

A package without a wheel would need a compiler there. Nothing is kept: the files are resolved, not installed.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SYSTEMS = {
    "Windows": ("win_amd64",),
    "macOS": ("macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"),
}
PYTHONS = ("3.11", "3.12", "3.13")


def requirements() -> list[str]:
    parser = configparser.ConfigParser()
    parser.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
    return parser["options"]["install_requires"].split()


def missing(asked: Sequence[str], system: str, python: str) -> str | None:
    """The last line of pip's complaint, if one has no wheel; None if all have one."""
    platforms = [word for name in SYSTEMS[system] for word in ("--platform", name)]
    options = [
        "--dry-run",
        "--ignore-installed",
        "--no-deps",
        "--only-binary=:all:",
        "--target",
        "unused",
        "--quiet",
    ]
    words = [
        sys.executable,
        "-m",
        "pip",
        "install",
        *options,
        *platforms,
        "--python-version",
        python,
        *asked,
    ]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=False)
    complaint = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return None if done.returncode == 0 else (complaint or ["ERROR: no reason given"])[-1]


def main() -> None:
    asked = requirements()
    for system in SYSTEMS:
        for python in PYTHONS:
            without = {}
            if missing(asked, system, python):  # only then one by one, which takes long
                answers = {name: missing([name], system, python) for name in asked}
                without = {name: answer for name, answer in answers.items() if answer}
            print(f"{system}, Python {python}: {len(asked) - len(without)} of {len(asked)} have a wheel.")
            for name, answer in without.items():
                print(f"  none of {name} ({answer})")


if __name__ == "__main__":
    main()
