"""`cathode-tf analyze`: masks, or a model and micrographs, in; summary, instance tables and a report out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

SHOWN = 6
"""So many images at most are shown in the report; all are measured."""


OF_VOLUMES = {"voxel_size_nm", "tortuosity"}
OF_SECTIONS = {
    "drawn_by",
    "model",
    "groups_file",
    "replicate",
    "evaluation",
    "reference_points",
    "draw_points",
    "sample_type",
    "unfolding",
    "edge_px",
    "pixel_size_rel",
    "electrode",
    "depth_axis",
    "fragmentation",
    "crack_opening_px",
    "crack_evidence",
    "fines_diameter",
    "min_area_px",
}
OF_CRACKS = {"crack_opening_px", "crack_evidence", "fines_diameter"}
OF_MICROGRAPHS = {"crack_evidence"}
CORRECTIONS = {
    "fraction_corrected": "corrected by the test set's error rates",
    "fraction_by_points": "corrected by reference points",
}

GROUPS = {
    "What is measured": ("phases_file", "pixel_size_nm", "model", "groups_file", "replicate", "sample_type"),
    "Fractions and their intervals": (
        "evaluation",
        "reference_points",
        "draw_points",
        "edge_px",
        "pixel_size_rel",
        "electrode",
        "depth_axis",
    ),
    "Particles": ("unfolding", "neck_depth", "min_area_px"),
    "Cracks and fragments": ("fragmentation", "crack_opening_px", "crack_evidence", "fines_diameter"),
    "Volumes": ("volume", "voxel_size_nm", "tortuosity"),
}
"""Options by what they are for, as `--help` shows them; those in no group come last."""


class Grouped(click.Command):
    """Options in groups; and one number for --voxel-size-nm where a voxel is a cube."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--voxel-size-nm") if "--voxel-size-nm" in args else len(args)
        given = list(itertools.takewhile(_is_number, args[at + 1 : at + 4]))
        if len(given) == 1:
            args = [*args[: at + 2], given[0], given[0], *args[at + 2 :]]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        lines = {param.name: param.get_help_record(ctx) for param in self.get_params(ctx)}
        for title, names in GROUPS.items():
            self._section(formatter, title, [lines.pop(name, None) for name in names])
        self._section(formatter, "Options", list(lines.values()))

    @staticmethod
    def _section(formatter: click.HelpFormatter, title: str, lines: list[tuple[str, str] | None]) -> None:
        with formatter.section(title):
            formatter.write_dl([line for line in lines if line is not None])


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\d*\.?\d+", text))


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
    **chosen,
) -> None:
    """Measure phases, particles and pores of a batch, each with its interval.

    MASK... are mask files or folders of them. With --model they are micrographs, which are segmented first;
    their masks are written to OUT/masks.

    What the segmentation gets wrong biases fractions. --evaluation corrects them with a test set's error
    rates, if these images are like those; --draw-points writes OUT/reference_points.csv, in whose column
    reference someone writes what is really there, and --reference-points corrects with that.
    """
    from dataclasses import replace

    from cathode_tf.analysis import Electrode, Settings, analyze
    from cathode_tf.datasets.sheets import read_groups
    from cathode_tf.errors import InputError
    from cathode_tf.files import atomic_folder, refuse_overwrite
    from cathode_tf.imaging import find_images
    from cathode_tf.imaging.micrographs import refuse_odd_size
    from cathode_tf.imaging.phase_files import write_phases
    from cathode_tf.imaging.plausibility import grey_order
    from cathode_tf.imaging.stories import micrograph_of
    from cathode_tf.inference.batches import Masks, Segmented
    from cathode_tf.ownership import refuse_inputs
    from cathode_tf.progress import track
    from cathode_tf.reporting import write_by_magnification, write_report
    from cathode_tf.statistics import draw_reference_points

    force = chosen.pop("force")
    refuse_idle(ctx)
    if not odd_pixel_size:
        refuse_odd_size(pixel_size_nm)
    refuse_inputs(
        out,
        [
            *masks,
            phases_file,
            *([Path(model)] if model else []),
            groups_file,
            evaluation,
            reference_points,
            electrode,
        ],
    )
    refuse_overwrite(out, force)
    if volume:
        if len(masks) != 1:
            raise InputError(f"--volume: must be given one volume at a time. Received {len(masks)}.")
        sizes = voxel_size_nm or (None if pixel_size_nm is None else (pixel_size_nm,) * 3)
        measure_volume(
            masks[0], read_phases(masks, phases_file), sizes, chosen["neck_depth"], tortuosity, out, force
        )
        return
    settings = Settings(**{name: value for name, value in chosen.items() if value is not None})
    coating = None if electrode is None else Electrode.from_toml(electrode)
    paths = find_images(masks) if model else without_pictures(find_images(masks))
    groups = None if groups_file is None else read_groups(groups_file)
    if groups is not None:  # a table of the images serves their masks, too
        groups = {**{f"{name}_mask": group for name, group in groups.items()}, **groups}
    with atomic_folder(out, force=force) as folder:
        shown_masks: dict[str, Any] = {}
        shown_images: dict[str, Any] = {}
        shown_labels: dict[str, Any] = {}
        drawn_from: dict[str, Any] = {}
        doubts: dict[str, str] = {}
        source: Segmented | Masks
        if model is not None:
            source = Segmented(model, paths, pixel_size_nm, folder / "masks")
            write_phases(folder / "masks", source.phases)
        else:
            source = Masks(paths, read_phases(paths, phases_file), pixel_size_nm)
            for name, size in source.sizes.items():
                if not odd_pixel_size and pixel_size_nm is None:
                    refuse_odd_size(size, name)
            if pixel_size_nm is None and source.pixel_size_nm is not None:
                click.echo(f"Pixel size {source.pixel_size_nm:.5g} nm: {source.pixel_size_source}.")

        def each():
            for name, mask, image, labels, draws in track(source, "Measuring", total=len(paths)):
                if groups is not None and name not in groups:
                    raise InputError(f"{groups_file}: must give the group of every image. {name} is missing.")
                if len(shown_masks) < SHOWN:
                    shown_masks[name] = mask
                    shown_labels[name] = labels
                    if image is None and name in source.stories:
                        image = micrograph_of(source.stories[name], mask.shape)
                    if image is not None:
                        shown_images[name] = image
                        acquisition = (
                            source.stories[name].image.get("acquisition") if name in source.stories else None
                        )
                        doubt = grey_order(image, mask, source.phases, acquisition)
                        if doubt:
                            doubts[name] = doubt
                if draw_points:
                    drawn_from[name] = merged(mask, source.phases)
                yield name, mask, image, labels, draws

        analysis = analyze(
            each(),
            source.phases,
            pixel_size_nm=source.pixel_size_nm,
            groups=groups,
            settings=settings,
            evaluation=evaluation,
            drawn_by=drawn_by.strip(),
        )
        analysis = replace(analysis, pixel_size_source=source.pixel_size_source, stories=dict(source.stories))
        if isinstance(source, Masks):
            files = {name: str(path.absolute()) for name, path in zip(source.stories, paths, strict=True)}
            analysis = replace(analysis, mask_files=files, mixed=source.mixed)
            analysis = replace(analysis, verification=verified(paths, analysis))
            for size, count in write_by_magnification(
                analysis, source.__iter__, source.sizes, folder
            ).items():
                click.echo(f"{count} masks of {size:.4g} nm a pixel: lengths in {size:.4g}nm/report.html.")
        if reference_points is not None:
            analysis = analysis.with_reference_points(read_points(reference_points))
        if coating is not None:
            analysis = analysis.with_electrode(coating)
        if draw_points:
            points = draw_reference_points(drawn_from, analysis.phases, draw_points)
            points.to_csv(folder / "reference_points.csv", index=False)
        analysis.write_into(folder)
        click.echo("Drawing the report ...", err=True)
        write_report(
            analysis, folder / "report.html", masks=shown_masks, micrographs=shown_images, labels=shown_labels
        )
        written = sorted(path.name for path in folder.iterdir())
    for name, doubt in doubts.items():
        click.echo(f"Warning: {name}: {doubt}.", err=True)
    show(analysis)
    click.echo(f"Wrote {', '.join(written)} to {out}. Open {out / 'report.html'} in a browser.")


