"""Figures for the report: numbers with intervals in, standalone SVG or image data out.

Figures are drawn with matplotlib's object interface, so that no global state and no screen is needed.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from cathode_tf.imaging import display, overlay, with_legend
from cathode_tf.phases import Phases

INK = "#23303d"
GRID = "#d9dfe5"
PICTURE_PX = 1400
"""Longest side of a picture in the report; larger micrographs are shown reduced."""

SMALL_PX = 500
"""Smaller ones are shown enlarged, each pixel as a square, until their longest side is at least this."""


def svg(figure: Figure) -> str:
    """The figure as an `<svg>` element that can stand in a page; text stays text."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cathode_tf", "font.family": "sans-serif"}):
        figure.savefig(
            buffer,
            format="svg",
            bbox_inches="tight",
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def picture_data(
    picture: np.ndarray, colors: Mapping[str, str] | None = None, pixel_size_nm: float | None = None
) -> str:
    """A picture as a `data:` address; reduced if large, enlarged if small.

    Args:
        picture: uint8 (height, width, 3) RGB.
        colors: `"#rrggbb"` by the name of what it stands for; named in a strip below the picture.
        pixel_size_nm: Edge of a pixel; where it is known, the strip holds a scale bar.
    """
    import cv2

    side = max(picture.shape[:2])
    scale, zoom = min(PICTURE_PX / side, 1.0), -(-SMALL_PX // side)
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = picture.repeat(zoom, 0).repeat(zoom, 1)
    size = None if pixel_size_nm is None else pixel_size_nm / (scale * zoom)
    picture = with_legend(picture, colors or {}, pixel_size_nm=size)
    # WebP is a fifth of PNG's size on noisy micrographs, and every browser of the last years shows it.
    _, encoded = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 85])
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def axes(width: float = 5.2, height: float = 3.0):
    """A figure in the report's dress, and its axes; narrow, so that its letters can be read on a phone."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(INK)
    axis.tick_params(colors=INK, labelsize=10)
    axis.xaxis.label.set_color(INK)
    axis.yaxis.label.set_color(INK)
    axis.set_axisbelow(True)
    return figure, axis


def _size_axis(axis, low: float, high: float) -> None:
    """A logarithmic axis of sizes from `low` to `high`, whose labels are plain numbers."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(
        LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(5, steps=(1, 2, 5, 10))
    )
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())


def bars_with_intervals(values: Mapping[str, object], colors: Sequence[str], label: str) -> str:
    """Horizontal bars of Estimates with their intervals; refused ones are named, not drawn.

    Args:
        values: Estimates (anything with `value` and `ci`) by name.
        colors: A colour for each.
        label: What the axis shows, with its unit.
    """
    figure, axis = axes(height=0.55 * len(values) + 0.8)
    for row, ((name, estimate), color) in enumerate(zip(values.items(), colors, strict=True)):
        value, ci = estimate.value, estimate.ci  # type: ignore[attr-defined]
        if value is None:
            axis.annotate(
                f" {name}: not estimable", (0, row), va="center", color=INK, fontsize=10, style="italic"
            )
            continue
        axis.barh(row, value, color=color, edgecolor=INK, linewidth=0.6, height=0.62)
        if ci is not None:
            error = [[max(value - ci[0], 0)], [max(ci[1] - value, 0)]]
            axis.errorbar(value, row, xerr=error, color=INK, capsize=4, linewidth=1.4)
    axis.set_yticks(range(len(values)), list(values))
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.set_xlabel(label)
    axis.grid(axis="x", color=GRID, linewidth=0.8)
    return svg(figure)


def cumulative_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], label: str) -> str:
    """Cumulative size distributions on a logarithmic axis.

    Args:
        curves: Sorted sizes (n,) and cumulative shares (n,), 0-1, by weighting ("number", "area", "volume").
        label: What the size is, with its unit.
    """
    figure, axis = axes()
    styles = ("-", "--", ":")
    for index, (name, (sizes, share)) in enumerate(curves.items()):
        axis.step(
            sizes, share, where="post", label=name, color=INK, linestyle=styles[index % 3], linewidth=1.6
        )
    for level in (0.1, 0.5, 0.9):
        axis.axhline(level, color=GRID, linewidth=0.8, zorder=0)
    together = np.concatenate([sizes for sizes, _ in curves.values()])
    _size_axis(axis, together.min(), together.max())
    axis.set_ylim(0, 1)
    axis.set_xlabel(label)
    axis.set_ylabel("cumulative share")
    axis.legend(frameon=False, fontsize=10)
    return svg(figure)


def histogram(values: np.ndarray, label: str, color: str) -> str:
    """Counts of instances by size, in bins that are equal on a logarithmic axis."""
    figure, axis = axes()
    positive = values[values > 0]
    low, high = positive.min(), positive.max()
    if low == high:
        low, high = low * 0.9, high * 1.1
    bins = np.geomspace(low, high, int(np.clip(np.sqrt(len(positive)), 6, 40)) + 1)
    axis.hist(positive, bins=bins, color=color, edgecolor=INK, linewidth=0.6)
    _size_axis(axis, low, high)
    axis.set_xlabel(label)
    axis.set_ylabel("instances")
    axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.grid(axis="y", color=GRID, linewidth=0.8)
    return svg(figure)


def phase_picture(mask: np.ndarray, phases: Phases, pixels: np.ndarray | None = None) -> np.ndarray:
    """The mask in its colours, laid over the micrograph where there is one; uint8 (height, width, 3) RGB."""
    return phases.palette()[mask] if pixels is None else overlay(pixels, mask, phases, alpha=0.45)


def crack_picture(cracks: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Cracks in red, a pixel wider than they are, on a grey ground; uint8 (height, width, 3) RGB.

    Args:
        cracks: Boolean (height, width).
        ground: The micrograph, (height, width), or anything else to lay them on.
    """
    picture = np.repeat(display(ground)[..., None], 3, axis=2)
    picture[cv2.dilate(cracks.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0] = (230, 30, 40)
    return picture


def instance_picture(labels: np.ndarray, pixels: np.ndarray | None = None) -> np.ndarray:
    """Instances in changing colours with dark outlines; uint8 (height, width, 3) RGB.

    Args:
        labels: Label image, int32 (height, width); 0 = none.
        pixels: The micrograph, (height, width), or None for a white ground.
    """
    # A fixed, scattered hue for each label: neighbours, whose labels are close, get far-apart hues.
    count = int(labels.max()) + 1
    hue = (np.arange(count) * 0.61803398875) % 1
    table = np.clip(np.abs((hue[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    table = (70 + 175 * table).astype(np.float32)
    ground = np.full(labels.shape, 255, np.uint8) if pixels is None else display(pixels)
    picture = np.repeat(ground[..., None], 3, axis=2).astype(np.float32)
    inside = labels > 0
    picture[inside] = 0.45 * picture[inside] + 0.55 * table[labels[inside]]
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    picture[edge] = (20, 28, 36)
    return picture.astype(np.uint8)
