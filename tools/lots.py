"""`cathode-tf lots ...`: what many lots say: ledger, charts, causes, passport."""

from __future__ import annotations

from pathlib import Path

import click

from cathode_tf.words import counted, some


@click.group(
    "lots", epilog="\b\nExample: cathode-tf lots init plant.db && cathode-tf lots add plant.db analyses/*"
)
def command() -> None:
    """Keep the analyses of many lots, and ask them what moved, by what, and how surely.

    LEDGER is one file that `lots init` makes, or an address such as postgresql+pg8000://user@host/lots. Nothing in it
    is overwritten: a new measurement supersedes. A quantity is written quantity/phase, as in fraction/pore.
    """


_ledger = click.argument("ledger", type=click.Path())
_quantity = click.argument("quantity")
_system = click.option("--system", help="Beginning of a measuring system's fingerprint; default: the newest.")
_force = click.option("--force", is_flag=True, help="Replace an existing file.")


def opened(address: str, who: str | None = None):
    """The ledger, or one sentence where its libraries are not installed."""
    import importlib.util

    from cathode_tf.errors import InputError

    if importlib.util.find_spec("sqlalchemy") is None:
        raise InputError("lots: needs an extra. Install it: python -m pip install 'cathode-tf[lots]'.")
    from cathode_tf.lots import Ledger

    return Ledger(address, who=who)


@command.command(epilog="\b\nExample: cathode-tf lots init plant.db")
@_ledger
@click.option(
    "--journal",
    type=click.Choice(["auto", "wal", "rollback"]),
    default="auto",
    show_default=True,
    help="wal: for local disks; rollback: for network drives; auto: by where LEDGER lies.",
)
def init(ledger: str, journal: str) -> None:
    """Make a new LEDGER."""
    import importlib.util

    from cathode_tf.errors import InputError

    if importlib.util.find_spec("sqlalchemy") is None:
        raise InputError("lots: needs an extra. Install it: python -m pip install 'cathode-tf[lots]'.")
    from cathode_tf.lots import Ledger

    made = Ledger.create(ledger, journal=journal)
    click.echo(f"Wrote {ledger}: {made.database.journal()}.")


