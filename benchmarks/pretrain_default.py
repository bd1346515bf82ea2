"""The recipe of the default model: synthetic sections in, the `.keras` file that ships with the package out.

    python benchmarks/pretrain_default.py --out /tmp/pretrain --hours 1

writes randomised sections (`Parameters.random`: half SEM, half nano-CT, no real pixel), converts them to a record
set and trains on it. Masks of SEM sections are the truth; those of nano-CT are drawn by thresholds, as annotators of
nano-CT do (`cathode_tf.synthesis.annotate`). Run again with the same options, it goes on where it was stopped. Then
`python benchmarks/default_model.py --model /tmp/pretrain/run --install` measures the model, writes its card and
ships it.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cathode_tf.datasets import convert, open_records
from cathode_tf.learning import train
from cathode_tf.phases import Phases
from cathode_tf.progress import track
from cathode_tf.synthesis import Parameters, SyntheticSample, annotate, synthesize, write_samples

SECTION_PX = 288


def sections(count: int, seed: int) -> Iterator[SyntheticSample]:
    """Randomised sections, those of nano-CT with the mask of an annotator."""
    size = {"height": SECTION_PX, "width": SECTION_PX}
    for index, sample in enumerate(synthesize(count, seed=seed, parameters=Parameters.random, **size)):
        if sample.truth["parameters"]["imaging"]["modality"] == "nano-ct":
            sample = dataclasses.replace(sample, mask=annotate(sample, np.random.default_rng([seed, index])))
        yield sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for sections, records and run")
    parser.add_argument("--sections", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--start", help="go on from this model, on other sections")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--hours", type=float, default=1.0, help="training time")
    parser.add_argument("--preset", default="base", help="size of the network")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch-px", type=int, default=192)
    parser.add_argument("--steps-per-epoch", type=int, default=100)
    options = parser.parse_args()

    records = options.out / "records"
    if not records.exists():
        drawn = options.out / "sections"
        write_samples(
            track(sections(options.sections, options.seed), "Synthesising", total=options.sections),
            drawn,
            force=True,
        )
        convert(
            drawn / "images",
            drawn / "masks",
            out=records,
            phases=Phases.from_toml(drawn / "phases.toml"),
            split="95/3/2",
            databar=0,
            origin="synthetic",
            seed=options.seed,
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
        learning_rate=options.learning_rate,
        start=options.start or "scratch",
        prior=False,
        seed=options.seed,
    )
    print(f"{run.best_path}: validation mean Dice {run.best_dice:.3f}")


if __name__ == "__main__":
    main()
