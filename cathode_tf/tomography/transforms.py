"""Raw slices and the record of a reconstruction in; slices of the volume out, each voxel from a known raw place.

A voxel of row r and column c of the volume shows the raw pixel
    row    = origin_px[0] + r * step_px[0] + shift_px[0]
    column = origin_px[1] + c * step_px[1] + shift_px[1]
of its slice. Everything that is done to grey levels is done after that one resampling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.tomography.brightness import Field
from cathode_tf.tomography.curtains import Pattern, find_curtains, without_curtains


@dataclass
class Transforms:
    """Everything that is done to the slices of a stack.

    Attributes:
        shape: (height, width) of the volume's slices.
        origin_px: Raw (row, column) of the volume's first voxel, before the slice's shift.
        step_px: Raw rows and columns a voxel.
        shift_px: float64 (n, 2), by slice.
        gain: float64 (n,), by slice.
        curtains: Whether curtains are looked for in each slice.
        pattern: Curtains that stay in place; None = none.
        light: The illumination; None = even.
    """

    shape: tuple[int, int]
    origin_px: tuple[float, float]
    step_px: tuple[float, float]
    shift_px: np.ndarray
    gain: np.ndarray
    curtains: bool = False
    pattern: Pattern | None = None
    light: Field | None = None
    _light: np.ndarray | None = field(default=None, repr=False)

    def stages(self, pixels: np.ndarray, index: int) -> dict[str, np.ndarray]:
        """The slice after each step, float32 (height, width); steps that change nothing give the same array again."""
        place = [
            self.origin_px[axis]
            + np.arange(self.shape[axis]) * self.step_px[axis]
            + self.shift_px[index, axis]
            for axis in (0, 1)
        ]
        values = sampled(pixels, place[0], place[1])
        found = {"align": values}
        if self.pattern is not None:
            values = values - self.pattern.at(place[0], place[1])
        if self.curtains:
            values, _ = without_curtains(values, find_curtains(values))
        found["curtains"] = values
        if self.light is not None:
            if self._light is None:
                self._light = self.light.at(*self.shape)
            values = values / self._light
        found["background"] = values
        if self.gain[index] != 1.0:
            values = values * np.float32(self.gain[index])
        found["brightness"] = values
        return found

    def apply(self, pixels: np.ndarray, index: int) -> np.ndarray:
        """The slice of the volume, of the raw slice's own type."""
        return as_type(self.stages(pixels, index)["brightness"], pixels.dtype)

    def to_dict(self) -> dict[str, Any]:
        """For `reconstruction.json`, without what belongs to single slices."""
        modes = None if self.pattern is None else np.round(self.pattern.modes.astype(float), 3)
        return {
            "shape": list(self.shape),
            "origin_px": list(self.origin_px),
            "step_px": list(self.step_px),
            "formula": "raw row = origin_px[0] + row * step_px[0] + shift_px[0] of the slice; columns alike",
            "curtains": self.curtains,
            "pattern": None
            if self.pattern is None
            else {"height": self.pattern.height, "modes": modes, "u_grey": round(self.pattern.u_grey, 4)},
            "light": None if self.light is None else list(self.light.terms),
        }

    @staticmethod
    def from_dict(content: dict[str, Any], slices: Sequence[dict[str, Any]]) -> Transforms:
        """What `to_dict` and the slices' own entries say.

        Raises:
            InputError: If something is missing.
        """
        try:
            pattern = content["pattern"]
            return Transforms(
                (int(content["shape"][0]), int(content["shape"][1])),
                (float(content["origin_px"][0]), float(content["origin_px"][1])),
                (float(content["step_px"][0]), float(content["step_px"][1])),
                np.array([entry["shift_px"] for entry in slices], float).reshape(-1, 2),
                np.array([entry["gain"] for entry in slices], float),
                bool(content["curtains"]),
                None
                if pattern is None
                else Pattern(
                    np.array(pattern["modes"], np.float32),
                    int(pattern["height"]),
                    float(pattern.get("u_grey", 0.0)),
                ),
                None if content["light"] is None else Field(tuple(content["light"])),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(
                f"--from: must be a reconstruction.json of cathode-tf. It lacks {error}."
            ) from error

    def rounded(self) -> Transforms:
        """As they come back from the file, so that a repetition gives the same bytes."""
        entries = [
            {"shift_px": shift, "gain": gain}
            for shift, gain in zip(
                np.round(self.shift_px, 5).tolist(), np.round(self.gain, 6).tolist(), strict=True
            )
        ]
        return Transforms.from_dict(self.to_dict(), entries)


def common_field(
    shape: tuple[int, int], shift_px: np.ndarray, row_step: float
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Shape of the volume's slices and its raw origin, such that every slice covers all of it.

    Raises:
        InputError: If less than 16 rows or columns are common to all slices.
    """
    low = np.ceil(np.maximum(0 - shift_px.min(0), 0) - 1e-9)
    high = np.array(shape, float) - 1 - np.maximum(shift_px.max(0), 0)
    steps = (row_step, 1.0)
    sides = [math.floor((high[axis] - low[axis]) / steps[axis] + 1e-6) + 1 for axis in (0, 1)]
    if min(sides) < 16:
        raise InputError(
            f"slices: must have at least 16 rows and columns in common. The first and the last lie "
            f"{abs(shift_px[-1][0]):.0f} rows and {abs(shift_px[-1][1]):.0f} columns apart on slices of "
            f"{shape[1]} x {shape[0]} px. Reconstruct the stack in parts."
        )
    return (sides[0], sides[1]), (float(low[0]), float(low[1]))


def sampled(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The slice at these raw rows and columns, linear between pixels, float32 (len(rows), len(columns))."""
    first, share = _between(rows, pixels.shape[0])
    values = pixels.astype(np.float32, copy=False)
    if share.any():
        values = values[first] * (1 - share)[:, None] + values[first + (share > 0)] * share[:, None]
    else:
        values = values[first]
    first, share = _between(columns, pixels.shape[1])
    if share.any():
        return values[:, first] * (1 - share) + values[:, first + (share > 0)] * share
    return values[:, first]


def _between(places: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    places = np.clip(places, 0, length - 1)
    first = np.minimum(np.floor(places + 1e-6).astype(int), length - 1)
    share = places - first
    share[np.abs(share) < 1e-5] = 0
    return first, share.astype(np.float32)


def as_type(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Rounded into the range of the type."""
    top = np.iinfo(dtype).max
    return np.clip(np.rint(values), 0, top).astype(dtype)
