"""What is known of the cut in; how raw rows become the volume's, and how the picture moves a slice, out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.tomography.slices import Stack

STEPS = ("tilt", "align", "curtains", "background", "brightness", "thickness")
TRENDS = ("keep", "remove", "particles", "edge")
VIEWS = ("fixed", "followed")
BY_HAND = "given by hand"


@dataclass(frozen=True)
class Settings:
    """What a reconstruction is told.

    Attributes:
        tilt_deg: Angle between the imaging beam and the cut face, 90 = straight on; None = as the files say.
        view: `"fixed"`: the picture moves as the face recedes; `"followed"`: the field of view was moved along with
            it; None = as the files say.
        voxel_size_nm: Slice thickness, and height and width of a raw pixel before the tilt is corrected.
        trend: What becomes of the trend that geometry does not explain: `"keep"` it in the volume as structure that
            leans, `"remove"` it as drift, or take the drift from `"particles"`, which do not lean, or from an `"edge"`.
        edge_px: (row, column, height, width) of the raw window with an edge that is straight along z.
        without: Steps left out, of `STEPS`.
        isotropic: Resample along z to voxels that are cubes.
        order: Of the slices: `"name"` or `"z"`.
        gaps: `"refuse"` missing slices, or `"fill"` them.
        detector: Takes only this detector's slices.
        databar: `"auto"`, `"none"` or rows.
    """

    tilt_deg: float | None = None
    view: str | None = None
    voxel_size_nm: tuple[float, float, float] | None = None
    trend: str = "keep"
    edge_px: tuple[int, int, int, int] | None = None
    without: tuple[str, ...] = ()
    isotropic: bool = False
    order: str = "name"
    gaps: str = "refuse"
    detector: str | None = None
    databar: str | int = "auto"

    def __post_init__(self) -> None:
        if self.tilt_deg is not None and not 10 <= self.tilt_deg <= 90:
            raise InputError(
                "--tilt-deg: must be the angle between the imaging beam and the cut face, 10 to 90 (straight on). "
                f"Received {self.tilt_deg:g}."
            )
        sizes = self.voxel_size_nm
        if sizes is not None and not (len(sizes) == 3 and all(math.isfinite(s) and s > 0 for s in sizes)):
            raise InputError(f"--voxel-size-nm: must be three lengths above 0. Received {sizes}.")
        for name, value, allowed in (
            ("--trend", self.trend, TRENDS),
            ("--view", self.view, (None, *VIEWS)),
            ("--order", self.order, ("name", "z")),
            ("--gaps", self.gaps, ("refuse", "fill")),
        ):
            if value not in allowed:
                words = ", ".join(str(a) for a in allowed if a)
                raise InputError(f"{name}: must be one of {words}. Received {value}.")
        for step in self.without:
            if step not in STEPS:
                raise InputError(f"--without: must be one of {', '.join(STEPS)}. Received {step}.")
        if (self.trend == "edge") != (self.edge_px is not None):
            raise InputError("--trend edge: needs --edge-px ROW COLUMN HEIGHT WIDTH, and only it does.")

    def does(self, step: str) -> bool:
        return step not in self.without


@dataclass(frozen=True)
class Geometry:
    """How the raw slices lie in the volume.

    Attributes:
        row_step: Raw rows in one row of the volume; columns stay.
        slope_px: By how many raw rows the picture moves with each slice, for the geometry alone; the sign is that
            of a receding face, which moves up.
        voxel_nm: Edges of the volume's voxels along z, y, x; None = unknown.
        angle_deg: Between beam and face; None = nobody said.
        said: What was taken from where, sentences.
    """

    row_step: float
    slope_px: float
    voxel_nm: tuple[float | None, float | None, float | None]
    angle_deg: float | None
    said: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For `reconstruction.json`."""
        return {
            "angle_deg": self.angle_deg,
            "row_step": self.row_step,
            "slope_px": self.slope_px,
            "voxel_nm": list(self.voxel_nm),
            "said": list(self.said),
        }


def find_geometry(stack: Stack, settings: Settings) -> Geometry:
    """The geometry, from what was given by hand and what the files say; whatever neither says is asked for.

    Raises:
        InputError: If the tilt is unknown, or it is unknown whether the view followed the face and that matters.
    """
    said: list[str] = []
    thickness, row_nm, column_nm = _lengths(stack, settings, said)
    angle, corrected = _angle(stack, settings, said)
    if angle is None:
        edge = row_nm if settings.voxel_size_nm else None
        return Geometry(1.0, 0.0, (thickness, edge, column_nm), None, tuple(said))
    sine = math.sin(math.radians(angle))
    if corrected:
        row_step = 1.0
        said.append("The microscope has stretched the rows for the tilt already.")
    else:
        square = 1.0 if row_nm is None or column_nm is None else column_nm / row_nm
        row_step = sine * square
        if abs(row_step - 1) > 1e-9:
            said.append(f"Rows are stretched by 1 / sin {angle:g} = {1 / sine:.4g}.")
    slope = 0.0
    # Straight on, the face recedes along the beam, and nothing moves.
    if angle < 89.95 and settings.does("align") and settings.trend == "keep":
        slope = _slope(stack, settings, angle, thickness, row_nm, corrected, said)
    edge = column_nm if not corrected else row_nm
    return Geometry(row_step, slope, (thickness, edge, column_nm), angle, tuple(said))


