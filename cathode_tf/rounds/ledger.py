"""The ledger of a project: what happened, when, by whom, one JSON line each, only ever appended to.

Events come in; the list of all events so far goes out. A process that dies while it writes leaves
at most one unfinished line, which readers skip and the next writer removes.
"""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cathode_tf.errors import InputError

WAIT_S = 60.0


class Ledger:
    """Append-only events in `path`, safe against other processes and sudden death.

    Args:
        path: The `.jsonl` file; made with the first event.

    Example:
        >>> import tempfile
        >>> ledger = Ledger(Path(tempfile.mkdtemp()) / "ledger.jsonl")
        >>> ledger.append("init", who="ann", images=2)["n"]
        1
        >>> [event["event"] for event in ledger.events()]
        ['init']
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = FileLock(str(self.path) + ".lock", timeout=WAIT_S, thread_local=True)
        self._alone = threading.Lock()
        self._read_bytes = 0
        self._events: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the project: no other process or thread changes it meanwhile. May be nested.

        Raises:
            InputError: If another process does not let go within a minute.
        """
        try:
            self._lock.acquire()
        except Timeout as error:
            raise InputError(
                f"{self.path.parent}: another process has worked on this project for over {WAIT_S:.0f} s. "
                "Wait for it to end, then try again."
            ) from error
        except OSError as error:
            raise InputError(
                f"{self.path.parent}: must be writable, to keep a lock there ({error.strerror})."
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """As `locked`; where only others can write no lock can lie, and whole lines are read all the same."""
        if os.access(self.path.parent, os.W_OK):
            with self.locked():
                yield
        else:
            with self._alone:
                yield

    def append(self, event: str, *, who: str | None = None, **facts: Any) -> dict[str, Any]:
        """Write one event to the disk and give it back with its number `n` and its time `at` (UTC).

        Args:
            event: What happened, one word.
            who: Name of the person; default: the user that runs the process.
            facts: JSON-able details.
        """
        with self.locked():
            events = self.events()
            entry = {
                "n": len(events) + 1,
                "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "who": who or user_name(),
                "event": event,
                **facts,
            }
            line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
            with open(self.path, "ab") as file:
                if file.tell() > self._read_bytes:  # an unfinished line of a killed process
                    file.truncate(self._read_bytes)
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        return entry

    def events(self) -> list[dict[str, Any]]:
        """All whole events, oldest first; reads only what was added since the last call."""
        with self._reading():
            size = self.path.stat().st_size if self.path.exists() else 0
            if size < self._read_bytes:
                self._events, self._read_bytes = [], 0
            if size > self._read_bytes:
                with open(self.path, "rb") as file:
                    file.seek(self._read_bytes)
                    new = file.read()
                whole = new[: new.rfind(b"\n") + 1]
                self._events = self._events + [self._parse(line) for line in whole.splitlines()]
                self._read_bytes += len(whole)
            return self._events

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            entry = json.loads(line)
            entry["event"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path}: each line must be an event in JSON. Received {line[:60]!r}. "
                "Restore the file from a backup; it must not be edited by hand."
            ) from error
        return entry


def user_name() -> str:
    """Name of the user that runs this process, or `"someone"` where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"
