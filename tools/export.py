"""`cathode-tf export`: a model as a SavedModel for TF Serving."""

from __future__ import annotations

import click

EPILOG = """
\b
Example:
  cathode-tf export runs/first --out models/cathode
  saved_model_cli show --dir models/cathode/1 --all
"""


@click.command("export", epilog=EPILOG)
@click.argument("model", nargs=-1, required=True)
@click.option("--out", required=True, help="Folder of the model's versions, as models/NAME.")
@click.option("--version", type=click.IntRange(min=1), help="Number of this version.  [default: the next]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["savedmodel", "onnx", "litert"]),
    default="savedmodel",
    show_default=True,
    help="onnx and litert hold the bare network; --out is then a file (.onnx, .tflite).",
)
@click.option("--force", is_flag=True, help="Replace an .onnx or .tflite file.")
@click.option("--max-memory", help="What an image of any size may take on the server, as 2GB.")
@click.option(
    "--average",
    type=click.Choice(["1", "2", "4", "8"]),
    default="1",
    show_default=True,
    help="Average over so many flips and quarter turns.",
)
def command(
    model: tuple[str, ...],
    out: str,
    version: int | None,
    form: str,
    force: bool,
    max_memory: str | None,
    average: str,
) -> None:
    """Write MODEL as a versioned SavedModel that takes raw images and needs no code of this package.

    MODEL is a run, a .keras file or "default"; several are averaged. Beside the versions stand the files
    that TF Serving needs: models.config, batching.config and compose.yaml (see docs/serving.md).
    """
    from cathode_tf.ownership import refuse_inputs

    refuse_inputs(out, model)
    if form != "savedmodel":
        _network(model, out, form, force)
        return
    from cathode_tf.inference import Segmenter, export_savedmodel

    source = model if len(model) > 1 else model[0]
    segmenter = Segmenter(source, max_memory=max_memory, orientations=int(average))
    click.echo("Tracing and writing the model, which takes half a minute ...", err=True)
    folder = export_savedmodel(segmenter, out, version=version)
    click.echo(f"Wrote {folder}, and beside it models.config, batching.config and compose.yaml.")


def _network(model: tuple[str, ...], out: str, form: str, force: bool) -> None:
    if len(model) > 1:
        raise click.UsageError(f"--format {form} takes one model.")
    from cathode_tf.inference.formats import export_network

    result = export_network(model[0], out, form=form, force=force)
    click.echo(f"Wrote {result.path}, and beside it how its input is made, as JSON.")
    click.echo(
        f"It agrees with cathode-tf segment on {result.agreement:.4%} of {result.compared_px} pixels "
        f"({result.differing_px} differ; probabilities by {result.largest_difference:.1e} at most)."
    )
