"""The recipe of the default model: synthetic bodies in, the `.keras` file that ships with the package out.

    python benchmarks/pretrain_default.py --out /tmp/pretrain --steps 20000 --workers 2

Worker processes cut sections from randomised bodies (`Parameters.random`: SE and BSE pictures of the same cut, and
nano-CT; a few drawn powders; no real pixel) while the network learns from those that are there; the longer it runs,
the more it has seen. Masks are as people draw them (`cathode_tf.synthesis.annotate`): of SEM sections the truth, with
the pores of the carbon web in it, of nano-CT by thresholds. Run again with the same folder, it goes on where it was
stopped: weights, optimiser and sections are kept there. `--start MODEL` begins with the weights of a model. With
`KERAS_BACKEND=jax` or `torch` and `--minutes 9` the same script fits a borrowed GPU machine. Then

    python benchmarks/default_model.py --model /tmp/pretrain/best.keras --install

measures the model, writes its card and ships it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

SECTION_PX = 288
CUTS = 2
SHARE_OF_NANO_CT = 0.3
SHARE_OF_POWDERS = 0.1
HELD_BACK = 40
"""The first so many files are never trained on; they choose the best weights."""


# Sections ---------------------------------------------------------------------------------------------------


def draw_file(folder: Path, seed: int, number: int) -> None:
    """Cut the sections of body `number` and write their pictures and masks as one file."""
    path = folder / f"{number:06d}.npz"
    if path.exists():
        return
    kind = np.random.default_rng([seed, number]).random()
    if kind < SHARE_OF_POWDERS:
        images, masks = powders(np.random.default_rng([seed, number, 1]))
    else:
        images, masks = sections(seed, number, nano_ct=kind < SHARE_OF_POWDERS + SHARE_OF_NANO_CT)
    unfinished = path.with_suffix(".part.npz")
    np.savez_compressed(unfinished, images=np.stack(images), masks=np.stack(masks))
    os.replace(unfinished, path)


def powders(rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Powders seen from above: particles are ncm, all else is pore."""
    from cathode_tf.synthesis.powders import draw_powder

    drawn = [
        draw_powder(rng, SECTION_PX, SECTION_PX, float(np.exp(rng.uniform(np.log(18), np.log(120)))))
        for _ in range(CUTS)
    ]
    return [powder.image for powder in drawn], [powder.mask.astype(np.uint8) for powder in drawn]


def sections(seed: int, number: int, *, nano_ct: bool) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pictures and masks of the cuts through one body."""
    from cathode_tf.synthesis import Parameters, annotate, synthesize

    draw = partial(Parameters.random, modality="nano-ct" if nano_ct else "sem")
    images, masks = [], []
    for sample in synthesize(
        CUTS,
        seed=seed + number,
        height=SECTION_PX,
        width=SECTION_PX,
        parameters=draw,
        cuts=CUTS,
        second=not nano_ct,
    ):
        mask = annotate(sample, np.random.default_rng([seed, number]))
        for image in (sample.image, sample.second):
            if image is not None:
                images.append(image)
                masks.append(mask)
    return images, masks


def keep_drawing(folder: Path, seed: int, first: int, step: int, most: int) -> None:
    """What a worker does: its share of the files, one after the other."""
    cv2.setNumThreads(1)
    for number in range(first, most, step):
        draw_file(folder, seed, number)


class Pool:
    """The sections that are there so far; more appear while it is used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[str] = set()
        self._looked = 0.0
        self.training: list[tuple[np.ndarray, np.ndarray]] = []
        self.validation: list[tuple[np.ndarray, np.ndarray]] = []

    def refresh(self, every_s: float = 20.0) -> None:
        """Read files that have come since, not more often than every so many seconds."""
        if time.monotonic() - self._looked < every_s:
            return
        self._looked = time.monotonic()
        for path in sorted(self._folder.glob("[0-9]*[0-9].npz")):
            if path.name in self._seen:
                continue
            self._seen.add(path.name)
            with np.load(path) as content:
                pairs = list(zip(content["images"], content["masks"], strict=True))
            (self.validation if int(path.stem) < HELD_BACK else self.training).extend(pairs)


