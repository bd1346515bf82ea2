"""Particles packed in a periodic box: loading and sizes in, centres, radii and shapes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from cathode_tf.synthesis.parameters import Parameters
from cathode_tf.synthesis.shapes import Shapes, draw_shapes

_DENSEST = 0.60  # beyond it particles only meet by flattening each other; the section scales them


@dataclass(frozen=True)
class Packing:
    """Particles in a box that repeats itself in every direction; axes are (depth, row, column), in pixels.

    Attributes:
        centres: (n, 3).
        radii: (n,), radius of the sphere of equal volume.
        shapes: The outline of each particle.
        box: (3,).
    """

    centres: np.ndarray
    radii: np.ndarray
    shapes: Shapes
    box: np.ndarray


def pack(
    rng: np.random.Generator, height: float, width: float, parameters: Parameters, *, depth: float = 0.0
) -> Packing:
    """A packing that fills at least depth x height x width pixels, and is no thinner than the largest particle."""
    # What cracks, inner pores and a loading beyond the densest packing need, particles gain by growing in the
    # body; they begin as much smaller.
    lost = parameters.inner_porosity + 0.2 * parameters.fragmentation
    load = min(parameters.ncm_fraction / (1 - lost), _DENSEST)
    growth = (parameters.ncm_fraction / (1 - lost) / load) ** (1 / 3)
    median = parameters.particle_um * 500.0 / parameters.pixel_size_nm / growth
    spread = 2.3 * parameters.particle_sigma
    largest = min(median * np.exp(spread), 0.75 * max(height, width) + 8)
    median = min(median, largest)
    press = 1.0 - parameters.calendering
    tall = max(height, 2.2 * largest)
    deep = max(depth, 2.2 * largest, 4.0 * median)
    box = np.array([deep, tall / press, max(width, 2.2 * largest)])
    volume = load * float(np.prod(box)) * press
    coarse = volume * (1 - parameters.fines_fraction)
    radii = _draw_radii(
        rng, median, parameters.particle_sigma, coarse, (max(1.5, median * np.exp(-spread)), largest)
    )
    if parameters.fines_fraction > 0:
        small = max(2.0, median * parameters.fines_ratio)
        radii = np.concatenate(
            [radii, _draw_radii(rng, small, 0.25, volume - coarse, (0.6 * small, 1.7 * small))]
        )
    centres = spread_apart(rng.uniform(0, 1, (radii.size, 3)) * box, radii, box)
    if parameters.calendering > 0:
        box = box * np.array([1, press, 1])
        centres = spread_apart(centres * np.array([1, press, 1]), radii, box, rounds=6)
    return Packing(centres, radii, draw_shapes(rng, radii, parameters), box)


def _draw_radii(
    rng: np.random.Generator, median: float, sigma: float, volume: float, limits: tuple[float, float]
) -> np.ndarray:
    """Log-normal radii within limits that fill `volume` together (to the nearest particle)."""
    mean_volume = 4 / 3 * np.pi * median**3 * np.exp(4.5 * sigma**2)
    radii = np.empty(0)
    while _volume(radii).sum() < volume:
        drawn = median * np.exp(sigma * rng.standard_normal(int(1.2 * volume / mean_volume) + 8))
        radii = np.concatenate([radii, drawn[(drawn >= limits[0]) & (drawn <= limits[1])]])
    filled = np.cumsum(_volume(radii))
    return radii[: max(1, int(np.argmin(np.abs(filled - volume))) + 1)]


def _volume(radii: np.ndarray) -> np.ndarray:
    return 4 / 3 * np.pi * radii**3


def spread_apart(centres: np.ndarray, radii: np.ndarray, box: np.ndarray, *, rounds: int = 60) -> np.ndarray:
    """Centres (n, 3) moved until spheres in a periodic box hardly overlap.

    Collective rearrangement: every overlapping pair moves apart along its line of centres, the smaller
    sphere further. Dense loadings keep slight overlaps, which the section divides as flat contacts.
    """
    centres = centres.copy()
    for round_ in range(rounds):
        if round_ % 4 == 0:
            # A margin of a tenth of the radius keeps the list of neighbours good for a few rounds.
            pairs = _close_pairs(centres, radii, box, 1.1)
        if not len(pairs):
            break
        first, second = pairs[:, 0], pairs[:, 1]
        apart = centres[first] - centres[second]
        apart -= box * np.round(apart / box)
        distance = np.sqrt(np.einsum("ij,ij->i", apart, apart))
        overlap = 1.02 * (radii[first] + radii[second]) - distance
        touching = overlap > 0
        if not (overlap > 0.04 * np.minimum(radii[first], radii[second])).any():
            break
        first, second = first[touching], second[touching]
        push = (0.6 * overlap[touching] / np.maximum(distance[touching], 1e-6))[:, None] * apart[touching]
        share = (radii[second] ** 2 / (radii[first] ** 2 + radii[second] ** 2))[:, None]
        ends, moves = np.concatenate([first, second]), np.concatenate([push * share, -push * (1 - share)])
        for axis in range(3):
            centres[:, axis] += np.bincount(ends, moves[:, axis], radii.size)
        centres = _wrap(centres, box)
    return centres


def _wrap(centres: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Positions inside the box; rounding may put a modulus on the far wall, which is the near one."""
    inside = np.mod(centres, box)
    return np.where(inside >= box, 0.0, inside)


def _close_pairs(centres: np.ndarray, radii: np.ndarray, box: np.ndarray, margin: float) -> np.ndarray:
    """Pairs (m, 2) near enough to touch, found size class by size class: a few large spheres cost little."""
    order = np.argsort(radii, kind="stable")
    classes = np.floor(np.log(radii[order] / radii[order[0]]) / 0.4).astype(int)
    rank = np.empty(radii.size, int)
    rank[order] = np.arange(radii.size)
    found = []
    for k in np.unique(classes):
        begin, end = (int(np.searchsorted(classes, k, side)) for side in ("left", "right"))
        members, upto = order[begin:end], order[:end]
        tree = cKDTree(_wrap(centres[upto], box), boxsize=box)
        reach = np.minimum(margin * (radii[members] + radii[members].max()), box.min() / 2 - 1e-6)
        hits = tree.query_ball_point(centres[members], reach, return_sorted=False)
        lengths = np.fromiter((len(hit) for hit in hits), int, len(hits))
        partner = upto[np.concatenate([np.asarray(hit, int) for hit in hits])]
        owner = np.repeat(members, lengths)
        # A pair within the class is seen from both sides; the owner of higher rank keeps it.
        keep = rank[partner] < rank[owner]
        found.append(np.stack([owner[keep], partner[keep]], axis=1))
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
