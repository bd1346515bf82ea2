"""`cathode-tf lots list, show, chart, ...`: what the ledger says of lots, one by one and over time."""

from __future__ import annotations

from pathlib import Path

import click

from cathode_tf.tools.lots.group import (
    command,
    force_option,
    ledger_argument,
    opened,
    quantity_argument,
    system_option,
)
from cathode_tf.words import counted, some


@command.command("list", epilog="\b\nExample: cathode-tf lots list plant.db")
@ledger_argument
def list_command(ledger) -> None:
    """List the lots, oldest first."""
    lots = opened(ledger).lots()
    for lot in lots:
        slurry = f", slurry {lot['slurry']}" if lot["slurry"] else ""
        measured = counted(lot["analyses"], "analysis", "analyses")
        images = counted(lot["images"], "image")
        click.echo(f"{lot['name']}: {lot['made_on'] or 'no date'}{slurry}, {measured}, {images}")
    click.echo(f"{counted(len(lots), 'lot')}.")


@command.command(epilog="\b\nExample: cathode-tf lots show plant.db L12")
@ledger_argument
@click.argument("lot", required=False)
@click.option("--all", "show_all", is_flag=True, help="Every number of the lot, and superseded analyses.")
def show(ledger, lot, show_all) -> None:
    """Show what LEDGER holds, how it is kept, and its measuring systems; or one LOT."""
    from cathode_tf.lots.overview import ledger_lines, lot_lines

    book = opened(ledger)
    for line in ledger_lines(book) if lot is None else lot_lines(book, lot, everything=show_all):
        click.echo(line)


@command.command(epilog="\b\nExample: cathode-tf lots chart plant.db fraction/pore --kind ewma")
@ledger_argument
@quantity_argument
@click.option(
    "--kind",
    type=click.Choice(["individuals", "moving_range", "ewma", "cusum"]),
    default="individuals",
    show_default=True,
    help="individuals finds large shifts at once, ewma and cusum small ones that last.",
)
@click.option(
    "--rule", "rules", type=click.IntRange(1, 8), multiple=True, help="Of Nelson; repeatable; default: 1."
)
@click.option("--limit", type=float, help="Half width of the limits in standard deviations; default 3.")
@click.option("--weight", type=float, help="Of a usual point in the EWMA; default 0.2.")
@click.option("--first", type=click.IntRange(5), help="Judge by so many first lots, not by what was frozen.")
@system_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the points to this CSV, or the drawing to this SVG."
)
@force_option
def chart(ledger, quantity, kind, rules, limit, weight, first, system, out, force) -> None:
    """Chart QUANTITY over lots, each judged with its own interval, and tell the alarms."""
    from cathode_tf.lots.charts import Options
    from cathode_tf.lots.monitoring import monitor

    given = {"rules": rules or None, "limit": limit, "weight": weight}
    options = Options(**{name: value for name, value in given.items() if value is not None})
    found = monitor(opened(ledger), quantity, kind=kind, options=options, first=first, system=system)
    phase = found.chart.phase
    click.echo(
        f"{found.series.name}: {counted(len(found.chart.labels), 'lot')}, {kind.replace('_', ' ')} chart."
    )
    click.echo(f"Centre {phase.centre}.")
    click.echo(f"Standard deviation of the process, the measurement's taken off: {phase.process_sd}.")
    click.echo(f"Standard uncertainty of a usual lot: {phase.u_typical:.3g}.")
    click.echo(found.run_length.sentence)
    for note in found.notes:
        click.echo(note)
    for alarm in found.chart.alarms:
        click.echo(f"ALARM {alarm.label}: {alarm.reason}; {alarm.grade}.")
    if not found.chart.alarms:
        click.echo("No alarm.")
    if out is not None:
        write_chart(found, out, force)
        click.echo(f"Wrote {out}.")


def write_chart(found, out: Path, force: bool) -> None:
    """The points as CSV, or the drawing as SVG."""
    from cathode_tf.files import atomic_file
    from cathode_tf.lots.drawings import run_chart

    with atomic_file(out, force=force) as path:
        if out.suffix == ".svg":
            path.write_text(run_chart(found.chart, found.series.name, found.series.unit), encoding="utf-8")
        else:
            found.chart.table().to_csv(path, index=False)


@command.command(epilog="\b\nExample: cathode-tf lots freeze plant.db fraction/pore --first 20")
@ledger_argument
@quantity_argument
@click.option("--first", type=click.IntRange(5), help="So many of the first lots; default 20.")
@click.option("--lot", "lots", multiple=True, help="These lots instead; repeatable.")
@click.option(
    "--spread",
    type=click.Choice(["moving_range", "all"]),
    default="moving_range",
    show_default=True,
    help="moving_range does not see slow drifts; all is more precise without them.",
)
@system_option
def freeze(ledger, quantity, first, lots, spread, system) -> None:
    """Fix the lots (phase I) by which later ones are judged."""
    from cathode_tf.lots.monitoring import freeze as freeze_phase

    phase = freeze_phase(opened(ledger), quantity, first=first, lots=lots, spread=spread, system=system)
    click.echo(f"Centre {phase.centre}; standard deviation of the process {phase.process_sd}.")
    click.echo(f"Frozen: {some(list(phase.labels), 5)}.")


