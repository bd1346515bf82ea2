"""A grey volume, and the same made otherwise, in; what each difference does to porosity, surface, tortuosity, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from skimage.filters import threshold_otsu

from cathode_tf.errors import InputError
from cathode_tf.phases import Phases
from cathode_tf.volumes.grains import coarse_share, coarse_shrink
from cathode_tf.volumes.tortuosity import relative_diffusivity
from cathode_tf.volumes.voxels import Block, add_blocks, slab_sums, surface_per_volume

QUANTITIES = ("porosity", "carbon-binder share", "surface of the pores", "tau_z", "tau_x")
SHINE = "shine-through"
TAU_VOXELS = 150_000
"""Tortuosity is solved on blocks of voxels, so many of them: of changes a coarse grid tells enough."""
LEAST_PEAK = 0.03
"""A grey level is a material if its peak stands out by at least this share of the highest one."""


class Made(Protocol):
    """A grey volume, and by which change of which step it was made; the first one by none."""

    @property
    def step(self) -> str: ...
    @property
    def how(self) -> str: ...
    @property
    def grey(self) -> np.ndarray: ...
    @property
    def voxel(self) -> tuple[float, float, float]: ...


@dataclass(frozen=True)
class Trust:
    """How far a volume's numbers can be trusted.

    Attributes:
        values: By quantity, of the volume as it is; None = cannot be told by grey levels alone.
        unit: Of the surface.
        rows: Step, what was changed, and by quantity the root mean square change.
        total: By quantity, all steps together.
        thresholds: Grey levels between pore, (carbon-binder,) and active material.
        shape: Voxels that were looked at.
    """

    values: dict[str, float | None]
    unit: str
    rows: tuple[tuple[str, str, dict[str, float | None]], ...]
    total: dict[str, float | None]
    thresholds: tuple[float, ...]
    shape: tuple[int, int, int]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Trust:
        """What `dataclasses.asdict` made of it, back from a file.

        Raises:
            InputError: If something is missing.
        """
        try:
            rows = tuple((str(step), str(how), _numbers(changes)) for step, how, changes in content["rows"])
            z, y, x = (int(side) for side in content["shape"])
            levels = tuple(float(level) for level in content["thresholds"])
            values, total = _numbers(content["values"]), _numbers(content["total"])
            return cls(values, str(content["unit"]), rows, total, levels, (z, y, x))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"trust: must be as reconstruct wrote it. It lacks {error}.") from error


def _numbers(values: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: None if values[name] is None else float(values[name]) for name in QUANTITIES}


def how_far_to_trust(made: Iterable[Made], *, known: bool = True) -> Trust:
    """Measure a volume and its likes by one fixed segmentation, thresholds between its grey levels.

    What changes is what counts: the thresholds are no substitute for a trained segmentation, but they are the same
    for all.

    Args:
        made: The volume as it is, then the others.
        known: Whether voxel edges are in nm.
    """
    todo = iter(made)
    base = next(todo)
    thresholds = _thresholds(_smooth(base.grey))
    scale = 1e-3 if known else 1.0
    voxel = (base.voxel[0] * scale, base.voxel[1] * scale, base.voxel[2] * scale)
    labels = _labels(base.grey, thresholds)
    kinds = len(thresholds) + 1
    values = measured(labels, voxel, kinds)
    changes: dict[str, tuple[str, list[dict[str, float | None]]]] = {}
    for other in todo:
        edges = (other.voxel[0] * scale, other.voxel[1] * scale, other.voxel[2] * scale)
        found = measured(_labels(other.grey, thresholds), edges, kinds)
        changes.setdefault(other.step, (other.how, []))[1].append(_less(found, values))
    behind = _seen_through(_smooth(base.grey), labels)
    how = (
        f"{behind.mean():.1%} of the voxels that brighten steadily into the next slice are pores seen through"
    )
    emptied = np.where(behind, 0, labels).astype(np.uint8)
    changes[SHINE] = how, [_less(measured(emptied, voxel, kinds), values)]
    rows = tuple((step, how, {name: _rms(several, name) for name in QUANTITIES})
                 for step, (how, several) in changes.items())  # fmt: skip
    total = {name: _sum([row[2][name] for row in rows]) for name in QUANTITIES}
    shape = base.grey.shape
    return Trust(values, "1/um" if known else "1/px", rows, total, thresholds, (shape[0], shape[1], shape[2]))


def _smooth(grey: np.ndarray) -> np.ndarray:
    return np.array([cv2.GaussianBlur(layer, (0, 0), 1.0) for layer in grey])


def _thresholds(smooth: np.ndarray) -> tuple[float, ...]:
    """Two, if a grey level of its own lies between pore and active material; else one."""
    thin = smooth[:: max(1, len(smooth) // 16)]
    slope = np.array([np.hypot(cv2.Sobel(p, cv2.CV_32F, 1, 0), cv2.Sobel(p, cv2.CV_32F, 0, 1)) for p in thin])
    # Edges between bright and dark are grey, too: only what is flat shows a material.
    flat = thin[slope <= np.median(slope)]
    counts, edges = np.histogram(flat, 96)
    counts = np.pad(gaussian_filter1d(counts.astype(float), 1.5, mode="constant"), 1)
    peaks, _ = find_peaks(counts, prominence=LEAST_PEAK * counts.max(), distance=6)
    if len(peaks) < 3:
        level = threshold_otsu(flat)
        return (float((flat[flat <= level].mean() + flat[flat > level].mean()) / 2),)
    middle = max(peaks[1:-1], key=lambda place: counts[place])
    grey = edges[:-1] + (edges[1] - edges[0]) / 2
    dark, between, bright = (float(grey[place - 1]) for place in (peaks[0], middle, peaks[-1]))
    return (dark + between) / 2, (between + bright) / 2


def _labels(grey: np.ndarray, thresholds: tuple[float, ...]) -> np.ndarray:
    return np.digitize(_smooth(grey), thresholds).astype(np.uint8)


def measured(labels: np.ndarray, voxel: tuple[float, float, float], kinds: int) -> dict[str, float | None]:
    """The `QUANTITIES` of a label volume: 0 = pore, the last of `kinds` = active material, of three 1 = carbon-binder.

    Args:
        labels: uint8 (z, y, x).
        voxel: Edges along z, y, x; their unit is that of the surface.
        kinds: 2 or 3.

    Returns:
        None for what cannot be told. Tortuosity is solved on blocks of voxels, for comparisons.
    """
    phases = Phases.from_names([f"phase{k}" for k in range(kinds)])
    sums: dict[tuple[int, int, int], Block] = {}
    for _, _, more in slab_sums(lambda a, b: labels[a:b], labels.shape, phases):  # type: ignore[arg-type]
        add_blocks(sums, more)
    surface = surface_per_volume(list(sums.values()), voxel)[0].sum()
    pore = labels == 0
    shrink = coarse_shrink(pore.shape, voxel, TAU_VOXELS)  # type: ignore[arg-type]
    blocks = coarse_share(lambda a, b: pore[a:b], pore.shape, shrink) >= 0.5  # type: ignore[arg-type]
    edges = (voxel[0] * shrink[0], voxel[1] * shrink[1], voxel[2] * shrink[2])
    tau = [relative_diffusivity(blocks, edges, axis, tolerance=1e-4) for axis in (0, 2)]
    share = float(blocks.mean())
    return {
        "porosity": float(pore.mean()),
        "carbon-binder share": float((labels == 1).mean()) if kinds == 3 else None,
        "surface of the pores": float(surface),
        "tau_z": share / tau[0] if tau[0] else None,
        "tau_x": share / tau[1] if tau[1] else None,
    }


def _seen_through(smooth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Solid voxels that brighten into the next slice, where the material is the same: a wall that comes nearer."""
    rise = smooth[1:] - smooth[:-1]
    same = (labels[1:] == labels[:-1]) & (labels[:-1] > 0)
    found = np.zeros(labels.shape, bool)
    if same.any():
        noise = 1.4826 * float(np.median(np.abs(rise[same])))
        found[:-1] = same & (rise > 3 * max(noise, 1e-6))
    return found


def _less(one: dict[str, float | None], other: dict[str, float | None]) -> dict[str, float | None]:
    return {
        name: None if (a := one[name]) is None or (b := other[name]) is None else a - b for name in QUANTITIES
    }


def _rms(several: list[dict[str, float | None]], name: str) -> float | None:
    values = [value for changes in several if (value := changes[name]) is not None]
    return float(np.sqrt(np.square(values).mean())) if values else None


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.sqrt(np.square(known).sum())) if known else None
