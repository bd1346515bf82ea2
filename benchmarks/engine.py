"""Convert and segment on a Dask cluster of one, two and four worker processes, and with a worker killed in the middle.

    python -m pip install "cathode-tf[dask]"
    python benchmarks/engine.py [IMAGES] [SIDE_PX]

Each row is one call of the command line in the same environment; "equal" compares every byte with what one process
writes without Beam. Where the workers are more than the processors, they share them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
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

    with Client(address, timeout=120) as client:
        client.wait_for_workers(n_workers, timeout=120)


def call(*words: object) -> float:
    begun = time.perf_counter()
    done = subprocess.run([*CLI, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return time.perf_counter() - begun


def digest(folder: Path, pattern: str) -> str:
    """SHA-256 over the names and bytes of the files."""
    total = hashlib.sha256()
    files = sorted(path for path in folder.rglob(pattern) if path.is_file() and not path.name.startswith("."))
    for path in files:
        total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return f"{len(files)} files {total.hexdigest()[:12]}"


def kill_when(there: Path, pattern: str, worker: subprocess.Popen) -> threading.Thread:
    """Kill the worker as soon as a first result lies in the folder."""

    def watch() -> None:
        while not any(there.rglob(pattern)):
            time.sleep(0.05)
        os.kill(worker.pid, signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def main(n_images: int = 8, side_px: int = 512) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        call(
            "synthesize",
            "--out",
            folder / "drawn",
            "--count",
            n_images,
            "--height",
            side_px,
            "--width",
            side_px,
        )
        drawn = folder / "drawn"
        convert = ("convert", drawn / "images", drawn / "masks", "--phases", drawn / "phases.toml")
        segment = ("segment", "default", drawn / "images")
        alone = {
            "convert": call(*convert, "--out", folder / "alone" / "set", "--jobs", 1),
            "segment": call(*segment, "--out", folder / "alone" / "masks"),
        }
        expected = {
            "convert": digest(folder / "alone" / "set", "*"),
            "segment": digest(folder / "alone" / "masks", "*.png"),
        }
        print(f"{n_images} images of {side_px} x {side_px}, {os.cpu_count()} processors.\n")
        print("| | convert, s | segment, s | bytes |\n|---|---|---|---|")
        print(f"| one process, no Beam | {alone['convert']:.0f} | {alone['segment']:.0f} | |")
        for name, n_workers, kill in (
            ("1 worker", 1, 0),
            ("2 workers", 2, 0),
            ("4 workers", 4, 0),
            ("2, one killed", 2, 1),
        ):
            out = folder / name.replace(" ", "_").replace(",", "")
            seconds, found = {}, {}
            for verb, words, result, pattern, first in (
                ("convert", convert, out / "set", "*", "*.note"),
                ("segment", segment, out / "masks", "*.png", "note.json"),
            ):
                with cluster(n_workers, folder) as (address, workers):
                    killer = kill_when(out, first, workers[0]) if kill else None
                    option = f"--dask_client_address={address}"
                    beam = ("--runner", "DaskRunner", "--runner-option", option)
                    seconds[verb] = call(*words, "--out", result, *beam)
                    if killer is not None:
                        assert workers[0].poll() is not None, "the worker outlived the work"
                found[verb] = digest(result, pattern)
            equal = "equal" if found == expected else f"DIFFERENT: {found} {expected}"
            print(f"| {name} | {seconds['convert']:.0f} | {seconds['segment']:.0f} | {equal} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
