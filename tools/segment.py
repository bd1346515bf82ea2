"""`cathode-tf segment`: masks for micrographs of any size, and for volumes."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    "segment", epilog="\b\nExample: cathode-tf segment runs/first electrode_01.tif more_images/ --out masks"
)
@click.argument("model")
@click.argument("images", nargs=-1, metavar="IMAGES...")
@click.option("--out", required=True, help="Folder for the masks and overlays.")
@click.option("--uncertainty", is_flag=True, help="Write <stem>_margin and <stem>_entropy as well (8 bits).")
@click.option("--pixel-size-nm", type=float, help="Overrides what the files say.")
@click.option("--odd-pixel-size", is_flag=True, help="Yes, a pixel below 0.05 or above 100,000 nm is meant.")
@click.option("--max-memory", help="What the process may take, as 2GB; tiles are chosen to fit.")
@click.option(
    "--average",
    type=click.Choice(["1", "2", "4", "8"]),
    default="1",
    show_default=True,
    help="Average over so many flips and quarter turns: slower, a little better.",
)
@click.option("--with", "others", multiple=True, metavar="MODEL", help="Average with this model too.")
@click.option(
    "--resume",
    is_flag=True,
    help="Skip what this model has done here before, by content; keep masks that were corrected.",
)
@click.option(
    "--strokes",
    metavar="PLACE",
    help="Folder with <stem>_strokes.png of images on which you painted a few strokes, or the file of one "
    "image: their masks follow the strokes.",
)
@click.option(
    "--phases",
    "phases_file",
    metavar="FILE",
    help="phases.toml of the strokes and masks; default: the model's.",
)
@click.option(
    "--draws",
    type=click.IntRange(0, 100),
    default=10,
    show_default=True,
    help="Plausible masks of each image, by which analyze tells what the mask's error does to its numbers; 0: none.",
)
@click.option("--runner", help="Segment by this Apache Beam runner, e.g. FlinkRunner (extra [beam]).")
@click.option(
    "--runner-option", "runner_options", multiple=True, help="For Beam: --parallelism=8; repeatable."
)
@click.option(
    "--volume",
    is_flag=True,
    help="IMAGES are one volume of aligned slices, as reconstruct writes it: OME-Zarr, a stack, a folder.",
)
@click.option("--zarr", is_flag=True, help="With --volume: write OME-Zarr, not TIFF.")
@click.option("--three-axes", is_flag=True, help="With --volume: average over slices along all three axes.")
@click.option("--smooth", is_flag=True, help="With --volume: remove flicker of single slices.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="Replace files that exist, corrected ones too.")
def command(
    model: str,
    images: tuple[str, ...],
    out: str,
    pixel_size_nm: float | None,
    odd_pixel_size: bool,
    max_memory: str | None,
    average: str,
    others: tuple[str, ...],
    strokes: str | None,
    phases_file: str | None,
    draws: int,
    runner: str | None,
    runner_options: tuple[str, ...],
    volume: bool,
    zarr: bool,
    three_axes: bool,
    smooth: bool,
    uncertainty: bool,
    resume: bool,
    dry_run: bool,
    force: bool,
) -> None:
    """Segment IMAGES (files or folders) with MODEL: a run, a .keras file, "default" or an exported SavedModel.

    Writes <stem>_mask.png, indexed with the phases' colours, and <stem>_overlay.png. A TIFF of several
    pages gives a label volume, a TIFF of more than 50 million pixels is worked on in parts; both give
    <stem>_mask.tif. Beside them lies phases.toml, which says what the ids in them mean.
    """
    if not images:
        raise click.UsageError(
            f"IMAGES must follow MODEL: files or folders. Received one argument, {model}; if that is an image, put a "
            'model before it: a run, a .keras file, an exported SavedModel, or the word "default".'
        )
    if not volume and (zarr or three_axes or smooth):
        raise click.UsageError("--zarr, --three-axes and --smooth go with --volume.")
    if volume and (uncertainty or resume or runner):
        raise click.UsageError("--uncertainty, --resume and --runner do not go with --volume.")
    if volume and (strokes or phases_file or dry_run):
        raise click.UsageError("--strokes, --phases and --dry-run do not go with --volume.")
    if runner_options and not runner:
        raise click.UsageError("--runner-option goes with --runner.")
    from cathode_tf.files import no_empty_folder
    from cathode_tf.imaging.micrographs import refuse_odd_size

    if not odd_pixel_size:
        refuse_odd_size(pixel_size_nm)
    from cathode_tf.inference import Segmenter
    from cathode_tf.phases import Phases

    members = [model, *others]
    from cathode_tf.imaging.phase_files import refuse_other_phases, write_phases

    segmenter = Segmenter(members if others else model, max_memory=max_memory, orientations=int(average))
    phases = Phases.from_toml(phases_file) if phases_file else None
    refuse_other_phases(out, phases or segmenter.phases, force)
    if volume:
        _volume(segmenter, images, out, pixel_size_nm, zarr, force, three_axes, smooth)
        write_phases(out, segmenter.phases, force)
        return
    from cathode_tf import InputError
    from cathode_tf.inference.folders import segment_files
    from cathode_tf.statistics.drift import drift
    from cathode_tf.words import counted, some

    manner = {"uncertainty": uncertainty, "pixel_size_nm": pixel_size_nm, "phases": phases, "draws": draws}
    what = {"strokes": strokes, "resume": resume, "force": force}
    if dry_run:
        from cathode_tf.inference.plan import Manner, plan_segmentation

        click.echo(plan_segmentation(segmenter, images, out, Manner(**manner), **what))
        click.echo("Nothing was done.")
        return
    with no_empty_folder(out):
        report = segment_files(
            segmenter, images, out, runner=runner, runner_options=runner_options, **what, **manner
        )
    if report.scores or report.skipped:
        write_phases(out, phases or segmenter.phases, force)
    skipped = f", skipped {len(report.skipped)} that were done" if report.skipped else ""
    if report.scores or report.skipped:
        click.echo(f"Wrote masks and overlays of {counted(len(report.scores), 'image')} to {out}{skipped}.")
    if report.followed:
        click.echo(
            f"Followed the strokes on {counted(len(report.followed), 'image')}: {some(report.followed)}."
        )
    for line in _pixel_sizes(report.pixel_sizes.values()):
        click.echo(line)
    for name, reason in report.foreign.items():
        click.echo(f"FOREIGN: the model does not know this kind of image: {name} ({reason}).")
    if report.foreign:
        click.echo("Look at these masks first, and believe their numbers last.")
    moved = drift(report.distances)
    if moved:
        click.echo(f"DRIFT: {moved}: has the microscope, its setting or the preparation changed?")
    if report.left_out:
        files = counted(len(report.left_out), "mask or picture", "masks and pictures")
        click.echo(f"Left out {files} of other images: {some([path.name for path in report.left_out])}.")
    if report.kept:
        files = counted(len(report.kept), "file")
        names = some([name for _, name in report.kept])
        click.echo(
            f"Kept {files} that segment did not write, or that was changed since: {names} (--force replaces)."
        )
    if report.scores and not report.broken and len(report.scores) > 1:
        name, score = max(report.scores.items(), key=lambda item: item[1])
        click.echo(
            f"Most uncertain: {name} (score {score:.3f}); `cathode-tf rounds` ranks images for review."
        )
    if len(report.broken) == 1:
        raise InputError(f"could not segment {report.broken[0][1]}")
    if report.broken:
        lines = "\n".join(f"  {message}" for _, message in report.broken)
        raise InputError(f"{len(report.broken)} images could not be segmented:\n{lines}")


def _pixel_sizes(found) -> list[str]:
    """What the images' pixel sizes are and where they were read, a line each, the commonest first."""
    from collections import Counter

    from cathode_tf.words import counted

    rows = Counter(("unknown" if size is None else f"{size:.4g} nm", source) for size, source in found)
    return [
        f"Pixel size {size}{f' ({source})' if source else ''}: {counted(number, 'image')}."
        for (size, source), number in rows.most_common(3)
    ]