# Patches ----------------------------------------------------------------------------------------------------


def standardized(image: np.ndarray) -> np.ndarray:
    from cathode_tf.datasets.standardization import image_statistics, standardize

    return standardize(image, *image_statistics(image))


def cut_patch(
    rng: np.random.Generator, pair: tuple[np.ndarray, np.ndarray], side: int
) -> tuple[np.ndarray, np.ndarray]:
    """A patch of another scale, orientation, brightness and sharpness each time."""
    image, mask = standardized(pair[0]), pair[1]
    zoom = float(np.exp(rng.uniform(np.log(0.67), np.log(1.6))))
    taken = min(round(side / zoom), *image.shape)
    row, column = (int(rng.integers(0, length - taken + 1)) for length in image.shape)
    image, mask = (a[row : row + taken, column : column + taken] for a in (image, mask))
    if taken != side:
        how = cv2.INTER_AREA if taken > side else cv2.INTER_LINEAR
        image = cv2.resize(image, (side, side), interpolation=how)
        mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    image, mask = (np.rot90(a[:, ::-1] if flip else a, turns) for a in (image, mask))
    return _another_day(rng, np.ascontiguousarray(image)), np.ascontiguousarray(mask)


def _another_day(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    low, high = float(image.min()), float(image.max())
    span = max(high - low, 1e-3)
    image = ((image - low) / span) ** np.float32(np.exp(rng.uniform(-0.35, 0.35))) * span + low
    image = image * np.float32(np.exp(rng.uniform(-0.3, 0.3))) + np.float32(rng.uniform(-0.3, 0.3))
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.5))
    if rng.random() < 0.25:
        tilt = rng.uniform(-0.3, 0.3, 2).astype(np.float32)
        along = np.linspace(-1, 1, image.shape[0], dtype=np.float32)
        image = image + tilt[0] * along[:, None] + tilt[1] * along
    if rng.random() < 0.2:
        streaks = rng.standard_normal(image.shape[1]).astype(np.float32) * np.float32(rng.uniform(0, 0.3))
        image = image + (streaks if rng.integers(2) else streaks[:, None])
    if rng.random() < 0.4:
        image = image + rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0, 0.4))
    return image


