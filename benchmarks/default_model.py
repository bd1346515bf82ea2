"""What the default model is worth on every annotated set at hand; with `--install`, its card says so and it ships.

    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/default_model.py --model default --picture /tmp/default.png

prints Dice tables: held-out synthetic bodies by secondary and by backscattered electrons and by nano-CT, real nano-CT
slices of NMC cathodes (whose carbon and binder are one class: the model's additive and binder together), SEM images of
a metal powder (particles against all else), and the rectangles of one FIB-SEM cross-section whose phases its authors
named. No image of any of these was trained on. `--model RUN --install` writes the figures into the model's card and
copies it to `cathode_tf/learning/default.keras`.

Data: Su et al., npj Comput. Mater. 8 (2022) 30 (SegmentPy, Apache-2.0); powder: AMPIS (MIT); FIB-SEM: samba-web (MIT).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import keras
import numpy as np
import tifffile

from cathode_tf.datasets.standardization import RULE
from cathode_tf.imaging import display, read_micrograph
from cathode_tf.learning import load_model
from cathode_tf.learning.kinds import KINDS, VERSION
from cathode_tf.learning.models import DEFAULT, save_model, write_card
from cathode_tf.learning.prediction import predict_image
from cathode_tf.learning.scores import confusion, dice_per_phase
from cathode_tf.phases import IGNORE, Phases
from cathode_tf.progress import track
from cathode_tf.synthesis import Parameters, annotate, synthesize

PHASES = Phases.default()
VALIDATION = ("400", "622", "929", "1504")
HELD_OUT_SEED = 77
ABOUT = (
    "Pre-trained on sections of randomised synthetic bodies only (secondary and backscattered electrons, nano-CT; "
    "particles 18-260 px across); no real pixel. A start for `train --from default`, and a first picture of images "
    "never seen."
)
FAILS = (
    "Carbon and binder are not told apart: in SEM both are called additive, in nano-CT binder. Brightly lit walls at "
    "the ground of pores inside particles are called additive. Beyond it are cracks and pores below about 3 px, "
    "current collectors, and powders of shaded, overlapping particles."
)
Item = tuple[str, np.ndarray, np.ndarray]  # name, image, class of each pixel


def synthetic(modality: str, count: int = 12) -> Iterator[Item]:
    draw = partial(Parameters.random, modality=modality)
    for index, sample in enumerate(
        synthesize(count, seed=HELD_OUT_SEED, height=320, width=320, parameters=draw)
    ):
        # Masks as people draw them: the web with its pores, and in nano-CT carbon and binder as one.
        mask = annotate(sample, np.random.default_rng([HELD_OUT_SEED, index]))
        yield (
            sample.id,
            sample.image,
            np.array([0, 1, 2, 2], np.uint8)[mask] if modality == "nano-ct" else mask,
        )


def visible(image: np.ndarray, mask: np.ndarray, phases: int) -> np.ndarray:
    """The mask without what no eye could find; at most 30 % of a phase are left out so.

    Visible is what is locally thicker than 3 px (it holds a disk of 4 px), and differs from each phase within 8 px
    by the standard deviation of the noise at least, both as means over the surroundings (Gaussian, 3 px).
    """
    noise = (
        float(np.median(np.abs(cv2.Laplacian(image.astype(np.float32), cv2.CV_32F)))) / 0.6745 / np.sqrt(20)
    )
    grey, there = image.astype(np.float32), np.stack([(mask == k).astype(np.float32) for k in range(phases)])
    weight = np.stack([cv2.GaussianBlur(each, (0, 0), 3) for each in there])
    level = np.stack([cv2.GaussianBlur(each * grey, (0, 0), 3) for each in there]) / np.maximum(weight, 1e-6)
    near = np.stack([cv2.dilate(each, np.ones((17, 17), np.uint8)) for each in there]) > 0
    disk = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]], np.uint8)
    kept = mask.copy()
    for k in range(phases):
        thick = cv2.morphologyEx(there[k], cv2.MORPH_OPEN, disk) > 0
        alike = [
            near[other] & (np.abs(level[k] - level[other]) < noise) for other in range(phases) if other != k
        ]
        hidden = (mask == k) & (~thick | np.any(alike, axis=0))
        if hidden.sum() > 0.3 * (mask == k).sum():  # the faintest first
            order = np.where(hidden, np.where(thick, 1, 0) + 1e-3 * np.abs(grey - level[k]), np.inf)
            limit = np.partition(order.ravel(), int(0.3 * (mask == k).sum()))[int(0.3 * (mask == k).sum())]
            hidden &= order < limit
        kept[hidden] = IGNORE
    return kept


def nano_ct() -> Iterator[Item]:
    folder = Path(os.environ["CATHODE_TF_REAL_DATA"]) / "nmc_xct"
    for path in sorted(folder.glob("*_label.tif"), key=lambda p: int(p.name.split("_")[0])):
        name = path.name.split("_")[0]
        classes = np.array([1, 2, 0], np.uint8)[tifffile.imread(path)]
        yield name, read_micrograph(folder / f"{name}.tif").pixels, classes


def powder() -> Iterator[Item]:
    folder = Path(os.environ["CATHODE_TF_REAL_DATA"]) / "powder_sem"
    content = json.loads((folder / "via_powder_particle_masks_training.json").read_text())
    for entry in content["_via_img_metadata"].values():
        image = read_micrograph(folder / "images" / entry["filename"], databar="none").pixels
        classes = np.zeros(image.shape, np.uint8)
        for region in entry["regions"]:
            shape = region["shape_attributes"]
            corners = np.stack([shape["all_points_x"], shape["all_points_y"]], axis=1).astype(np.int32)
            cv2.fillPoly(classes, [corners], 1)
        yield entry["filename"], image, classes


FIBSEM_CLASSES = (
    ("active material", (1,)),
    ("Pt-filled pore", (0,)),
    ("carbon-binder", (2, 3)),
    ("void", (0,)),
)


def rectangles(model: keras.Model) -> Iterator[str]:
    """Lines of a table: share of each rectangle that the model calls right, and what it calls it."""
    folder = Path(os.environ["CATHODE_TF_REAL_DATA"]) / "fibsem_sparse"
    lines = (folder / "4_phase_roi_config.txt").read_text().splitlines()
    numbers = [int(line) for line in lines if line.strip().lstrip("-").isdigit()]
    mask = predict_image(model, read_micrograph(folder / "4_phase.tif", databar="none").pixels).argmax(-1)
    yield f"| rectangle | right | {' | '.join(PHASES.names)} |\n|---|---|{'---|' * len(PHASES)}"
    for x, y, width, height, place in zip(*[iter(numbers)] * 5, strict=True):
        name, ids = FIBSEM_CLASSES[place]
        shares = np.bincount(mask[y : y + height, x : x + width].ravel(), minlength=4) / (width * height)
        yield f"| {name} | {shares[list(ids)].sum():.3f} | {' | '.join(f'{v:.3f}' for v in shares)} |"


def merged(groups: list[list[int]], probabilities: np.ndarray) -> np.ndarray:
    """Class of each pixel when phases of a group count as one."""
    return (
        np.stack([probabilities[..., group].sum(axis=-1) for group in groups]).argmax(axis=0).astype(np.uint8)
    )


def evaluate(model: keras.Model, items: Iterator[Item], groups: list[list[int]]) -> dict[str, np.ndarray]:
    """Dice (n,) by image."""
    found = {}
    for name, image, reference in track(items, "Evaluating"):
        prediction = merged(groups, predict_image(model, image))
        found[name] = dice_per_phase(confusion(reference, prediction, len(groups)))
    return found


def seen(modality: str) -> Iterator[Item]:
    """As `synthetic`, with what is invisible ignored."""
    for name, image, mask in synthetic(modality):
        yield name, image, visible(image, mask, len(PHASES))


CARBON = [[0], [1], [2, 3]]
SETS: dict[str, tuple[Callable[[], Iterator[Item]], list[list[int]], tuple[str, ...]]] = {
    "synthetic SE, held out": (partial(synthetic, "se"), [[0], [1], [2], [3]], PHASES.names),
    "synthetic SE, held out, what is visible": (partial(seen, "se"), [[0], [1], [2], [3]], PHASES.names),
    "synthetic BSE, held out": (partial(synthetic, "bse"), [[0], [1], [2], [3]], PHASES.names),
    "synthetic BSE, held out, what is visible": (partial(seen, "bse"), [[0], [1], [2], [3]], PHASES.names),
    "synthetic nano-CT, held out": (
        partial(synthetic, "nano-ct"),
        CARBON,
        ("pore", "ncm", "carbon and binder"),
    ),
    "real nano-CT of NMC cathodes": (nano_ct, CARBON, ("pore", "ncm", "carbon and binder")),
    "real SEM of a metal powder": (powder, [[0, 2, 3], [1]], ("all else", "particles")),
}


def forest_features(image: np.ndarray) -> np.ndarray:
    """49 features of each pixel, float32 (height, width, 49): grey, and eight of texture at each of six scales."""
    grey = image.astype(np.float32)
    found = [grey]
    for sigma in (0.7, 1.5, 3.0, 5.0, 8.0, 14.0):
        soft = cv2.GaussianBlur(grey, (0, 0), sigma)
        gy, gx = (cv2.Sobel(soft, cv2.CV_32F, *order, ksize=3) / 8 for order in ((0, 1), (1, 0)))
        yy, xx, xy = (cv2.Sobel(soft, cv2.CV_32F, *order, ksize=3) for order in ((0, 2), (2, 0), (1, 1)))
        spread = cv2.GaussianBlur(grey * grey, (0, 0), sigma) - soft * soft
        a, b, c = (cv2.GaussianBlur(each, (0, 0), sigma) for each in (gx * gx, gx * gy, gy * gy))
        found += [soft, np.hypot(gx, gy), np.sqrt(np.maximum(spread, 0)), xx + yy]
        for p, q, r in ((xx, xy, yy), (a, b, c)):
            half = np.sqrt(((p - r) / 2) ** 2 + q * q)
            found += [(p + r) / 2 + half, (p + r) / 2 - half]
    return np.stack(found, axis=-1)


def against_forest(model: keras.Model, modality: str, bodies: int) -> Iterator[str]:
    """Lines of a table: a random forest taught by whole labelled slices of the same body, and the model by none."""
    from sklearn.ensemble import RandomForestClassifier

    groups = {"particle and all else": [[0, 2, 3], [1]], "pore, particle, web": CARBON}
    scores: dict[tuple[str, str], list[float]] = {}
    for body in range(bodies):
        draw = Parameters.random(np.random.default_rng([HELD_OUT_SEED, body, 5]), modality)
        cuts = synthesize(4, seed=HELD_OUT_SEED + 1000 + body, height=320, width=320, parameters=draw, cuts=4)
        pictures = [(cut.image, annotate(cut, np.random.default_rng(0))) for cut in cuts]
        features = [forest_features(image).reshape(-1, 49) for image, _ in pictures]
        image, reference = pictures[3]
        probabilities = predict_image(model, image)
        for name, parts in groups.items():
            class_of = np.zeros(256, np.uint8)
            for number, ids in enumerate(parts):
                class_of[ids] = number
            answers = {"default, none": merged(parts, probabilities)}
            for count in (1, 3):
                rng = np.random.default_rng(body)
                forest = RandomForestClassifier(100, min_samples_leaf=4, n_jobs=1, random_state=0)
                some = [rng.choice(image.size, 8000 // count, replace=False) for _ in range(count)]
                taught = np.concatenate([features[i][pixels] for i, pixels in enumerate(some)])
                right = np.concatenate([class_of[pictures[i][1].ravel()[px]] for i, px in enumerate(some)])
                answer = forest.fit(taught, right).predict(features[3]).reshape(image.shape)
                answers[f"forest, {count} slice{'s' * (count > 1)}"] = answer.astype(np.uint8)
            for method, answer in answers.items():
                dice = np.nanmean(dice_per_phase(confusion(class_of[reference], answer, len(parts))))
                scores.setdefault((name, method), []).append(float(dice))
    for (name, method), values in scores.items():
        yield f"| {name} | {method} | {np.mean(values):.3f} | {np.min(values):.3f} |"


def picture(model: keras.Model, path: Path) -> None:
    """Image, prediction and reference of six real slices."""
    color, shown = PHASES.palette()[[0, 1, 3]], ("1", "103", *VALIDATION)
    tiles = []
    for name, image, reference in nano_ct():
        if name in shown:
            prediction = merged([[0], [1], [2, 3]], predict_image(model, image))
            row = [np.repeat(display(image)[..., None], 3, axis=2), color[prediction], color[reference]]
            tiles.append(np.hstack([part[:400, :400] for part in row]))
    grid = np.vstack([np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)])
    cv2.imwrite(str(path), grid[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="default", help="run, .keras file, or default")
    parser.add_argument("--picture", type=Path, help="write predictions on real slices here")
    parser.add_argument("--install", action="store_true", help="make it the model of the package")
    parser.add_argument("--bodies", type=int, default=12, help="held-out bodies beside the forest")
    options = parser.parse_args()
    model, card = load_model(options.model)
    dice = {}
    for title, (items, groups, names) in SETS.items():
        if title.startswith("real") and "CATHODE_TF_REAL_DATA" not in os.environ:
            continue
        found = evaluate(model, items(), groups)
        print(f"\n## {title}\n\n| image | {' | '.join(names)} | mean |\n|---|{'---|' * (len(names) + 1)}")
        mean = np.nanmean(list(found.values()), axis=0)
        rows = (
            {**found, f"**mean of {len(found)}**": mean} if title.startswith("real") else {"**mean**": mean}
        )
        for name, values in rows.items():
            print(f"| {name} | {' | '.join(f'{v:.3f}' for v in values)} | {np.nanmean(values):.3f} |")
        per_image = [float(np.nanmean(values)) for values in found.values()]
        if title.startswith("real nano"):
            chosen = [float(np.nanmean(found[name])) for name in VALIDATION]
            print(f"\nMean Dice over the slices {', '.join(VALIDATION)}: {np.mean(chosen):.3f}")
        dice[title] = {
            "images": len(found),
            "mean_dice": float(np.mean(per_image)),
            "dice": {name: float(value) for name, value in zip(names, mean, strict=True)},
        }
    if "CATHODE_TF_REAL_DATA" in os.environ:
        print("\n## real FIB-SEM, secondary electrons: rectangles of one phase\n")
        print("\n".join(rectangles(model)))
    for modality in ("se", "bse"):
        print(f"\n## {modality.upper()}: beside a forest of 49 features, {options.bodies} held-out bodies\n")
        print("| classes | method, labelled slices of the body | mean Dice | least |\n|---|---|---|---|")
        print("\n".join(against_forest(model, modality, options.bodies)))
    if options.picture:
        picture(model, options.picture)
    if options.install:
        # Trained over all scales, so no pixel size is its own.
        told = {"pixel_size_nm": None, "title": "default", "about": ABOUT, "fails": FAILS, "measured": dice}
        # The newest rule differs from the plain one, by which it was trained, on hot pixels and "no data" alone.
        told["standardization"] = RULE
        if KINDS.exists():
            told["kind"] = {"version": VERSION}
        write_card(model, {**card, **told})
        save_model(model, DEFAULT, force=True)
        print(f"\n{DEFAULT}: {DEFAULT.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
