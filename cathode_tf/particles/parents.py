"""A segmentation mask in; its particles as they were before they cracked, with their cracks and fragments, out.

The steps of definition `frag/1`, which `fragmentation` tells and turns into numbers of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pandas as pd
from scipy.ndimage import find_objects
from skimage.morphology import skeletonize

from cathode_tf.errors import InputError
from cathode_tf.particles.instances import DEPTH, Separation, without_small
from cathode_tf.particles.measures import measure_instances, perimeters
from cathode_tf.phases import Phases

OPENING_PX = 7.0
"""Default: widest opening of a crack; a wider gap parts two particles."""
SHELLS = 5
"""Shells of equal area in the radial profile, from the core (0) to the rim."""
MIN_FRAGMENT_SHARE = 0.002
MIN_PARENT_PX = 200
MIN_CRACK_PX = 8
SLENDER = 6.0
"""A crack is at least so many times as long as it is wide."""


def reconstruct_parents(mask: np.ndarray, phases: Phases, *, opening_px: float = OPENING_PX) -> np.ndarray:
    """Label image of the particles as they were before they cracked.

    Args:
        mask: uint8 (height, width) of phase ids.
        phases: Roles say which phases are particles and pores.
        opening_px: Widest opening of a crack; pores up to this width are closed.

    Returns:
        int32 (height, width); cracks and inner pores carry the number of their particle.
    """
    solid, pore = _roles(np.asarray(mask), phases, opening_px)
    closed = _close(solid, opening_px) & (solid | pore)
    closed = _fill(closed, pore)
    return without_small(Separation(closed).labels(DEPTH), MIN_PARENT_PX)


def measure_parents(
    mask: np.ndarray,
    phases: Phases,
    *,
    pixel_size_nm: float | None = None,
    opening_px: float = OPENING_PX,
    dark: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row a parent particle: its cracks and fragments.

    Args:
        mask: uint8 (height, width) of phase ids.
        phases: Roles say which phases are particles and pores.
        pixel_size_nm: None = unknown; lengths are then in px.
        opening_px: Widest opening of a crack.
        dark: Boolean (height, width), dark lines inside particles (`dark_lines`) that count as cracks, too,
            where the mask leaves cracks out.

    Returns:
        `label`, `touches_border`, `edge_weight`, `area`, `diameter`, `crack_length`, `crack_area`,
        `connected_length`, `fragments`, `fragmentation_index`, `largest_fragment_ratio`, `new_boundary_ratio`,
        `shell_0` ... (crack area by shell, core first); lengths in um, or px without a pixel size.
    """
    labels, solid, pore = _evidence(np.asarray(mask), phases, opening_px, dark)
    shapes = measure_instances(labels)
    um = 1.0 if pixel_size_nm is None else pixel_size_nm / 1000
    rows = []
    for label, place in _boxes(labels, int(np.ceil(opening_px)) + 2):
        rows.append(_measure(labels[place] == label, solid[place], pore[place], opening_px))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    table.insert(0, "label", shapes["label"])
    for name in ("touches_border", "edge_weight"):
        table[name] = shapes[name]
    table["diameter"] = np.sqrt(4 * table["area"] / np.pi)
    for name in ("crack_length", "connected_length", "diameter"):
        table[name] *= um
    for name in ("area", "crack_area", *(f"shell_{i}" for i in range(SHELLS))):
        table[name] *= um**2
    return table


def find_cracks(
    mask: np.ndarray, phases: Phases, *, opening_px: float = OPENING_PX, dark: np.ndarray | None = None
) -> np.ndarray:
    """Where the cracks are that `measure_parents` counts, Boolean (height, width), from the same arguments."""
    labels, solid, pore = _evidence(np.asarray(mask), phases, opening_px, dark)
    found = np.zeros(labels.shape, bool)
    for label, place in _boxes(labels, int(np.ceil(opening_px)) + 2):
        _, cracks, _ = _whole(labels[place] == label, solid[place], pore[place], opening_px)
        found[place] |= cracks > 0
    return found


