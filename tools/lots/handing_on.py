"""`cathode-tf lots bpx, export, trace, report`: what leaves the ledger, for a model, a notebook or a reader."""

from __future__ import annotations

from pathlib import Path

import click

from cathode_tf.tools.lots.group import command, force_option, ledger_argument, opened


@command.command(epilog="\b\nExample: cathode-tf lots bpx plant.db L12 --out L12.bpx.json")
@ledger_argument
@click.argument("lot")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="JSON file; intervals go beside it."
)
@click.option("--active", help="Phase of the active material; default: the one with particle sizes.")
@click.option("--bruggeman", type=float, help="Exponent to assume where no tortuosity was measured.")
@force_option
def bpx(ledger, lot, out, active, bruggeman, force) -> None:
    """Write a BPX fragment of LOT for a cell model, and its intervals and definitions beside it."""
    from cathode_tf.lots.bpx import bpx_fragment, write_fragment

    fragment = bpx_fragment(opened(ledger), lot, active=active, bruggeman=bruggeman)
    path, side = write_fragment(fragment, out, force=force)
    for name, estimate in fragment.sides.items():
        click.echo(f"{name}: {estimate}")
    for note in fragment.notes:
        click.echo(note)
    click.echo(f"Wrote {path} and {side}.")


@command.command(epilog="\b\nExample: cathode-tf lots export plant.db L12 L13 --eln L12.eln")
@ledger_argument
@click.argument("lots", nargs=-1, metavar="[LOT]...")
@click.option(
    "--eln", required=True, type=click.Path(path_type=Path), help="File for laboratory notebooks (RO-Crate)."
)
@force_option
def export(ledger, lots, eln, force) -> None:
    """Write a passport of LOTs (default: all): images' hashes, instrument, masks, model, every number."""
    from cathode_tf.lots.passport import write_passport

    write_passport(opened(ledger), lots, eln, force=force)
    click.echo(f"Wrote {eln}.")


@command.command(epilog="\b\nExample: cathode-tf lots trace plant.db C7")
@click.argument("source", type=click.Path(), metavar="LEDGER|PASSPORT")
@click.argument("word")
def trace(source, word) -> None:
    """Show the chain from image to cell that WORD is in: a cell, lot, sheet, image, analysis, or a SHA-256."""
    from cathode_tf.lots.tracing import chain_text
    from cathode_tf.lots.tracing import trace as trace_of

    found = trace_of(source if str(source).endswith(".eln") else opened(source), word)
    for chain in found:
        click.echo(f"{word} is a {chain['found']}:")
        for line in chain_text(chain):
            click.echo(f"  {line}")


@command.command(epilog="\b\nExample: cathode-tf lots report plant.db --out lots.html")
@ledger_argument
@click.option("--out", required=True, type=click.Path(path_type=Path), help="HTML file.")
@click.option("--quantity", "quantities", multiple=True, help="To chart; default: fractions, cracks, D50.")
@click.option("--title", default="Cathode lots", show_default=True, help="Heading.")
@force_option
def report(ledger, out, quantities, title, force) -> None:
    """Write one HTML page: alarms first, run charts, causes, lots side by side, a picture of each."""
    from cathode_tf.lots.report import write_lots_report

    write_lots_report(opened(ledger), out, quantities=quantities, title=title, force=force)
    click.echo(f"Wrote {out}. Open it in a browser.")
