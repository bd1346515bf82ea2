"""Is the start model's say worth having on images that did not choose its weight? Real nano-CT slices.

    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/prior.py --out /tmp/prior

draws one or three training slices at random and one validation slice from each stack of what is left, trains on them
from `default` with and without the prior, and prints the mean Dice of all other slices, which chose neither epoch
nor weight. Data: Su et al., npj Comput. Mater. 8 (2022) 30; ZeliangSu/SegmentPy, Apache-2.0.
"""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path

import numpy as np
from nmc_xct import STACKS, make_records

from cathode_tf.datasets import open_records
from cathode_tf.learning import load_model, train
from cathode_tf.learning.callbacks import validate


def draw(chance: random.Random, count: int) -> tuple[list[str], list[str], list[str]]:
    """Training slices of as many stacks, a validation slice of each stack, and all others."""
    training = [chance.choice(STACKS[stack]) for stack in chance.sample(sorted(STACKS), count)]
    left = {stack: [name for name in names if name not in training] for stack, names in STACKS.items()}
    validation = [chance.choice(names) for names in left.values()]
    return training, validation, [n for names in left.values() for n in names if n not in validation]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--draws", type=int, default=6, help="of one slice, and of three")
    options = parser.parse_args()
    images = Path(os.environ["CATHODE_TF_REAL_DATA"]).resolve() / "nmc_xct"
    chance = random.Random(0)
    lines = [
        "| training slices | validation | weight | alone | with the start model's say | gain |",
        "|---|---|---|---|---|---|",
    ]
    for count in (1, 3):
        gains = []
        for number in range(options.draws):
            training, validation, test = draw(chance, count)
            folder = options.out / f"{count}-{number}"
            records = open_records(make_records(images, training, folder, validation, test))
            others = [(e.micrograph, records.phases.to_indices(e.mask)) for e in records.examples("test")]
            found, weight = [], 0.0
            for prior in (False, True):
                run = train(
                    records,
                    folder / f"prior-{prior}",
                    epochs=5,
                    steps_per_epoch=20,
                    batch=8,
                    patch_px=192,
                    start="default",
                    prior=prior,
                    seed=number,
                )
                model, card = load_model(run.path)
                found.append(float(np.nanmean(validate(model, others))))
                weight = card.get("prior", {}).get("weight", 0.0)
            gains.append(found[1] - found[0])
            cells = [", ".join(training), ", ".join(validation), f"{weight:.1f}"]
            cells += [f"{found[0]:.3f}", f"{found[1]:.3f}", f"{gains[-1]:+.3f}"]
            lines.append("| " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
        lines.append(f"| **mean of {count}** | | | | | {np.mean(gains):+.3f} |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
