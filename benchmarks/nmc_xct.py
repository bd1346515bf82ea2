"""The main job on real nano-CT slices of NMC cathodes: convert, train for 25 minutes, evaluate, export, segment.

    CATHODE_TF_REAL_DATA=/path/to/data python benchmarks/nmc_xct.py --out /tmp/nmc_xct

Training images: the twelve that are not 400, 622, 929 or 1504; these four are the validation images, and the figures
are theirs. `--train 394,100,1501` (or one image) trains on fewer. Everything goes through the command line, as a user
would do it. Data: Su et al., npj Comput. Mater. 8 (2022) 30; ZeliangSu/SegmentPy, Apache-2.0.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from cathode_tf.files import read_json

VALIDATION = ("400", "622", "929", "1504")
STACKS = {
    "a": ("1", "100", "300", "400"),
    "b": ("103", "360", "510", "929"),
    "c": ("394", "546", "622", "698", "774"),
    "d": ("1501", "1503", "1504"),
}
PHASES = """
[[phase]]
name = "pore"
id = 0
values = [2]

[[phase]]
name = "particle"
id = 1
values = [0]

[[phase]]
name = "binder"
id = 2
values = [1]
"""


def run(*words: str | Path) -> float:
    """Run one `cathode-tf` verb, showing what it prints; its wall-clock seconds."""
    print("$ cathode-tf", *words, flush=True)
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "cathode_tf.tools", *map(str, words)], check=True)
    return time.monotonic() - start


def write_csv(path: Path, header: tuple[str, str], rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def make_records(
    images: Path,
    training: list[str],
    out: Path,
    validation: Sequence[str] = VALIDATION,
    test: Sequence[str] = (),
) -> Path:
    """Link the chosen slices into one folder and convert them with their groups and exactly this split."""
    chosen = out / "slices"
    chosen.mkdir(parents=True)
    splits = {"train": training, "validation": validation, "test": test}
    split = [(name, kind) for kind, names in splits.items() for name in names]
    for name, _ in split:
        for suffix in (".tif", "_label.tif"):
            (chosen / f"{name}{suffix}").symlink_to(images / f"{name}{suffix}")
    groups = [(name, stack) for stack, names in STACKS.items() for name in names if name in dict(split)]
    phases = out / "phases.toml"
    phases.write_text(PHASES, encoding="utf-8")
    run(
        *("convert", chosen, "--out", out / "records", "--phases", phases, "--mask-suffix", "_label"),
        *("--groups", write_csv(out / "groups.csv", ("id", "group"), groups)),
        *("--split-file", write_csv(out / "split.csv", ("id", "split"), split)),
    )
    return out / "records"


def table(evaluation: dict, minutes: float) -> str:
    """The validation images' Dice as Markdown."""
    names = list(evaluation["images"][0]["dice"])
    lines = [
        "| image | " + " | ".join(names) + " | mean |",
        "|---|" + "---|" * (len(names) + 1),
    ]
    rows = [(image["id"], image["dice"], image["mean_dice"]) for image in evaluation["images"]]
    mean = {name: sum(row[1][name] for row in rows) / len(rows) for name in names}
    for label, dice, mean_dice in [*rows, ("**mean**", mean, evaluation["mean_dice"])]:
        cells = [f"{dice[name]:.3f}" for name in names]
        lines.append(f"| {label} | " + " | ".join([*cells, f"{mean_dice:.3f}"]) + " |")
    return "\n".join([*lines, "", f"Training took {minutes:.1f} minutes."])


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder for everything.")
@click.option("--train", "chosen", default="", help="Training images, by comma; default: all twelve.")
@click.option("--time-limit", default="25m", help="Of the training.")
@click.option("--seed", default=0)
@click.option("--option", "options", multiple=True, help="More words for `cathode-tf train`.")
def main(out: Path, chosen: str, time_limit: str, seed: int, options: tuple[str, ...]) -> None:
    images = Path(os.environ["CATHODE_TF_REAL_DATA"]).resolve() / "nmc_xct"
    everything = [name for names in STACKS.values() for name in names if name not in VALIDATION]
    records = make_records(images, chosen.split(",") if chosen else everything, out)
    run("inspect", records, "--out", out / "inspect.png")
    # As many epochs as the time allows: the schedule follows the clock, not the count.
    words = ("--epochs", "1000", "--time-limit", time_limit, "--seed", str(seed), *options)
    seconds = run("train", records, "--out", out / "run", *words)
    run("evaluate", out / "run", records, "--split", "validation", "--out", out / "evaluation")
    run("export", out / "run", "--out", out / "savedmodel")
    run("segment", out / "savedmodel", *(images / f"{v}.tif" for v in VALIDATION), "--out", out / "masks")
    print(table(read_json(out / "evaluation" / "evaluation.json"), seconds / 60))


if __name__ == "__main__":
    main()
