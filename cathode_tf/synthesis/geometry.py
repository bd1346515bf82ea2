"""A cathode in 3-D, cut by a plane: parameters in, the phases, particles and cracks of one section out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cathode_tf.synthesis.cracks import Cracks, crack_particles, grain_map
from cathode_tf.synthesis.fields import fractal_field, smooth_field, top_pixels
from cathode_tf.synthesis.packing import Packing, pack
from cathode_tf.synthesis.parameters import Parameters

PORE, NCM, ADDITIVE, BINDER = 0, 1, 2, 3
# To meet the loading, particles may grow to this multiple of their packed radius; seldom is the second needed.
_REACHES = (1.5, 2.5)


@dataclass(frozen=True)
class Section:
    """What the cut shows, and what only the maker knows.

    Attributes:
        mask: uint8 (height, width) of phase ids.
        labels: int32 (height, width), the secondary particle of each pixel, 0 = none; cracks and inner pores
            carry their particle's number.
        scaled: float32 (height, width), distance from the particle's centre over its radius; 1 at the surface.
        grains: int32 (height, width), primary grains.
        behind: float32 (height, width), 0-1: how near below the cut the next active material lies.
        cracks: What was broken, by label.
        diameters_px: Volume-equivalent 3-D diameters of the particles in `labels`, by label - 1.
        population_px: The same of all packed particles.
    """

    mask: np.ndarray
    labels: np.ndarray
    scaled: np.ndarray
    grains: np.ndarray
    behind: np.ndarray
    cracks: Cracks
    diameters_px: np.ndarray
    population_px: np.ndarray


def cut_section(rng: np.random.Generator, height: int, width: int, parameters: Parameters) -> Section:
    """One section through a freshly packed cathode; its phase fractions are those of the parameters."""
    packing = pack(rng, height, width, parameters)
    typical = parameters.particle_um * 1000.0 / parameters.pixel_size_nm
    press = 1.0 - parameters.calendering
    bumps = fractal_field(rng, height, width, max(3.0, 0.35 * typical), octaves=4)
    bumps = np.clip(1 + np.float32(parameters.roughness) * bumps, 0.6, 1.5)
    grains, seeds = grain_map(rng, height, width, parameters.grain_um * 1000 / parameters.pixel_size_nm)
    wanted = round(parameters.ncm_fraction * height * width)
    stream = int(rng.integers(2**62))
    for reach in _REACHES:
        rng = np.random.default_rng(stream)
        scaled, owner, particle = nearest_particle(packing, bumps, packing.box[0] / 2, reach)
        cracks = crack_particles(rng, owner, grains, seeds, parameters)
        gaps = _contact_gaps(rng, owner, parameters)
        holes = _inner_pores(rng, scaled, owner, typical, parameters)
        solid = np.isfinite(scaled) & ~cracks.open & ~holes & ~gaps
        if np.count_nonzero(solid) >= wanted:
            break

    # Scaling all particles by one factor meets the loading of this very section.
    ncm = top_pixels(-scaled, solid, wanted)
    factor = float(scaled[ncm].max())
    inside = (scaled <= factor) & ~gaps
    present = np.flatnonzero(np.bincount(owner[ncm], minlength=particle.size))
    relabel = np.zeros(particle.size, np.int32)
    relabel[present] = np.arange(1, present.size + 1)
    labels = relabel[owner] * inside

    mask = _fill_between(rng, ncm, inside, typical, press, parameters)
    diameters = 2 * packing.radii * factor
    return Section(
        mask=mask,
        labels=labels,
        scaled=scaled / np.float32(factor),
        grains=grains,
        behind=_behind(packing, bumps, factor, typical, parameters),
        cracks=cracks.of(present, inside),
        diameters_px=diameters[particle[present]],
        population_px=diameters,
    )


def nearest_particle(
    packing: Packing, bumps: np.ndarray, plane: float, most: float
) -> tuple[np.ndarray, ...]:
    """The particles on a plane.

    Each particle only touches the window around it, so the cost is that of the area the particles cover.

    Args:
        packing: The particles.
        bumps: float32 (height, width), local factor of the distance: the rough outline.
        plane: Depth of the plane in the box.
        most: Largest scaled distance at which a pixel still belongs to a particle.

    Returns:
        float32 (height, width), scaled distance to the nearest particle's centre, inf far from all; int32
        (height, width), the number of that particle on this plane, from 1, 0 = none; and (n + 1,) the particle of
        the packing by that number (entry 0 stands for none). A particle seen at two edges has two numbers.
    """
    height, width = bumps.shape
    scaled = np.full((height, width), np.inf, np.float32)
    owner = np.zeros((height, width), np.int32)
    below = plane - packing.centres[:, 0]
    below -= packing.box[0] * np.round(below / packing.box[0])
    numbered: list[int] = [0]
    reach = 1.1 * most * packing.radii * packing.stretch
    for index in np.flatnonzero(np.abs(below) < reach).tolist():
        radius = float(np.sqrt(reach[index] ** 2 - below[index] ** 2))
        for y in _copies(packing.centres[index, 1], radius, height, packing.box[1]):
            for x in _copies(packing.centres[index, 2], radius, width, packing.box[2]):
                top, bottom = max(0, int(y - radius)), min(height, int(y + radius) + 2)
                left, right = max(0, int(x - radius)), min(width, int(x + radius) + 2)
                if top >= bottom or left >= right:
                    continue
                dy = np.arange(top - y, bottom - y, dtype=np.float32)[: bottom - top, None]
                dx = np.arange(left - x, right - x, dtype=np.float32)[None, : right - left]
                window = (slice(top, bottom), slice(left, right))
                distance = _ellipsoid(packing, index, np.float32(below[index]), dy, dx)
                distance *= bumps[window]
                closer = distance < np.minimum(scaled[window], most)
                np.copyto(scaled[window], distance, where=closer)
                if closer.any():
                    owner[window][closer] = len(numbered)
                    numbered.append(index)
    return scaled, owner, np.asarray(numbered)


def _ellipsoid(packing: Packing, index: int, dz: np.float32, dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
    """Distance from a particle's centre in units of its surface: 1 on the ellipsoid."""
    stretch = packing.stretch[index]
    across = np.float32(stretch / packing.radii[index] ** 2)
    along = np.float32(1 / (stretch * packing.radii[index]) ** 2) - across
    uz, uy, ux = packing.axes[index].astype(np.float32)
    projected = (uy * dy + uz * dz) + ux * dx
    projected *= projected
    projected *= along
    projected += across * (dy * dy + dz * dz) + across * (dx * dx)
    return np.sqrt(projected, out=projected)


