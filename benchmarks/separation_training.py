"""Train the separation network: on drawn powders and sections, then with real outlines, also leaving some out.

    python benchmarks/separation_training.py draw POOL                  # pictures whose particles are known
    python benchmarks/separation_training.py pretrain POOL OUT.keras
    CATHODE_TF_REAL_DATA=... python benchmarks/separation_training.py tune POOL OUT.keras FOLDS

`tune` writes one network a fold to FOLDS, with `folds.json` (image -> network that has not seen it), and `all.keras`,
tuned on every real image: the one that ships. A fold leaves out one image of powder_sem and one series (letter) of
spheres_sem.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from cathode_tf.files import write_json
from cathode_tf.imaging import read_micrograph
from cathode_tf.imaging.annotations import read_instances
from cathode_tf.imaging.visible import label_visible
from cathode_tf.learning.layers import Card
from cathode_tf.learning.separation import build_separation
from cathode_tf.learning.separation_training import Known, train_separation

SIDE = {"powder": 320, "section": 256}
DRAWN = {"powder": 450, "section": 600}
PRETRAIN_STEPS, TUNE_STEPS = 1600, 700
REAL_SHARE = 0.7
"""Share of the patches that are real while tuning."""
CARD = {
    "title": "Contacts and centres of particles",
    "output": "contact probability, depth inside the particle",
    "licence": "as the package; real outlines: AMPIS (MIT), SEM-SEG (MIT)",
}


def draw(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, number in DRAWN.items():
        drawn = [known for index in range(number) if (known := _draw(kind, index)) is not None]
        np.savez_compressed(
            folder / f"{kind}.npz",
            image=np.stack([known.grey for known in drawn]),
            mask=np.stack([known.mask for known in drawn]),
            labels=np.stack([known.labels.astype(np.uint16) for known in drawn]),
        )


def _draw(kind: str, index: int) -> Known | None:
    from cathode_tf.errors import InputError
    from cathode_tf.synthesis import Parameters, synthesize
    from cathode_tf.synthesis.powders import draw_powder

    rng = np.random.default_rng([77, index, kind == "powder"])
    side = SIDE[kind]
    if kind == "powder":
        powder = draw_powder(rng, side, side, float(np.exp(rng.uniform(*np.log((20.0, 80.0))))))
        return Known(powder.labels, powder.mask, powder.image)
    parameters = Parameters.random(rng, "sem")
    across_px = float(np.exp(rng.uniform(*np.log((25.0, 75.0)))))
    changes = {
        "pixel_size_nm": parameters.particle_um * 1000 / across_px,
        "fragmentation": float(rng.choice([0, 0, 0.3])),
    }
    kinds = rng.random()
    if kinds < 0.3:
        changes |= {"calendering": rng.uniform(0.1, 0.4), "ncm_fraction": rng.uniform(0.6, 0.8)}
        changes |= {"additive_fraction": 0.0, "binder_fraction": 0.0}
    elif kinds < 0.55:
        changes |= {"inner_porosity": rng.uniform(0.02, 0.08)}
    try:
        parameters = parameters.replace(**changes)
        if parameters.porosity < 0.1:
            parameters = parameters.replace(ncm_fraction=0.5, additive_fraction=0.1, binder_fraction=0.1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sample = synthesize(1, seed=100_000 + index, height=side, width=side, parameters=parameters)[0]
    except InputError:
        return None
    image = sample.image if sample.image.dtype == np.uint8 else (sample.image >> 8).astype(np.uint8)
    return Known(sample.labels, sample.mask == sample.phases["ncm"].id, image)


def drawn(folder: Path) -> list[Known]:
    known = []
    for path in sorted(folder.glob("*.npz")):
        kept = np.load(path)
        parts = zip(kept["labels"], kept["mask"], kept["image"], strict=True)
        known += [Known(labels.astype(np.int32), mask, image) for labels, mask, image in parts]
    return known


def real(root: Path) -> Iterator[tuple[str, str, Known]]:
    """Name, group that is left out together, and particles of each annotated image."""
    file = root / "powder_sem/via_powder_particle_masks_training.json"
    for number, path in enumerate(sorted((root / "powder_sem/images").glob("*.png"))):
        yield path.stem, f"powder {number}", _outlined(path, file, path.name)
    for path in sorted((root / "spheres_sem").glob("*.png")):
        yield path.stem, f"spheres {path.stem[0]}", _outlined(path, path.with_suffix(".json"), None)


def _outlined(path: Path, file: Path, name: str | None) -> Known:
    grey = read_micrograph(path).pixels
    outlines = []
    for region in read_instances(file, name, None if name is None else grey.shape):
        rows, columns = region.window
        inside = region.inside[: max(0, grey.shape[0] - rows.start)]
        if inside.any():
            outlines.append(((slice(rows.start, rows.start + len(inside)), columns), inside))
    labels, _ = label_visible(outlines, grey.shape, grey)
    return Known(labels, labels > 0, grey).at_network_size()


def tune(
    start: Path, pool: list[Known], images: list[Known], out: Path, learnt_from: str, steps: int
) -> None:
    model = keras.saving.load_model(start, compile=False)
    sizes = np.array([image.mask.size for image in images], float)
    weights = [(1 - REAL_SHARE) / len(pool)] * len(pool) + list(REAL_SHARE * sizes / sizes.sum())
    losses = train_separation(
        model, [*pool, *images], steps=steps, weights=weights, learning_rate=1.5e-3, seed=1
    )
    print(f"{out.name}: loss {losses[0]:.3f} -> {losses[-1]:.3f}", flush=True)
    _write(model, out, learnt_from, contacts_decide=True)


def _write(model: keras.Model, out: Path, learnt_from: str, contacts_decide: bool = False) -> None:
    layer = next(layer for layer in model.layers if isinstance(layer, Card))
    layer.card = {**layer.card, **CARD, "trained_on": learnt_from, "contacts_decide": contacts_decide}
    model.save(out)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=["draw", "pretrain", "tune"])
    parser.add_argument("pool", type=Path)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("folds", type=Path, nargs="?")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--only", nargs="*", help="Folds to train; default: all, and the network that ships.")
    told = parser.parse_args()
    if told.step == "draw":
        draw(told.pool)
        return
    pool = drawn(told.pool)
    made_up = f"{len(pool)} drawn powders and sections"
    if told.step == "pretrain":
        model = build_separation()
        train_separation(model, pool, steps=told.steps or PRETRAIN_STEPS, verbose=2)
        _write(model, told.model, made_up)
        return
    told.folds.mkdir(parents=True, exist_ok=True)
    images = list(real(Path(os.environ["CATHODE_TF_REAL_DATA"])))
    groups = {
        kind: list(dict.fromkeys(g for _, g, _ in images if g.startswith(kind)))
        for kind in ("powder", "spheres")
    }
    folds = {}
    for number, powder in enumerate(groups["powder"]):
        folds[f"fold{number}.keras"] = {powder, *groups["spheres"][number : number + 1]}
    write_json(
        told.folds / "folds.json",
        {name: fold for name, group, _ in images for fold, left in folds.items() if group in left},
        force=True,
    )
    for fold, left in [*folds.items(), ("all.keras", set())]:
        if told.only and fold.removesuffix(".keras") not in told.only:
            continue
        kept = [known for _, group, known in images if group not in left]
        names = ", ".join(name for name, group, _ in images if group not in left)
        tune(
            told.model,
            pool,
            kept,
            told.folds / fold,
            f"{made_up}; outlines of {names}",
            told.steps or TUNE_STEPS,
        )


if __name__ == "__main__":
    main()
