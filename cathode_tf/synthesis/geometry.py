"""A cathode in 3-D, cut by a plane: parameters in, the phases and particles of one section out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cathode_tf.synthesis.fields import fractal_field, smooth_field, top_pixels
from cathode_tf.synthesis.packing import draw_radii, pack_spheres
from cathode_tf.synthesis.parameters import Parameters

PORE, NCM, ADDITIVE, BINDER = 0, 1, 2, 3
_REACH = 1.35  # particles may grow to this multiple of their packed radius to meet the loading


@dataclass
class Section:
    """What the cut shows, and what only the maker knows.

    Attributes:
        mask: uint8 (height, width) of phase ids.
        labels: int32 (height, width), the secondary particle of each pixel, 0 = none; cracks and inner pores
            carry their particle's number.
        depth: float32 (height, width), scaled distance from the particle's centre: 0 centre, 1 surface.
        diameters_px: 3-D diameters of the particles in `labels`, by label - 1.
        population_px: 3-D diameters of all packed particles.
    """

    mask: np.ndarray
    labels: np.ndarray
    depth: np.ndarray
    diameters_px: np.ndarray
    population_px: np.ndarray


def cut_section(rng: np.random.Generator, height: int, width: int, parameters: Parameters) -> Section:
    """One section through a freshly packed cathode."""
    median_px = parameters.particle_um * 500.0 / parameters.pixel_size_nm
    smallest = max(1.5, median_px * np.exp(-2.5 * parameters.particle_sigma))
    largest = median_px * np.exp(2.5 * parameters.particle_sigma)
    depth_px = 2.2 * largest
    box = (depth_px, max(height, 2.2 * largest), max(width, 2.2 * largest))
    load = min(parameters.ncm_fraction, 0.62)
    radii = draw_radii(
        rng, median_px, parameters.particle_sigma, load * float(np.prod(box)), (smallest, largest)
    )
    centres = pack_spheres(rng, radii, box)
    scaled, owner = _nearest_particle(rng, height, width, centres, radii, np.asarray(box), parameters)

    # Scaling all particles by one factor meets the loading of this section exactly.
    ncm = top_pixels(-scaled, np.isfinite(scaled), round(parameters.ncm_fraction * height * width))
    factor = float(scaled[ncm].max()) if ncm.any() else 1.0
    present = np.unique(owner[ncm])
    relabel = np.zeros(radii.size + 1, np.int32)
    relabel[present] = np.arange(1, present.size + 1)
    labels = np.where(ncm, relabel[owner], 0).astype(np.int32)
    mask = _fill_between(rng, ncm, parameters)
    diameters = 2 * radii * factor
    return Section(mask, labels, (scaled / np.float32(factor)), diameters[present - 1], diameters)


def _nearest_particle(rng, height, width, centres, radii, box, parameters) -> tuple[np.ndarray, np.ndarray]:
    """Scaled distance to the nearest particle's centre (inf: far from all) and its number, from 1."""
    scaled = np.full((height, width), np.inf, np.float32)
    owner = np.zeros((height, width), np.int32)
    typical = float(np.median(radii))
    rough = 1 + np.float32(parameters.roughness) * fractal_field(rng, height, width, 0.7 * typical, octaves=3)
    np.clip(rough, 0.6, 1.5, out=rough)
    above = centres[:, 0] - box[0] / 2
    for index in np.flatnonzero(np.abs(above) < _REACH * radii):
        reach = np.sqrt((_REACH * radii[index]) ** 2 - above[index] ** 2)
        for shift_y in _copies(centres[index, 1], reach, height, box[1]):
            for shift_x in _copies(centres[index, 2], reach, width, box[2]):
                y, x = centres[index, 1] + shift_y, centres[index, 2] + shift_x
                top, bottom = max(0, int(y - reach)), min(height, int(y + reach) + 2)
                left, right = max(0, int(x - reach)), min(width, int(x + reach) + 2)
                if top >= bottom or left >= right:
                    continue
                dy = (np.arange(top, bottom, dtype=np.float32) - np.float32(y))[:, None]
                dx = (np.arange(left, right, dtype=np.float32) - np.float32(x))[None, :]
                window = (slice(top, bottom), slice(left, right))
                distance = np.sqrt(dy * dy + (dx * dx + np.float32(above[index] ** 2)))
                distance *= rough[window] / np.float32(radii[index])
                closer = (distance < scaled[window]) & (distance < _REACH)
                np.copyto(scaled[window], distance, where=closer)
                owner[window][closer] = index + 1
    return scaled, owner


def _copies(position: float, reach: float, length: int, period: float) -> list[float]:
    """Shifts under which a periodic particle touches the image along one axis."""
    return [s for s in (-period, 0.0, period) if position + s + reach >= 0 and position + s - reach < length]


def _fill_between(rng: np.random.Generator, ncm: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Carbon clusters and binder between the particles, each with exactly its fraction of the section."""
    height, width = ncm.shape
    mask = np.where(ncm, NCM, PORE).astype(np.uint8)
    size = parameters.particle_um * 1000.0 / parameters.pixel_size_nm
    free = ~ncm
    near = cv2.GaussianBlur(ncm.astype(np.float32), (0, 0), max(1.0, 0.06 * size))
    clusters = fractal_field(rng, height, width, max(4.0, 0.35 * size), octaves=3)
    additive = top_pixels(clusters, free, round(parameters.additive_fraction * ncm.size))
    mask[additive] = ADDITIVE
    free &= ~additive
    # Binder sits where particles come close (necks), along their surfaces (films), with some chance in it.
    where = 6.0 * near + smooth_field(rng, height, width, max(3.0, 0.3 * size)) + 0.4 * clusters
    mask[top_pixels(where, free, round(parameters.binder_fraction * ncm.size))] = BINDER
    return mask
