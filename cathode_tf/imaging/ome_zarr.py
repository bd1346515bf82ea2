"""What an OME-Zarr folder says of its voxels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Edges = tuple[float | None, float | None, float | None]
"""Edges of a voxel along z, y, x, in nm; None = unknown."""

NM_PER = {"nanometer": 1.0, "micrometer": 1e3, "millimeter": 1e6, "angstrom": 0.1, "meter": 1e9}


def voxel_edges(attributes: Mapping[str, Any]) -> Edges:
    """Edges of a voxel of the finest level along z, y, x, in nm; None where the unit is not stated.

    Args:
        attributes: Of the zarr group; versions 0.4 and 0.5 of the format are understood.

    Example:
        >>> axes = [{"name": n, "unit": "micrometer"} for n in "zyx"]
        >>> level = {"coordinateTransformations": [{"type": "scale", "scale": [0.02, 0.005, 0.005]}]}
        >>> voxel_edges({"multiscales": [{"axes": axes, "datasets": [level]}]})
        (20.0, 5.0, 5.0)
    """
    scales = (attributes.get("ome") or attributes).get("multiscales")
    if not scales:
        return (None, None, None)
    axes, level = scales[0]["axes"], scales[0]["datasets"][0]
    edges = [1.0] * len(axes)
    for source in (level, scales[0]):
        for transform in source.get("coordinateTransformations", []):
            if transform.get("type") == "scale":
                edges = [edge * by for edge, by in zip(edges, transform["scale"], strict=True)]
    units = [NM_PER.get(str(axis.get("unit"))) if isinstance(axis, Mapping) else None for axis in axes]
    z, y, x = (
        None if unit is None else edge * unit for edge, unit in zip(edges[-3:], units[-3:], strict=True)
    )
    return (z, y, x)
