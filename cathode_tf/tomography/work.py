"""What a run has found, kept beside its output: the same command goes on where it was killed; and its threads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from cathode_tf.errors import InputError
from cathode_tf.files import read_json, write_json
from cathode_tf.tomography.geometry import Settings
from cathode_tf.tomography.slices import Stack
from cathode_tf.version import __version__

T = TypeVar("T")
S = TypeVar("S")


class Work:
    """The folder beside the output in which a run keeps what it found; the same command finds it again."""

    def __init__(self, out: Path, stack: Stack, settings: Settings, earlier: dict[str, Any] | None) -> None:
        self.folder = out.with_name(f".{out.name}.partial")
        files = [[str(item.path.resolve()), item.page, *_stamp(item.path)] for item in stack.slices]
        told = asdict(settings)
        mine = json.loads(
            json.dumps({"version": __version__, "files": files, "settings": told, "from": earlier})
        )
        self.resumed = False
        plan = self.folder / "plan.json"
        try:
            if self.folder.exists() and not (plan.exists() and read_json(plan) == mine):
                # What another command, or the same one on other files, has begun is of no use.
                shutil.rmtree(self.folder)
            self.resumed = plan.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{out}: cannot be written ({error.strerror}).") from error
        if not self.resumed:
            write_json(plan, mine)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The whole lines of a log that an earlier run wrote; a last one that was cut off is left out."""
        found: list[dict[str, Any]] = []
        path = self.folder / name
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    found.append(json.loads(line))
                except ValueError:
                    break
            path.write_text("".join(json.dumps(entry) + "\n" for entry in found), encoding="utf-8")
        return found

    def log(self, name: str, entry: dict[str, Any]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def ahead(function: Callable[[T], S], items: Sequence[T], workers: int = 2) -> Iterator[S]:
    """The results in order, a few items ahead on other threads; never more than a few in memory."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[Any] = []
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()
