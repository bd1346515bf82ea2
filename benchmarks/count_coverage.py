"""Whether the interval that `analyze` gives a count by label image holds the truth, on tiles of real powders.

    CATHODE_TF_REAL_DATA=... python benchmarks/count_coverage.py FOLDS

Each image of powder_sem is separated by the network that has not seen it (FOLDS: `benchmarks/separation_training.py
weigh`) and cut into 16 tiles. A particle that the side of a tile cuts counts half, in what was found as in what was
drawn. Printed are the count of each image, and over all tiles the mean and spread of the error, what the variance is
for each particle, and the share of tiles whose 95 % interval holds the truth.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from instances import by_network, powder

from cathode_tf.analysis.counting import COUNT_NOISE, COUNT_SHIFT

TILES = 4
LEAST_PX = 20


def count(labels: np.ndarray) -> float:
    """Particles of a tile; one that its side cuts counts half."""
    numbers, areas = np.unique(labels[labels > 0], return_counts=True)
    kept = numbers[areas >= LEAST_PX]
    cut = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return len(kept) - 0.5 * float(np.isin(kept, cut).sum())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folds", type=Path)
    folds = parser.parse_args().folds
    assert (folds / "folds.json").exists() and json.loads((folds / "folds.json").read_text())
    separated = by_network(folds, grey=True)
    rows = []
    print("| image | found | true | error |\n|---|---|---|---|")
    for case in powder(Path(os.environ["CATHODE_TF_REAL_DATA"])):
        pair = separated(case), case.labels
        tiles = [
            [count(tile) for band in np.array_split(labels, TILES) for tile in np.array_split(band, TILES, 1)]
            for labels in pair
        ]
        rows += list(zip(*tiles, strict=True))
        found, true = (count(labels) for labels in pair)
        print(f"| {case.name} | {found:g} | {true:g} | {found / true - 1:+.1%} |", flush=True)
    found, true = np.array(rows).T
    off = found - true
    reach = 1.96 * np.sqrt(COUNT_NOISE * found + (COUNT_SHIFT * found) ** 2)
    print(f"\n{len(rows)} tiles of {true.mean():.1f} particles: off by {off.mean():+.2f} +- {off.std():.2f};")
    print(f"mean square {np.mean(off**2) / true.mean():.3f} for each particle;")
    print(f"the interval holds the truth in {np.mean(np.abs(off) <= reach):.0%} of them.")


if __name__ == "__main__":
    main()