def _evidence(
    mask: np.ndarray, phases: Phases, opening_px: float, dark: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parents, solid and pore; dark lines are pore."""
    labels = reconstruct_parents(mask, phases, opening_px=opening_px)
    solid, pore = _roles(mask, phases, opening_px)
    if dark is not None:
        solid, pore = solid & ~dark, pore | dark
    return labels, solid, pore


_COLUMNS = [
    "area",
    "crack_area",
    "crack_length",
    "connected_length",
    "fragments",
    "fragmentation_index",
    "largest_fragment_ratio",
    "new_boundary_ratio",
    *(f"shell_{i}" for i in range(SHELLS)),
]


def _measure(parent: np.ndarray, solid: np.ndarray, pore: np.ndarray, opening_px: float) -> list[float]:
    """The columns of `_COLUMNS` for one parent, cut out with some room around."""
    whole, cracks, lengths = _whole(parent, solid, pore, opening_px)
    # Joined to the outside: a crack whose pixels touch pore beyond the particle.
    outside = cv2.dilate((pore & ~whole).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    joined = np.unique(cracks[outside & (cracks > 0)])
    area = int(whole.sum())
    number, pieces, stats, _ = cv2.connectedComponentsWithStats(
        (whole & ~(cracks > 0)).astype(np.uint8), connectivity=4
    )
    areas = stats[1:, cv2.CC_STAT_AREA].astype(float)
    areas = areas[areas >= max(4, MIN_FRAGMENT_SHARE * area)]
    share = areas / max(areas.sum(), 1)
    outline = float(perimeters(whole.astype(np.int32)).sum())
    fragments = float(perimeters(pieces).sum()) if number > 1 else 0.0
    return [
        area,
        int((cracks > 0).sum()),
        float(lengths.sum()),
        float(lengths[joined].sum()),
        len(areas),
        1 - float((share**2).sum()),
        float(share.max(initial=0)),
        max(fragments / outline - 1, 0.0) if outline else 0.0,
        *_by_shell(whole, cracks > 0),
    ]


def _whole(
    parent: np.ndarray, solid: np.ndarray, pore: np.ndarray, opening_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A parent with its cracks and inner pores, the cracks as labels, and their lengths by label."""
    mine = parent & solid
    whole = _fill(_close(mine, opening_px) & (mine | (pore & parent)), pore & parent)
    return whole, *_cracks(whole & ~mine)


def _cracks(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaps that are long for their width, as labels, and the length of their midlines by label."""
    number, labels = cv2.connectedComponents(gaps.astype(np.uint8), connectivity=8)
    area = np.bincount(labels.ravel(), minlength=number).astype(float)
    lengths = midline_lengths(labels, number)
    width = area / np.maximum(lengths, 1)
    keep = (lengths >= MIN_CRACK_PX) & (lengths >= SLENDER * width)
    keep[0] = False
    lengths[~keep] = 0
    return np.where(keep[labels], labels, 0), lengths


def midline_lengths(labels: np.ndarray, number: int) -> np.ndarray:
    """Length of the midline of each label (px).

    A straight step of the midline counts 0.948 and a diagonal one 1.340, unbiased over directions [1]; thinning
    takes half a width off each loose end, which is given back.

    Example:
        >>> rows, columns = np.mgrid[:100, :100]
        >>> line = np.abs(0.9 * (rows - 50) - 0.44 * (columns - 50)) < 1.5  # 3 wide, at 26 degrees
        >>> line &= np.abs(0.44 * (rows - 50) + 0.9 * (columns - 50)) < 30  # 60 long
        >>> bool(abs(midline_lengths(line.astype(np.int32), 2)[1] - 60) < 4)
        True

    Reference:
        [1] Kulpa, Comput. Graph. Image Process. 6 (1977) 434.
    """
    thin = np.pad(np.where(skeletonize(labels > 0), labels, 0), 1)
    flat, wide = thin.ravel(), thin.shape[1]
    at = np.flatnonzero(flat)
    straight = np.zeros(len(flat), np.int8)
    diagonal = np.zeros(len(flat), np.int8)
    for step in (1, wide):
        straight[at] += flat[at + step] > 0
    for step, beside in (wide + 1, (1, wide)), (wide - 1, (-1, wide)):
        # A diagonal beside a straight detour is no step of its own.
        detour = (flat[at + beside[0]] > 0) | (flat[at + beside[1]] > 0)
        diagonal[at] += (flat[at + step] > 0) & ~detour
    weights = 0.948 * straight[at] + 1.340 * diagonal[at]
    lengths = np.bincount(flat[at], weights, minlength=number)
    around = sum(
        (flat[at + step] > 0).astype(int)
        for step in (1, -1, wide, -wide, wide + 1, wide - 1, -wide + 1, -wide - 1)
    )
    ends = np.bincount(flat[at], around == 1, minlength=number)
    area = np.bincount(labels.ravel(), minlength=number)
    return lengths + ends * 0.5 * np.minimum(area / np.maximum(lengths, 1), lengths / 2)


def _by_shell(whole: np.ndarray, cracked: np.ndarray) -> list[float]:
    """Crack area in shells of equal area, from the core to the rim."""
    distance = cv2.distanceTransform(np.pad(whole, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    depth = distance[1:-1, 1:-1][whole]
    if not len(depth):
        return [0.0] * SHELLS
    limits = np.quantile(depth, np.arange(1, SHELLS) / SHELLS)
    shell = SHELLS - 1 - np.searchsorted(limits, distance[1:-1, 1:-1][cracked & whole])
    return np.bincount(shell, minlength=SHELLS).astype(float).tolist()


def _roles(mask: np.ndarray, phases: Phases, opening_px: float) -> tuple[np.ndarray, np.ndarray]:
    if not 1 <= opening_px < np.inf:
        raise InputError(f"opening_px: must be at least 1 px. Received {opening_px:g}.")
    found = []
    for role in ("particle", "pore"):
        names = phases.with_role(role)
        if not names:
            raise InputError(f"phases: fragmentation needs a phase with the role {role}. Received none.")
        found.append(np.isin(mask, [phases[name].id for name in names]))
    return found[0], found[1]


def _close(solid: np.ndarray, opening_px: float) -> np.ndarray:
    """Closed over gaps up to this width, by a disk; the frame closes nothing."""
    radius = opening_px / 2
    reach = int(np.ceil(radius)) + 1
    padded = np.pad(solid, reach)
    away = cv2.distanceTransform((~padded).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    grown = away <= radius
    inside = cv2.distanceTransform(grown.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Distances run to the next pixel centre, which lies beyond the boundary between them.
    closed = (inside > radius) | padded
    return closed[reach:-reach, reach:-reach]


def _fill(closed: np.ndarray, pore: np.ndarray) -> np.ndarray:
    """With the pores that it encloses; they are inner pores or wide spots of a crack."""
    holes = ~np.pad(closed, 1)
    number, labels = cv2.connectedComponents(holes.astype(np.uint8), connectivity=4)
    if number <= 2:
        return closed
    labels = labels[1:-1, 1:-1]
    other = np.bincount(labels[~closed & ~pore], minlength=number) > 0
    area = np.bincount(labels.ravel(), minlength=number)
    # A hole as large as a particle is a pore that particles happen to surround.
    fill = ~other & (area <= MIN_PARENT_PX)
    fill[0] = fill[labels[0, 0] if not closed[0, 0] else 0] = False
    return closed | (fill[labels] & ~closed)


def _boxes(labels: np.ndarray, margin: int) -> Iterable[tuple[int, tuple[slice, slice]]]:
    for number, place in enumerate(find_objects(labels), start=1):
        rows, columns = place
        yield (
            number,
            (
                slice(max(rows.start - margin, 0), rows.stop + margin),
                slice(max(columns.start - margin, 0), columns.stop + margin),
            ),
        )
