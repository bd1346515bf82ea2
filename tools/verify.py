"""`cathode-tf verify`: label random points on masks, and see what the masks are worth."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("verify", epilog="\b\nExample: cathode-tf verify masks --points 150")
@click.argument("masks", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MASK...")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the micrographs; default: where segment noted them.",
)
@click.option(
    "--phases",
    "phases_file",
    type=click.Path(path_type=Path),
    help="phases.toml of the masks; default: the one in their folder.",
)
@click.option("--points", type=click.IntRange(20, 2000), default=150, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the points.")
@click.option("--who", help="Your name, kept with the answers; default: your user name.")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; default: 8765, or the next free one.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
@click.option("--result", "only_result", is_flag=True, help="Only print what the answers so far say.")
def command(
    masks: tuple[Path, ...],
    images: Path | None,
    phases_file: Path | None,
    points: int,
    seed: int,
    who: str | None,
    port: int | None,
    browser: bool,
    only_result: bool,
) -> None:
    """Label random points on the micrographs of MASK... (files or folders) in the browser.

    Keys 1 to 9 name the phase under the cross, 0 is "cannot tell", U takes back. Each answer is kept at once, in
    verified.json beside the masks; stop with Ctrl-C and go on later. `analyze` takes what was found from there.
    """
    from cathode_tf.analysis.checks import verify
    from cathode_tf.imaging import find_images
    from cathode_tf.imaging.phase_files import phases_beside
    from cathode_tf.inference.batches import pictures_among

    paths = find_images(masks)
    left_out = set(pictures_among(paths))
    paths = [path for path in paths if path not in left_out]
    phases, _ = phases_beside(paths, phases_file)
    checks = verify(paths, phases, points=points, seed=seed)
    if only_result:
        show(checks)
        return
    from cathode_tf.review.verify import serve_verify
    from cathode_tf.rounds.ledger import user_name

    shown = micrographs(paths, images)
    click.echo(checks.promise)
    if checks.labelled:
        click.echo(f"{checks.labelled} are answered already.")

    def announce(address: str) -> None:
        click.echo(f"Label the points at {address}\nStop with Ctrl-C; nothing is lost.")

    try:
        serve_verify(checks, shown, who=who or user_name(), port=port, browser=browser, announce=announce)
    finally:
        show(checks)


def micrographs(masks: list[Path], folder: Path | None) -> dict:
    """The micrograph of each mask, by the mask's stem."""
    from cathode_tf.errors import InputError
    from cathode_tf.imaging import find_images, read_micrograph
    from cathode_tf.imaging.rasters import open_raster
    from cathode_tf.imaging.stories import micrograph_of, stories_beside

    by_stem = {} if folder is None else {path.stem: path for path in find_images([folder])}
    found = {}
    for path, story in zip(masks, stories_beside(masks), strict=True):
        with open_raster(path) as raster:
            shape = (raster.height, raster.width)
        stem = path.stem.removesuffix("_mask")
        pixels = micrograph_of(story, shape) if folder is None else None
        if stem in by_stem:
            read = read_micrograph(by_stem[stem])
            pixels = None if isinstance(read, list) else read.pixels
        if pixels is None or pixels.shape != shape:
            where = "where segment noted it" if folder is None else f"of its name in {folder}"
            raise InputError(
                f"{path}: must have its micrograph at hand, as large as it is. Found none {where}. Name the folder of "
                "the micrographs with --images."
            )
        found[path.stem] = pixels
    return found


def show(checks) -> None:
    """Print what the answers say."""
    found = checks.result()
    if found is None:
        click.echo(
            f"{checks.labelled} of {len(checks.table)} points are answered; from 20 on they tell something."
        )
        return
    click.echo(f"{found.points} points: {found.sentence}")
    width = max(map(len, found.phases)) + 9
    click.echo("Share of the area, %".ljust(width) + "".join(f"is {name}".rjust(14) for name in found.phases))
    for name, row in zip(found.phases, found.matrix, strict=True):
        click.echo(f"shown as {name}".ljust(max(width, 20)) + "".join(f"{100 * v:14.1f}" for v in row))
    for name, estimate in found.fractions.items():
        click.echo(f"{name} fraction, corrected: {estimate}")
    if checks.advice:
        click.echo(checks.advice)
