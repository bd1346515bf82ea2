"""A small label volume in; a picture of each phase's surface, lit from the upper left, out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from cathode_tf.phases import Phases

LIGHT = np.array([0.45, -0.65, 0.62])
LEAST, MOST = 0.005, 0.9
"""A phase that fills less of the volume is not seen; one that fills more hides all that could be seen."""


def surface_pictures(
    labels: np.ndarray, spacing: tuple[float, float, float], phases: Phases, unit: str
) -> dict[str, np.ndarray]:
    """A picture of the surface of each phase but the pores, cut off at the faces of the volume, uint8 RGB, by name.

    Args:
        labels: Phase ids (z, y, x), some 70 voxels a side.
        spacing: Edges of the voxels.
        phases: Names, ids and colours.
        unit: `"um"` or `"px"`, for the axes.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes

    found = {}
    for phase in phases.entries:
        solid = labels == phase.id
        if phase.role == "pore" or min(labels.shape) < 4 or not LEAST < solid.mean() < MOST:
            continue
        # A layer of nothing all around closes what the faces of the volume cut.
        smooth = np.pad(gaussian_filter(solid.astype(np.float32), 0.7, mode="nearest"), 1)
        if smooth.max() <= 0.5:
            continue
        points, faces, normals, _ = marching_cubes(smooth, 0.5, spacing=spacing)
        ends = np.multiply(labels.shape, spacing)
        points = np.clip(points - np.multiply(0.5, spacing), 0, ends)
        found[phase.name] = _drawn(
            points[:, ::-1], faces, normals[:, ::-1], labels.shape, spacing, phase.color, unit
        )
    return found


def _drawn(
    points: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    shape: tuple[int, ...],
    spacing: tuple[float, float, float],
    color: str,
    unit: str,
) -> np.ndarray:
    figure = Figure(figsize=(6.4, 5.6), dpi=110)
    canvas = FigureCanvasAgg(figure)
    axis: Any = figure.add_axes((0.02, 0.02, 0.88, 0.96), projection="3d")
    shade = 0.45 + 0.55 * np.abs(normals[faces].mean(1) @ LIGHT)
    colors = np.clip(shade[:, None] * np.array(to_rgb(color)) + 0.08, 0, 1)
    axis.add_collection3d(Poly3DCollection(points[faces], facecolors=colors, linewidths=0, antialiased=False))
    ends = [side * edge for side, edge in zip(reversed(shape), reversed(spacing), strict=True)]
    for name, end in zip("xyz", ends, strict=True):
        getattr(axis, f"set_{name}lim")(0, end)
        getattr(axis, f"set_{name}label")(f"{name}, {'µm' if unit == 'um' else 'px'}")
    axis.invert_yaxis()  # rows run downwards
    axis.set_box_aspect(ends)
    axis.view_init(elev=24, azim=-58)
    canvas.draw()
    return _trimmed(np.asarray(canvas.buffer_rgba())[..., :3])


def _trimmed(picture: np.ndarray, margin: int = 12) -> np.ndarray:
    """Without the white around what is drawn; a flat volume leaves much of it."""
    drawn: np.ndarray = np.any(picture < 255, axis=-1)
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    return picture[top : rows[-1] + margin, left : columns[-1] + margin].copy()
