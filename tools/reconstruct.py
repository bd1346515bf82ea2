"""`cathode-tf reconstruct`: a volume that can be measured, from raw FIB-SEM slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

STEPS = ("tilt", "align", "curtains", "background", "brightness", "thickness")


@click.command(
    "reconstruct",
    epilog="\b\nExample: cathode-tf reconstruct slices --out volume.zarr --tilt-deg 52 --view followed",
)
@click.argument("slices", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SLICES...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="volume.zarr (OME-Zarr) or volume.tif."
)
@click.option(
    "--tilt-deg",
    type=float,
    help="Angle between imaging beam and cut face, where files do not say; 90 = straight on, or stretched already.",
)
@click.option(
    "--view",
    type=click.Choice(["fixed", "followed"]),
    help="Whether the field of view stayed, or was moved along with the receding face, where files do not say.",
)
@click.option(
    "--voxel-size-nm",
    type=float,
    nargs=3,
    metavar="Z Y X",
    help="Slice thickness, and height and width of a raw pixel before the tilt is corrected.",
)
@click.option(
    "--trend",
    type=click.Choice(["keep", "remove", "particles", "edge"]),
    default="keep",
    show_default=True,
    help="A trend beyond geometry: structure that leans (keep), drift (remove), or as round particles or a straight "
    "edge tell.",
)
@click.option(
    "--edge-px",
    type=int,
    nargs=4,
    metavar="ROW COLUMN HEIGHT WIDTH",
    help="Raw window with the straight edge.",
)
@click.option("--without", multiple=True, type=click.Choice(STEPS), help="Leave this step out; repeatable.")
@click.option("--isotropic", is_flag=True, help="Resample along z to voxels that are cubes.")
@click.option(
    "--order",
    type=click.Choice(["name", "z"]),
    default="name",
    show_default=True,
    help="What the slices follow.",
)
@click.option(
    "--gaps",
    type=click.Choice(["refuse", "fill"]),
    default="refuse",
    show_default=True,
    help="What to do where slices are missing.",
)
@click.option("--detector", help="Take only the slices of this detector.")
@click.option(
    "--databar", default="auto", show_default=True, help="auto, none, or rows to cut at the bottom."
)
@click.option(
    "--from",
    "repeat",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="reconstruction.json of an earlier run: repeat it, on these slices or another detector's.",
)
@click.option(
    "--pictures/--no-pictures", default=True, show_default=True, help="Write the report with pictures."
)
@click.option(
    "--trust/--no-trust",
    default=True,
    show_default=True,
    help="Measure what each step's uncertainty does to porosity, surface, tortuosity; goes into the report.",
)
@click.option("--force", is_flag=True, help="Replace what is at --out.")
def command(
    slices: tuple[Path, ...],
    out: Path,
    repeat: Path | None,
    pictures: bool,
    trust: bool,
    force: bool,
    **chosen: Any,
) -> None:
    """Make a volume from raw FIB-SEM slices: SLICES are a folder, files, or one multi-page TIFF.

    Steps, in this order: tilt, align, crop, curtains, background, brightness, thickness. The raw files are only read.
    reconstruction.json (in the OME-Zarr, or volume.json beside a TIFF) holds every transform. A run that was killed
    goes on when the same command is given again.
    """
    from cathode_tf.files import refuse_overwrite
    from cathode_tf.tomography import Settings, reconstruct

    report = out.with_name(f"{out.stem}_report.html")
    flight = out.with_name(f"{out.stem}_flight.html")
    if pictures:
        refuse_overwrite(report, force)
        refuse_overwrite(flight, force)
    chosen["without"] = tuple(chosen["without"])
    settings = Settings(**{name: value for name, value in chosen.items() if value is not None})
    made = reconstruct(list(slices), out, settings=settings, repeat=repeat, force=force)
    for step, text in made.steps.items():
        click.echo(f"{step}: {text}")
    for text in made.warnings:
        click.echo(f"Warning: {text}", err=True)
    shape = " x ".join(map(str, made.shape))
    click.echo(f"Wrote {made.path} ({shape}, z y x) and {made.record_path}.")
    if pictures:
        from cathode_tf.imaging.volumes import open_volume
        from cathode_tf.reporting import reconstruction_trust, write_flight, write_reconstruction_report

        worth = None
        if trust:
            click.echo("Making the middle again, with each step off by its uncertainty ...", err=True)
            worth = reconstruction_trust(made, list(slices))
        click.echo("Drawing the report ...", err=True)
        write_reconstruction_report(made, list(slices), report, trust=worth, force=force)
        write_flight(open_volume(made.path), flight, force=force)
        click.echo(f"Wrote {report} and {flight.name}, a flight through the slices. Open them in a browser.")
