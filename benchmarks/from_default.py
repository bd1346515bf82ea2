"""Is it better to begin with a model that was trained on synthetic sections only? Equal steps, real nano-CT slices.

    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/from_default.py --out /tmp/from_default

trains the same network on one and on three annotated slices, from scratch and from the start model, with the same
patches, steps and schedule. It prints the validation mean Dice (mean over the images 400, 622, 929, 1504) of each
epoch, and that of the start model as it is. Data: Su et al., npj Comput. Mater. 8 (2022) 30; ZeliangSu/SegmentPy,
Apache-2.0.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
from nmc_xct import VALIDATION, make_records

from cathode_tf.datasets import RecordSet, open_records
from cathode_tf.learning import load_model, train
from cathode_tf.learning.prediction import predict_image
from cathode_tf.learning.scores import confusion, dice_per_phase

TRAINING = {"1": ["394"], "3": ["394", "100", "1501"]}


def as_it_is(start: str | Path, records: RecordSet) -> float:
    """Mean Dice of the start model without any training; its additive and binder together are the real binder."""
    model, _ = load_model(start)
    scores = []
    for example in records.examples("validation"):
        pore, ncm, additive, binder = np.moveaxis(predict_image(model, example.image), -1, 0)
        prediction = np.stack([pore, ncm, additive + binder]).argmax(axis=0)
        reference = records.phases.to_indices(example.mask)
        scores.append(np.nanmean(dice_per_phase(confusion(reference, prediction, 3))))
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--start", default="default", help="start model")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="steps an epoch")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch-px", type=int, default=192)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-prior", action="store_true", help="the trained network alone")
    options = parser.parse_args()
    images = Path(os.environ["CATHODE_TF_REAL_DATA"]).resolve() / "nmc_xct"
    print(f"validation images {', '.join(VALIDATION)}; {options.epochs} epochs of {options.steps} steps\n")
    lines = [
        "| annotated images | start | seed | validation mean Dice by epoch | best | processor seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, chosen in TRAINING.items():
        records = open_records(make_records(images, chosen, options.out / name))
        if name == "1":
            lines.append(f"| 0 | pre-trained | | | {as_it_is(options.start, records):.3f} | 0 |")
        for seed in range(options.seeds):
            for label, start in (("scratch", "scratch"), ("pre-trained", options.start)):
                begun = time.process_time()
                run = train(
                    records,
                    options.out / name / f"{label}-{seed}",
                    epochs=options.epochs,
                    steps_per_epoch=options.steps,
                    batch=options.batch,
                    patch_px=options.patch_px,
                    start=start,
                    prior=not options.no_prior,
                    seed=seed,
                )
                course = ", ".join(f"{row['mean_dice']:.3f}" for row in run.history)
                seconds = time.process_time() - begun
                lines.append(
                    f"| {name} | {label} | {seed} | {course} | {run.best_dice:.3f} | {seconds:.0f} |"
                )
                print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