def batches(
    pool: Pool, batch: int, side: int, seed: int, step: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches without end; the one of a step depends on seed, step and the sections that are there."""
    while True:
        pool.refresh()
        rng = np.random.default_rng([seed, step])
        # Newest sections first would forget, oldest alone would repeat: any, evenly.
        chosen = rng.integers(0, len(pool.training), batch)
        images, masks = zip(*(cut_patch(rng, pool.training[i], side) for i in chosen), strict=True)
        yield np.stack(images)[..., None].astype(np.float32), np.stack(masks)
        step += 1


# Training ---------------------------------------------------------------------------------------------------


def learning_rate_at(done: float, peak: float) -> float:
    """Up over the first hundredth, then down along a cosine; `done` runs from 0 to 1."""
    return peak * min(done / 0.01, 0.5 + 0.5 * np.cos(np.pi * min(done, 1.0))) if done else peak * 1e-2


def dice_of(model, pool: Pool) -> np.ndarray:
    """Mean Dice (phases,) over the images held back."""
    from cathode_tf.learning.scores import confusion, dice_per_phase

    found = []
    for image, mask in pool.validation[::3]:
        scores = np.array(model(standardized(image)[None, ..., None], training=False))[0]
        found.append(dice_per_phase(confusion(mask, scores.argmax(-1).astype(np.uint8), scores.shape[-1])))
    return np.nanmean(found, axis=0)


def train(options: argparse.Namespace, pool: Pool) -> None:
    import keras

    from cathode_tf.learning import build_unet
    from cathode_tf.learning.losses import CombinedLoss
    from cathode_tf.learning.models import load_model, save_model
    from cathode_tf.learning.training import adapt_weights
    from cathode_tf.phases import Phases

    state = options.out / "state.weights.h5"
    note = options.out / "state.json"
    model = build_unet(Phases.default(), seed=options.seed)
    averaged = keras.models.clone_model(model)
    if options.start and not note.exists():
        adapt_weights(load_model(options.start)[0], model)
    optimizer = keras.optimizers.AdamW(options.learning_rate, weight_decay=1e-4, clipnorm=1.0)
    model.compile(optimizer=optimizer, loss=CombinedLoss())
    optimizer.build(model.trainable_variables)
    progress = {"step": 0, "spent_s": 0.0, "best": 0.0}
    if note.exists():
        progress = json.loads(note.read_text(encoding="utf-8"))
        model.load_weights(state)
        averaged.load_weights(options.out / "averaged.weights.h5")
    else:
        averaged.set_weights(model.get_weights())
    began, before, losses = time.monotonic(), progress["spent_s"], []

    def spent() -> float:
        return before + time.monotonic() - began

    def done() -> float:
        by_time = spent() / (60 * options.minutes) if options.minutes else 0.0
        return max(by_time, progress["step"] / options.steps if options.steps else 0.0)

    def save() -> None:
        dice = dice_of(averaged, pool)
        progress["spent_s"] = spent()
        line = f"step {progress['step']} ({100 * done():.0f} %, {progress['spent_s'] / 60:.1f} min, "
        line += f"{len(pool.training)} sections): loss {np.mean(losses or [np.nan]):.4f}, "
        print(line + "Dice " + " ".join(f"{value:.3f}" for value in dice), flush=True)
        losses.clear()
        if np.nanmean(dice) > progress["best"]:
            progress["best"] = float(np.nanmean(dice))
            save_model(averaged, options.out / "best.keras", force=True)
        model.save_weights(state)
        averaged.save_weights(options.out / "averaged.weights.h5")
        note.write_text(json.dumps(progress), encoding="utf-8")

    stream = batches(pool, options.batch, options.patch_px, options.seed, progress["step"])
    while done() < 1:
        optimizer.learning_rate = learning_rate_at(done(), options.learning_rate)
        losses.append(float(model.train_on_batch(*next(stream))))
        progress["step"] += 1
        # The mean of the last steps is better than any of them; early ones are soon forgotten.
        keep = min(options.average, progress["step"] / (progress["step"] + 10))
        if progress["step"] % options.average_every == 0:
            now = model.get_weights()
            averaged.set_weights(
                [keep * a + (1 - keep) * b for a, b in zip(averaged.get_weights(), now, strict=True)]
            )
        if progress["step"] % options.save_every == 0:
            save()
    save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for sections, state and model")
    parser.add_argument("--bodies", type=int, default=20000, help="files of sections to draw at most")
    parser.add_argument(
        "--wait-for", type=int, default=60 + HELD_BACK, help="files to wait for before training"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that draw sections")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--start", help="begin with the weights of this model")
    parser.add_argument("--steps", type=int, help="end after so many steps")
    parser.add_argument(
        "--minutes", type=float, help="or after so many minutes, all runs in this folder together"
    )
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch-px", type=int, default=192)
    parser.add_argument("--average", type=float, default=0.9, help="share of the mean that stays, each time")
    parser.add_argument("--average-every", type=int, default=10)
    parser.add_argument("--save-every", type=int, default=200)
    options = parser.parse_args()
    if not options.steps and not options.minutes:
        parser.error("give --steps, --minutes, or both")

    folder = options.out / "sections"
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(
            target=keep_drawing,
            args=(folder, options.seed, first, options.workers, options.bodies),
            daemon=True,
        )
        for first in range(options.workers)
    ]
    for worker in workers:
        worker.start()
    pool = Pool(folder)
    while len(list(folder.glob("[0-9]*[0-9].npz"))) < min(options.wait_for, options.bodies):
        time.sleep(2)
    pool.refresh(0)
    try:
        train(options, pool)
    finally:
        for worker in workers:
            worker.terminate()


if __name__ == "__main__":
    main()
