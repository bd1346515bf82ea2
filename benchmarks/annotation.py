"""How many annotated images does the loop need? A simulated annotator, whose corrections are the truth masks.

Run: python benchmarks/annotation.py synthetic            (about ten minutes on 2 idle cores)
     CATHODE_TF_REAL_DATA=... python benchmarks/annotation.py nmc_xct
     python benchmarks/annotation.py kinds                (a minute: only the first order, without training)

`synthetic` is a laboratory: `KINDS` says what its pool holds. Most images are neighbours of a few routine stacks,
some are rare. It begins with what the laboratory has: KNOWN annotated images of the routine, from other stacks, and
a model of them. On `nmc_xct` there is no annotated image, and the model that ships with the package begins, which has
seen no real pixel.

In turns: propose, "correct" three images, train from the champion, measure on held-out images of every kind (each
kind counts the same). `ranked` takes the first three of `rounds.propose`; `random` takes the next three of a random
order; `all` learns from the whole pool for as many steps as the longest of them. All share the known images, the first
model, the network, the steps a turn and the seeds. The table says how many images and pixels each needs for 98 % of
the Dice of `all`: when it first reaches that, and from when on it stays there. The known images do not count.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from cathode_tf import InputWarning, Phases, read_mask, read_micrograph
from cathode_tf.imaging import write_mask
from cathode_tf.learning.models import DEFAULT, load_model
from cathode_tf.learning.prediction import predict_image
from cathode_tf.learning.scores import confusion, dice_per_phase, mean_dice
from cathode_tf.rounds import Project, create_project, propose, record_review, train_round
from cathode_tf.synthesis import Imaging, Parameters, synthesize

SIDE, SHIFT = 192, 18
KNOWN = 6
HELD_OUT = 3
# Kind: images in the pool, length of a stack, structure and imaging. Neighbours in a stack are windows of one
# section, SHIFT pixels apart. Held out are HELD_OUT images of each kind, from stacks of their own.
INVERTED = Imaging(grey_pore=150, grey_ncm=70, grey_additive=190, grey_binder=110)
BLURRED = Imaging(blur_px=2.6, counts=25, noise=9, gamma=0.7)
NOISY = Imaging(noise=16, grey_binder=88, grey_additive=120, edge_brightening=30)
KINDS = {
    "routine": (24, 8, Parameters()),
    "damaged": (3, 1, Parameters(fragmentation=0.5, crack_um=0.3, ncm_fraction=0.5)),
    "other detector": (3, 1, Parameters(imaging=INVERTED)),
    "blurred": (3, 1, Parameters(imaging=BLURRED)),
    "fine powder": (3, 1, Parameters(particle_um=2.5, additive_um=0.9, grain_um=0.25, imaging=NOISY)),
}
# One of each stack of the real set.
REAL_TEST = ("400", "622", "929", "1504")


def stacks(seed: int, count: int, length: int, parameters: Parameters) -> Iterator[tuple]:
    """Images and masks of `count` stacks of `length` neighbours."""
    width = SIDE + SHIFT * (length - 1)
    for sample in synthesize(count, seed=seed, height=SIDE, width=width, parameters=parameters):
        for start in range(0, SHIFT * length, SHIFT):
            window = slice(start, start + SIDE)
            yield sample.image[:, window], sample.mask[:, window]


def write(folder: Path, name: str, image: np.ndarray, mask: np.ndarray) -> Path:
    """One image with its mask, where `measure` and `run` look for them."""
    import tifffile

    path = folder / "images" / f"{name}.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image)
    write_mask(folder / "masks" / f"{name}.png", mask, Phases.default())
    return path


def known_images(folder: Path) -> None:
    """What the laboratory has annotated before."""
    for index, pair in enumerate(stacks(987, KNOWN, 1, Parameters())):
        write(folder, f"known_{index:02d}", *pair)


def synthetic(folder: Path, seed: int) -> tuple[list[Path], list[Path], Phases]:
    """Pool and held-out images of all kinds."""
    pool, test = [], []
    for number, (kind, (count, length, parameters)) in enumerate(KINDS.items()):
        name = kind.replace(" ", "_")
        for index, pair in enumerate(stacks(1000 * seed + number, count // length, length, parameters)):
            pool.append(write(folder, f"{name}_{index:02d}", *pair))
        for index, pair in enumerate(stacks(1000 * seed + 100 + number, HELD_OUT, 1, parameters)):
            test.append(write(folder, f"test_{name}_{index:02d}", *pair))
    return pool, test, Phases.default()


def nmc_xct(folder: Path, seed: int) -> tuple[list[Path], list[Path], Phases]:
    """12 slices of four stacks, and one held-out slice of each stack."""
    data = Path(os.environ["CATHODE_TF_REAL_DATA"]) / "nmc_xct"
    phases = Phases.from_names(("ncm", "binder", "pore"))
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    pool, test = [], []
    for label in sorted(data.glob("*_label.tif")):
        name = label.stem.removesuffix("_label")
        target = folder / "images" / f"{name}.tif"
        shutil.copy(data / f"{name}.tif", target)
        shutil.copy(label, folder / "masks" / f"{name}.tif")
        (test if name in REAL_TEST else pool).append(target)
    return pool, test, phases


def routine_model(folder: Path, known: Path, args) -> Path:
    """A small model of the known images."""
    images, masks = [known / "images"], known / "masks"
    project = create_project(folder, Phases.default(), images, masks=masks, test_share=0)
    return project.path / learn(project, args, seed=0, steps=8 * args.steps, start="scratch").path


def learn(project: Project, args, *, seed: int, steps: int, start: str = "champion"):
    """One training of the loop."""
    return train_round(
        project,
        start=start,
        epochs=max(1, steps // 60),
        steps_per_epoch=min(60, steps),
        batch=8,
        patch_px=args.patch,
        preset="small",
        seed=seed,
    )


def measure(model: Path, test: list[Path], phases: Phases) -> float:
    """Mean over held-out images of the mean Dice over phases; each kind has as many images."""
    network, _ = load_model(model)
    values = []
    for path in test:
        mask = read_mask(next((path.parent.parent / "masks").glob(f"{path.stem}.*")), phases)
        found = predict_image(network, read_micrograph(path).pixels).argmax(axis=-1)
        values.append(mean_dice(dice_per_phase(confusion(phases.to_indices(mask), found, len(phases)))))
    return float(np.mean(values))


def begin(folder: Path, data: tuple, known: Path | None, base: Path) -> Project:
    """A project with the pool, the known images and the first model."""
    pool, _, phases = data
    if known is None:
        return create_project(folder, phases, pool, test_share=0.0)
    images = [known / "images", *pool]
    project = create_project(folder, phases, images, masks=known / "masks", test_share=0.0)
    (folder / "models").mkdir()
    shutil.copy(base, folder / "models/001.keras")
    learned = [image.key for image in project.state.annotated()]
    facts = {"path": "models/001.keras", "run": "", "records": {}, "start": "", "minutes": 0}
    project.ledger.append("train", model=1, round=0, images=learned, **facts)
    project.ledger.append("promote", model=1, reason="knows the routine")
    return project


def run(how: str, project: Project, data: tuple, seed: int, args) -> list[tuple]:
    """(images, pixels, Dice) after each turn."""
    pool, test, phases = data
    masks = pool[0].parent.parent / "masks"
    keys = [image.key for image in project.state.queue()]
    order = [keys[i] for i in np.random.default_rng(seed).permutation(len(keys))]
    rows = []
    turns = {"ranked": args.turns, "random": args.random_turns, "all": 1}[how]
    for _ in range(turns):
        take = len(keys) if how == "all" else args.step
        if how == "ranked":
            chosen = [row["key"] for row in propose(project)[:take]]
        else:
            chosen = [key for key in order if project.image(key).status != "accepted"][:take]
        for key in chosen:
            path = next(masks.glob(f"{project.image(key).name}.*"))
            record_review(project, key, "accept", mask=read_mask(path, phases), who="truth")
        steps = args.steps * (args.random_turns if how == "all" else 1)
        model = learn(project, args, seed=seed, steps=steps)
        if model.number not in project.state.champions:
            project.ledger.append("promote", model=model.number, reason="benchmark", forced=True)
        done = [project.image(key) for key in keys if project.image(key).status == "accepted"]
        dice = measure(project.path / model.path, test, phases)
        rows.append((len(done), sum(i.height * i.width for i in done), dice))
        names = " ".join(project.image(key).name for key in chosen) if how != "all" else ""
        print(f"    {how:<7} seed {seed} {len(done):>3} images  Dice {dice:.4f}  {names}", flush=True)
    return rows


def kinds(args) -> None:
    """After how many images each rare kind was seen: the order of the first `propose` against random ones."""
    print(
        "| seed | ranked: images until every rare kind was seen | random: mean, 5 % to 95 % of 2000 orders |"
    )
    print("|---:|---:|---|")
    with tempfile.TemporaryDirectory() as scratch:
        known = Path(scratch) / "known"
        known_images(known)
        base = routine_model(Path(scratch) / "first", known, args)
        for seed in range(args.seeds):
            folder = Path(scratch) / str(seed)
            project = begin(folder / "project", synthetic(folder / "data", seed), known, base)
            found = [project.image(row["key"]).name[:-3] for row in propose(project)]
            rare = set(found) - {"routine"}
            rng = np.random.default_rng(seed)
            drawn = [_until(rng.permutation(found), rare) for _ in range(2000)]
            low, high = np.percentile(drawn, (5, 95))
            print(
                f"| {seed} | {_until(found, rare)} | {np.mean(drawn):.1f}, {low:.0f} to {high:.0f} |",
                flush=True,
            )


def _until(order: Iterable[str], rare: set[str]) -> int:
    """How many of the order it takes to see all of `rare`."""
    missing = set(rare)
    for count, kind in enumerate(order, start=1):
        missing.discard(str(kind))
        if not missing:
            return count
    raise AssertionError("each kind is in the pool")


def needed(rows: list[tuple], target: float) -> tuple[float, float, float]:
    """Images and megapixels at which Dice first reaches the target, and images from which on it stays there."""
    good = [dice >= target for _, _, dice in rows]
    missing = float("inf")
    first = good.index(True) if any(good) else None
    stays = len(good) - good[::-1].index(False) if not all(good) else 0
    return (
        rows[first][0] if first is not None else missing,
        rows[first][1] / 1e6 if first is not None else missing,
        rows[stays][0] if stays < len(rows) else missing,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", choices=["synthetic", "nmc_xct", "kinds"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--random-turns", type=int, default=6)
    parser.add_argument("--step", type=int, default=3, help="images a turn")
    parser.add_argument("--steps", type=int, default=60, help="optimizer steps a turn")
    parser.add_argument("--patch", type=int, default=96)
    args = parser.parse_args()
    warnings.simplefilter("ignore", InputWarning)  # dense sections have less binder than was asked for
    if args.data == "kinds":
        kinds(args)
    else:
        curves(args)


def curves(args) -> None:
    """Dice against annotated images, in the three ways."""
    table: dict[str, list[list[tuple]]] = {"ranked": [], "random": [], "all": []}
    with tempfile.TemporaryDirectory() as scratch:
        known, base = None, DEFAULT
        if args.data == "synthetic":
            known = Path(scratch) / "known"
            known_images(known)
            base = routine_model(Path(scratch) / "first", known, args)
        for seed in range(args.seeds):
            folder = Path(scratch) / str(seed)
            data = {"synthetic": synthetic, "nmc_xct": nmc_xct}[args.data](folder / "data", seed)
            if seed == 0 and base != DEFAULT:
                print(f"First model, no image of the pool: Dice {measure(base, *data[1:]):.4f}", flush=True)
            for how in table:
                project = begin(folder / how, data, known, base)
                table[how].append(run(how, project, data, seed, args))
            report(table, args)


def report(table: dict[str, list[list[tuple]]], args) -> None:
    """The two tables, as markdown, of the seeds so far."""
    seeds = len(table["all"])
    print(f"\n### {args.data}: held-out mean Dice, mean [min, max] of {seeds} seeds\n")
    print("| images | ranked | random |\n|---:|---|---|")
    for turn, (images, _, _) in enumerate(max(table["ranked"][0], table["random"][0], key=len)):
        cells = []
        for how in ("ranked", "random"):
            values = [rows[turn][2] for rows in table[how] if turn < len(rows)]
            cells.append(f"{np.mean(values):.3f} [{min(values):.3f}, {max(values):.3f}]" if values else "")
        print(f"| {images} | {cells[0]} | {cells[1]} |")
    full = [rows[-1][2] for rows in table["all"]]
    count = table["all"][0][0][0]
    print(f"\nAll {count} images: {np.mean(full):.3f} [{min(full):.3f}, {max(full):.3f}].")
    print(
        "\n| seed | 98 % of all | ranked: first (Mpx), stays | random: first (Mpx), stays | ratio: first, stays |"
    )
    print("|---:|---|---|---|---|")
    for seed, best in enumerate(full):
        a, b = (needed(table[how][seed], 0.98 * best) for how in ("ranked", "random"))
        last = table["random"][seed][-1][0]
        ratios = ", ".join(_ratio(x, y, last) for x, y in ((a[0], b[0]), (a[2], b[2])))
        cells = [
            f"{_count(first, rows)}{f' ({mpx:.2f})' if np.isfinite(mpx) else ''}, {_count(stays, rows)}"
            for (first, mpx, stays), rows in ((a, table["ranked"][seed]), (b, table["random"][seed]))
        ]
        print(f"| {seed} | {0.98 * best:.3f} | {cells[0]} | {cells[1]} | {ratios} |", flush=True)


def _count(images: float, rows: list[tuple]) -> str:
    return f"{images:.0f}" if np.isfinite(images) else f"not by {rows[-1][0]}"


def _ratio(ours: float, theirs: float, last: int) -> str:
    if not np.isfinite(ours):
        return "-"
    return f"{ours / theirs:.2f}" if np.isfinite(theirs) else f"< {ours / last:.2f}"


if __name__ == "__main__":
    main()
