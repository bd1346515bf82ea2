"""Ask the index for the wheels of everything that is required, for systems that CI does not have; name what has none.

    python .ci/wheels.py

A package without a wheel would need a compiler there. Nothing is kept: the files are resolved, not installed.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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


def missing(requirement: str, system: str, python: str) -> str | None:
    """The last line of pip's complaint, if there is no wheel; None if there is one."""
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
        requirement,
    ]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=False)
    complaint = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return None if done.returncode == 0 else (complaint or ["ERROR: no reason given"])[-1]


def main() -> None:
    cases = [(name, system, python) for system in SYSTEMS for python in PYTHONS for name in requirements()]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda case: missing(*case), cases))
    without = [(case, answer) for case, answer in zip(cases, answers, strict=True) if answer]
    for (name, system, python), answer in without:
        print(f"{system}, Python {python}: no wheel of {name} ({answer})")
    print(f"{len(cases) - len(without)} of {len(cases)} wheels are there.")


if __name__ == "__main__":
    main()
