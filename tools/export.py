"""`cathode-tf export`: a model as a SavedModel for TF Serving."""

from __future__ import annotations

import click


@click.command("export")
@click.argument("model", nargs=-1, required=True)
@click.option("--out", required=True, help="Folder of the model's versions, as models/NAME.")
@click.option("--version", type=click.IntRange(min=1), help="Number of this version.  [default: the next]")
@click.option("--max-memory", help="What an image of any size may take on the server, as 2GB.")
@click.option(
    "--average",
    type=click.Choice(["1", "2", "4", "8"]),
    default="1",
    show_default=True,
    help="Average over so many flips and quarter turns.",
)
def command(
    model: tuple[str, ...], out: str, version: int | None, max_memory: str | None, average: str
) -> None:
    """Write MODEL as a versioned SavedModel that takes raw images and needs no code of this package.

    MODEL is a run, a .keras file or "default"; several are averaged. Beside the versions stand the files
    that TF Serving needs: models.config, batching.config and compose.yaml (see docs/serving.md).

    \b
    Example:
        cathode-tf export runs/first --out models/cathode
        saved_model_cli show --dir models/cathode/1 --all
    """
    from cathode_tf.inference import Segmenter, export_savedmodel

    source = model if len(model) > 1 else model[0]
    segmenter = Segmenter(source, max_memory=max_memory, orientations=int(average))
    folder = export_savedmodel(segmenter, out, version=version)
    click.echo(f"Wrote {folder}, and beside it models.config, batching.config and compose.yaml.")
