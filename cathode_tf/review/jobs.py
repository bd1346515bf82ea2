"""Long work that a page asks for: a folder a job in the project, a worker process beside the server that does them.

What is asked goes to `job.json`, how far it got to `state.json`; both outlive a closed tab, a killed server and a
killed worker. A job that was cut off is handed to the next worker, and each kind goes on where it was.
"""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cathode_tf.errors import InputError
from cathode_tf.files import read_json, write_json
from cathode_tf.rounds import Project
from cathode_tf.rounds.ledger import user_name

KINDS = ("propose", "train", "apply", "report")
OVER = ("done", "failed", "stopped")

LATE_S = 5.0
"""So long after the end that was foretold, a page says so instead of telling seconds."""
ATTEMPTS = 3
"""So often a job is begun again after its worker died; then something is wrong with it."""


AGAIN_S = 30.0
"""A job that nobody is at so long after it was handed over is handed over again; doing it twice does no harm."""


class Worker:
    """The process that does the jobs, one after the other, and loads what is heavy while nobody waits.

    It lives as long as the server, and to the end of the job that it is at: a killed server kills no training.

    Args:
        facts: File to which it writes how fast this computer is.
    """

    def __init__(self, facts: Path) -> None:
        self.facts = facts
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin loading; does nothing where it runs."""
        if self.alive:
            return
        command = [sys.executable, "-m", "cathode_tf.review.worker", str(self.facts)]
        # A session of its own: Ctrl-C in the server's terminal ends the server, not the training.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    @property
    def alive(self) -> bool:
        """Whether there is a process to take jobs."""
        return self._process is not None and self._process.poll() is None

    def take(self, folder: Path) -> None:
        """Hand it a job; a worker that died is started anew."""
        self.start()
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{folder.resolve()}\n")
        self._process.stdin.flush()

    def speed(self) -> dict[str, Any]:
        """What it measured of this computer: `s_per_megapixel`, `ready`; empty before."""
        return read_json(self.facts) if self.facts.exists() else {}


class Jobs:
    """The jobs of one project, in `jobs/001-train/` and so on.

    Args:
        project: The project.
        worker: Who does them.
    """

    def __init__(self, project: Project, worker: Worker) -> None:
        self.project, self.worker = project, worker
        self.folder = project.path / "jobs"
        self._handed: dict[str, float] = {}  # when, by name

    def start(self, kind: str, options: dict[str, Any], who: str | None = None) -> dict[str, Any]:
        """Ask for a job.

        Raises:
            InputError: If the kind is unknown, or a job of this kind is not over yet.
        """
        if kind not in KINDS:
            raise InputError(f"job: must be one of {', '.join(KINDS)}. Received {kind!r}.")
        with self.project.ledger.locked():
            open_ = [job for job in self.cards() if job["kind"] == kind and job["state"] not in OVER]
            if open_:
                raise InputError(f"{kind}: is at work already ({open_[0]['id']}).")
            number = max((int(path.name[:3]) for path in self._folders()), default=0) + 1
            folder = self.folder / f"{number:03d}-{kind}"
            asked = {"kind": kind, "options": options, "who": who or user_name(), "at": _now()}
            write_json(folder / "job.json", asked)
            write_json(folder / "state.json", {"state": "waiting", "share": 0.0, "label": "Waiting"})
        self._hand(folder)
        return self.card(folder)

    def cards(self) -> list[dict[str, Any]]:
        """All jobs, the newest first."""
        return [self.card(folder) for folder in reversed(self._folders())]

    def latest(self, kind: str, *states: str) -> dict[str, Any] | None:
        """The newest job of a kind (in one of these states)."""
        return next(
            (job for job in self.cards() if job["kind"] == kind and (not states or job["state"] in states)),
            None,
        )

    def card(self, folder: Path) -> dict[str, Any]:
        """What was asked and how far it got."""
        state = _read_state(folder)
        if state["state"] == "running" and state.get("left_s") is not None:
            # It is told of now and then only; the clock goes on.
            left = state["left_s"] - (time.time() - state["told"])
            state |= {"left_s": round(max(1.0, left), 1), "late": left < -LATE_S}
        return {"id": folder.name, **read_json(folder / "job.json"), **state}

    def tell(self, id_: str, wish: str) -> dict[str, Any]:
        """Stop (and keep what there is), pause or resume a job.

        Raises:
            InputError: If there is no such job or wish.
        """
        folder = self._find(id_)
        state = _read_state(folder)["state"]
        if wish == "resume":
            for name in ("stop", "pause"):
                (folder / name).unlink(missing_ok=True)
            if state in ("paused", "failed", "stopped") and not is_held(folder):
                note(folder, state="waiting", attempts=0, error=None)
                self._hand(folder)
        elif wish in ("stop", "pause"):
            (folder / wish).touch()
            # Nobody is at it who could see the file.
            if state in ("waiting", "paused") and not is_held(folder):
                note(folder, state="stopped" if wish == "stop" else "paused")
        else:
            raise InputError(f"job: must be told to stop, pause or resume. Received {wish!r}.")
        return self.card(folder)

    def look_after(self) -> None:
        """Hand on what was cut off: by a server that was killed, a worker that died, or on the way to it."""
        if not os.access(self.project.path, os.W_OK):
            return
        waiting, busy = [], False
        for folder in self._folders():
            state = _read_state(folder)
            if state["state"] in OVER or state["state"] == "paused":
                continue
            if is_held(folder):
                busy = True
            else:
                waiting.append((folder, state))
        for folder, state in waiting:
            handed = self._handed.get(folder.name)
            if handed is not None and self.worker.alive and (busy or time.monotonic() - handed < AGAIN_S):
                continue  # it waits behind another, or the worker still loads
            tries = int(state.get("attempts", 0))
            if state["state"] == "running" and tries >= ATTEMPTS:
                note(
                    folder, state="failed", error="The work was cut off three times; is there memory enough?"
                )
                continue
            self._hand(folder)

    def _hand(self, folder: Path) -> None:
        self._handed[folder.name] = time.monotonic()
        self.worker.take(folder)

    def _find(self, id_: str) -> Path:
        folder = self.folder / id_
        if not re.fullmatch(r"\d{3,}-[a-z]+", id_) or not (folder / "job.json").is_file():
            raise InputError(f"{id_!r}: there is no such job.")
        return folder

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        found = [p for p in self.folder.iterdir() if (p / "job.json").is_file()]
        return sorted(found, key=lambda path: int(path.name.split("-")[0]))


def lock_of(folder: Path) -> FileLock:
    """Held by the process that is at the job; let go of by the system when it dies."""
    return FileLock(str(folder / ".lock"))


def is_held(folder: Path) -> bool:
    """Whether a process is at the job now."""
    lock = lock_of(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def note(folder: Path, **facts: Any) -> None:
    """Change these facts of a job's state."""
    write_json(folder / "state.json", {**_read_state(folder), **facts, "told": time.time()}, force=True)


def _read_state(folder: Path) -> dict[str, Any]:
    path = folder / "state.json"
    return read_json(path) if path.exists() else {"state": "waiting", "share": 0.0, "label": "Waiting"}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
