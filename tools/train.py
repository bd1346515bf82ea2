"""`cathode-tf train`: a record set in, a run's folder out."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import click

PRESETS = ("small", "base", "large")


class Duration(click.ParamType):
    """`90s`, `25m`, `2h`, or plain seconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|)", value.strip())
        if not match or not float(match[1]):
            self.fail(f"{value!r} must be a time such as 90s, 25m or 2h.", param, ctx)
        if not match[2]:
            click.echo(f"{value} has no unit: taken as seconds ({value}m would be minutes).", err=True)
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


@click.command(
    "train",
    epilog="\b\nExample: cathode-tf train records/sample --out runs/first --preset small --time-limit 2m",
)
@click.argument("records", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option(
    "--preset", type=click.Choice(PRESETS), default="base", show_default=True, help="Size of the network."
)
@click.option("--epochs", type=click.IntRange(1), help="Default: 50, or what the time limit allows.")
@click.option("--steps", type=click.IntRange(1), help="Steps an epoch.  [default: from the image area]")
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True, help="Patches a step.")
@click.option(
    "--patch", type=click.IntRange(16), default=256, show_default=True, help="Side of a patch, in pixels."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights, patches and their order.")
@click.option(
    "--time-limit", type=Duration(), help="Stop after this long with the best so far: 90s, 25m, 2h."
)
@click.option(
    "--from",
    "start",
    default="auto",
    show_default=True,
    help="Begin with this run, .keras file, or the word default or scratch. auto: default, the model that ships, "
    "for the preset base where it knows all phases, else scratch.",
)
@click.option(
    "--prior/--no-prior",
    default=True,
    show_default=True,
    help="Keep the start model beside the trained one, with a say that the validation images weigh. "
    "Better with few images; segmenting then takes twice as long.",
)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=2e-3, show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="Replace a run that is there.")
def command(
    records: Path,
    out: Path,
    steps: int | None,
    batch: int,
    patch: int,
    time_limit: float,
    dry_run: bool,
    force: bool,
    **options,
):
    """Train a U-Net on RECORDS and keep the model of the highest validation Dice.

    The same command goes on with a run that was stopped or killed, with another --epochs or --time-limit too if
    you like. Ctrl-C leaves a run that can be evaluated.
    """
    # Read when TensorFlow starts: oneDNN's kernels, which it leaves out without AVX-512, take an eighth off a step.
    # They are slower at segmenting a large image, so this is not for all verbs.
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    from cathode_tf.learning import train

    options |= {"steps_per_epoch": steps, "batch": batch, "patch_px": patch, "time_limit_s": time_limit}
    if dry_run:
        from cathode_tf.learning.plan import Choices, plan_training
        from cathode_tf.learning.resuming import resume_or_begin

        plan = plan_training(records, out, Choices(**options), force=force)
        done = resume_or_begin(out, plan.to_dict(), force).epoch
        click.echo(plan)
        if done:
            click.echo(f"Epochs that are done: {done}.")
        click.echo("Nothing was done.")
        return
    try:
        run = train(records, out, force=force, **options)
    except KeyboardInterrupt:
        there = (out / "best.keras").exists()
        state = f"{out} can be evaluated" if there else "nothing was learned yet"
        click.echo(f"\nStopped: {state}; the same command goes on with it.", err=True)
        raise SystemExit(130) from None
    click.echo(f"Ended: {run.stopped}. Best validation mean Dice {run.best_dice:.3f}.")
    click.echo(f"Wrote {run.best_path} and, beside it, the card, history.csv, curves.png and logs/.")