def _volume(
    segmenter, images, out: str, pixel_size_nm: float | None, zarr: bool, force: bool, *choices: bool
) -> None:
    from cathode_tf.imaging.volumes import FolderVolume, open_volume
    from cathode_tf.inference.volumes import segment_volume

    first = Path(images[0])
    source = open_volume(first) if len(images) == 1 else FolderVolume([Path(image) for image in images])
    stem = first.stem if len(images) == 1 else first.parent.name
    three_axes, smooth = choices
    result = segment_volume(
        segmenter,
        source,
        Path(out) / f"{stem}_mask{'.zarr' if zarr else '.tif'}",
        three_axes=three_axes,
        smooth=smooth,
        pixel_size_nm=pixel_size_nm,
        force=force,
    )
    click.echo(f"Wrote {result.path} ({' x '.join(map(str, result.shape))}) and {result.path.stem}.json.")
    click.echo(
        f"Voxels {voxels_text(result.voxel_nm)}; flicker {max(result.flicker):.2%} of a slice at most"
        f"{' (smoothed)' if result.flicker_smoothed else ''}."
    )


def voxels_text(voxel_nm) -> str:
    """The edges along z, y and x as people read them."""
    if not any(voxel_nm):
        return "of unknown size (give reconstruct --voxel-size-nm)"
    return " x ".join("unknown" if edge is None else f"{edge:.4g}" for edge in voxel_nm) + " nm (z, y, x)"
