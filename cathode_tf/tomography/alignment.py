"""Steps between the slices and the geometry of the cut in; how far each slice is moved back, and why, out."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.progress import track
from cathode_tf.tomography.first_pass import Found, named
from cathode_tf.tomography.geometry import Geometry, Settings
from cathode_tf.tomography.path import Path, find_path, too_many_refused
from cathode_tf.tomography.slices import Stack
from cathode_tf.tomography.transforms import Transforms, common_field
from cathode_tf.tomography.trends import particles_lean, thinning
from cathode_tf.tomography.work import ahead


class Alignment:
    """The alignment of a stack.

    Args:
        stack: The slices.
        settings: `trend` and `edge_px` count.
        geometry: Of the cut.
        found: Of the first pass.

    Attributes:
        shift_px: float64 (n, 2), raw (row, column) by which each slice is displaced.
        record: For `reconstruction.json`: steps, what was refused and how it was bridged, the trend.
        said: What was done, a few sentences.
        warnings: Slices to look at.

    Raises:
        InputError: If most slices do not look like the one before.
    """

    def __init__(self, stack: Stack, settings: Settings, geometry: Geometry, found: Found) -> None:
        self._stack, self._settings, self._geometry, self._found = stack, settings, geometry, found
        path = find_path(found.steps(), found.across(), stack.missing)
        if too_many_refused(path):
            raise InputError(
                f"{stack.slices[0].path.parent}: the slices must show one volume, in order. {len(path.refused)} of "
                f"{len(path.steps_px)} do not look like the one before ({named(sorted(path.refused))}). Check their "
                "order, or give --without align."
            )
        slope, trend = self._trend(path)
        self.shift_px = path.shifts(slope)
        self.warnings = [
            f"{stack.slices[later].name}: its step was refused ({reason}); {path.bridged[later]} was taken."
            for later, reason in path.refused.items()
        ]
        drift = float(np.sqrt(np.square(path.wander_px).mean()))
        self.said = (
            "Nothing but chance moves the slices. "
            if path.still
            else f"Drift of {drift:.2f} px a step (rms). "
        ) + f"{len(path.refused)} of {len(path.steps_px)} steps refused. {trend['said']}"
        steps = [
            {
                "px": step,
                "u_px": u,
                "refused": path.refused.get(number, ""),
                "bridged": path.bridged.get(number, ""),
            }
            for number, (step, u) in enumerate(
                zip(path.steps_px.tolist(), path.u_px.tolist(), strict=True), 1
            )
        ]
        self.record: dict[str, Any] = {"still": path.still, "drift_px": drift, "trend": trend, "steps": steps}

    def _trend(self, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
        """By how much the picture is taken to move with each slice, raw (row, column), and the record of it."""
        kind = self._settings.trend
        told = np.array([self._geometry.slope_px, 0.0])
        if abs(path.trend_px[0] + told[0]) < abs(path.trend_px[0] - told[0]):
            told = -told  # the picture hangs upside down
        half = None
        if kind == "keep":
            taken = told
        elif kind == "remove":
            taken = path.trend_px
        else:
            taken, half = self._edge(path) if kind == "edge" else self._particles(path)
        kept = path.trend_px - taken
        said = {
            "keep": f"Beyond the geometry {_pair(kept)} px a slice are kept: drift, or structure that leans, nobody "
            "can tell.",
            "remove": f"{_pair(taken)} px a slice are removed as drift.",
        }.get(kind)
        if said is None and half is not None:
            said = (
                f"By the {kind}, {_pair(taken)} px a slice are drift, within {_pair(half)} at 95 %; {_pair(kept)} are "
                "kept as structure."
            )
        return taken, {
            "kind": kind,
            "found_px": path.trend_px,
            "u_found_px": path.u_trend_px,
            "geometry_px": told,
            "taken_px": taken,
            "kept_px": kept,
            "half_width_px": half,
            "said": said,
        }

    def _edge(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """The drift of the edge; across it only, where it is straight."""
        edge = find_path(self._found.steps("edge"), {}, self._stack.missing)
        if too_many_refused(edge):
            raise InputError(
                f"--edge-px: must hold an edge that all slices show. Received {self._settings.edge_px}."
            )
        known = np.isfinite(edge.u_trend_px) & (edge.u_px < 1.0).all(0)
        return np.where(known, edge.trend_px, path.trend_px), np.where(known, 1.96 * edge.u_trend_px, np.inf)

    def _particles(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """The drift at which round particles do not lean."""
        stack, step = self._stack, (self._geometry.row_step, 1.0)
        shift = path.shifts(path.trend_px)
        shape, origin = common_field(stack.shape, shift, step[0])
        flat = Transforms(shape, origin, step, shift, np.ones(len(stack)))
        thin = thinning((len(stack), *shape))

        def small(index: int) -> np.ndarray:
            values = flat.stages(stack.read(index), index)["align"]
            return cv2.blur(values, (thin, thin))[::thin, ::thin] if thin > 1 else values

        numbers = range(len(stack))
        coarse = np.stack(list(track(ahead(small, numbers), "Looking for particles", total=len(stack))))
        z, _, x = self._geometry.voxel_nm
        lean = particles_lean(coarse, (z / x / thin if z and x else 1.0 / thin, 1.0, 1.0))
        if lean is None:
            raise InputError(
                "--trend particles: must find at least 8 whole, round, bright particles. It found fewer. "
                "Give --trend keep or remove."
            )
        scale = thin * np.array(step)
        return path.trend_px + np.array(lean.slope) * scale, np.array(lean.half_width) * scale


def _pair(values: np.ndarray) -> str:
    return f"({values[0]:.3f}, {values[1]:.3f})"
