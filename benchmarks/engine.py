"""Convert and segment on a Dask cluster of one, two and four worker processes, and with a worker killed in the middle.

    python -m pip install "cathode-tf[dask]"
    python benchmarks/engine.py [--images 6] [--side-px 384] [--folder work] [--rows 0 1 2 ...]

Each cell is one call of the command line in the same environment: seconds of the clock, and of processor time of the
command, the scheduler and the workers together, which other work on the computer does not change. "equal" compares
every byte with what one process writes without Beam. Where the workers are more than the processors, they share them.
With a folder that stays, the rows may be measured one by one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

CLI = (sys.executable, "-m", "cathode_tf.tools")
PATIENCE_S = 600
ROWS = (
    ("one process, no Beam", 0, False),
    ("1 worker", 1, False),
    ("2 workers", 2, False),
    ("4 workers", 4, False),
    ("2, one killed", 2, True),
)
"""Name, workers, and whether one of them is killed at its first result."""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def cluster(n_workers: int, folder: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A scheduler and its workers, each a process of one thread, all on this computer."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    log = (folder / "cluster.log").open("a", encoding="utf-8")
    quiet = {"stdout": log, "stderr": log, "cwd": folder}
    scheduler = (sys.executable, "-m", "distributed.cli.dask_scheduler")
    place = ("--host", "127.0.0.1", "--no-dashboard")
    started = [subprocess.Popen([*scheduler, "--port", str(port), *place], **quiet)]
    worker = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--no-nanny",
        *place,
    ]
    workers = [subprocess.Popen(worker, **quiet) for _ in range(n_workers)]
    try:
        wait_for(address, n_workers)
        yield address, workers
    finally:
        for process in [*workers, *started]:
            process.kill()
            process.wait()
        log.close()


def wait_for(address: str, n_workers: int) -> None:
    from distributed import Client

    with Client(address, timeout=PATIENCE_S) as client:
        client.wait_for_workers(n_workers, timeout=PATIENCE_S)


def call(*words: object) -> None:
    done = subprocess.run([*CLI, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])


def processor_s() -> float:
    """Of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file, by its name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def kill_when(there: Path, pattern: str, worker: subprocess.Popen) -> threading.Thread:
    """Kill the worker as soon as a first result lies in the folder."""

    def watch() -> None:
        while not any(there.rglob(pattern)):
            time.sleep(0.05)
        os.kill(worker.pid, signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def row(folder: Path, name: str, n_workers: int, kill: bool) -> str:
    """A line of the table: both verbs by so many workers."""
    drawn = folder / "drawn"
    out, alone = folder / name.replace(" ", "_").replace(",", ""), folder / "one_process_no_Beam"
    cells, different = [], []
    for verb, words, place, first in (
        ("convert", (drawn / "images", drawn / "masks", "--phases", drawn / "phases.toml"), "set", "*.note"),
        ("segment", ("default", drawn / "images"), "masks", "note.json"),
    ):
        begun, used = time.perf_counter(), processor_s()
        if not n_workers:
            call(verb, *words, "--out", out / place, *(("--jobs", 1) if verb == "convert" else ()))
            seconds = time.perf_counter() - begun
        else:
            with cluster(n_workers, folder) as (address, workers):
                begun = time.perf_counter()
                killer = kill_when(out, first, workers[0]) if kill else None
                option = f"--dask_client_address={address}"
                call(verb, *words, "--out", out / place, "--runner", "DaskRunner", "--runner-option", option)
                seconds = time.perf_counter() - begun
                if killer is not None:
                    assert workers[0].poll() is not None, "the worker outlived the work"
        cells.append(f"{seconds:.0f} / {processor_s() - used:.0f}")
        found, expected = digests(out / place), digests(alone / place)
        names = found.keys() | expected.keys()
        different += sorted(name for name in names if found.get(name) != expected.get(name))
    equal = f"DIFFERENT: {', '.join(different)}" if different else f"equal, {len(digests(out))} files"
    return f"| {name} | {' | '.join(cells)} | {equal} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--side-px", type=int, default=384)
    parser.add_argument("--folder", type=Path, help="where files are kept; default: nowhere")
    parser.add_argument(
        "--rows", type=int, nargs="*", default=range(len(ROWS)), help="which; the first is needed"
    )
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = chosen.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not (folder / "drawn").exists():
            sides = ("--height", chosen.side_px, "--width", chosen.side_px)
            call("synthesize", "--out", folder / "drawn", "--count", chosen.images, *sides)
        print(
            f"{chosen.images} images of {chosen.side_px} x {chosen.side_px}, {os.cpu_count()} processors.\n"
        )
        print("| | convert, s: clock / processor | segment, s | bytes |\n|---|---|---|---|")
        for index in chosen.rows:
            print(row(folder.resolve(), *ROWS[index]), flush=True)


if __name__ == "__main__":
    main()
