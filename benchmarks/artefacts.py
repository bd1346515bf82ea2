"""What the artefacts of augmentation are worth on images that have such artefacts, and on those that have none.

    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/artefacts.py --out /tmp/artefacts

trains on three nano-CT slices (394, 100, 1501) with and without shadows, curtains and scan lines among the
augmentation, all else equal, and measures the mean Dice of 400, 622, 929 and 1504 as they are and with artefacts
drawn over them. Those are drawn here, from formulas of their own. Data: Su et al., npj Comput. Mater. 8 (2022) 30;
ZeliangSu/SegmentPy, Apache-2.0.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import click
import cv2
import numpy as np
from nmc_xct import make_records

from cathode_tf.datasets import RecordSet, open_records
from cathode_tf.imaging import Micrograph
from cathode_tf.learning import load_model, train
from cathode_tf.learning.callbacks import validate
from cathode_tf.learning.scores import mean_dice

TRAINING = ("394", "100", "1501")
SEVERITY = (0.15, 0.3)
"""Standard deviation of an artefact, in that of the image's grey levels."""


def shadow(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One corner dark, as in a trench: brightness falls with the square of the distance from the other."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    fall = y**2 + x**2
    return -np.rot90(fall, 2 * rng.integers(2))


def curtains(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Streaks down the image, which begin at several heights and fade within a third of the image."""
    streaks, onsets = (cv2.GaussianBlur(rng.standard_normal((1, width)), (0, 0), px) for px in (2.0, 6.0))
    below = np.arange(height)[:, None] - 2.0 * onsets * height
    return streaks * np.where(below > 0, np.exp(-3 * below / height), 0)


def scan_lines(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A quarter of the rows brighter or darker than their neighbours."""
    rows = rng.standard_normal((height, 1)) * (rng.random((height, 1)) < 0.25)
    return rows.repeat(width, axis=1)


ARTEFACTS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "shadow": shadow,
    "curtains": curtains,
    "scan lines": scan_lines,
}


def spoiled(image: Micrograph, kind: str, severity: float) -> Micrograph:
    """`image` with one artefact, whose standard deviation is `severity` times that of the image."""
    pixels = image.pixels.astype(np.float64)
    added = ARTEFACTS[kind](np.random.default_rng(0), *pixels.shape)
    added *= severity * pixels.std() / added.std()
    return Micrograph((pixels + added).astype(np.float32))


def scores(run: Path, records: RecordSet) -> list[float]:
    """Mean Dice of the saved model: images as they are, then each artefact at each severity."""
    model, _ = load_model(run)
    images = [
        (Micrograph(e.image), records.phases.to_indices(e.mask)) for e in records.examples("validation")
    ]
    sets = [images]
    for kind in ARTEFACTS:
        sets += [[(spoiled(image, kind, s), truth) for image, truth in images] for s in SEVERITY]
    return [float(np.mean([mean_dice(row) for row in validate(model, chosen)])) for chosen in sets]


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option("--seeds", default=3, show_default=True)
def main(out: Path, seeds: int) -> None:
    data = Path(os.environ["CATHODE_TF_REAL_DATA"]).resolve() / "nmc_xct"
    records = open_records(make_records(data, list(TRAINING), out))
    columns = ["as they are", *(f"{kind} {severity}" for kind in ARTEFACTS for severity in SEVERITY)]
    print("| start | artefacts in augmentation | seed | " + " | ".join(columns) + " |")
    print("|---" * (3 + len(columns)) + "|", flush=True)
    options = {"epochs": 5, "steps_per_epoch": 20, "batch": 8, "patch_px": 192}
    for start in ("scratch", "default"):
        for seed in range(seeds):
            with_them = train(records, out / f"{start}-{seed}", start=start, seed=seed, **options)
            plain = mock.patch(
                "cathode_tf.datasets.pipeline.Artefacts", return_value=lambda image, seed: image
            )
            with plain:
                without = train(records, out / f"{start}-{seed}-plain", start=start, seed=seed, **options)
            for label, run in (("yes", with_them), ("no", without)):
                cells = " | ".join(f"{score:.3f}" for score in scores(run.path, records))
                print(f"| {start} | {label} | {seed} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
