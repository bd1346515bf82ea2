"""A picture of a large image's mask and uncertainty, to look for seams, and how much a shift of the grid changes.

    python benchmarks/seams.py RUN --out seams.png

The image is segmented with two grids of small tiles; ticks at the edges of the panels mark the seams of the
first. The fourth panel shows where the two masks differ.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from cathode_tf import Segmenter, synthesize
from cathode_tf.imaging import display, overlay


@click.command()
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), default=Path("seams.png"))
@click.option("--side", default=1600)
def main(run: str, out: Path, side: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pixels = next(iter(synthesize(1, seed=77, height=side, width=side))).image
    first, second = Segmenter(run, tile_px=480), Segmenter(run, tile_px=560)
    a, b = first.segment(pixels), second.segment(pixels)
    difference = np.abs(first.probabilities(pixels) - second.probabilities(pixels)).max()
    axis = first.grid.axis(side)
    seams = [axis.seam(index) for index in range(axis.count - 1)]
    panels = {
        "micrograph": display(pixels),
        "mask": overlay(pixels, a.mask, first.phases, alpha=0.6),
        "entropy": a.entropy,
        "masks of two grids differ": (a.mask != b.mask).astype(np.uint8) * 255,
    }
    figure = Figure(figsize=(12, 12.4), dpi=100)
    FigureCanvasAgg(figure)
    for axes, (name, image) in zip(figure.subplots(2, 2).ravel(), panels.items(), strict=True):
        axes.imshow(image, cmap="gray" if name == "micrograph" else "magma", interpolation="antialiased")
        axes.set_title(name, fontsize=11)
        axes.set_xticks(seams, [])
        axes.set_yticks(seams, [])
    differing = int((a.mask != b.mask).sum())
    figure.suptitle(f"{differing} of {a.mask.size} pixels differ; probabilities by {difference:.1e} at most")
    figure.tight_layout()
    figure.savefig(out)
    click.echo(
        f"Wrote {out}: {differing} of {a.mask.size} pixels differ, probabilities by {difference:.1e} at most."
    )


if __name__ == "__main__":
    main()
