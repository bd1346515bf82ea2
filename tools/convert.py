"""`cathode-tf convert`: micrographs and masks to a record set."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="convert")
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("masks", type=click.Path(path_type=Path), required=False)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the record set.")
@click.option(
    "--phases",
    type=click.Path(path_type=Path),
    help="phases.toml; default: pore 0, ncm 1, additive 2, binder 3.",
)
@click.option("--mask-suffix", default="_mask", show_default=True, help="Behind the stem of a mask.")
@click.option("--groups", type=click.Path(path_type=Path), help="CSV file with the columns id,group.")
@click.option("--group-regex", help="The group is what this finds in the id, e.g. '^[^_]+'.")
@click.option(
    "--split",
    default="70/20/10",
    show_default=True,
    help="Shares of train, validation and test; groups stay whole.",
)
@click.option("--seed", default=0, show_default=True, help="Of the draw of the split.")
@click.option(
    "--split-file",
    type=click.Path(path_type=Path),
    help="CSV file with the columns id,split, followed as it is.",
)
@click.option("--pixel-size-nm", type=float, help="Overrides what the files say.")
@click.option("--databar", default="auto", show_default=True, help="auto, none, or how many rows to cut.")
@click.option("--max-megapixels", default=400.0, show_default=True, help="Larger images are refused.")
@click.option(
    "--origin",
    type=click.Choice(["human", "corrected", "synthetic"]),
    default="human",
    show_default=True,
    help="Where the masks come from.",
)
@click.option("--annotator", default="", help="Who made the masks.")
@click.option("--force", is_flag=True, help="Replace an existing record set.")
def command(images: Path, masks: Path | None, phases: Path | None, databar: str, **options) -> None:
    """Turn IMAGES (a folder, or one file) and MASKS into a record set.

    Masks are matched by stem: 'a.tif' has 'a_mask.png' beside it, or 'a.png' or 'a_mask.png' in the folder MASKS.
    tensorflow-datasets reads the result: tfds.builder_from_directory("records/nmc").

    \b
    Example:
      cathode-tf synthesize --count 10 --out samples
      cathode-tf convert samples/images samples/masks --phases samples/phases.toml --out records/first
    """
    from cathode_tf import InputError, Phases
    from cathode_tf.datasets import convert, open_records

    if databar not in ("auto", "none") and not databar.isdigit():
        raise InputError(f"--databar: must be auto, none, or a number of rows. Received {databar!r}.")
    out = convert(
        images,
        masks,
        phases=Phases.from_toml(phases) if phases else Phases.default(),
        databar=int(databar) if databar.isdigit() else databar,
        **options,
    )
    records = open_records(out)
    counts = ", ".join(f"{count} {split}" for split, count in records.splits.items())
    click.echo(f"Wrote {out} (version {records.version}): {counts}.")
    click.echo(f"Look at it: cathode-tf inspect {out}")
