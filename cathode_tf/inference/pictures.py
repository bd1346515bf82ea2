"""Pixels, reference and prediction in, one picture out that shows where they differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cathode_tf.files import atomic_file
from cathode_tf.imaging import display
from cathode_tf.phases import IGNORE, Phases

DPI = 110

PANEL_PX = 900
"""Larger images are thinned to this side for pictures."""


def draw_evaluation(
    path: str | Path,
    pixels: np.ndarray,
    reference: np.ndarray,
    prediction: np.ndarray,
    phases: Phases,
    *,
    title: str,
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
        force: Replace an existing file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    labelled = reference != IGNORE
    share = (labelled & (reference != prediction)).sum() / max(labelled.sum(), 1)
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
    height, width = grey.shape
    # One pixel of the picture for one of the (thinned) image, or nearly: binder films are a pixel or two wide.
    panel_in = max(width / DPI, 2.5)
    figure = Figure(figsize=(2 * panel_in, 2 * max(height / DPI, 1.0) + 1.3), dpi=DPI)
    FigureCanvasAgg(figure)
    for axes, (name, image) in zip(figure.subplots(2, 2).ravel(), panels.items(), strict=True):
        axes.imshow(image, interpolation="nearest")
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    figure.suptitle(title, fontsize=11)
    handles = [Patch(color=phase.color, label=phase.name) for phase in phases.entries]
    if (reference == IGNORE).any():
        handles.append(Patch(color="black", label="not labelled"))
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=9)
    tall = figure.get_figheight()
    figure.subplots_adjust(
        left=0.01, right=0.99, top=1 - 0.6 / tall, bottom=0.4 / tall, wspace=0.02, hspace=0.3 / tall * 2
    )
    with atomic_file(path, force=force) as temporary:
        figure.savefig(temporary)
    return Path(path)


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
