"""`cathode-tf evaluate`: the Dice table of a model on a record set."""

from __future__ import annotations

import click


@click.command(
    "evaluate",
    epilog="\b\nExample: cathode-tf evaluate runs/first records/lab --split test --out evaluation",
)
@click.argument("model", nargs=-1, required=True)
@click.argument("records")
@click.option("--split", default="test", show_default=True, help="Which images.")
@click.option("--out", help="Folder for evaluation.json, evaluation.csv and a picture an image.")
@click.option("--force", is_flag=True, help="Replace the folder if it exists.")
def command(model: tuple[str, ...], records: str, split: str, out: str | None, force: bool) -> None:
    """Print the Dice of MODEL for each image and phase of RECORDS.

    MODEL is a run, a .keras file, an exported SavedModel, or `default`, the model that ships with the package, whose
    phases are matched with those of RECORDS by name and role, whatever their ids; several are averaged. The last two
    rows are the mean over images, which is the figure to quote, and that of all pixels pooled. Where RECORDS hold
    particles one by one, a last line says how those found agree with them.
    """
    from cathode_tf.files import refuse_overwrite
    from cathode_tf.inference import evaluate
    from cathode_tf.ownership import refuse_inputs
    from cathode_tf.words import counted

    if out:
        refuse_inputs(out, [*model, records])
        refuse_overwrite(out, force)
    click.echo("Loading and compiling the model ...", err=True)
    evaluation = evaluate(model if len(model) > 1 else model[0], records, split, out, force=force)
    click.echo(evaluation)
    if out:
        pictures = counted(len(evaluation.images), "picture")
        click.echo(f"Wrote {out}: evaluation.json, evaluation.csv and {pictures}.")
