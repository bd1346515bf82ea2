"""Peak memory of segmenting images of 1k to 16k pixels a side: the table must be flat.

    python benchmarks/memory.py

Each image runs in a process of its own, with --max-memory 2GB, from a uint16 TIFF to a tiled label TIFF.
The network is the model that ships with the package; another, and other sides, can be named:
python benchmarks/memory.py RUN 1024 16384
The last row writes a file of 0.5 GB to the temporary folder.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIDES = (1024, 2048, 4096, 16384)


def write_image(path: Path, side: int) -> None:
    """A uint16 TIFF of blobs and noise, written in parts."""
    import tifffile

    rng = np.random.default_rng(0)
    block = np.kron(rng.integers(0, 3, (32, side // 32)), np.ones((32, 32))) * 9000 + 8000

    def strips():
        for _ in range(side // 1024):
            yield np.roll(block + rng.normal(0, 1500, block.shape), int(rng.integers(side)), 1).astype(
                np.uint16
            )

    with tifffile.TiffWriter(path) as writer:
        writer.write(
            strips(), shape=(side, side), dtype=np.uint16, rowsperstrip=1024, photometric="minisblack"
        )


def one(model: str, image: str, out: str) -> None:
    from cathode_tf import Segmenter
    from cathode_tf.inference.large import TiffWindows, segment_large

    segmenter = Segmenter(model, max_memory="2GB")
    ready = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    start = time.monotonic()
    windows = TiffWindows(image)
    segment_large(segmenter, windows, out, "image")
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(
        max(segmenter.grid.axis(length).tile for length in windows.shape),
        f"{ready:.2f} {peak:.2f} {seconds:.0f}",
    )


def main() -> None:
    model, *sides = sys.argv[1:] or ["default"]
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.tif"
        print(
            "| image | pixels | side of the tiles | loaded, GB | peak RSS, GB | s |\n|---|---|---|---|---|---|",
            flush=True,
        )
        for side in map(int, sides or SIDES):
            write_image(image, side)
            words = [sys.executable, __file__, "--one", model, str(image), f"{folder}/out{side}"]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            tile, ready, peak, seconds = done.stdout.split()
            print(
                f"| {side} x {side} | {side**2 / 1e6:.0f} M | {tile} | {ready} | {peak} | {seconds} |",
                flush=True,
            )


if __name__ == "__main__":
    one(*sys.argv[2:]) if sys.argv[1:2] == ["--one"] else main()
