"""`cathode-tf lots init, add, import, cells, withdraw`: what goes into the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from cathode_tf.tools.lots.group import command, ledger_argument, ledger_class, opened
from cathode_tf.words import counted, some


@command.command(epilog="\b\nExample: cathode-tf lots init plant.db")
@ledger_argument
@click.option(
    "--journal",
    type=click.Choice(["auto", "wal", "rollback"]),
    default="auto",
    show_default=True,
    help="wal: for local disks; rollback: for network drives; auto: by where LEDGER lies.",
)
def init(ledger: str, journal: str) -> None:
    """Make a new LEDGER."""
    made = ledger_class().create(ledger, journal=journal)
    click.echo(f"Wrote {ledger}: {made.database.journal()}.")


@command.command(
    epilog="\b\nExample: cathode-tf lots add plant.db analyses/b7 --lot L12 --sheet 3 --set line_load=200"
)
@ledger_argument
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
@ledger_argument
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


@command.command(epilog="\b\nExample: cathode-tf lots cells plant.db cells.csv --on fraction/pore")
@ledger_argument
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


@command.command(epilog="\b\nExample: cathode-tf lots withdraw plant.db 7 --reason 'sample was scratched'")
@ledger_argument
@click.argument("analysis", type=int)
@click.option("--reason", required=True, help="Why; kept.")
@click.option("--who", help="Your name; default: your user name.")
def withdraw(ledger, analysis, reason, who) -> None:
    """Take ANALYSIS (its number) out of all charts; it stays readable, with the reason."""
    opened(ledger, who).withdraw(analysis, reason)
    click.echo(f"Analysis {analysis} is withdrawn: {reason}")