@command.command(
    epilog="\b\nExample: cathode-tf lots add plant.db analyses/b7 --lot L12 --sheet 3 --set line_load=200"
)
@_ledger
@click.argument("analyses", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ANALYSIS...")
@click.option("--lot", help="Coating lot; default: the name of ANALYSIS's folder.")
@click.option("--sheet", help="Sheet of the lot.")
@click.option("--position", help="Where along the coating, as 4.2m.")
@click.option("--lane", help="Where across it.")
@click.option("--section", help="Cross-section of the sheet.")
@click.option("--slurry", help="Slurry lot that was coated.")
@click.option("--date", help="When the lot was made, as 2026-03-04; charts go by it.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Process setting of the lot; repeatable."
)
@click.option(
    "--sheet-set", "sheet_settings", multiple=True, metavar="NAME=VALUE", help="Of the sheet alone."
)
@click.option(
    "--images", type=click.Path(path_type=Path), help="Folder of the micrographs: hashed, microscope read."
)
@click.option(
    "--masks",
    type=click.Path(path_type=Path),
    help="Folder of the masks, for a picture; default: ANALYSIS/masks.",
)
@click.option("--masks-by", help="Who made the masks, where no model did: a measuring system of its own.")
@click.option(
    "--supersede", type=int, metavar="N", help="Number of the analysis whose numbers these replace."
)
@click.option("--who", help="Your name; default: your user name.")
def add(ledger, analyses, lot, sheet, position, lane, section, slurry, date, settings, sheet_settings, images, masks,
        masks_by, supersede, who) -> None:  # fmt: skip
    """Enter ANALYSIS, a folder that `analyze` wrote; several are several lots, named by their folders."""
    from cathode_tf.errors import InputError
    from cathode_tf.lots.entering import Place
    from cathode_tf.lots.intake import read_analysis
    from cathode_tf.lots.settings import iso_date, typed_settings
    from cathode_tf.lots.units import length_m
    from cathode_tf.progress import track

    if len(analyses) > 1 and (lot or supersede):
        raise InputError("--lot, --supersede: go with one ANALYSIS. Received several; leave them out.")
    made_on = iso_date(date) if date else None
    where = length_m(position, "--position") if position else None
    book = opened(ledger, who)
    for folder in track(analyses, "Adding"):
        intake = read_analysis(folder, masks_by=masks_by)
        place = Place(lot or folder.resolve().name, sheet, where, lane, section, slurry)
        added = book.add(
            intake,
            place,
            made_on=made_on,
            settings=typed_settings(settings),
            sheet_settings=typed_settings(sheet_settings),
            micrographs=read_micrographs(images, intake) if images else None,
            picture=typical_picture(folder, masks, intake),
            supersede=supersede,
        )
        click.echo(
            f"Analysis {added.analysis}: {place}, {counted(added.images, 'image')}, {counted(added.numbers, 'number')}."
        )
        if added.new_system:
            click.echo(
                "It was measured with a system that is new to this ledger: `cathode-tf lots show` tells what differs."
            )


def read_micrographs(folder: Path, intake) -> dict:
    """Hash and microscope of each image's micrograph, found by its stem."""
    from cathode_tf.errors import InputError
    from cathode_tf.files import pixel_sha256
    from cathode_tf.imaging import find_images, read_micrograph
    from cathode_tf.lots.entering import Micrograph

    paths = {path.stem: path for path in find_images([folder])}
    names = [image["name"] for image in intake.images]
    missing = [name for name in names if _stem(name) not in paths]
    if missing:
        raise InputError(
            f"--images: must hold the micrograph of every image. {some(missing)} lack one in {folder}."
        )
    found = {}
    for name in names:
        micrograph = read_micrograph(paths[_stem(name)])
        found[name] = Micrograph(pixel_sha256(micrograph.pixels), dict(micrograph.acquisition or {}))
    return found


def _stem(name: str) -> str:
    """The micrograph's stem: a mask is called `NAME_mask`."""
    return Path(name).name.removesuffix("_mask")


def typical_picture(folder: Path, masks: Path | None, intake) -> bytes | None:
    """The mask whose fractions are nearest the mean, small, as WebP; None where no masks are at hand."""
    from cathode_tf.errors import InputError
    from cathode_tf.lots.pictures import small_picture, typical_image

    where = masks or folder / "masks"
    name = typical_image(intake)
    if not where.is_dir() or name is None:
        return None
    from cathode_tf.imaging import find_images, read_mask
    from cathode_tf.imaging.phase_files import phases_beside

    paths = {path.stem: path for path in find_images([where])}
    path = paths.get(name) or paths.get(f"{name}_mask")
    if path is None:
        return None
    try:
        phases, _ = phases_beside([path], None)
        return small_picture(read_mask(path, phases), phases)
    except InputError as error:  # the numbers are worth more than a picture of them
        click.echo(f"No picture of a section: {error}", err=True)
        return None


@command.command("import", epilog="\b\nExample: cathode-tf lots import plant.db factors.csv")
@_ledger
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TABLE...")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["factor", "property"]),
    default="factor",
    show_default=True,
    help="factor: set in the process; property: measured otherwise (mercury, mass), never fed back.",
)
@click.option("--supersede", is_flag=True, help="Let values that differ replace those of the ledger.")
@click.option("--who", help="Your name; default: your user name.")
def import_command(ledger, tables, kind, supersede, who) -> None:
    """Enter TABLE, a CSV with a column lot (perhaps sheet, slurry, date) and a setting a column.

    Units stand in the header: line load [N/mm]. NAME_u is the standard uncertainty of NAME.
    """
    from cathode_tf.lots.settings import read_settings

    book = opened(ledger, who)
    for table in tables:
        rows = read_settings(table)
        new, without, lacking = book.import_rows(rows, str(table), kind=kind, supersede=supersede)
        click.echo(f"{table}: {counted(new, 'new value')} of {counted(len(rows), 'lot')}.")
        if without:
            click.echo(f"No analysis yet of {some(without, 5)}.")
        if lacking:
            click.echo(f"Not in the table, but in the ledger: {some(lacking, 5)}.")


@command.command("list", epilog="\b\nExample: cathode-tf lots list plant.db")
@_ledger
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
@_ledger
@click.argument("lot", required=False)
@click.option("--all", "show_all", is_flag=True, help="Every number of the lot, and superseded analyses.")
def show(ledger, lot, show_all) -> None:
    """Show what LEDGER holds, how it is kept, and its measuring systems; or one LOT."""
    from cathode_tf.lots.overview import ledger_lines, lot_lines

    book = opened(ledger)
    for line in ledger_lines(book) if lot is None else lot_lines(book, lot, everything=show_all):
        click.echo(line)


