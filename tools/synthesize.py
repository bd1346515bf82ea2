"""`cathode-tf synthesize`: a seed in, a folder of annotated sections with their truth out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command(
    "synthesize",
    epilog="\b\nExample: cathode-tf synthesize --count 12 --out sections --set fragmentation=0.4"
    "\n         cathode-tf synthesize --stack --count 60 --out cuts --cutting drift_px=2",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--count", type=click.IntRange(1), default=12, show_default=True, help="Number of sections.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same sections."
)
@click.option("--height", type=int, default=512, show_default=True, help="Rows.")
@click.option("--width", type=int, default=512, show_default=True, help="Columns.")
@click.option(
    "--preset",
    type=click.Choice(["default", "demo", "se", "bse", "lco", "nano-ct", "random"]),
    default="default",
    show_default=True,
    help="Where the parameters start; random draws new ones for each section.",
)
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a parameter; repeatable.")
@click.option(
    "--cuts", type=click.IntRange(1, 64), default=1, show_default=True, help="Sections from each body."
)
@click.option("--second", is_flag=True, help="Also the registered picture of a second detector (SE and BSE).")
@click.option("--stack", is_flag=True, help="Serial cuts through one body instead; --count says how many.")
@click.option(
    "--cutting",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change drift, thickness ... of --stack; repeatable.",
)
@click.option("--force", is_flag=True, help="Replace what is in --out.")
def command(
    out: Path,
    count: int,
    seed: int,
    height: int,
    width: int,
    preset: str,
    changes: tuple[str, ...],
    cuts: int,
    second: bool,
    stack: bool,
    cutting: tuple[str, ...],
    force: bool,
) -> None:
    """Make annotated cathode sections with known answers.

    OUT/images and OUT/masks go straight into `cathode-tf convert`; OUT/labels holds the particles,
    OUT/truth.json what is true of each section. With --stack, the sections are
    serial cuts through one body. The parameters and their ranges are in docs/synthesis.md.
    """
    from cathode_tf.files import refuse_overwrite
    from cathode_tf.progress import track
    from cathode_tf.synthesis import Parameters, synthesize, write_samples
    from cathode_tf.words import counted

    refuse_overwrite(out, force)
    changed = Parameters.parse(changes)

    def draw(rng):
        return Parameters.random(rng).replace(**changed)

    size: dict[str, Any] = {"seed": seed, "height": height, "width": width, "second": second}
    if cutting and not stack:
        raise click.UsageError("--cutting says how serial cuts are made; add --stack.")
    if stack:
        _write_stack(out, count, size, preset, changed, cutting, force)
        return
    parameters = draw if preset == "random" else Parameters.preset(preset).replace(**changed)
    samples = synthesize(count, parameters=parameters, cuts=cuts, **size)
    write_samples(track(samples, "Synthesising sections"), out, force=force)
    sections = counted(count, "section")
    click.echo(f"Wrote {sections} of {height} x {width} px with masks, labels and truth.json to {out}.")


def _write_stack(out, count, size, preset, changed, cutting, force) -> None:
    import numpy as np

    from cathode_tf.progress import track
    from cathode_tf.synthesis import Cutting, Parameters, synthesize_stack, write_stack

    if preset == "random":
        parameters = Parameters.random(np.random.default_rng([size["seed"], 0, 0]), "sem").replace(**changed)
    else:
        parameters = Parameters.preset("se" if preset == "default" else preset).replace(**changed)
    cuts = synthesize_stack(count, parameters=parameters, cutting=Cutting.parse(cutting), **size)
    write_stack(cuts, out, pieces=track(cuts, "Cutting"), force=force)
    click.echo(
        f"Wrote {count} serial cuts with masks and labels as imaged, the same in the undistorted frame "
        f"(frame/), and truth.json with shift, thickness and gain of each to {out}."
    )
