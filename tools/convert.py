"""`cathode-tf convert`: micrographs and masks to a record set."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import click

PATH = click.Path(path_type=Path)


EPILOG = """
\b
Example:
  cathode-tf synthesize --count 10 --out samples
  cathode-tf convert samples/images samples/masks --phases samples/phases.toml --out records/first
"""


@click.command("convert", epilog=EPILOG)
@click.argument("images", type=PATH)
@click.argument("masks", type=PATH, required=False)
@click.option("--out", required=True, type=PATH, help="Folder of the record set.")
@click.option(
    "--phases",
    type=PATH,
    help="phases.toml; default: pore 0, ncm 1, additive 2, binder 3. [--add: the set's]",
)
@click.option("--mask-suffix", default="_mask", show_default=True, help="Behind the stem of a mask.")
@click.option("--annotated-only", is_flag=True, help="Leave out images that have no mask.")
@click.option("--groups", type=PATH, help="CSV file with the columns id,group.")
@click.option("--group-regex", help="The group is what this finds in the id, e.g. '^[^_]+'.")
@click.option("--split", help="Shares of train, validation, test; groups stay whole. [default: 70/20/10]")
@click.option("--seed", type=int, help="Of the draw of the split. [default: 0]")
@click.option("--split-file", type=PATH, help="CSV file with the columns id,split, followed as it is.")
@click.option(
    "--guard-gap",
    type=int,
    metavar="SLICES",
    help="Cut stacks into blocks, one a split, and leave so many slices out between them.",
)
@click.option("--pixel-size-nm", type=float, help="Overrides what the files say.")
@click.option("--odd-pixel-size", is_flag=True, help="Yes, a pixel below 0.05 or above 100,000 nm is meant.")
@click.option("--databar", default="auto", show_default=True, help="auto, none, or how many rows to cut.")
@click.option("--max-megapixels", default=400.0, show_default=True, help="Larger images are refused.")
@click.option(
    "--origin",
    type=click.Choice(["human", "corrected", "synthetic"]),
    default="human",
    show_default=True,
    help="Where the masks come from.",
)
@click.option("--round", default=0, show_default=True, help="Round of incremental learning.")
@click.option("--annotator", default="", help="Who made the masks.")
@click.option(
    "--instances",
    metavar="drawn|FOLDER",
    help="Keep particles one by one: 'drawn' = each drawn object is one; or a folder of label images.",
)
@click.option("--add", is_flag=True, help="Append to the record set, as its next version.")
@click.option("--jobs", type=click.IntRange(1), help="Processes at once. [default: one a processor]")
@click.option("--runner", help="Convert by this Apache Beam runner instead, e.g. FlinkRunner (extra [beam]).")
@click.option(
    "--runner-option", "runner_options", multiple=True, help="For Beam: --parallelism=8; repeatable."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="Replace an existing record set.")
def command(
    images: Path,
    masks: Path | None,
    out: Path,
    phases: Path | None,
    odd_pixel_size: bool,
    databar: str,
    jobs: int | None,
    runner: str | None,
    runner_options: tuple[str, ...],
    add: bool,
    dry_run: bool,
    force: bool,
    **options,
) -> None:
    """Turn IMAGES (a folder, or one file) and MASKS into a record set.

    Masks are matched by stem: 'a.tif' has 'a_mask.png' or a LabelMe 'a.json' beside it, or 'a.png' in the folder
    MASKS; or MASKS is one COCO, VIA, CVAT or Label Studio file for all images. Slices of a stack 'a.tif' may have
    masks of their own, 'a_z0003.png'; slices without a label are left out.
    tensorflow-datasets reads the result: tfds.builder_from_directory("records/first").
    """
    if runner_options and not runner:
        raise click.UsageError("--runner-option goes with --runner.")
    from cathode_tf import InputError, Phases
    from cathode_tf.datasets import convert, open_records
    from cathode_tf.imaging.micrographs import refuse_odd_size

    if not odd_pixel_size:
        refuse_odd_size(options["pixel_size_nm"])
    if databar not in ("auto", "none") and not databar.isdigit():
        raise InputError(f"--databar: must be auto, none, or a number of rows. Received {databar!r}.")
    if phases:
        material = Phases.from_toml(phases)
    else:
        material = open_records(out).phases if add else Phases.default()
        if not add:
            click.echo(f"No --phases was given; taken are {material.describe()}.")
    options["databar"] = int(databar) if databar.isdigit() else databar
    what = {"out": out, "phases": material, "add": add, "force": force}
    if dry_run:
        from cathode_tf.datasets.plan import Choices, plan_conversion

        click.echo(plan_conversion(images, masks, choices=Choices(**options), **what))
        click.echo("Nothing was done.")
        return
    engine = {"jobs": jobs or os.cpu_count() or 1, "runner": runner, "runner_options": runner_options}
    convert(images, masks, **what, **engine, **options)
    records = open_records(out)
    counts = ", ".join(f"{count} {split}" for split, count in records.splits.items())
    click.echo(f"Wrote {out} (version {records.version}): {counts}.")
    click.echo(f"Look at it: cathode-tf inspect {out}")
    drawn_apart = not (options["groups"] or options["group_regex"] or options["split_file"])
    alone = [row.id for row in records.rows if row.group == row.id]
    if drawn_apart and (names := _neighbours(alone)):
        click.echo(
            f"Images named {', '.join(names[:2])}, ... may be slices of one stack: give --groups, or neighbours will "
            "stand on both sides of the split."
        )


def _neighbours(ids: list[str]) -> list[str]:
    """The ids that are one prefix and a number, in their order, where that is most of at least three; else none."""
    parts = [(match[1], int(match[2]), id_) for id_ in ids if (match := re.fullmatch(r"(.*?)(\d+)", id_))]
    prefix, count = max(Counter(part[0] for part in parts).items(), key=lambda item: item[1], default=("", 0))
    if count < 3 or 2 * count <= len(ids):
        return []
    return [id_ for own, _, id_ in sorted(parts) if own == prefix]