def refuse_idle(ctx: click.Context) -> None:
    """Options that the user gave, but that would do nothing beside the others, are refused."""
    from cathode_tf.errors import InputError

    chosen = ctx.params
    given = {
        param.name: (param.opts if chosen[param.name] is not False else param.secondary_opts)[0]
        for param in ctx.command.params
        if ctx.get_parameter_source(param.name) is click.core.ParameterSource.COMMANDLINE
    }
    rules = (
        (chosen["volume"], OF_SECTIONS, "for masks of sections, and does not go with --volume"),
        (not chosen["volume"], OF_VOLUMES, "for a label volume, and goes with --volume"),
        (not chosen["fragmentation"], OF_CRACKS, "for cracks, and does not go with --no-fragmentation"),
        (
            chosen["sample_type"] == "dispersed",
            {"unfolding"},
            "for sections, and does not go with --sample-type dispersed",
        ),
        (
            chosen["model"] is not None,
            {"drawn_by"},
            "for masks that a person made, and does not go with --model",
        ),
        (chosen["model"] is None, OF_MICROGRAPHS, "for micrographs, and goes with --model"),
        (chosen["model"] is not None, {"phases_file"}, "for masks; with --model the phases are the model's"),
        (
            chosen["voxel_size_nm"] is not None,
            {"pixel_size_nm"},
            "for voxels that are cubes, and does not go with --voxel-size-nm",
        ),
    )
    for applies, names, why in rules:
        idle = [option for name, option in given.items() if name in names]
        if applies and idle:
            raise InputError(f"{', '.join(idle)}: must be left out. It is {why}.")


def read_phases(masks: Sequence[Path], given: Path | None):
    """The phases of the masks; where nobody named their file, it says which one it took."""
    from cathode_tf.imaging.phase_files import phases_beside

    phases, source = phases_beside(masks, given)
    if given is None:
        click.echo(f"Phases of {source}: {phases.describe()}.")
    return phases


