"""Outlines of particles: sizes and parameters in, a gauge for each particle out (1 on its surface, 0 in its centre)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cathode_tf.synthesis.parameters import Parameters

_FACETS = 12
_CORNER = 1.35  # how far a corner may stand out, in units of the ellipsoid


@dataclass(frozen=True)
class Shapes:
    """Ellipsoids, or ground pieces with flat faces; axes are (depth, row, column), in pixels.

    Attributes:
        forms: (n, 3, 3), symmetric; the ellipsoid is where v form v = 1.
        facets: (n, facets, 3), half-spaces facet v <= 1; no facets where all particles are ellipsoids.
        angularity: Weight of the half-spaces against the ellipsoid.
        reach: (n,), how far a particle extends from its centre.
    """

    forms: np.ndarray
    facets: np.ndarray
    angularity: float
    reach: np.ndarray

    def gauge(self, index: int, dz: float, dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
        """float32 (rows, columns), distance from the centre of a particle in units of its surface.

        Args:
            index: The particle.
            dz: Depth above its centre.
            dy: float32 (rows,), rows below its centre.
            dx: float32 (columns,), columns right of its centre.
        """
        form = self.forms[index]
        round_ = np.add.outer(
            (2 * form[1, 2]) * dy + np.float32(2 * form[0, 2] * dz), np.float32(form[2, 2]) * dx
        )
        round_ *= dx
        round_ += (
            form[1, 1] * dy * dy + np.float32(2 * form[0, 1] * dz) * dy + np.float32(form[0, 0] * dz * dz)
        )[:, None]
        np.maximum(round_, 0, out=round_)
        np.sqrt(round_, out=round_)
        if not self.angularity:
            return round_
        flat = round_ * np.float32(1 / _CORNER)
        for facet in self.facets[index]:
            np.maximum(flat, np.add.outer(facet[1] * dy + np.float32(facet[0] * dz), facet[2] * dx), out=flat)
        flat -= round_
        flat *= np.float32(self.angularity)
        flat += round_
        return flat


def draw_shapes(rng: np.random.Generator, radii: np.ndarray, parameters: Parameters) -> Shapes:
    """Outlines that each enclose the volume of the sphere of its radius; pressed particles come to lie flat."""
    count = radii.size
    press = 1.0 - parameters.calendering
    long = rng.standard_normal((count, 3))
    long[:, 1] *= press**2
    long /= np.linalg.norm(long, axis=1, keepdims=True)
    short = rng.standard_normal((count, 3))
    short[:, 1] /= press**2
    short -= (short * long).sum(axis=1, keepdims=True) * long
    short /= np.linalg.norm(short, axis=1, keepdims=True)
    frames = np.stack([long, short, np.cross(long, short)], axis=1)

    stretch = 1 + np.minimum(np.abs(rng.standard_normal(count)) * parameters.elongation, 0.6)
    flat = 1 - np.clip(parameters.flatness * rng.uniform(0.6, 1.4, count), 0, 0.85)
    axes = np.stack([stretch, stretch**-0.5 * flat ** (2 / 3), stretch**-0.5], axis=1)
    axes[:, [0, 2]] *= flat[:, None] ** (-1 / 3)
    to_sphere = frames / (axes * radii[:, None])[:, :, None]

    sphere = _directions(400)
    if parameters.angularity <= 0:
        forms = np.einsum("nki,nkj->nij", to_sphere, to_sphere)
        return Shapes(
            forms.astype(np.float32), np.zeros((count, 0, 3), np.float32), 0.0, radii * axes.max(axis=1)
        )

    normals = rng.standard_normal((count, _FACETS, 3))
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    normals /= rng.uniform(0.72, 1.1, (count, _FACETS, 1))
    growth, corner = np.empty(count), np.empty(count)
    for start in range(0, count, 512):  # bounds the memory that directions x facets take
        part = slice(start, start + 512)
        flat_gauge = np.maximum((normals[part] @ sphere.T).max(axis=1), 1 / _CORNER)
        gauge = 1 + parameters.angularity * (flat_gauge - 1)
        growth[part] = (gauge**-3.0).mean(axis=1) ** (1 / 3)
        corner[part] = 1 / gauge.min(axis=1)
    to_sphere *= growth[:, None, None]
    forms = np.einsum("nki,nkj->nij", to_sphere, to_sphere)
    facets = np.einsum("nfk,nki->nfi", normals, to_sphere)
    reach = radii * axes.max(axis=1) * corner / growth
    return Shapes(forms.astype(np.float32), facets.astype(np.float32), parameters.angularity, reach)


def _directions(count: int) -> np.ndarray:
    """Unit vectors (count, 3) spread evenly over the sphere."""
    along = 1 - 2 * (np.arange(count) + 0.5) / count
    around = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    across = np.sqrt(1 - along**2)
    return np.stack([along, across * np.cos(around), across * np.sin(around)], axis=1)
