"""The process that does a server's jobs: `python -m cathode_tf.review.worker FACTS`, a job's folder a line of input.

It loads TensorFlow and the default model while the person still looks at the page, and writes to FACTS how fast this
computer is. Its input ends with the server; it then ends too, after the job that it is at.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import Timeout

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import read_json, write_json
from cathode_tf.progress import listening
from cathode_tf.review.jobs import lock_of, note
from cathode_tf.review.work import WORK, Ended, Stages
from cathode_tf.rounds import Project
from cathode_tf.terminal import quieten_tensorflow

EVERY_S = 0.7
"""So often the state is written at most."""

PROBE_PX = 512
LOCK_S = 5.0
SOON_S = 0.5


class Teller:
    """Writes a job's progress to its state, and reads what the page asks for.

    Args:
        folder: The job's folder.
        stages: What the work consists of, and about how long each takes.
    """

    def __init__(self, folder: Path, stages: Stages) -> None:
        self.folder, self.stages = folder, stages
        self._last = 0.0

    def heard(self, label: str, done: float, total: float | None, **facts: Any) -> None:
        self.stages.heard(label, done, total, facts.pop("left_s", None))
        now = time.monotonic()
        # The training has ended and is kept, as was asked; what follows is short, and tells what it is worth.
        if label in ("Calibrating", "Measuring models"):
            (self.folder / "stop").unlink(missing_ok=True)
        if label not in ("Training", "Calibrating") and not self.stages.may_not_end:
            for wish, state in (("stop", "stopped"), ("pause", "paused")):
                if (self.folder / wish).exists():
                    raise Ended(state)
        if now - self._last < EVERY_S:
            return
        self._last = now
        known = {name: value for name, value in facts.items() if value is not None}
        note(
            self.folder,
            label=label,
            share=round(self.stages.share(), 4),
            left_s=self.stages.left_s(),
            done=done if total != 1.0 else None,
            of=total if total != 1.0 else None,
            **known,
        )

    def stop_asked(self) -> bool:
        return (self.folder / "stop").exists()


def do(folder: Path) -> None:
    """Do one job, unless another process is at it, or it is over."""
    lock = lock_of(folder)
    try:
        # The server holds it for a moment when it looks whether someone does.
        held = lock.acquire(timeout=LOCK_S)
    except Timeout:
        return
    with held, _own_log(folder / "log.txt"):
        state = read_json(folder / "state.json")
        if state["state"] not in ("waiting", "running"):
            return
        asked = read_json(folder / "job.json")
        note(
            folder,
            state="running",
            label="Loading",
            pid=os.getpid(),
            attempts=int(state.get("attempts", 0)) + 1,
            began=state.get("began") or time.time(),
        )
        notes: list[str] = []
        try:
            project = Project(folder.parents[1])
            work = WORK[asked["kind"]](project, asked["options"], asked["who"], state)
            with _warnings_to(notes), listening(Teller(folder, work.stages)):
                result = work.run(lambda **facts: note(folder, **facts))
            note(folder, state="done", share=1.0, left_s=0, result=result, notes=notes, ended=time.time())
        except Ended as end:
            note(folder, state=end.state, notes=notes)
        except InputError as error:
            note(folder, state="failed", error=str(error), notes=notes)
        except MemoryError:
            note(
                folder, state="failed", error="There was not enough memory. Close other programs, and resume."
            )
        except Exception:
            traceback.print_exc()
            note(folder, state="failed", error=f"Something went wrong that should not; see {folder}/log.txt.")


@contextlib.contextmanager
def _own_log(path: Path) -> Iterator[None]:
    """All that is printed, also by libraries in C, goes to this file."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open(path, "a", encoding="utf-8") as log:
        saved = [os.dup(1), os.dup(2)]
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)


@contextlib.contextmanager
def _warnings_to(notes: list[str]) -> Iterator[None]:
    """Sentences for the person are kept for the page, each once."""

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        if issubclass(category, InputWarning) and str(message) not in notes:
            notes.append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        warnings.showwarning = show
        yield


def warm(facts: Path) -> None:
    """Load what every job needs, and measure how long a megapixel takes the default model here."""
    import numpy as np

    began = time.monotonic()
    from cathode_tf.inference import Segmenter

    loaded = time.monotonic() - began
    noise = np.random.default_rng(0).integers(0, 255, (PROBE_PX, PROBE_PX), np.uint8)
    segmenter = Segmenter("default")
    segmenter.probabilities(noise)  # traces the graph
    start = time.monotonic()
    segmenter.probabilities(noise)
    took = time.monotonic() - start
    found = {
        "ready": True,
        "load_s": round(loaded, 2),
        "s_per_megapixel": round(took / (PROBE_PX**2 / 1e6), 3),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": _gpus(),
    }
    write_json(facts, found, force=True)


def _gpus() -> int:
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def main() -> None:
    """Load, measure the computer while nobody waits, and do jobs until the input ends."""
    quieten_tensorflow()
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)  # the page answers first
    jobs: queue.Queue[Path | None] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    facts, measured = Path(sys.argv[1]), False
    while True:
        try:
            # A job that is there already comes before the measuring.
            folder = jobs.get(timeout=None if measured else SOON_S)
        except queue.Empty:
            measured = True
            try:
                warm(facts)
            except Exception:  # a job will say it better
                traceback.print_exc()
            continue
        if folder is None:
            return
        do(folder)
        jobs.task_done()


def _listen(jobs: queue.Queue[Path | None]) -> None:
    """Take jobs from the input; where it ends and nothing is left to do, not even the loading goes on."""
    for line in sys.stdin:
        if line.strip():
            jobs.put(Path(line.strip()))
    if not jobs.unfinished_tasks:
        os._exit(0)
    jobs.put(None)


if __name__ == "__main__":
    main()