def measure_volume(
    path: Path, phases, voxel_size_nm, neck_depth: float | None, tortuosity: bool, out: Path, force: bool
) -> None:
    """Measure a label volume, write its folder, print the headline."""
    from cathode_tf.analysis.worth import Worth
    from cathode_tf.files import atomic_folder
    from cathode_tf.imaging.stories import stories_beside
    from cathode_tf.imaging.volumes import trust_beside
    from cathode_tf.reporting import write_volume_report
    from cathode_tf.volumes import Trust, analyze_volume, open_volume

    worth = Worth((path.stem,), {path.stem: stories_beside([path])[0]})
    options: dict[str, Any] = {} if neck_depth is None else {"neck_depth": neck_depth}
    with open_volume(path, phases, voxel_size_nm=voxel_size_nm) as volume:
        analysis = analyze_volume(volume, tortuosity=tortuosity, **options)
    found = trust_beside(path)
    trust = None if found is None else Trust.from_dict(found)
    # Plausible masks are not drawn in three dimensions: numbers of a model's labels say that their error is unknown.
    told = {quantity: worth.tell(estimates) for quantity, estimates in analysis.summary.items()}
    analysis = replace(analysis, summary=told, masks=worth.to_dict())
    with atomic_folder(out, force=force) as folder:
        analysis.write(folder)
        write_volume_report(analysis, folder / "report.html", worth=worth, trust=trust)
    click.echo(worth.sentence)
    if analysis.voxel_size_nm is None:
        click.echo("Voxel size unknown: lengths are in voxel edges (give --voxel-size-nm for micrometres).")
    for quantity in ("fraction", "surface_density", "local_thickness", "x50_3", "tortuosity_factor"):
        for name, estimate in analysis.summary.get(quantity, {}).items():
            click.echo(f"{quantity} {name}: {estimate}")
    click.echo(f"Wrote instances.csv, instances.parquet, report.html, summary.json to {out}.")


def verified(paths: list[Path], analysis):
    """What labelled points beside the masks found; what cannot be used is told."""
    from cathode_tf.analysis.checks import verification_beside

    hashes = {path.name: image.sha256 for path, image in zip(paths, analysis.images, strict=True)}
    found, why_not = verification_beside(paths, hashes)
    if why_not:
        click.echo(why_not)
    return found


def show(analysis) -> None:
    """Print what the masks are, then the headline numbers."""
    from cathode_tf.analysis.likeness import sentence_of
    from cathode_tf.imaging.plausibility import odd_shares

    click.echo(analysis.worth.sentence)
    if analysis.families:
        click.echo(sentence_of(analysis.families))
    shares = {name: each.value or 0.0 for name, each in analysis.summary["fraction"].items()}
    for doubt in odd_shares(shares, analysis.phases):
        click.echo(f"Look again: {doubt}.")
    if analysis.pixel_size_nm is None and not analysis.mixed:
        click.echo("Pixel size unknown: lengths are in pixels (give --pixel-size-nm for micrometres).")
    for name, estimate in analysis.summary["fraction"].items():
        click.echo(f"{name} fraction: {estimate}")
    for quantity, words in CORRECTIONS.items():
        for name, estimate in analysis.summary.get(quantity, {}).items():
            click.echo(f"{name} fraction, {words}: {estimate}")
    for name, estimate in analysis.summary.get("x50_3", {}).items():
        click.echo(f"{name} D50 (volume): {estimate}")
    for name, estimate in analysis.summary.get("crack_length_density", {}).items():
        click.echo(f"{name} crack length per area: {estimate}")
    for quantity in ("porosity_total", "porosity_gravimetric", "porosity_difference"):
        for estimate in analysis.summary.get(quantity, {}).values():
            agreement = estimate.flags.get("AGREEMENT")
            click.echo(f"{quantity.replace('_', ' ')}: {estimate}{f'; {agreement}' if agreement else ''}")
    for row in analysis.planning:
        if row["need"] is not None:
            click.echo(row["sentence"])


def merged(mask, phases):
    """The mask as it is counted, `pore_back` as pore: points are drawn in the phases whose fractions they correct."""
    from cathode_tf.analysis.image import Settings, merge_pore_back, merges

    return merge_pore_back(mask, phases)[0] if merges(phases, Settings()) else mask


def without_pictures(paths: list[Path]) -> list[Path]:
    """The masks among what `segment` wrote; what else lies there is told."""
    from cathode_tf.inference.batches import pictures_among
    from cathode_tf.words import counted, some

    pictures = pictures_among(paths)
    if pictures:
        names = some([path.name for path in pictures])
        click.echo(f"Left out {counted(len(pictures), 'picture')} beside the masks: {names}.")
    return [path for path in paths if path not in set(pictures)]


def read_points(path: Path):
    """Table of labelled reference points."""
    import pandas as pd

    from cathode_tf.texts import read_table

    table = read_table(path)
    return pd.DataFrame(table.rows, columns=list(table.columns))
