"""A phase of a label volume in, its tortuosity factor along an axis out, on voxels of any proportions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.linalg import cg

from cathode_tf.statistics.estimate import NO_INTERVAL, Estimate
from cathode_tf.volumes.grains import coarse_share, coarse_shrink

SOLVED_VOXELS = 2_000_000
"""Larger volumes are solved on blocks of voxels."""

TOLERANCE = 1e-5
MOST_STEPS = 20_000
REFERENCE = "Cooper et al., SoftwareX 5 (2016) 203"


def tortuosity_factor(
    read_solid: Callable[[int, int], np.ndarray],
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    axis: int,
) -> Estimate:
    """Tortuosity factor tau = fraction / relative diffusivity, from steady diffusion through the phase.

    Args:
        read_solid: Boolean (layers, y, x) of the layers from start to stop.
        shape: Of the volume.
        spacing: Voxel edge lengths.
        axis: 0, 1 or 2: along z, y or x.

    Returns:
        tau >= 1; refused where the phase does not reach from face to face.

    Reference:
        Cooper et al., SoftwareX 5 (2016) 203 (finite volumes, concentrations held on both faces).
    """
    fields: dict[str, Any] = {
        "n": 1,
        "unit_of_replication": "volume",
        "method": "tortuosity factor from steady diffusion through the voxels",
        "reference": REFERENCE,
    }
    shrink = coarse_shrink(shape, spacing, SOLVED_VOXELS)
    solid = coarse_share(read_solid, shape, shrink) >= 0.5
    z, y, x = (edge * by for edge, by in zip(spacing, shrink, strict=True))
    diffusivity = relative_diffusivity(solid, (z, y, x), axis)
    if diffusivity is None:
        return Estimate.refused("the phase does not reach from face to face along this axis", **fields)
    flags = {NO_INTERVAL: "one volume says nothing about the spread between volumes"}
    if max(shrink) > 1:
        flags["COARSENED"] = f"solved on blocks of {' x '.join(map(str, shrink))} voxels"
    return Estimate(float(solid.mean()) / diffusivity, flags=flags, **fields)


def relative_diffusivity(
    solid: np.ndarray, spacing: tuple[float, float, float], axis: int, *, tolerance: float = TOLERANCE
) -> float | None:
    """Effective over free diffusivity of a phase along an axis; None where it does not reach from face to face.

    Args:
        solid: Boolean (z, y, x), the phase; all else lets nothing through.
        spacing: Voxel edge lengths along z, y, x.
        axis: 0, 1 or 2.
        tolerance: Relative residual at which the solution is taken.

    Example:
        >>> solid = np.zeros((6, 4, 4), bool); solid[:, 1, 2] = True
        >>> round(float(relative_diffusivity(solid, (3.0, 1.0, 1.0), 0)), 6)  # a straight channel, 1/16 of the area
        0.0625
    """
    solid = np.moveaxis(solid, axis, 0)
    edges = np.array([spacing[axis], *(edge for other, edge in enumerate(spacing) if other != axis)], float)
    through = _through(solid)
    if not through.any():
        return None
    number = np.full(through.shape, -1, np.int32)
    number[through] = np.arange(np.count_nonzero(through), dtype=np.int32)
    count = int(number.max()) + 1
    # Conductance between the centres of two voxels: area they share over their distance.
    weights = math.prod(edges) / edges**2
    diagonal, source = np.zeros(count), np.zeros(count)
    rows, columns, values = [], [], []
    for step, weight in enumerate(weights):
        one, other = np.moveaxis(number, step, 0)[:-1], np.moveaxis(number, step, 0)[1:]
        both = (one >= 0) & (other >= 0)
        a, b = one[both], other[both]
        diagonal += weight * (np.bincount(a, minlength=count) + np.bincount(b, minlength=count))
        rows += [a, b]
        columns += [b, a]
        values.append(np.full(2 * a.size, -weight))
    for face, held in (0, 1.0), (-1, 0.0):
        inside = number[face][number[face] >= 0]
        diagonal[inside] += 2 * weights[0]  # from the face to the centre is half a voxel
        source[inside] += 2 * weights[0] * held
    every = np.arange(count)
    places = (np.concatenate([*rows, every]), np.concatenate([*columns, every]))
    matrix = coo_array((np.concatenate([*values, diagonal]), places), shape=(count, count)).tocsr()
    depth = len(solid)
    start = 1 - (np.nonzero(through)[0] + 0.5) / depth
    root = np.sqrt(diagonal)
    scaled = matrix.multiply(1 / root[:, None]).multiply(1 / root).tocsr()
    found, _ = cg(scaled, source / root, x0=start * root, rtol=tolerance, maxiter=MOST_STEPS)
    level = found / root
    # The flow is the power that the drop of 1 dissipates, which errs by the square of what the levels err.
    power = sum(
        weight * float(np.square(level[a] - level[b]).sum())
        for weight, a, b in zip(weights, rows[::2], columns[::2], strict=True)
    )
    first, last = (number[face][number[face] >= 0] for face in (0, -1))
    power += 2 * weights[0] * float(np.square(1 - level[first]).sum() + np.square(level[last]).sum())
    area = edges[1] * edges[2] * through[0].size
    return power * depth * edges[0] / area


def _through(solid: np.ndarray) -> np.ndarray:
    """The parts of the phase that reach from the first to the last layer."""
    parts, _ = ndimage.label(solid)
    first, last = parts[0], parts[-1]
    joined = np.intersect1d(first[first > 0], last[last > 0])
    return np.isin(parts, joined) if joined.size else np.zeros(solid.shape, bool)
