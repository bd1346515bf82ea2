"""`cathode-tf export`: a model as a SavedModel for TF Serving."""

from __future__ import annotations

import click


@click.command("export")
@click.argument("model", nargs=-1, required=True)
@click.option("--out", required=True, help="Folder of the model's versions, as models/NAME.")
@click.option("--version", type=click.IntRange(min=1), help="Number of this version.  [default: the next]")
def command(model: tuple[str, ...], out: str, version: int | None) -> None:
    """Write MODEL as a versioned SavedModel that takes raw images and needs no code of this package.

    MODEL is a run or a .keras file; several are averaged.

    \b
    Example:
        cathode-tf export runs/first --out models/cathode
        saved_model_cli show --dir models/cathode/1 --all
    """
    from cathode_tf.inference import export_savedmodel

    folder = export_savedmodel(model if len(model) > 1 else model[0], out, version=version)
    click.echo(f"Wrote {folder}")
