"""`cathode-tf inspect`: what a record set holds, as a table and a picture; or what micrographs say of themselves."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """
\b
Example:
  cathode-tf inspect records/sample --out sample.png
  cathode-tf inspect microscope/
"""


@click.command("inspect", epilog=EPILOG)
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Picture of a record set to write; default: RECORDS-inspect.png.",
)
@click.option(
    "--images", default=4, show_default=True, type=click.IntRange(1), help="Images drawn of each split."
)
@click.option("--force", is_flag=True, help="Replace an existing picture.")
@click.pass_context
def command(ctx: click.Context, path: Path, out: Path | None, images: int, force: bool) -> None:
    """Look into a record set, or at micrographs before they become one.

    Of a record set, images, sizes, pixel sizes and phase shares of each split are printed, and some images are drawn.
    Of a micrograph, or a folder of them, size, pixel size and where it was read, rows of the databar, and what is
    known of the acquisition are printed.
    """
    from cathode_tf import InputError
    from cathode_tf.datasets.record_set import versions

    if path.is_dir() and (versions(path) or (path / "features.json").is_file()):
        _inspect_records(path, out, images, force)
    elif out is not None:
        raise InputError(f"--out: draws record sets. {path} is none.")
    elif not _inspect_micrographs(path):
        ctx.exit(1)


def _inspect_micrographs(path: Path) -> bool:
    """Print what is known of each; False where one cannot be read."""
    from cathode_tf import InputError
    from cathode_tf.imaging import find_images
    from cathode_tf.inference.ledger import results_among
    from cathode_tf.words import counted, some

    readable, files = True, find_images(path)
    masks = results_among(files)
    if masks and len(masks) < len(files):
        said = counted(len(masks), "mask or picture", "masks and pictures")
        click.echo(f"Left out {said} of other images: {some([file.name for file in masks])}.")
        files = [file for file in files if file not in set(masks)]
    for file in files:
        try:
            _print_micrograph(file)
        except InputError as error:
            readable = False
            click.echo(f"Error: {error}", err=True)
    return readable


def _print_micrograph(file: Path) -> None:
    from cathode_tf.imaging import iter_micrographs
    from cathode_tf.imaging.rasters import open_raster

    with open_raster(file) as raster:
        slices, left_out = raster.count, raster.left_out
    first = next(iter_micrographs(file))
    known = dict(first.acquisition)
    known.pop("slice_index", None)
    rows = known.pop("databar_rows", 0)
    stack = f", {slices} slices" if slices > 1 else ""
    source = f" ({first.pixel_size_source})" if first.pixel_size_source else ""
    scaling = known.pop("float_scaling", None)
    dtype = str(first.pixels.dtype)
    if scaling:
        with open_raster(file) as raster:
            samples = raster.read(0).samples
        dtype = f"{samples.dtype.name}, stored as {dtype} ({_scaling(scaling, slices)})"
    click.echo(f"{file}: {first.width} x {first.height} px, {dtype}{stack}")
    click.echo(f"  {'pixel size':<20} {_nanometres(first.pixel_size_nm)}{source}")
    if first.pixel_size_nm is None:
        _print_ruler(file, slices)
    if rows:
        click.echo(f"  {'databar':<20} {rows} rows cut at the bottom")
    for what in left_out:
        click.echo(f"  {'left out':<20} {what}")
    for name, value in known.items():
        click.echo(f"  {name:<20} {value}")


def _print_ruler(file: Path, slices: int) -> None:
    """Say that a scale bar or a ruler seems to be in the picture, and how its length becomes a pixel size."""
    from cathode_tf.imaging import find_ruler, iter_micrographs

    whole = next(iter_micrographs(file, databar="none"))
    ruler = find_ruler(whole.pixels)
    if ruler is None:
        return
    what = "a scale bar" if ruler.marks < 3 else f"a ruler of {ruler.marks} marks"
    click.echo(
        f"  {'':<20} {what} seems to be in the picture, {ruler.length_px} px long in row {ruler.row}, from column "
        f"{ruler.column} on;"
    )
    click.echo(
        f"  {'':<20} if so, give --pixel-size-nm, its length in nm / {ruler.length_px}: 1 um = "
        f"{1000 / ruler.length_px:.4g}"
    )


def _scaling(scaling: dict[str, float], slices: int) -> str:
    """From where to where an image was scaled: constants of its own, which shift it where the step is 1."""
    low, step = scaling["offset"], scaling["scale"]
    if low in (-128, -32768) and step == 1:
        return f"shifted by {-low:g}"
    return f"scaled from {low:g} to {low + 65535 * step:g}{' in the first slice' if slices > 1 else ''}"


def _inspect_records(records: Path, out: Path | None, images: int, force: bool) -> None:
    from cathode_tf.datasets import open_records
    from cathode_tf.datasets.summary import draw_records, summarize
    from cathode_tf.files import refuse_overwrite
    from cathode_tf.ownership import refuse_inputs
    from cathode_tf.words import counted

    if out is not None:
        refuse_inputs(out, [records])
        refuse_overwrite(out, force)
    found = open_records(records)
    click.echo(f"{found.path}: version {found.version}, schema {found.metadata['schema']}")
    click.echo(f"Fingerprint: {found.fingerprint}")
    click.echo(f"Split: {_rule(found.metadata['split'])}")
    for row in summarize(found):
        images_in = f"{counted(row['images'], 'image')} in {counted(row['groups'], 'group')}"
        click.echo(f"\n{row['split']}: {images_in}")
        click.echo(f"  size        {_frequent(row['sizes'], lambda size: f'{size[1]} x {size[0]} px')}")
        click.echo(f"  pixel size  {_frequent(row['pixel_sizes_nm'], _nanometres)}")
        shares = ", ".join(f"{name} {share:.1%}" for name, share in row["fractions"].items())
        click.echo(f"  phases      {shares}; {row['ignored_fraction']:.1%} of all pixels ignored")
    picture = out or records.resolve().parent / f"{records.resolve().name}-inspect.png"
    if out is None and picture.exists() and not force:
        click.echo(f"\n{picture} is there already; --force draws it anew.")
        return
    draw_records(found, picture, images_per_split=images, force=force)
    click.echo(f"\nWrote {picture}")


def _rule(rule: dict) -> str:
    if "ratios" not in rule:
        return rule["rule"]
    shares = "/".join(f"{100 * share:g}" for share in rule["ratios"].values())
    return f"{rule['rule']}, {shares}, seed {rule['seed']}"


def _nanometres(size: float | None) -> str:
    return "unknown" if size is None else f"{size:.6g} nm"


def _frequent(counter, text) -> str:
    """The most frequent values with how often they occur."""
    parts = [f"{text(value)} ({count})" for value, count in counter.most_common(4)]
    return ", ".join(parts) + (f", and {len(counter) - 4} others" if len(counter) > 4 else "")