@command.command(epilog="\b\nExample: cathode-tf lots chart plant.db fraction/pore --kind ewma")
@_ledger
@_quantity
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
@_system
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the points to this CSV, or the drawing to this SVG."
)
@_force
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
@_ledger
@_quantity
@click.option("--first", type=click.IntRange(5), help="So many of the first lots; default 20.")
@click.option("--lot", "lots", multiple=True, help="These lots instead; repeatable.")
@click.option(
    "--spread",
    type=click.Choice(["moving_range", "all"]),
    default="moving_range",
    show_default=True,
    help="moving_range does not see slow drifts; all is more precise without them.",
)
@_system
def freeze(ledger, quantity, first, lots, spread, system) -> None:
    """Fix the lots (phase I) by which later ones are judged."""
    from cathode_tf.lots.monitoring import freeze as freeze_phase

    phase = freeze_phase(opened(ledger), quantity, first=first, lots=lots, spread=spread, system=system)
    click.echo(f"Centre {phase.centre}; standard deviation of the process {phase.process_sd}.")
    click.echo(f"Frozen: {some(list(phase.labels), 5)}.")


@command.command(epilog="\b\nExample: cathode-tf lots bridge plant.db fraction/pore --from 3f2a")
@_ledger
@_quantity
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
@_ledger
@_quantity
@click.option("--lower", type=float, help="Limit of the specification.")
@click.option("--upper", type=float, help="Limit of the specification.")
@_system
def capability(ledger, quantity, lower, upper, system) -> None:
    """Tell Cp and Cpk, with and without what the measurement adds."""
    from cathode_tf.lots.capability import capability as capability_of
    from cathode_tf.lots.series import read_series

    series = read_series(opened(ledger), quantity, system=system)
    for name, estimate in capability_of(series.values, series.u, lower=lower, upper=upper).items():
        click.echo(f"{name.replace('_', ' ')}: {estimate}; {estimate.method}")


@command.command(epilog="\b\nExample: cathode-tf lots causes plant.db crack_length_density --factor calender")
@_ledger
@_quantity
@click.option(
    "--factor", "factors", multiple=True, help="Whose effect you want; repeatable; default: all that vary."
)
@click.option(
    "--without", multiple=True, help="Setting to leave out, as thickness after the press; repeatable."
)
@click.option(
    "--form",
    type=click.Choice(["auto", "linear", "quadratic", "exponential"]),
    default="auto",
    show_default=True,
    help="Of the first factor; exponential is the law of calendering, with a limit.",
)
@_system
@click.option("--out", type=click.Path(path_type=Path), help="Write the effects to this CSV.")
@_force
def causes(ledger, quantity, factors, without, form, system, out, force) -> None:
    """Tell which settings QUANTITY goes with, by how much, how surely, and what confounds them."""
    from cathode_tf.files import atomic_file
    from cathode_tf.lots.causes import causes as causes_of
    from cathode_tf.lots.units import name_of

    found = causes_of(
        opened(ledger), quantity, factors=[name_of(each) for each in factors],
        without=[name_of(each) for each in without], form=form, system=system,
    )  # fmt: skip
    click.echo(f"{found.series.name}: {counted(found.fit.lots, 'lot')}, {counted(found.images, 'image')}.")
    if factors:
        click.echo(found.answer)
    for effect in found.effects:
        click.echo(effect.sentence(found.series.name))
        for name, estimate in () if effect.law is None else (
            ("limit", effect.law.limit), ("at no load", effect.law.start), ("gamma", effect.law.gamma)
        ):  # fmt: skip
            click.echo(
                f"  {name}: {estimate}{'; ' + next(iter(estimate.flags.values())) if estimate.flags else ''}"
            )
    for note in found.notes:
        click.echo(note)
    if out is not None:
        with atomic_file(out, force=force) as path:
            found.table().to_csv(path, index=False)
        click.echo(f"Wrote {out}.")


@command.command(
    "next", epilog="\b\nExample: cathode-tf lots next plant.db --target fraction/pore=0.30+-0.01"
)
@_ledger
@click.option(
    "--target", "targets", multiple=True, required=True, help="fraction/pore=0.30+-0.01, or NAME<0.05."
)
@click.option("--factor", "factors", multiple=True, help="Of the model; default: all that vary.")
@click.option(
    "--vary", multiple=True, help="Which of them can be set; default: all but thickness and loading."
)
def next_command(ledger, targets, factors, vary) -> None:
    """Tell which settings would meet the targets, and which run would teach most."""
    from cathode_tf.lots.trial import Target, next_trial
    from cathode_tf.lots.units import name_of

    wanted = [Target.parse(text) for text in targets]
    names = [name_of(factor) for factor in factors]
    found = next_trial(opened(ledger), wanted, factors=names, vary=[name_of(each) for each in vary])
    click.echo(
        "To meet the targets: " + ", ".join(f"{name} = {value}" for name, value in found.settings.items())
    )
    for name, estimate in found.predictions.items():
        click.echo(f"  {name} would be {estimate}")
    click.echo(
        f"  A lot made so meets {'; '.join(w.text for w in wanted)} with a probability of {found.probability:.0%}."
    )
    click.echo("To learn most: " + ", ".join(f"{name} = {value}" for name, value in found.teach.items()))
    for name, (now, then) in found.narrower.items():
        click.echo(f"  that lot would narrow {name} from +- {now:.3g} to +- {then:.3g}")
    for note in found.notes:
        click.echo(note)


