"""`cathode-tf segment`: masks for micrographs of any size."""

from __future__ import annotations

import click


@click.command("segment")
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@click.option("--out", required=True, help="Folder for the masks and overlays.")
@click.option("--uncertainty", is_flag=True, help="Write <stem>_margin.png and <stem>_entropy.png as well.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
def command(model: str, images: tuple[str, ...], out: str, uncertainty: bool, force: bool) -> None:
    """Segment IMAGES (files or folders) with MODEL: a run, a .keras file or an exported SavedModel.

    Writes <stem>_mask.png, indexed with the phases' colours, and <stem>_overlay.png.

    \b
    Example:
        cathode-tf segment runs/first electrode_01.tif more_images/ --out masks
    """
    from cathode_tf.inference.folders import segment_files

    written = segment_files(model, images, out, uncertainty=uncertainty, force=force)
    click.echo(f"Wrote masks and overlays of {written} images to {out}")
