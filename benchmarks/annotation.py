"""How many annotated images does the loop need? A simulated annotator, whose corrections are the truth masks.

Run: python benchmarks/annotation.py synthetic            (about half an hour on 2 idle cores)
     CATHODE_TF_REAL_DATA=... python benchmarks/annotation.py nmc_xct

A project begins with a model that knows the routine (on `synthetic`: trained on other images of the routine
session; on `nmc_xct`: nothing) and with two random annotated images of the pool. Then, in turns: train from the
champion, measure on held-out images, propose, "correct" the highest-ranked two, and so on. `ranked` follows
`rounds.propose`; `random` takes the next two of a random order; `all` learns from the whole pool for as many
steps as all turns together. Both orders share the start, the network, the steps and the seeds. The table says
how many images and pixels each needs to reach 98 % of the Dice of `all`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from cathode_tf import Phases, Segmenter, read_mask, read_micrograph
from cathode_tf.learning.scores import confusion, dice_per_phase, mean_dice
from cathode_tf.rounds import Project, create_project, propose, record_review, train_round
from cathode_tf.synthesis import Imaging, Parameters, synthesize, write_samples

# One laboratory: most images come from one session, a few from others that look different.
# Held out are three images of each session, so that the rare ones count as much.
SESSIONS = {
    "routine": (14, Parameters()),
    "inverted": (
        3,
        Parameters(imaging=Imaging(grey_pore=150, grey_ncm=70, grey_additive=190, grey_binder=110)),
    ),
    "blurred": (3, Parameters(imaging=Imaging(blur_px=2.6, noise=9, gamma=0.7))),
    "coarse": (
        3,
        Parameters(particle_um=22, fragmentation=0.5, imaging=Imaging(channelling=18, edge_brightening=30)),
    ),
    "noisy": (3, Parameters(particle_um=5, imaging=Imaging(noise=26, grey_binder=88, grey_additive=120))),
}
HELD_OUT = 3
REAL_TEST = ("400", "622", "929", "1504")


def synthetic(folder: Path, seed: int) -> tuple[list[Path], list[Path], Phases]:
    """Pool and held-out images of all sessions; masks lie beside them."""
    pool, test = [], []
    for number, (name, (count, parameters)) in enumerate(SESSIONS.items()):
        samples = synthesize(
            count + HELD_OUT, seed=1000 * seed + number, height=224, width=224, parameters=parameters
        )
        write_samples(list(samples), folder / name)
        for index, path in enumerate(sorted((folder / name / "images").iterdir())):
            target = folder / "images" / f"{name}_{index:02d}{path.suffix}"
            target.parent.mkdir(exist_ok=True)
            (folder / "masks").mkdir(exist_ok=True)
            shutil.copy(path, target)
            shutil.copy(folder / name / "masks" / f"{path.stem}.png", folder / "masks" / f"{target.stem}.png")
            (test if index < HELD_OUT else pool).append(target)
    return pool, test, Phases.default()


def nmc_xct(folder: Path, seed: int) -> tuple[list[Path], list[Path], Phases]:
    """The 12 training images of the other benchmarks, and the 4 held-out ones."""
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


def pretrain(folder: Path, args) -> Path:
    """A model that knows the routine session, from images that are in no pool."""
    samples = synthesize(12, seed=987_000, height=224, width=224)
    write_samples(list(samples), folder / "samples")
    project = create_project(
        folder / "project",
        Phases.default(),
        [folder / "samples/images"],
        masks=folder / "samples/masks",
        test_share=0,
    )
    args.seed_now = 0
    return folder / "project" / turn_of(project, args, steps=args.pretrain).path


def turn_of(project: Project, args, *, steps: int, start: str = "champion"):
    """One training of the loop."""
    return train_round(
        project,
        start=start,
        epochs=max(1, steps // 60),
        steps_per_epoch=min(60, steps),
        batch=8,
        patch_px=args.patch,
        preset="small",
        seed=args.seed_now,
    )


def measure(model: Path, test: list[Path], phases: Phases) -> float:
    """Mean over held-out images of the mean Dice over phases."""
    segmenter = Segmenter(str(model))
    values = []
    for path in test:
        mask = read_mask(next((path.parent.parent / "masks").glob(f"{path.stem}.*")), phases)
        found = segmenter.segment(read_micrograph(path)).mask
        values.append(
            mean_dice(
                dice_per_phase(confusion(phases.to_indices(mask), phases.to_indices(found), len(phases)))
            )
        )
    return float(np.mean(values))


def run(how: str, pool: list[Path], test: list[Path], phases: Phases, folder: Path, args) -> list[tuple]:
    """(images, pixels, Dice) after each turn."""
    project = create_project(folder, phases, pool, test_share=0.0)
    masks = pool[0].parent.parent / "masks"
    order = np.random.default_rng(args.seed_now).permutation(len(pool))
    keys = list(project.state.images)

    def annotate(key: str) -> None:
        image = project.image(key)
        path = next(masks.glob(f"{image.name}.*"))
        record_review(project, key, "accept", mask=read_mask(path, phases), who="truth")

    if args.base:
        (folder / "models").mkdir()
        shutil.copy(args.base, folder / "models/001.keras")
        project.ledger.append(
            "train",
            model=1,
            round=0,
            path="models/001.keras",
            run="",
            records={},
            start="",
            images=[],
            minutes=0,
        )
        project.ledger.append("promote", model=1, reason="knows the routine")
    for key in keys if how == "all" else [keys[i] for i in order[: args.begin]]:
        annotate(key)
    rows = []
    turns = 1 if how == "all" else args.turns
    for turn in range(turns):
        steps = args.steps * (args.turns if how == "all" else 1)
        model = turn_of(Project(folder), args, steps=steps)
        project = Project(folder)
        done = project.state.annotated()
        project.ledger.append("promote", model=model.number, reason="benchmark", forced=True)
        dice = measure(folder / model.path, test, phases)
        rows.append((len(done), sum(i.height * i.width for i in done), dice))
        print(f"    {how:<7} seed {args.seed_now} {len(done):>3} images  Dice {dice:.4f}", flush=True)
        take = min(args.step, len(keys) - len(done))
        if turn == turns - 1 or not take:
            break
        if how == "ranked":
            chosen = [row["key"] for row in propose(project)[:take]]
        else:
            chosen = [keys[i] for i in order if project.image(keys[i]).status != "accepted"][:take]
        for key in chosen:
            annotate(key)
        print("            next:", *(project.image(key).name for key in chosen), flush=True)
    return rows


def needed(rows: list[tuple], target: float) -> tuple[float, float]:
    """Images and megapixels at which Dice first reaches the target; infinite where it does not.

    First, because the loop keeps a champion: a later, worse model is not promoted.
    """
    return next(
        ((n, pixels / 1e6) for n, pixels, dice in rows if dice >= target), (float("inf"), float("inf"))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", choices=["synthetic", "nmc_xct"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--begin", type=int, default=2)
    parser.add_argument("--step", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60, help="optimizer steps a turn")
    parser.add_argument("--pretrain", type=int, default=600, help="steps on the routine session")
    parser.add_argument("--patch", type=int, default=128)
    args = parser.parse_args()
    table: dict[str, list[list[tuple]]] = {"ranked": [], "random": [], "all": []}
    with tempfile.TemporaryDirectory() as scratch:
        args.base = None
        if args.data == "synthetic":
            args.base = Path(tempfile.gettempdir()) / f"annotation-base-{args.pretrain}.keras"
            if not args.base.exists():
                shutil.copy(pretrain(Path(scratch), args), args.base)
    for seed in range(args.seeds):
        args.seed_now = seed
        with tempfile.TemporaryDirectory() as scratch:
            pool, test, phases = {"synthetic": synthetic, "nmc_xct": nmc_xct}[args.data](
                Path(scratch) / "data", seed
            )
            for how in table:
                table[how].append(run(how, pool, test, phases, Path(scratch) / how, args))
    report(table, args)


def report(table: dict[str, list[list[tuple]]], args) -> None:
    """The two tables, as markdown."""
    print(
        f"\n### {args.data}: held-out mean Dice against annotated images (mean [min, max] of {args.seeds} seeds)\n"
    )
    print("| images | ranked | random |\n|---:|---|---|")
    for turn in range(max(len(rows) for rows in table["ranked"])):
        cells = []
        for how in ("ranked", "random"):
            values = [rows[turn][2] for rows in table[how] if turn < len(rows)]
            cells.append(f"{np.mean(values):.3f} [{min(values):.3f}, {max(values):.3f}]")
        print(f"| {table['ranked'][0][turn][0]} | {cells[0]} | {cells[1]} |")
    full = [max(row[2] for row in rows) for rows in table["all"]]
    count = table["all"][0][0][0]
    print(f"\nAll {count} images: {np.mean(full):.3f} [{min(full):.3f}, {max(full):.3f}].")
    print(
        "\n| seed | 98 % of full | ranked: images (Mpx) | random: images (Mpx) | ratio |\n|---:|---|---|---|---|"
    )
    for seed, best in enumerate(full):
        target = 0.98 * best
        a, b = (needed(table[how][seed], target) for how in ("ranked", "random"))
        ratio = f"{a[0] / b[0]:.2f}" if np.isfinite(a[0]) and np.isfinite(b[0]) else "-"
        if np.isfinite(a[0]) and not np.isfinite(b[0]):
            ratio = f"< {a[0] / table['random'][seed][-1][0]:.2f}"
        cells = [
            f"{n:.0f} ({mpx:.2f})" if np.isfinite(n) else f"not reached by {table['random'][seed][-1][0]}"
            for n, mpx in (a, b)
        ]
        print(f"| {seed} | {target:.3f} | {cells[0]} | {cells[1]} | {ratio} |")


if __name__ == "__main__":
    main()
