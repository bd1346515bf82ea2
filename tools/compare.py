"""`cathode-tf compare`: two analyses in, what differs, by how much and how surely, out."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    "compare",
    epilog="\b\nExample: cathode-tf compare fresh aged --margin fraction/pore=0.01 --out aged.json",
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--margin",
    "margins",
    multiple=True,
    metavar="QUANTITY[/PHASE]=X",
    help="Largest difference that still counts as the same, in the unit of the quantity.",
)
@click.option(
    "--unchecked", is_flag=True, help="Tell what differs by masks that nobody, and no test, vouches for."
)
@click.option("--all", "show_all", is_flag=True, help="Print every quantity, not only what differs.")
@click.option("--out", type=click.Path(path_type=Path), help="Write everything to this JSON file.")
@click.option("--force", is_flag=True, help="Replace --out.")
def command(
    a: Path,
    b: Path,
    margins: tuple[str, ...],
    unchecked: bool,
    show_all: bool,
    out: Path | None,
    force: bool,
) -> None:
    """Tell what differs between batch A (the reference) and batch B.

    A and B are folders that `analyze` wrote, or their summary.json. Without a margin nothing is called
    equivalent: that no difference was found does not show that there is none.
    """
    from cathode_tf.analysis import compare
    from cathode_tf.files import refuse_overwrite
    from cathode_tf.ownership import refuse_inputs

    if out is not None:
        refuse_inputs(out, [a, a / "summary.json", b, b / "summary.json"])
        refuse_overwrite(out, force)
    comparison = compare(a, b, margins=read_margins(margins), names=(str(a), str(b)), unchecked=unchecked)
    differences = list(comparison)
    told = [d for d in differences if show_all or d.margin is not None or d.verdict.startswith("different")]
    for name, masks in (a, comparison.masks_a), (b, comparison.masks_b):
        click.echo(f"{name}: {masks}")
    click.echo(f"{b} against {a}:")
    for item in told:
        click.echo(f"  {item.sentence}")
    without = sum(d.verdict.startswith("no verdict") for d in differences)
    if without:
        click.echo(
            f"  No verdict on {without} quantities: the masks are unchecked. Check them in ten minutes (cathode-tf "
            "verify), or compare them as they are (--unchecked)."
        )
    elif not told:
        click.echo("  Nothing differs surely.")
    rest = len(differences) - len(told)
    if rest:
        click.echo(f"  {rest} more quantities are undecided or not comparable (--all prints them).")
    click.echo(comparison.note)
    if out is not None:
        comparison.write(out, force=force)
        click.echo(f"Wrote {out}.")


def read_margins(texts: tuple[str, ...]) -> dict[str, float]:
    """Margins from `fraction/pore=0.01`."""
    from cathode_tf.errors import InputError

    margins = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            margins[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"--margin: must look like fraction/pore=0.01. Received {text!r}.") from None
    return margins