@command.command(epilog="\b\nExample: cathode-tf lots compare plant.db L12 L13 --margin fraction/pore=0.01")
@_ledger
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
@_ledger
@_quantity
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
@_ledger
@_quantity
@click.option("--with", "other", required=True, help="Property of the ledger: lots import --as property.")
@_system
def agree(ledger, quantity, other, system) -> None:
    """Hold QUANTITY against another method (Bland-Altman): mercury porosity, mass and thickness."""
    from cathode_tf.lots.agreement import agree as agree_of
    from cathode_tf.lots.units import name_of

    for sentence in agree_of(opened(ledger), quantity, name_of(other), system=system).sentences:
        click.echo(sentence)


@command.command(epilog="\b\nExample: cathode-tf lots cells plant.db cells.csv --on fraction/pore")
@_ledger
@click.argument("tables", nargs=-1, type=click.Path(path_type=Path), metavar="[TABLE]...")
@click.option("--cell", help="Cell of TABLE, where it is the record of one.")
@click.option("--lot", help="Lot of that cell.")
@click.option("--on", "quantity", help="Hold every metric of the cells against this quantity.")
@click.option("--metric", help="Only this one.")
@click.option("--supersede", is_flag=True, help="Let values that differ replace those of the ledger.")
@click.option("--who", help="Your name; default: your user name.")
def cells(ledger, tables, cell, lot, quantity, metric, supersede, who) -> None:
    """Enter cell data (CSV or Parquet, columns as in the Battery Data Format), and hold them against the structure."""
    from cathode_tf.errors import InputError
    from cathode_tf.lots.cells import cell_metrics, enter_cells, read_cells, regress

    book = opened(ledger, who)
    if not tables and quantity is None:
        raise InputError("cells: needs a TABLE to enter, --on QUANTITY, or both. Received neither.")
    for table in tables:
        rows = read_cells(table, cell=cell, lot=lot)
        new = enter_cells(book, rows, table, supersede=supersede)
        click.echo(f"{table}: {counted(len(rows), 'cell')}, {counted(new, 'new value')}.")
    if quantity is not None:
        metrics = [metric] if metric else list(dict.fromkeys(cell_metrics(book)["metric"]))
        if not metrics:
            raise InputError("--on: needs cells in the ledger. There are none; give a TABLE.")
        for each in metrics:
            click.echo(regress(book, each, quantity).sentence)


@command.command(epilog="\b\nExample: cathode-tf lots bpx plant.db L12 --out L12.bpx.json")
@_ledger
@click.argument("lot")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="JSON file; intervals go beside it."
)
@click.option("--active", help="Phase of the active material; default: the one with particle sizes.")
@click.option("--bruggeman", type=float, help="Exponent to assume where no tortuosity was measured.")
@_force
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
@_ledger
@click.argument("lots", nargs=-1, metavar="[LOT]...")
@click.option(
    "--eln", required=True, type=click.Path(path_type=Path), help="File for laboratory notebooks (RO-Crate)."
)
@_force
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


@command.command(epilog="\b\nExample: cathode-tf lots withdraw plant.db 7 --reason 'sample was scratched'")
@_ledger
@click.argument("analysis", type=int)
@click.option("--reason", required=True, help="Why; kept.")
@click.option("--who", help="Your name; default: your user name.")
def withdraw(ledger, analysis, reason, who) -> None:
    """Take ANALYSIS (its number) out of all charts; it stays readable, with the reason."""
    opened(ledger, who).withdraw(analysis, reason)
    click.echo(f"Analysis {analysis} is withdrawn: {reason}")


@command.command(epilog="\b\nExample: cathode-tf lots report plant.db --out lots.html")
@_ledger
@click.option("--out", required=True, type=click.Path(path_type=Path), help="HTML file.")
@click.option("--quantity", "quantities", multiple=True, help="To chart; default: fractions, cracks, D50.")
@click.option("--title", default="Cathode lots", show_default=True, help="Heading.")
@_force
def report(ledger, out, quantities, title, force) -> None:
    """Write one HTML page: alarms first, run charts, causes, lots side by side, a picture of each."""
    from cathode_tf.lots.report import write_lots_report

    write_lots_report(opened(ledger), out, quantities=quantities, title=title, force=force)
    click.echo(f"Wrote {out}. Open it in a browser.")
