"""A label volume in; its particles as they were before they cracked, their cracks and fragments, out: `frag3/1`.

What `frag/2` asks of a section, asked of a volume:

1. Parents: the particle phase closed over pores no wider than a crack, cut at its necks. Other solids are never closed.
2. Cracks: pores inside a parent that its own solid closes over, and that are wide sheets for their thickness.
3. Fragments: pieces of a parent's solid that cracks part completely. Nothing above or below can join them any more.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import ndimage

from cathode_tf.particles.instances import DEPTH
from cathode_tf.particles.parents import MIN_FRAGMENT_SHARE, OPENING, SHORTEST
from cathode_tf.statistics.estimate import Estimate, ratio_estimate
from cathode_tf.volumes.distances import distance_inside
from cathode_tf.volumes.grains import VolumeSeparation

DEFINITION = "frag3/1"
REFERENCE = "Gillibert and Jeulin, Image Anal. Stereol. 32 (2013)"
LEAST_OPENING_VOXELS = 3.0
FLAT = 3.0
"""A crack is a sheet at least so many times as wide as it is thick at its thickest."""
MIN_PARENT_VOXELS = 64
METRICS = {
    "crack_volume_fraction": "volume of cracks per volume of particle",
    "fragments_per_particle_3d": "fragments per particle",
    "fragmentation_index_3d": "1 - sum of squared volume shares of the fragments, mean over particles",
    "largest_fragment_ratio_3d": "largest fragment over all fragments of a particle, mean over particles",
    "cracked_particle_share_3d": "share of particles with a crack",
}
_COLUMNS = ["z", "y", "x", "volume", "crack_volume", "fragments", "index", "largest", "touches_border"]

Spacing = tuple[float, float, float]


def crack_opening(pieces: np.ndarray, spacing: Spacing) -> float:
    """How wide a crack may open where nobody said, in the unit of `spacing`: a share of the typical diameter.

    Half of the volume lies in larger pieces than the typical one.
    """
    least = LEAST_OPENING_VOXELS * max(spacing)
    volume = np.sort(np.bincount(pieces.ravel())[1:])
    volume = volume[volume > 0]
    if not volume.size:
        return least
    middle = float(volume[np.searchsorted(np.cumsum(volume), volume.sum() / 2)]) * math.prod(spacing)
    return max(least, OPENING * float(np.cbrt(6 * middle / math.pi)))


def measure_parents(
    solid: np.ndarray,
    pore: np.ndarray,
    spacing: Spacing,
    *,
    opening: float | None = None,
    depth: float = DEPTH,
) -> tuple[pd.DataFrame, float]:
    """Particles as they were before they cracked, one row each, and the widest opening of a crack.

    Args:
        solid: Boolean (z, y, x), the particle phase.
        pore: Boolean (z, y, x); what is neither is another solid.
        spacing: Voxel edge lengths.
        opening: Widest opening of a crack, in the unit of `spacing`; None: `crack_opening`.
        depth: Neck depth at which touching particles are separated.

    Returns:
        `z`, `y`, `x` (centre, voxels), `volume` and `crack_volume` (unit of `spacing`, cubed), `fragments`, `index`
        (fragmentation index), `largest` (share of the largest fragment), `touches_border`.
    """
    if opening is None:
        opening = crack_opening(VolumeSeparation(solid, spacing).labels(depth), spacing)
    closed = ndimage.binary_fill_holes(_closed(solid, spacing, opening) & (solid | pore)) & (solid | pore)
    parents = VolumeSeparation(closed, spacing).labels(depth)
    margin = [int(np.ceil(opening / edge)) + 1 for edge in spacing]
    rows = []
    for number, place in enumerate(ndimage.find_objects(parents), start=1):
        if place is None or np.count_nonzero(parents[place] == number) < MIN_PARENT_VOXELS:
            continue
        room = tuple(
            slice(max(part.start - more, 0), part.stop + more)
            for part, more in zip(place, margin, strict=True)
        )
        cut = any(
            part.start == 0 or part.stop == side for part, side in zip(place, parents.shape, strict=True)
        )
        mine = (parents[room] == number) & solid[room]
        inner = (parents[room] == number) & pore[room]
        if mine.any():
            centre = [part.start + (part.stop - part.start) / 2 for part in place]
            rows.append([*centre, *_measured(mine, inner, spacing, opening), cut])
    return pd.DataFrame(rows, columns=_COLUMNS), opening


def _closed(solid: np.ndarray, spacing: Spacing, opening: float) -> np.ndarray:
    """Closed over gaps up to this width, by a ball; the faces of the volume close nothing."""
    reach = [int(np.ceil(opening / 2 / edge)) + 1 for edge in spacing]
    padded = np.pad(solid, [(by, by) for by in reach])
    grown = distance_inside(~padded, spacing) <= opening / 2
    # Distances run to the next centre, which lies beyond the boundary between them.
    closed = (distance_inside(grown, spacing) > opening / 2) | padded
    inside = tuple(slice(by, -by) for by in reach)
    return closed[inside]


def _measured(mine: np.ndarray, inner: np.ndarray, spacing: Spacing, opening: float) -> list[float]:
    """Volume, crack volume, fragments, index, largest share of one parent in its box."""
    voxel = math.prod(spacing)
    whole = ndimage.binary_fill_holes(_closed(mine, spacing, opening) & (mine | inner)) & (mine | inner)
    cracks = _cracks(whole & ~mine, spacing, float(np.cbrt(6 * whole.sum() * voxel / math.pi)))
    pieces, number = ndimage.label(whole & ~cracks)
    counts = np.bincount(pieces.ravel(), minlength=number + 1)[1:].astype(float)
    counts = counts[counts >= max(8, MIN_FRAGMENT_SHARE * whole.sum())]
    share = counts / max(counts.sum(), 1.0)
    return [
        float(whole.sum()) * voxel,
        float(cracks.sum()) * voxel,
        float(len(counts)),
        1 - float(np.square(share).sum()) if len(counts) else 0.0,
        float(share.max(initial=0.0)),
    ]


def _cracks(gaps: np.ndarray, spacing: Spacing, diameter: float) -> np.ndarray:
    """Gaps that are wide for their thickness."""
    parts, number = ndimage.label(gaps, np.ones((3, 3, 3)))
    if not number:
        return gaps
    half = distance_inside(np.pad(gaps, 1), spacing)[1:-1, 1:-1, 1:-1]
    numbers = np.arange(1, number + 1)
    # From the middle of a voxel to the next one outside: half an edge more on both sides.
    thick = np.maximum(2 * ndimage.maximum(half, parts, numbers) - min(spacing), min(spacing))
    volume = np.bincount(parts.ravel(), minlength=number + 1)[1:] * math.prod(spacing)
    wide = np.sqrt(volume / thick)
    keep = np.append(False, (wide >= FLAT * thick) & (wide >= SHORTEST * diameter))
    return keep[parts]


def fragmentation_estimates(table: pd.DataFrame, shape: tuple[int, int, int]) -> dict[str, Estimate]:
    """The metrics of `METRICS` from the rows of `measure_parents`; intervals from the eighths of the volume.

    Metrics per volume use every parent, those per particle whole ones only.

    Args:
        table: One row a parent.
        shape: Of the grid it was measured on.
    """
    eighth = sum(
        (2**k) * (table[axis] >= side / 2).astype(int) for k, (axis, side) in enumerate(zip("zyx", shape, strict=True))
    )  # fmt: skip
    whole = (~table["touches_border"].astype(bool)).astype(float)
    parts = {
        "crack_volume_fraction": (table["crack_volume"], table["volume"]),
        "fragments_per_particle_3d": (whole * table["fragments"], whole),
        "fragmentation_index_3d": (whole * table["index"], whole),
        "largest_fragment_ratio_3d": (whole * table["largest"], whole),
        "cracked_particle_share_3d": (whole * (table["crack_volume"] > 0), whole),
    }

    def summed(values: pd.Series) -> np.ndarray:
        return np.bincount(eighth, values.astype(float), minlength=8)

    return {
        name: ratio_estimate(
            summed(above),
            summed(below),
            bounds=(0.0, np.inf if name.startswith("fragments") else 1.0),
            unit_of_replication="block",
            method=f"{METRICS[name]} ({DEFINITION})",
            reference=REFERENCE,
            what=METRICS[name],
        )
        for name, (above, below) in parts.items()
    }
