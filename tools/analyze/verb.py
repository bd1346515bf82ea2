"""The command `cathode-tf analyze`: its options; what they ask for is done by `sections` and `volume`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cathode_tf.tools.analyze.options import Grouped, refuse_idle
from cathode_tf.tools.analyze.sections import Plan, measure_sections
from cathode_tf.tools.analyze.telling import read_phases
from cathode_tf.tools.analyze.volume import measure_volume


@click.command(
    "analyze",
    cls=Grouped,
    epilog="\b\nExample: cathode-tf analyze masks --phases phases.toml --pixel-size-nm 25 --out analysis/b7",
)
@click.argument("masks", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MASK...")
@click.option(
    "--phases",
    "phases_file",
    type=click.Path(path_type=Path),
    help="phases.toml of the masks; default: the one in their folder.",
)
@click.option("--pixel-size-nm", type=float, help="Side of a pixel in nm; without it all is in pixels.")
@click.option("--odd-pixel-size", is_flag=True, help="Yes, a pixel below 0.05 or above 100,000 nm is meant.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option(
    "--model", help="Segment micrographs MASK... first: a run, .keras file, SavedModel, or the word default."
)
@click.option(
    "--drawn-by",
    default="",
    metavar="NAME",
    help="Who drew these masks by hand, or corrected and accepted each of them.",
)
@click.option("--groups", "groups_file", type=click.Path(path_type=Path), help="CSV with columns id,group.")
@click.option(
    "--replicate",
    type=click.Choice(["image", "group"]),
    default="image",
    show_default=True,
    help="What is independent of its like: group, where images come from the same few stacks or electrodes.",
)
@click.option(
    "--evaluation", type=click.Path(path_type=Path), help="evaluation.json of the model: corrects fractions."
)
@click.option(
    "--reference-points", type=click.Path(path_type=Path), help="Labelled points: corrects fractions."
)
@click.option(
    "--draw-points", type=click.IntRange(min=1), metavar="N", help="Draw N points a phase to be labelled."
)
@click.option(
    "--sample-type",
    type=click.Choice(["section", "dispersed"]),
    default="section",
    show_default=True,
    help="A section through an electrode, or powder spread out flat.",
)
@click.option(
    "--unfolding",
    type=click.Choice(["em", "saltykov"]),
    default="em",
    show_default=True,
    help="How section profiles become spheres: expectation maximisation, or Saltykov's classic inversion.",
)
@click.option(
    "--edge-px", type=float, help="Standard uncertainty of where outlines lie, px: into the intervals."
)
@click.option(
    "--pixel-size-rel", type=float, help="Relative standard uncertainty of the pixel size: likewise."
)
@click.option(
    "--electrode",
    type=click.Path(path_type=Path),
    help="electrode.toml: checks porosity by mass and thickness.",
)
@click.option(
    "--depth-axis",
    type=click.Choice(["rows", "columns"]),
    default="rows",
    show_default=True,
    help="Where the electrode's depth runs.",
)
@click.option("--volume", is_flag=True, help="MASK is one label volume: TIFF stack, .npy or OME-Zarr folder.")
@click.option(
    "--voxel-size-nm",
    type=float,
    nargs=3,
    metavar="Z Y X",
    help="Voxel edges of a volume, nm; one number for cubes.",
)
@click.option("--tortuosity", is_flag=True, help="Solve for the tortuosity factor of a volume's pores.")
@click.option("--neck-depth", type=float, help="Cut touching particles at necks this deep (0-1).")
@click.option(
    "--fragmentation/--no-fragmentation",
    default=True,
    show_default=True,
    help="Measure cracks and fragments of particles.",
)
@click.option("--crack-opening-px", type=float, help="Widest opening of a crack; wider gaps part particles.")
@click.option(
    "--crack-evidence",
    type=click.Choice(["mask", "micrograph"]),
    default="mask",
    show_default=True,
    help="With --model: micrograph takes dark lines inside particles for cracks, too.",
)
@click.option("--fines-diameter", type=float, help="Free pieces below this (um, or px) are fines.")
@click.option("--min-area-px", type=int, help="Instances below this area are noise.")
@click.option("--force", is_flag=True, help="Replace what is in --out.")
@click.pass_context
def command(
    ctx: click.Context,
    masks: tuple[Path, ...],
    phases_file: Path | None,
    pixel_size_nm: float | None,
    out: Path,
    model: str | None,
    groups_file: Path | None,
    evaluation: Path | None,
    reference_points: Path | None,
    draw_points: int | None,
    electrode: Path | None,
    volume: bool,
    voxel_size_nm: tuple[float, float, float] | None,
    tortuosity: bool,
    drawn_by: str,
    odd_pixel_size: bool,
    force: bool,
    **chosen: Any,
) -> None:
    """Measure phases, particles and pores of a batch, each with its interval.

    MASK... are mask files or folders of them. With --model they are micrographs, which are segmented first;
    their masks are written to OUT/masks.

    What the segmentation gets wrong biases fractions. --evaluation corrects them with a test set's error
    rates, if these images are like those; --draw-points writes OUT/reference_points.csv, in whose column
    reference someone writes what is really there, and --reference-points corrects with that.
    """
    from cathode_tf.analysis import Settings
    from cathode_tf.errors import InputError
    from cathode_tf.files import refuse_overwrite
    from cathode_tf.imaging.micrographs import refuse_odd_size
    from cathode_tf.ownership import refuse_inputs

    refuse_idle(ctx)
    if not odd_pixel_size:
        refuse_odd_size(pixel_size_nm)
    read = [*masks, phases_file, groups_file, evaluation, reference_points, electrode]
    refuse_inputs(out, [*read, *([Path(model)] if model else [])])
    refuse_overwrite(out, force)
    if volume:
        if len(masks) != 1:
            raise InputError(f"--volume: must be given one volume at a time. Received {len(masks)}.")
        sizes = voxel_size_nm or (None if pixel_size_nm is None else (pixel_size_nm,) * 3)
        phases = read_phases(masks, phases_file)
        measure_volume(masks[0], phases, sizes, chosen["neck_depth"], tortuosity, out, force)
        return
    settings = Settings(**{name: value for name, value in chosen.items() if value is not None})
    measure_sections(
        Plan(
            masks=masks,
            out=out,
            settings=settings,
            force=force,
            model=model,
            phases_file=phases_file,
            pixel_size_nm=pixel_size_nm,
            odd_pixel_size=odd_pixel_size,
            groups_file=groups_file,
            evaluation=evaluation,
            reference_points=reference_points,
            draw_points=draw_points,
            electrode=electrode,
            drawn_by=drawn_by,
        )
    )
