"""A picture of a large image's mask and uncertainty, to look for seams, and how much another grid changes.

    python benchmarks/seams.py --out seams.jpg

A synthetic section of 3000 x 2000 px goes through the network on two grids of tiles; dashes at the edges
of the panels mark the seams of the first. The fourth panel is cut out where four tiles meet, at full resolution.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from cathode_tf import Segmenter, synthesize
from cathode_tf.imaging import display, overlay

HEIGHT, WIDTH = 2000, 3000
CUT_PX = 400


@click.command()
@click.option("--model", default="default")
@click.option("--out", type=click.Path(path_type=Path), default=Path("seams.jpg"))
def main(model: str, out: Path) -> None:
    pixels = next(iter(synthesize(1, seed=77, height=HEIGHT, width=WIDTH))).image
    first, second = Segmenter(model, tile_px=1024), Segmenter(model, tile_px=720)
    a, b = first.probabilities(pixels), second.probabilities(pixels)
    mask = np.array(first.phases.ids, np.uint8)[a.argmax(-1)]
    entropy = -(a * np.log(np.maximum(a, 1e-12))).sum(-1) / np.log(a.shape[-1])
    differing = int((a.argmax(-1) != b.argmax(-1)).sum())
    seams = [[axis.seam(i) for i in range(axis.count - 1)] for axis in map(first.grid.axis, pixels.shape)]
    painted = overlay(pixels, mask, first.phases, alpha=0.6)
    cut = tuple(slice(lines[0] - CUT_PX // 2, lines[0] + CUT_PX // 2) for lines in seams)
    draw(
        out,
        {
            "micrograph": display(pixels),
            "mask": painted,
            "entropy (bright = uncertain)": entropy,
            f"mask where four tiles meet, {CUT_PX} x {CUT_PX} px": painted[cut],
        },
        seams,
    )
    click.echo(
        f"Wrote {out}. On tiles of 720 instead of 1024 px, {differing} of {mask.size} pixels have another phase, "
        f"and probabilities differ by {np.abs(a - b).max():.1e} at most."
    )


def draw(out: Path, panels: dict[str, np.ndarray], seams: list[list[int]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8.6), dpi=100)
    FigureCanvasAgg(figure)
    for axes, (name, image) in zip(figure.subplots(2, 2).ravel(), panels.items(), strict=True):
        axes.imshow(image, cmap="gray" if name == "micrograph" else "magma", interpolation="antialiased")
        axes.set_title(name, fontsize=11, pad=12)
        whole = image.shape[0] == HEIGHT
        axes.set_yticks(seams[0] if whole else [CUT_PX // 2], [])
        axes.set_xticks(seams[1] if whole else [CUT_PX // 2], [])
        axes.tick_params(length=8, top=True, right=True)
    figure.tight_layout()
    figure.savefig(out, pil_kwargs={"quality": 72})


if __name__ == "__main__":
    main()