@command.command(epilog="\b\nExample: cathode-tf lots bridge plant.db fraction/pore --from 3f2a")
@ledger_argument
@quantity_argument
@click.option(
    "--from", "before", help="Beginning of the old system's fingerprint; without it the systems are listed."
)
@click.option("--to", "after", help="Of the new one; default: that of the newest analysis.")
def bridge(ledger, quantity, before, after) -> None:
    """Tell by how much two measuring systems differ on the same images, and carry older lots over.

    Add analyses of the same images with the new system to the same lots first.
    """
    from cathode_tf.lots.bridges import build_bridge, difference_of, system_names

    book = opened(ledger)
    if before is None:
        systems = system_names(book, quantity)
        newest = list(systems.values())[-1][0]
        for mark, (facts, count) in systems.items():
            differs = difference_of(facts, newest) or "the newest"
            click.echo(f"{mark[:8]}: {counted(count, 'analysis', 'analyses')}; {differs}")
        return
    click.echo(build_bridge(book, quantity, before=before, after=after).sentence)


@command.command(
    epilog="\b\nExample: cathode-tf lots capability plant.db fraction/pore --lower 0.28 --upper 0.32"
)
@ledger_argument
@quantity_argument
@click.option("--lower", type=float, help="Limit of the specification.")
@click.option("--upper", type=float, help="Limit of the specification.")
@system_option
def capability(ledger, quantity, lower, upper, system) -> None:
    """Tell Cp and Cpk, with and without what the measurement adds."""
    from cathode_tf.lots.capability import capability as capability_of
    from cathode_tf.lots.series import read_series

    series = read_series(opened(ledger), quantity, system=system)
    for name, estimate in capability_of(series.values, series.u, lower=lower, upper=upper).items():
        click.echo(f"{name.replace('_', ' ')}: {estimate}; {estimate.method}")


@command.command(epilog="\b\nExample: cathode-tf lots compare plant.db L12 L13 --margin fraction/pore=0.01")
@ledger_argument
@click.argument("a")
@click.argument("b")
@click.option(
    "--margin", "margins", multiple=True, metavar="QUANTITY[/PHASE]=X", help="What still counts as the same."
)
@click.option(
    "--all", "show_all", is_flag=True, help="Print every quantity, not only what was asked or differs."
)
def compare(ledger, a, b, margins, show_all) -> None:
    """Tell whether lots A and B are equivalent, different, or undecided, and with how many more images."""
    from cathode_tf.errors import InputError
    from cathode_tf.lots.comparing import compare_lots

    limits = {}
    for text in margins:
        name, _, number = text.partition("=")
        try:
            limits[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"--margin: must look like fraction/pore=0.01. Received {text!r}.") from None
    found = compare_lots(opened(ledger), a, b, margins=limits)
    told = [
        item
        for item in found
        if show_all or item.difference.margin is not None or item.difference.verdict.startswith("different")
    ]
    click.echo(f"{b} against {a}:")
    for item in told:
        click.echo(f"  {item.sentence}")
    if not told:
        click.echo("  Nothing differs surely.")
    if len(found) > len(told):
        click.echo(
            f"  {len(found) - len(told)} more quantities are undecided or not comparable (--all prints them)."
        )


@command.command(epilog="\b\nExample: cathode-tf lots variance plant.db fraction/pore")
@ledger_argument
@quantity_argument
def variance(ledger, quantity) -> None:
    """Split the variance of QUANTITY into lot, sheet, section and image."""
    from cathode_tf.lots.comparing import variance_split

    found = variance_split(opened(ledger), quantity)
    total = sum((estimate.value or 0) ** 2 for estimate in found.values())
    for level, estimate in found.items():
        share = (estimate.value or 0) ** 2 / total if total else 0.0
        low, high = estimate.ci or (0.0, 0.0)
        click.echo(
            f"{level}: standard deviation {estimate.value:.3g} [{low:.3g}, {high:.3g}], {share:.0%} of the variance"
        )


@command.command(epilog="\b\nExample: cathode-tf lots agree plant.db fraction/pore --with porosity_mercury")
@ledger_argument
@quantity_argument
@click.option("--with", "other", required=True, help="Property of the ledger: lots import --as property.")
@system_option
def agree(ledger, quantity, other, system) -> None:
    """Hold QUANTITY against another method (Bland-Altman): mercury porosity, mass and thickness."""
    from cathode_tf.lots.agreement import agree as agree_of
    from cathode_tf.lots.units import name_of

    for sentence in agree_of(opened(ledger), quantity, name_of(other), system=system).sentences:
        click.echo(sentence)
