"""Train the separation network on drawn powders and sections; then weigh what it says, or tune it, on real outlines.

    python benchmarks/separation_training.py draw POOL                  # pictures whose particles are known
    python benchmarks/separation_training.py pretrain POOL OUT.keras
    CATHODE_TF_REAL_DATA=... python benchmarks/separation_training.py tune POOL OUT.keras FOLDS
    CATHODE_TF_REAL_DATA=... python benchmarks/separation_training.py weigh FOLDS [--network OUT.keras]

`tune` writes one network a fold to FOLDS, with `folds.json` (image -> network that has not seen it), and `all.keras`,
tuned on every real image. `weigh` writes into the card of each how pieces are joined, learned from the images that its
fold does not leave out and from synthetic sections; with `--network`, that network takes the place of tuned ones. A
fold leaves out one image of powder_sem and one series (letter) of spheres_sem. `all.keras` is what ships. How pieces
are joined is learned from the maps that each image has from the network that has not seen it, as maps of images that a
network was tuned on are surer than those of new ones.
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
from cathode_tf.inference.separation import separation_network
from cathode_tf.inference.separation_tuning import joinings, taught_by, write_network
from cathode_tf.learning.separation import build_separation
from cathode_tf.learning.separation_training import Known, train_separation

ROOT = Path(os.environ.get("CATHODE_TF_REAL_DATA", "."))
SIDE = 256
DRAWN = {"powder": 700, "section": 600}
PRETRAIN_STEPS, TUNE_STEPS = 1000, 400
ALL = "all.keras"
"""What ships."""
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
    if kind == "powder":
        powder = draw_powder(rng, SIDE, SIDE, float(np.exp(rng.uniform(*np.log((16.0, 65.0))))))
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
            sample = synthesize(1, seed=100_000 + index, height=SIDE, width=SIDE, parameters=parameters)[0]
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


def real(root: Path, *, at_network_size: bool = True) -> Iterator[tuple[str, str, Known]]:
    """Name, group that is left out together, and particles of each annotated image."""

    def sized(known: Known) -> Known:
        return known.at_network_size() if at_network_size else known

    file = root / "powder_sem/via_powder_particle_masks_training.json"
    for number, path in enumerate(sorted((root / "powder_sem/images").glob("*.png"))):
        yield path.stem, f"powder {number}", sized(_outlined(path, file, path.name))
    for path in sorted((root / "spheres_sem").glob("*.png")):
        yield path.stem, f"spheres {path.stem[0]}", sized(_outlined(path, path.with_suffix(".json"), None))


def _outlined(path: Path, file: Path, name: str | None) -> Known:
    grey = read_micrograph(path).pixels
    outlines = []
    for region in read_instances(file, name, None if name is None else grey.shape):
        rows, columns = region.window
        inside = region.inside[: max(0, grey.shape[0] - rows.start)]
        if inside.any():
            outlines.append(((slice(rows.start, rows.start + len(inside)), columns), inside))
    labels, _ = label_visible(outlines, grey.shape, grey)
    return Known(labels, labels > 0, grey)


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
    _write(model, out, {"trained_on": learnt_from})


def _write(model: keras.Model, out: Path, told: dict) -> None:
    write_network(model, out, {**CARD, **told})


def weigh(folds: Path, network: Path | None, sections: Path | None) -> None:
    """Write into each network of FOLDS how pieces are joined, learned from what its fold does not leave out."""
    known = [(name, group, image) for name, group, image in real(ROOT, at_network_size=False)]
    known += [("", "section", image) for image in _sections(sections)]
    groups = _folds([(name, group) for name, group, _ in known if name])
    unseen_by = _left_out(known, groups)
    write_json(folds / "folds.json", unseen_by, force=True)
    taught = [
        taught_by(separation_network(network or folds / unseen_by.get(name, ALL)), image)
        for name, _, image in known
    ]
    for fold, left in [*groups.items(), (ALL, set())]:
        kept = [image for (_, group, _), image in zip(known, taught, strict=True) if group not in left]
        joining = joinings(kept)
        names = ", ".join(name for name, group, _ in known if name and group not in left)
        model = keras.saving.load_model(network or folds / fold, compile=False)
        _write(
            model, folds / fold, {"joining": joining, "joining_learned_on": f"{names}; synthetic sections"}
        )
        print(f"{fold}: weighed on {len(kept)} images", flush=True)


def _sections(folder: Path | None) -> Iterator[Known]:
    """Half of the sections that `instances.py` draws, and of those kept, of each kind; it reports on the others."""
    from instances import KINDS, sections

    for place in dict.fromkeys((None, folder)):
        for kind in KINDS:
            for number, case in enumerate(sections(kind, place)):
                if number % 2:
                    yield Known(case.labels, case.mask, case.grey)


def _folds(images: list[tuple[str, str]]) -> dict[str, set[str]]:
    """By network: the groups that it has not seen."""
    powder, spheres = (
        list(dict.fromkeys(group for _, group in images if group.startswith(kind)))
        for kind in ("powder", "spheres")
    )
    return {f"fold{n}.keras": {one, *spheres[n : n + 1]} for n, one in enumerate(powder)}


def _left_out(images: list[tuple[str, str, Known]], folds: dict[str, set[str]]) -> dict[str, str]:
    """By image: the network that has not seen it."""
    return {name: fold for name, group, _ in images for fold, left in folds.items() if name and group in left}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=["draw", "pretrain", "tune", "weigh"])
    parser.add_argument("pool", type=Path)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("folds", type=Path, nargs="?")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--network", type=Path)
    parser.add_argument("--sections", type=Path)
    parser.add_argument("--only", nargs="*", help="Folds to train; default: all, and the network that ships.")
    told = parser.parse_args()
    if told.step == "draw":
        draw(told.pool)
        return
    if told.step == "weigh":
        told.pool.mkdir(parents=True, exist_ok=True)
        weigh(told.pool, told.network, told.sections)
        return
    pool = drawn(told.pool)
    made_up = f"{len(pool)} drawn powders and sections"
    if told.step == "pretrain":
        model = build_separation()
        train_separation(model, pool, steps=told.steps or PRETRAIN_STEPS, verbose=2)
        _write(model, told.model, {"trained_on": made_up})
        return
    told.folds.mkdir(parents=True, exist_ok=True)
    images = list(real(ROOT))
    folds = _folds([(name, group) for name, group, _ in images])
    write_json(told.folds / "folds.json", _left_out(images, folds), force=True)
    for fold, left in [*folds.items(), (ALL, set())]:
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
