"""A reconstruction and its raw slices in; its middle, made again with each step changed by its own uncertainty, out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cathode_tf.tomography.curtains import curtains_in_doubt, find_curtains, without_curtains
from cathode_tf.tomography.reconstruction import Reconstruction
from cathode_tf.tomography.slices import Stack
from cathode_tf.tomography.transforms import Transforms, sampled

SLICES, SIDE = 64, 192
"""So much of the volume's middle is made again."""
MARGIN = 48
DRAWS = 2
"""How often what is random is drawn."""


@dataclass(frozen=True)
class Perturbed:
    """The middle of a volume, made again.

    Attributes:
        step: Which step was changed; "" = none.
        how: By how much.
        grey: float32 (z, y, x).
        voxel: Edges along z, y, x; nm, or pixels where a length is unknown.
    """

    step: str
    how: str
    grey: np.ndarray
    voxel: tuple[float, float, float]


def perturbations(made: Reconstruction, stack: Stack, *, seed: int = 0) -> Iterator[Perturbed]:
    """The middle of the volume as it is, then with each step off by one standard uncertainty.

    A step that was left out, or of whose uncertainty nothing is known, does not come.

    Args:
        made: What `reconstruct` returned.
        stack: The raw slices it was made of.
        seed: The same seed draws the same.
    """
    middle = _Middle(made, stack, seed)
    voxel, record = middle.voxel, made.record
    yield Perturbed("", "as reconstructed", middle.grey(), voxel)
    for step, how, changes in middle.changes():
        for change in changes:
            yield Perturbed(step, how, middle.grey(**change), voxel)
    off = _thickness_off(record.get("thickness", {}))
    if off is not None:
        share, why = off
        how = f"mean thickness {share:+.0%}, {why}"
        yield Perturbed("thickness", how, middle.grey(), (voxel[0] * (1 + share), voxel[1], voxel[2]))


def _thickness_off(thickness: dict[str, Any]) -> tuple[float, str] | None:
    """By which share the mean thickness may be wrong, and why; None = nothing is known of it."""
    ratio, u = (math.nan if (value := thickness.get(name)) is None else value for name in ("ratio", "u_mean"))
    if not math.isfinite(ratio):
        return None
    off = min(max(ratio - 1, -0.5), 0.5)
    if math.isfinite(u) and abs(off) < u:
        return min(u, 0.5), "by how sure the image tells it"
    return off, "by which image and metadata disagree"


