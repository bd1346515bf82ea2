"""Spheres packed in a periodic box: loading and sizes in, centres and radii without overlap out."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def draw_radii(
    rng: np.random.Generator,
    median_px: float,
    sigma: float,
    volume_px3: float,
    limits_px: tuple[float, float],
) -> np.ndarray:
    """Log-normal radii (number-weighted median, log standard deviation) that fill `volume_px3` together."""
    mean_volume = 4 / 3 * np.pi * median_px**3 * np.exp(4.5 * sigma**2)
    radii = np.empty(0)
    while (4 / 3 * np.pi * radii**3).sum() < volume_px3:
        count = int(1.2 * volume_px3 / mean_volume) + 8
        more = median_px * np.exp(sigma * rng.standard_normal(count))
        radii = np.concatenate([radii, more[(more >= limits_px[0]) & (more <= limits_px[1])]])
    filled = np.cumsum(4 / 3 * np.pi * radii**3)
    return radii[: int(np.searchsorted(filled, volume_px3)) + 1]


def pack_spheres(
    rng: np.random.Generator, radii_px: np.ndarray, box_px: tuple[float, float, float], *, rounds: int = 40
) -> np.ndarray:
    """Centres (n, 3) of spheres that push each other apart in a periodic box until hardly any overlap is left.

    Collective rearrangement: every overlapping pair moves apart along its line of centres, the smaller
    sphere further. Dense loadings keep slight overlaps, which the section divides as flat contacts.

    Args:
        rng: Source of randomness.
        radii_px: Radii (n,).
        box_px: Depth, height and width of the box.
        rounds: Most rearrangements.
    """
    box = np.asarray(box_px, float)
    centres = rng.uniform(0, 1, (radii_px.size, 3)) * box
    for _ in range(rounds):
        pairs = _close_pairs(centres, radii_px, box)
        if not len(pairs):
            break
        first, second = pairs[:, 0], pairs[:, 1]
        apart = centres[first] - centres[second]
        apart -= box * np.round(apart / box)
        distance = np.linalg.norm(apart, axis=1)
        overlap = radii_px[first] + radii_px[second] - distance
        touching = overlap > 0.02 * np.minimum(radii_px[first], radii_px[second])
        if not touching.any():
            break
        first, second = first[touching], second[touching]
        unit = apart[touching] / np.maximum(distance[touching], 1e-6)[:, None]
        push = (0.6 * overlap[touching])[:, None] * unit
        share = (radii_px[second] ** 2 / (radii_px[first] ** 2 + radii_px[second] ** 2))[:, None]
        moves = np.zeros_like(centres)
        np.add.at(moves, first, push * share)
        np.add.at(moves, second, -push * (1 - share))
        centres = np.mod(centres + moves, box)
    return centres


def _close_pairs(centres: np.ndarray, radii: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Pairs (m, 2) near enough to touch, found size class by size class: a few large spheres cost little."""
    order = np.argsort(radii)
    found = []
    classes = np.floor(np.log2(radii[order] / radii[order[0]]) / 0.75).astype(int)
    for k in np.unique(classes):
        last = int(np.searchsorted(classes, k, "right"))
        members, smaller = order[int(np.searchsorted(classes, k, "left")) : last], order[:last]
        tree = cKDTree(np.mod(centres[smaller], box), boxsize=box)
        reach = np.minimum(radii[members] + radii[members].max(), box.min() / 2 - 1e-6)
        hits = tree.query_ball_point(centres[members], reach, return_sorted=False)
        lengths = np.fromiter((len(hit) for hit in hits), int, len(hits))
        partner = smaller[np.concatenate([np.asarray(hit, int) for hit in hits])]
        owner = np.repeat(members, lengths)
        # Within the class each pair is seen twice, and each sphere sees itself.
        same_class = np.isin(partner, members)
        keep = (owner != partner) & (~same_class | (owner < partner))
        found.append(np.stack([owner[keep], partner[keep]], axis=1))
    return np.concatenate(found)
