"""A phase of a label volume in, its tortuosity factor along an axis out, by a solver that others maintain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cathode_tf.statistics.estimate import NO_INTERVAL, Estimate
from cathode_tf.volumes.grains import coarse_share

SOLVED_VOXELS = 2_000_000
REFERENCE = "PoreSpy: Gostick et al., JOSS 4 (2019) 1296; definition: Cooper et al., SoftwareX 5 (2016) 203"


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
        spacing: Voxel edge lengths; the solver wants cubes, so blocks are made as cubic as they can be.
        axis: 0, 1 or 2: along z, y or x.

    Returns:
        tau >= 1 in principle; refused where the phase does not reach from face to face, where no solver is
        installed, or where it finds no solution.

    Reference:
        Cooper et al., SoftwareX 5 (2016) 203; solved by PoreSpy (Gostick et al., JOSS 4 (2019) 1296).
    """
    fields: dict[str, Any] = {
        "n": 1,
        "unit_of_replication": "volume",
        "method": "tortuosity factor from steady diffusion through the voxels (PoreSpy)",
        "reference": REFERENCE,
    }
    simulations = _solver()
    if simulations is None:
        return Estimate.refused(
            'no solver is installed: pip install "cathode-tf[volumes]" brings one', **fields
        )
    shrink = _cubic_shrink(shape, spacing)
    solid = coarse_share(read_solid, shape, shrink) >= 0.5
    edges = [edge * by for edge, by in zip(spacing, shrink, strict=True)]
    if max(edges) > 1.1 * min(edges):
        return Estimate.refused(
            f"voxels of {edges[0]:.3g} x {edges[1]:.3g} x {edges[2]:.3g} cannot be made cubic by whole steps",
            **fields,
        )
    if not _reaches(solid, axis):
        return Estimate.refused("the phase does not reach from face to face along this axis", **fields)
    try:
        value = float(simulations(solid, axis))
    except Exception as error:  # hours of other measures must not be lost with it
        return Estimate.refused(f"PoreSpy could not solve this volume ({error})", **fields)
    if not np.isfinite(value):
        return Estimate.refused(f"PoreSpy's solution is {value}", **fields)
    flags = {NO_INTERVAL: "one volume says nothing about the spread between volumes"}
    if max(shrink) > 1:
        flags["COARSENED"] = f"solved on blocks of {' x '.join(map(str, shrink))} voxels"
    return Estimate(value, flags=flags, **fields)


def _cubic_shrink(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> tuple[int, int, int]:
    """Blocks as cubic as whole numbers of voxels allow, few enough to be solved."""
    edge = max(spacing)
    while True:
        shrink = [max(1, round(edge / each)) for each in spacing]
        if np.prod([-(-side // by) for side, by in zip(shape, shrink, strict=True)]) <= SOLVED_VOXELS:
            return shrink[0], shrink[1], shrink[2]
        edge += max(spacing)


def _reaches(solid: np.ndarray, axis: int) -> bool:
    from scipy import ndimage

    labels, _ = ndimage.label(solid)
    first, last = np.take(labels, 0, axis), np.take(labels, -1, axis)
    return bool(np.intersect1d(first[first > 0], last[last > 0]).size)


def _solver() -> Callable[[np.ndarray, int], float] | None:
    """PoreSpy's solver, or None; what PoreSpy changes in numpy and its progress bars is put back."""
    settings = np.geterr()
    try:
        import openpnm  # noqa: F401 - PoreSpy's solver imports it when it is called
        import porespy
    except ImportError:
        return None
    finally:
        np.seterr(**settings)

    def solve(solid: np.ndarray, axis: int) -> float:
        porespy.settings.tqdm["disable"] = True
        porespy.settings.loglevel = 40
        before = np.geterr()
        try:
            return porespy.simulations.tortuosity_fd(im=solid, axis=axis).tortuosity
        finally:
            np.seterr(**before)

    return solve
