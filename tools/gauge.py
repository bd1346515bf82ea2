"""`cathode-tf gauge`: a table of repeated measurements in, repeatability and reproducibility out."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    "gauge",
    epilog="\b\nExample: cathode-tf gauge pore_fraction.csv --out gauge.json",
)
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--design",
    type=click.Choice(["crossed", "nested"]),
    default="crossed",
    show_default=True,
    help="crossed: every appraiser measured every part; nested: each has parts of their own.",
)
@click.option("--unit", default="", help="Unit of the values.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the numbers to this JSON file.")
@click.option("--force", is_flag=True, help="Replace --out.")
def command(table: Path, design: str, unit: str, out: Path | None, force: bool) -> None:
    """Tell how much of a measurement's variation comes from the measuring (gauge R&R).

    TABLE is a CSV with the columns part, appraiser, trial, value. A part is an image or a section; an appraiser
    an annotator, a model or a microscope; at least 2 of each, 2 trials, and everything equally often.
    """
    from cathode_tf.files import refuse_overwrite, write_json
    from cathode_tf.ownership import refuse_inputs
    from cathode_tf.statistics import gauge_rr

    if out is not None:
        refuse_inputs(out, [table])
        refuse_overwrite(out, force)
    found = gauge_rr(_measurements(table), design=design, unit=unit)
    for name, estimate in found.items():
        verdict = estimate.flags.get("VERDICT")
        click.echo(f"{name.replace('_', ' ')}: {estimate}{f': {verdict}' if verdict else ''}")
    if out is not None:
        write_json(out, {name: estimate.to_dict() for name, estimate in found.items()}, force=force)
        click.echo(f"Wrote {out}.")


def _measurements(path: Path):
    """The rows of the table; cells without anything are missing, and values may have a decimal comma."""
    import pandas as pd

    from cathode_tf.texts import number, read_table

    def value(cell: str) -> float | str:
        try:
            return number(cell)
        except ValueError:  # the table is judged as a whole, which says more
            return cell

    table = read_table(path)
    rows = pd.DataFrame(table.rows, columns=list(table.columns)).replace("", None)
    if "value" in rows:
        rows["value"] = [value(cell) if isinstance(cell, str) else None for cell in rows["value"]]
    return rows