def _lengths(
    stack: Stack, settings: Settings, said: list[str]
) -> tuple[float | None, float | None, float | None]:
    """Thickness, height and width of a raw pixel."""
    if settings.voxel_size_nm is not None:
        z, y, x = (float(edge) for edge in settings.voxel_size_nm)
        said.append(f"Thickness {z:g} nm, raw pixels {y:g} x {x:g} nm: {BY_HAND}.")
        for name, given, stated in (("thickness", z, stack.thickness_nm), ("pixels", x, stack.pixel_size_nm)):
            if stated and abs(given / stated - 1) > 0.01:
                said.append(f"The files state another {name}: {stated:.5g} nm.")
        return z, y, x
    size = stack.pixel_size_nm
    said.append(
        f"Raw pixels {size:.5g} nm: {stack.pixel_size_source}."
        if size
        else "The pixel size is unknown: no length has a unit (give --voxel-size-nm)."
    )
    said.append(
        f"Thickness {stack.thickness_nm:.5g} nm: {stack.thickness_source}."
        if stack.thickness_nm
        else "The slice thickness is unknown (give --voxel-size-nm)."
    )
    return stack.thickness_nm, size, size


def _angle(stack: Stack, settings: Settings, said: list[str]) -> tuple[float | None, bool]:
    cut = stack.slices[0].cut
    angle, corrected = settings.tilt_deg, cut.corrected
    if not settings.does("tilt"):
        said.append("The tilt is left out: rows stay as they are.")
        return None, True
    if angle is not None:
        said.append(f"Angle between beam and cut face {angle:g} degrees: {BY_HAND}.")
        return angle, bool(corrected) and angle < 89.95
    if cut.angle_deg is None:
        raise InputError(
            f"{stack.slices[0].path}: does not say at which angle the beam meets the cut face. Give --tilt-deg: 52, 54 "
            "... as the columns stand, or 90 if it looks straight on, or if the rows are stretched already."
        )
    if corrected is None:
        raise InputError(
            f"{stack.slices[0].path}: states an angle of {cut.angle_deg:g} degrees ({cut.source}), but not whether "
            f"the microscope has stretched the rows for it. Give --tilt-deg {cut.angle_deg:g} if it has not, or 90 if "
            "it has."
        )
    said.append(f"Angle between beam and cut face {cut.angle_deg:.4g} degrees: {cut.source}.")
    return cut.angle_deg, corrected


def _slope(
    stack: Stack,
    settings: Settings,
    angle: float,
    thickness: float | None,
    row_nm: float | None,
    corrected: bool,
    said: list[str],
) -> float:
    view = settings.view or _view(stack, angle, thickness, said)
    if view is None:
        raise InputError(
            f"{stack.slices[0].path}: does not say whether the field of view followed the face as it receded. Give "
            "--view fixed if it stayed (the picture then moves with every slice), --view followed if it was moved "
            "along, or --trend remove."
        )
    if view == "followed":
        said.append("The view followed the face.")
        return 0.0
    if thickness is None or row_nm is None:
        raise InputError(
            f"{stack.slices[0].path}: at {angle:g} degrees with a fixed view the picture moves with every slice; "
            "by how much, only thickness and pixel size can tell. Give --voxel-size-nm Z Y X."
        )
    radians = math.radians(angle)
    move = thickness * math.cos(radians) / row_nm
    if corrected:
        move /= math.sin(radians)
    said.append(f"The receding face moves the picture by {move:.3g} px a slice along the rows.")
    return -move


def _view(stack: Stack, angle: float, thickness: float | None, said: list[str]) -> str | None:
    """What the positions of beam and stage along y say; None where they are not stated."""
    places = [item.cut.view_y_nm for item in stack.slices]
    if thickness is None or any(place is None for place in places):
        return None
    numbers = np.arange(len(places))
    moved = abs(float(np.polyfit(numbers, np.array(places, float), 1)[0]))
    ratio = moved / (thickness * math.cos(math.radians(angle)))
    if ratio > 0.7:
        said.append("Beam shift and stage moved along y with the face, by their metadata.")
        return "followed"
    return None
