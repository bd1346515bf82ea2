"""The recipe of the default model: synthetic sections in, the `.keras` file that ships with the package out.

    python benchmarks/pretrain_default.py --out /tmp/pretrain --hours 0.8

writes randomised sections (`Parameters.random`: half SEM, half nano-CT, no real pixel), converts them to a record
set and trains on it. Run again with the same options, it goes on where it was stopped. Then
`python benchmarks/default_model.py --model /tmp/pretrain/run --install` measures the model, writes its card and
ships it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from cathode_tf.datasets import convert, open_records
from cathode_tf.learning import train
from cathode_tf.phases import Phases
from cathode_tf.progress import track
from cathode_tf.synthesis import Parameters, synthesize, write_samples

SEED = 2026
SECTIONS = 800
SECTION_PX = 288


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for sections, records and run")
    parser.add_argument("--hours", type=float, default=0.8, help="training time")
    parser.add_argument("--preset", default="base", help="size of the network")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch-px", type=int, default=192)
    parser.add_argument("--steps-per-epoch", type=int, default=100)
    options = parser.parse_args()

    records = options.out / "records"
    if not records.exists():
        drawn = options.out / "sections"
        samples = synthesize(
            SECTIONS, seed=SEED, height=SECTION_PX, width=SECTION_PX, parameters=Parameters.random
        )
        write_samples(track(samples, "Synthesising"), drawn, force=True)
        convert(
            drawn / "images",
            drawn / "masks",
            out=records,
            phases=Phases.from_toml(drawn / "phases.toml"),
            split="95/3/2",
            databar=0,
            origin="synthetic",
            seed=SEED,
        )
        shutil.rmtree(drawn)
    run = train(
        open_records(records),
        options.out / "run",
        preset=options.preset,
        batch=options.batch,
        patch_px=options.patch_px,
        steps_per_epoch=options.steps_per_epoch,
        time_limit_s=3600 * options.hours,
        seed=SEED,
    )
    print(f"{run.best_path}: validation mean Dice {run.best_dice:.3f}")


if __name__ == "__main__":
    main()