def _copies(position: float, reach: float, length: int, period: float) -> list[float]:
    """Places at which a periodic particle touches the image along one axis."""
    shifts = (position - period, position, position + period)
    return [place for place in shifts if place + reach >= 0 and place - reach < length]


def _contact_gaps(rng, owner: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Gaps between neighbours, of changing width: here wide, there the particles truly touch."""
    height, width = owner.shape
    gap = parameters.contact_gap_um * 1000 / parameters.pixel_size_nm
    if gap <= 0:
        return np.zeros(owner.shape, bool)
    seam = np.ones(owner.shape, np.uint8)
    seam[:, :-1][(owner[:, :-1] != owner[:, 1:]) & (owner[:, :-1] > 0) & (owner[:, 1:] > 0)] = 0
    seam[:-1][(owner[:-1] != owner[1:]) & (owner[:-1] > 0) & (owner[1:] > 0)] = 0
    half = 0.5 * gap * (1 + 0.8 * smooth_field(rng, height, width, 12 * gap + 6))
    return cv2.distanceTransform(seam, cv2.DIST_L2, 5) < half


def _inner_pores(
    rng, scaled: np.ndarray, owner: np.ndarray, typical: float, parameters: Parameters
) -> np.ndarray:
    """Pores inside the particles, more of them near the centres and in some particles than in others."""
    if parameters.inner_porosity <= 0:
        return np.zeros(scaled.shape, bool)
    height, width = scaled.shape
    inner = scaled < 0.85
    spongy = rng.normal(0, 0.7, int(owner.max()) + 1).astype(np.float32)
    potential = (
        fractal_field(rng, height, width, max(2.0, parameters.inner_pore_ratio * typical), octaves=2)
        + spongy[owner]
    )
    potential -= 1.5 * np.where(inner, scaled, 1) ** 2
    return top_pixels(potential, inner, round(parameters.inner_porosity * np.count_nonzero(scaled < 1)))


def _fill_between(
    rng, ncm: np.ndarray, inside: np.ndarray, typical: float, press: float, parameters: Parameters
) -> np.ndarray:
    """Carbon and binder between the particles, each with exactly its fraction of the section."""
    height, width = ncm.shape
    mask = np.where(ncm, NCM, PORE).astype(np.uint8)
    free = ~inside
    cluster = max(2.5, parameters.additive_um * 1000 / parameters.pixel_size_nm)
    compact = fractal_field(rng, height, width, cluster, octaves=4, flatten=press)
    strings = -np.abs(fractal_field(rng, height, width, 0.8 * cluster, octaves=3, flatten=press))
    clusters = (1 - parameters.additive_chains) * compact + parameters.additive_chains * (
        2 * strings + 0.5 * compact
    )
    if parameters.carbon_coating > 0:
        particles = inside.astype(np.float32)
        wide, wider = (cv2.GaussianBlur(particles, (0, 0), max(1.6, k * typical)) for k in (0.1, 0.3))
        clusters += np.float32(4 * parameters.carbon_coating) * (wide + 0.5 * wider)
    additive = top_pixels(clusters, free, round(parameters.additive_fraction * ncm.size))
    mask[additive] = ADDITIVE
    free &= ~additive

    # The blurred solid is high along surfaces (films) and highest in the necks between them (bridges).
    film = max(0.8, 0.05 * typical)
    solid = (inside | additive).astype(np.float32)
    near = cv2.GaussianBlur(solid, (0, 0), film) + 0.5 * cv2.GaussianBlur(solid, (0, 0), 3 * film)
    patchy = smooth_field(rng, height, width, max(3.0, 0.5 * typical), flatten=press)
    webs = -np.abs(fractal_field(rng, height, width, max(3.0, 0.4 * typical), octaves=3, flatten=press))
    share = parameters.binder_webs
    where = (1 - share) * (4 * near + 0.7 * patchy) + share * (3 * webs + 1.0 * near)
    mask[top_pixels(where, free, round(parameters.binder_fraction * ncm.size))] = BINDER
    return mask


def _behind(
    packing: Packing, bumps: np.ndarray, factor: float, typical: float, parameters: Parameters
) -> np.ndarray:
    """How near below the cut active material lies, 1 at the cut to 0 out of sight; made at low resolution."""
    height, width = bumps.shape
    total = np.zeros((height, width), np.float32)
    if parameters.imaging.shine_through <= 0:
        return total
    shrink = 4
    small = Packing(
        packing.centres / shrink, packing.radii / shrink, packing.axes, packing.stretch, packing.box / shrink
    )
    coarse = cv2.resize(bumps, (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA)
    seen = np.zeros(coarse.shape, np.float32)
    for depth in (0.12, 0.3, 0.55):
        plane = (packing.box[0] / 2 + depth * typical) / shrink
        hit = nearest_particle(small, coarse, plane, factor)[0] < factor
        np.maximum(seen, np.float32(np.exp(-2.5 * depth)) * hit, out=seen)
    return cv2.resize(cv2.GaussianBlur(seen, (0, 0), 0.8), (width, height), interpolation=cv2.INTER_LINEAR)