class _Middle:
    """Raw pixels of the middle, and what was taken from and added to them; each slice is read and cleaned once."""

    def __init__(self, made: Reconstruction, stack: Stack, seed: int) -> None:
        self._record, self._rng = made.record, np.random.default_rng(seed)
        edges = made.record["geometry"]["voxel_nm"]
        self.voxel = (1.0, 1.0, 1.0) if None in edges else (float(edges[0]), float(edges[1]), float(edges[2]))
        entries = [entry for entry in made.record["slices"] if "shift_px" in entry]
        self._transforms = Transforms.from_dict(made.record["transforms"], entries)
        self._numbers = _middle_run(len(stack), stack.missing)
        height, width = self._transforms.shape
        self._rows, self._columns = _middle_slice(height), _middle_slice(width)
        self._raw: list[np.ndarray] = []
        self._gone: list[np.ndarray | float] = []
        self._doubt: list[np.ndarray | None] = []
        self._steady: list[np.ndarray | None] = []
        self._corners: list[tuple[int, int]] = []
        for index in self._numbers:
            self._take(stack.read(index), index)
        light = self._transforms.light
        self._light = 1.0 if light is None else light.at(height, width)[self._rows, self._columns]

    def _take(self, pixels: np.ndarray, index: int) -> None:
        """What of one slice lies in the middle."""
        made = self._transforms
        rows, columns = self._places(index)
        values = sampled(pixels, rows, columns)
        steady = None if made.pattern is None else made.pattern.at(rows, columns)
        gone = np.zeros_like(values) if steady is None else steady
        doubt = None
        if made.curtains:
            cleaned = values - gone
            strength = find_curtains(cleaned)
            _, own = without_curtains(cleaned, strength)
            gone = gone if own is None else gone + own
            doubt = curtains_in_doubt(cleaned, strength, self._rng)
        part = (self._rows, self._columns)
        self._gone.append(gone[part])
        self._steady.append(None if steady is None else steady[part])
        self._doubt.append(None if doubt is None else doubt[part])
        corner = (
            max(0, int(rows[self._rows][0]) - MARGIN),
            max(0, int(columns[self._columns][0]) - MARGIN),
        )
        ends = [int(place[cut][-1]) + MARGIN for place, cut in zip((rows, columns), part, strict=True)]
        self._raw.append(pixels[corner[0] : ends[0], corner[1] : ends[1]])
        self._corners.append(corner)

    def _places(self, index: int) -> list[np.ndarray]:
        made = self._transforms
        return [
            made.origin_px[axis]
            + np.arange(made.shape[axis]) * made.step_px[axis]
            + made.shift_px[index, axis]
            for axis in (0, 1)
        ]

    def grey(
        self,
        shift: np.ndarray | None = None,
        gain: np.ndarray | None = None,
        steady: float = 0.0,
        doubt: float = 0.0,
    ) -> np.ndarray:
        """The middle, float32 (z, y, x).

        Args:
            shift: (n, 2), by how many raw pixels each slice is taken elsewhere.
            gain: (n,), by what its gain is multiplied.
            steady: By which share the steady curtains are stronger.
            doubt: How much of the draw of doubtful curtains stays.
        """
        layers = []
        for k, index in enumerate(self._numbers):
            move = np.zeros(2) if shift is None else shift[k]
            rows, columns = self._places(index)
            values = sampled(
                self._raw[k],
                rows[self._rows] - self._corners[k][0] + move[0],
                columns[self._columns] - self._corners[k][1] + move[1],
            )
            values = values - self._gone[k]
            still, unsure = self._steady[k], self._doubt[k]
            if steady and still is not None:
                values = values - steady * still
            if doubt and unsure is not None:
                values = values + doubt * unsure
            factor = float(self._transforms.gain[index]) * (1.0 if gain is None else gain[k])
            layers.append(values * np.float32(factor) / self._light)
        return np.array(layers, np.float32)

    def changes(self) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
        """Step, by how much, and arguments of `grey`."""
        rng, count = self._rng, len(self._numbers)
        alignment = self._record["alignment"]
        if alignment:
            first = self._numbers[0]
            steps = alignment["steps"][first : first + count - 1]
            u = np.array(
                [[v if v is not None and math.isfinite(v) else 1.0 for v in s["u_px"]] for s in steps]
            )
            yield (
                "drift",
                f"each step by {np.sqrt(np.square(u).mean()):.2f} px",
                [{"shift": _level(np.r_[np.zeros((1, 2)), (rng.standard_normal(u.shape) * u).cumsum(0)])}
                 for _ in range(DRAWS)],
            )  # fmt: skip
            slope, why = _trend(alignment["trend"])
            if np.abs(slope).max() > 1e-4:
                places = np.arange(count) - (count - 1) / 2
                yield "trend", why, [{"shift": places[:, None] * slope}]
        pattern = self._transforms.pattern
        relative = pattern.u_grey / max(pattern.strength, 1e-6) if pattern is not None else 0.0
        if relative or any(part is not None for part in self._doubt):
            how = "by what in them may be structure"
            yield "curtains", how, [{"steady": s * relative, "doubt": s} for s in (1.0, -1.0)]
        u_gain = self._record.get("u_gain")
        if u_gain is not None and math.isfinite(u_gain):
            yield (
                "flicker",
                f"the gain of each slice by {u_gain:.1%}",
                [{"gain": 1 + rng.normal(0, u_gain, count)} for _ in range(DRAWS)],
            )


def _trend(trend: dict[str, Any]) -> tuple[np.ndarray, str]:
    """By which trend the volume may lean otherwise, raw pixels a slice."""
    half, kept = trend.get("half_width_px"), np.array(trend["kept_px"], float)
    if half is not None:
        sure = np.array([v if v is not None and math.isfinite(v) else 0.0 for v in half]) / 1.96
        return sure, f"by ({sure[0]:.3f}, {sure[1]:.3f}) px a slice"
    if trend["kind"] == "remove":
        kept = np.array(trend["geometry_px"], float) - np.array(trend["taken_px"], float)
        return kept, f"the ({kept[0]:.3f}, {kept[1]:.3f}) px a slice that were removed are structure"
    return kept, f"the ({kept[0]:.3f}, {kept[1]:.3f}) px a slice that were kept are drift"


def _level(shift: np.ndarray) -> np.ndarray:
    """A walk without its trend: that is another step's."""
    place = np.arange(len(shift))
    return shift - np.column_stack([np.polyval(np.polyfit(place, column, 1), place) for column in shift.T])


def _middle_run(count: int, missing: dict[int, int]) -> list[int]:
    """Up to `SLICES` slices from the middle of the longest run without a gap."""
    ends = [0, *sorted(missing), count]
    low, high = max(itertools.pairwise(ends), key=lambda run: run[1] - run[0])
    first = low + max(0, (high - low - SLICES) // 2)
    return list(range(first, min(high, first + SLICES)))


def _middle_slice(length: int) -> slice:
    first = max(0, (length - SIDE) // 2)
    return slice(first, min(length, first + SIDE))
