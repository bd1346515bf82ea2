"""Pixels, reference and prediction in, one picture out that shows where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cathode_tf.files import atomic_file
from cathode_tf.imaging import display
from cathode_tf.imaging.legends import heading, text_height, with_legend
from cathode_tf.phases import IGNORE, Phases

PANEL_PX = 900
"""Larger images are thinned to this side for pictures."""

LEAST_PANEL_PX = 400
"""Smaller images are enlarged, each pixel to a square of pixels."""


def draw_evaluation(
    path: str | Path,
    pixels: np.ndarray,
    reference: np.ndarray,
    prediction: np.ndarray,
    phases: Phases,
    *,
    title: str,
    pixel_size_nm: float | None = None,
    force: bool = False,
) -> Path:
    """Write a picture of four panels: micrograph, reference, prediction, and where they differ.

    Args:
        path: PNG file.
        pixels: uint8 or uint16 (height, width).
        reference: Phase ids, uint8 (height, width); 255 is shown in black.
        prediction: Phase ids, uint8 (height, width).
        phases: Names and colours.
        title: Stands above the panels.
        pixel_size_nm: Edge of a pixel; None = unknown, then there is no scale bar.
        force: Replace an existing file.
    """
    from PIL import Image

    labelled = reference != IGNORE
    share = (labelled & (reference != prediction)).sum() / max(labelled.sum(), 1)
    colors = {phase.name: phase.color for phase in phases}
    if not labelled.all():
        colors["not labelled"] = "#000000"
    step = -(-max(pixels.shape) // PANEL_PX)
    grey = display(pixels)[::step, ::step]
    reference, prediction = reference[::step, ::step], prediction[::step, ::step]
    palette = phases.palette()
    panels = {
        "micrograph": np.repeat(grey[..., None], 3, -1),
        "reference": palette[reference],
        "prediction": palette[prediction],
        f"{share:.1%} differ: in the prediction's colour": disagreement(grey, reference, prediction, phases),
    }
    # Whole pixels become whole pixels: binder films are a pixel or two wide.
    zoom = max(1, -(-LEAST_PANEL_PX // max(grey.shape)))
    picture = _montage({name: panel.repeat(zoom, 0).repeat(zoom, 1) for name, panel in panels.items()}, title)
    size = None if pixel_size_nm is None else pixel_size_nm * step / zoom
    with atomic_file(path, force=force) as temporary:
        Image.fromarray(with_legend(picture, colors, pixel_size_nm=size)).save(temporary, "PNG")
    return Path(path)


def _montage(panels: Mapping[str, np.ndarray], title: str) -> np.ndarray:
    """Four panels of one size, two by two, each under its name, all under the title; RGB."""
    height, width = next(iter(panels.values())).shape[:2]
    text_px = text_height(2 * height, 2 * width)
    gap = np.full((1, text_px // 2, 3), 255, np.uint8)
    cells = [np.vstack([heading(name, width, text_px), panel]) for name, panel in panels.items()]
    between = gap.repeat(len(cells[0]), 0)
    rows = [np.hstack([left, between, right]) for left, right in (cells[:2], cells[2:])]
    return np.vstack([heading(title, rows[0].shape[1], text_px), *rows])


def disagreement(
    grey: np.ndarray, reference: np.ndarray, prediction: np.ndarray, phases: Phases
) -> np.ndarray:
    """The micrograph, pale where reference and prediction agree, in the predicted phase's colour where not.

    Args:
        grey: uint8 (height, width).
        reference: Phase ids; 255 counts as agreement.
        prediction: Phase ids.
        phases: The colours.

    Returns:
        RGB, uint8 (height, width, 3).
    """
    pale = (grey // 2 + 120).astype(np.uint8)
    wrong = (reference != prediction) & (reference != IGNORE)
    return np.where(wrong[..., None], phases.palette()[prediction], pale[..., None])
