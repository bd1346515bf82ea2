"""What `cathode-tf demo` takes, part by part, and whether its training is of any use.

    python benchmarks/demo.py [FOLDER]

Processor time of all threads is counted, which other work on the computer does not change: two free cores need about
half of it. The default model, which the demo trains on, is evaluated on the same held-out sections.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path

from cathode_tf.datasets import open_records
from cathode_tf.demo import run_demo
from cathode_tf.inference import Segmenter, evaluate


def main(folder: Path) -> None:
    marks: list[tuple[str, float]] = []

    def tell(line: str) -> None:
        print(line, flush=True)
        if line[1:3] == "/7":
            marks.append((line, time.process_time()))

    result = run_demo(folder, tell=tell)
    marks.append(("", time.process_time()))
    untouched = evaluate(Segmenter("default"), open_records(folder / "records"), split="test")
    print("\n| part | processor time, s |\n|---|---|")
    print(f"| starting | {marks[0][1]:.0f} |")
    for (line, begun), (_, ended) in itertools.pairwise(marks):
        print(f"| {line.removesuffix(' ...')} | {ended - begun:.0f} |")
    print(f"| all | {marks[-1][1]:.0f} |")
    print(
        f"\nTest mean Dice {result.mean_dice:.3f}; of the default model untouched {untouched.mean_dice:.3f}."
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(place) / "demo")
