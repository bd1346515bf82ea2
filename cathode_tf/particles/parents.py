"""A segmentation mask in; its particles as they were before they cracked, with their cracks and fragments, out.

The steps of definition `frag/2`, which `fragmentation` tells and turns into numbers of a batch.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from scipy.ndimage import find_objects

from cathode_tf.errors import InputError
from cathode_tf.particles.instances import DEPTH, Separation, without_small
from cathode_tf.particles.measures import measure_instances, perimeters
from cathode_tf.particles.midlines import midlines
from cathode_tf.phases import IGNORE, Phases

OPENING = 0.12
"""Default: widest opening of a crack, as a share of the typical diameter of the particles; a wider gap parts two."""
LEAST_OPENING_PX = 7.0
ROUNDS, SETTLED = 4, 1.05
"""How often the opening is found anew from larger parents, and the growth that is none."""
FULL = 0.72
"""Pieces that together fill so much of the smallest circle around them are one particle; three disks fill 0.65."""
SHORTEST = 0.2
ENCLOSED = 0.35
"""A crack is at least this share of its particle's diameter long, one that reaches no surface at least the second;
shorter gaps are inner pores, and chains of them."""
FAINT, FAINT_ENCLOSED = 1.2, 4.0
"""Or this over its slenderness, where that is less: a hair is a crack where a wide gap of that length is not."""
SHELLS = 5
"""Shells of equal area in the radial profile, from the core (0) to the rim."""
MIN_FRAGMENT_SHARE = 0.002
MIN_PARENT_PX = 200
MIN_CRACK_PX = 8
HAIR = 1.5
"""Half the widest place of a hair, px."""
SLENDER = 5.5
"""A stretch of a crack, from one branching to the next, is at least so many times as long as it is wide, both on
average; pores that grew together branch more often."""
UNEVEN, SLENDER_UNEVEN = 0.25, 8.0
"""Or the second, where the width of the whole gap changes along it by more than this share of its mean, as it does
where pores meet by chance."""
WEB, SLENDER_WEB = 1.5, 3.2
"""Cracks that are together so many diameters long are a web, whose stretches may be shorter."""
PARTED, SLENDER_PARTED = 0.5, 2.0
"""And a web that leaves no piece larger than this share of the particle; pores that meet part off crumbs."""
BROKEN, OF_ALL = 0.5, 0.2
"""A particle whose sure cracks are together so many diameters long, and this share of all its gaps, is broken ..."""
POSSIBLE_PX, POSSIBLE, SLENDER_POSSIBLE, UNEVEN_POSSIBLE = 5, 0.05, 2.0, 0.4
"""... and its other gaps are cracks, too, if they are at least so long in px and diameters, so slender, and no more
uneven: one crack seldom comes alone, and most of each lies out of the plane or is closed."""
LARGE = 0.04
"""Pieces below this share of what might be one particle do not decide whether it is."""


def reconstruct_parents(
    mask: np.ndarray, phases: Phases, *, opening_px: float | None = None, labels: np.ndarray | None = None
) -> np.ndarray:
    """Label image of the particles as they were before they cracked.

    Pieces that gaps no wider than a crack part were one particle if together they fill a circle better than each alone:
    halves of a disk do, two particles that were pressed together do not.

    Args:
        mask: uint8 (height, width) of phase ids.
        phases: Roles say which phases are particles and pores.
        opening_px: Widest opening of a crack; pores up to this width are closed. None: `crack_opening`.
        labels: Label image of the particles, each with all its pieces, where somebody knows it (`separate`).

    Returns:
        int32 (height, width); cracks and inner pores carry the number of their particle.
    """
    return _evidence(np.asarray(mask), phases, opening_px, None, labels)[0]


def crack_opening(pieces: np.ndarray) -> float:
    """How wide a crack may open (px) where nobody said: `OPENING` of the typical diameter, at least 7.

    Half of the area lies in larger pieces than the typical one; so the limit is the same at every magnification.

    Args:
        pieces: Label image of the particles.
    """
    area = np.sort(np.bincount(pieces.ravel())[1:])
    area = area[area > 0]
    if not area.size:
        return LEAST_OPENING_PX
    middle = area[np.searchsorted(np.cumsum(area), area.sum() / 2)]
    return max(LEAST_OPENING_PX, OPENING * float(np.sqrt(4 * middle / np.pi)))


def measure_parents(
    mask: np.ndarray,
    phases: Phases,
    *,
    pixel_size_nm: float | None = None,
    opening_px: float | None = None,
    dark: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    as_pieces: bool = False,
) -> pd.DataFrame:
    """One row a parent particle: its cracks and fragments.

    Args:
        mask: uint8 (height, width) of phase ids.
        phases: Roles say which phases are particles and pores.
        pixel_size_nm: None = unknown; lengths are then in px.
        opening_px: Widest opening of a crack; None: found from the image (`crack_opening`).
        dark: Boolean (height, width), dark lines inside particles (`dark_lines`) that count as cracks, too,
            where the mask leaves cracks out.
        labels: As for `reconstruct_parents`.
        as_pieces: Whether particles of `labels` may be pieces of one that cracked: they are then joined as pieces are
            where nobody said what one particle was.

    Returns:
        `label`, `touches_border`, `edge_weight`, `area`, `diameter`, `crack_length`, `crack_area`,
        `connected_length`, `fragments`, `fragmentation_index`, `largest_fragment_ratio`, `new_boundary_ratio`,
        `shell_0` ... (crack area by shell, core first), `opening_px`; lengths in um, or px without a pixel size.
    """
    mask = np.asarray(mask)
    parents, solid, pore, opening = _evidence(mask, phases, opening_px, dark, labels, as_pieces)
    shapes = measure_instances(parents, unknown=mask == IGNORE)
    um = 1.0 if pixel_size_nm is None else pixel_size_nm / 1000
    rows = []
    for label, place in _boxes(parents, int(np.ceil(opening)) + 2):
        rows.append(_measure(parents[place] == label, solid[place], pore[place], opening))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    table.insert(0, "label", shapes["label"])
    for name in ("touches_border", "edge_weight"):
        table[name] = shapes[name]
    table["diameter"] = np.sqrt(4 * table["area"] / np.pi)
    table["opening_px"] = opening
    for name in ("crack_length", "connected_length", "diameter"):
        table[name] *= um
    for name in ("area", "crack_area", *(f"shell_{i}" for i in range(SHELLS))):
        table[name] *= um**2
    return table


def find_cracks(
    mask: np.ndarray,
    phases: Phases,
    *,
    opening_px: float | None = None,
    dark: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    as_pieces: bool = False,
) -> np.ndarray:
    """Where the cracks are that `measure_parents` counts, Boolean (height, width), from the same arguments."""
    parents, solid, pore, opening = _evidence(np.asarray(mask), phases, opening_px, dark, labels, as_pieces)
    found = np.zeros(parents.shape, bool)
    for label, place in _boxes(parents, int(np.ceil(opening)) + 2):
        _, cracks, _ = _whole(parents[place] == label, solid[place], pore[place], opening)
        found[place] |= cracks > 0
    return found


def _evidence(
    mask: np.ndarray,
    phases: Phases,
    opening_px: float | None,
    dark: np.ndarray | None,
    labels: np.ndarray | None,
    as_pieces: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Parents, solid and pore, of which dark lines are pore, and the widest opening."""
    solid, pore = _roles(mask, phases, opening_px)
    known = labels is not None and not as_pieces
    pieces = np.where(solid, labels, 0) if labels is not None else Separation(solid).labels(DEPTH)
    opening = crack_opening(pieces) if opening_px is None else opening_px
    parents = pieces
    for _ in range(1 if known or opening_px is not None else ROUNDS):
        closed = _fill(_close(solid, opening) & (solid | pore), pore)
        if not known:
            parents = _grouped(pieces, Separation(closed).labels(DEPTH))
        # Whole particles are larger than their pieces, and let cracks be wider.
        found = crack_opening(parents) if opening_px is None else opening
        if found <= SETTLED * opening:
            break
        opening = found
    parents = without_small(np.where(closed, _spread(parents), 0), MIN_PARENT_PX)
    if dark is not None:
        solid, pore = solid & ~dark, pore | dark
    return parents, solid, pore, opening


def _spread(labels: np.ndarray) -> np.ndarray:
    """Every pixel with the number of the nearest instance."""
    if not labels.any():
        return labels.astype(np.int32)
    _, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of = np.zeros(int(nearest.max()) + 1, np.int32)
    of[nearest[labels > 0]] = labels[labels > 0]
    return of[nearest]


def _grouped(pieces: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """The pieces, joined where together they make a better particle; candidates say which might."""
    number = int(candidates.max(initial=0)) + 1
    inside = (pieces > 0) & (candidates > 0)
    pairs, shared = np.unique(
        pieces[inside].astype(np.int64) * number + candidates[inside], return_counts=True
    )
    piece, candidate = np.divmod(pairs, number)
    most = np.zeros(int(pieces.max(initial=0)) + 1, np.int64)
    best = np.zeros(len(most), np.int64)
    for p, c, count in zip(piece, candidate, shared, strict=True):
        if count > best[p]:
            most[p], best[p] = c, count
    area = np.bincount(pieces.ravel(), minlength=len(most))
    boxes = find_objects(pieces)
    members: dict[int, list[int]] = {}
    for p in np.flatnonzero(most):
        members.setdefault(int(most[p]), []).append(int(p))
    group = np.arange(len(most), dtype=np.int32)
    for several in members.values():
        if len(several) > 1:
            for joined in _joined([_Piece.of(p, pieces, boxes, int(area[p])) for p in several]):
                group[joined] = joined[0]
    return group[pieces]


@dataclass(frozen=True)
class _Piece:
    """Pieces that may belong together: their numbers, area, and the corners of their hull."""

    numbers: tuple[int, ...]
    area: int
    corners: np.ndarray

    @classmethod
    def of(cls, number: int, labels: np.ndarray, boxes: list, area: int) -> _Piece:
        rows, columns = boxes[number - 1]
        points = cv2.findNonZero((labels[rows, columns] == number).astype(np.uint8))
        hull = cv2.convexHull(points)[:, 0] + (columns.start, rows.start)
        return cls((number,), area, hull.astype(np.float32))

    def __add__(self, other: _Piece) -> _Piece:
        return _Piece(
            self.numbers + other.numbers,
            self.area + other.area,
            np.concatenate([self.corners, other.corners]),
        )

    @property
    def fullness(self) -> float:
        """Share of the smallest circle around it that it fills."""
        radius = cv2.minEnclosingCircle(self.corners)[1] + 0.5
        return self.area / (np.pi * radius**2)


def _joined(pieces: list[_Piece]) -> list[list[int]]:
    """Which pieces are one particle, as lists of their numbers."""
    whole = functools.reduce(operator.add, pieces)
    large = [piece for piece in pieces if piece.area >= LARGE * whole.area]
    if len(large) < 2:  # none is large where there are crumbs alone
        return [list(whole.numbers)]
    alone = sum(piece.area * piece.fullness for piece in large) / sum(piece.area for piece in large)
    if whole.fullness >= min(alone, FULL):
        return [list(whole.numbers)]
    while len(large) > 1:
        tried = [
            ((a + b).fullness - max(a.fullness, b.fullness), i, j)
            for i, a in enumerate(large)
            for j, b in enumerate(large[:i])
        ]
        gain, i, j = max(tried)
        if gain <= 0:
            break
        both = large[i] + large[j]
        large = [piece for k, piece in enumerate(large) if k not in (i, j)] + [both]
    return [list(piece.numbers) for piece in large]


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
    diameter = math.sqrt(4 / math.pi * np.count_nonzero(whole))
    beside = cv2.dilate((~whole).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return whole, *_cracks(whole, whole & ~mine, beside, diameter)


def _cracks(
    whole: np.ndarray, gaps: np.ndarray, surface: np.ndarray, diameter: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gaps of a particle that are long for their width, as labels, and the length of their midlines by label."""
    number, labels = cv2.connectedComponents(gaps.astype(np.uint8), connectivity=8)
    # Enclosed pores that touch at corners only are a chain of pores; a hair of one pixel may well run over corners.
    open_, hair = np.zeros(number, bool), np.ones(number, bool)
    open_[labels[surface]] = True
    half = cv2.distanceTransform(np.pad(gaps, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    hair[labels[half[1:-1, 1:-1] > HAIR]] = False
    chained = gaps & ~(open_ | hair)[labels]
    more, apart = cv2.connectedComponents(chained.astype(np.uint8), connectivity=4)
    labels = np.where(apart > 0, apart + number, labels)
    number += more
    lengths, stretches, uneven = midlines(labels, number)
    width = np.bincount(labels.ravel(), minlength=number) / np.maximum(lengths, 1)
    slender = lengths / np.maximum(stretches * width, 1e-9)
    open_ = np.zeros(number, bool)
    open_[labels[surface]] = True
    at_most, faint = np.where(open_, SHORTEST, ENCLOSED), np.where(open_, FAINT, FAINT_ENCLOSED)
    share = np.minimum(at_most, faint / np.maximum(slender, SLENDER))
    web = lengths >= WEB * diameter
    least = np.where(web, SLENDER_WEB, np.where(uneven > UNEVEN, SLENDER_UNEVEN, SLENDER))
    keep = (lengths >= np.maximum(MIN_CRACK_PX, share * diameter)) & (slender >= least)
    for gap in np.flatnonzero(web & ~keep & (slender >= SLENDER_PARTED)):
        keep[gap] = _largest_share(whole & (labels != gap)) <= PARTED
    keep[0] = lengths[0] = 0
    sure = lengths[keep].sum()
    if sure >= max(BROKEN * diameter, OF_ALL * lengths.sum()) and sure > 0:
        keep |= (
            (lengths >= np.maximum(POSSIBLE_PX, POSSIBLE * diameter))
            & (slender >= SLENDER_POSSIBLE)
            & (uneven <= UNEVEN_POSSIBLE)
        )
    lengths[~keep] = 0
    return np.where(keep[labels], labels, 0), lengths


def _largest_share(pieces: np.ndarray) -> float:
    """Share of the largest piece in the area of all."""
    area = cv2.connectedComponentsWithStats(pieces.astype(np.uint8), connectivity=4)[2][1:, cv2.CC_STAT_AREA]
    return float(area.max(initial=0) / max(area.sum(), 1))


def _by_shell(whole: np.ndarray, cracked: np.ndarray) -> list[float]:
    """Crack area in shells of equal area, from the core to the rim."""
    distance = cv2.distanceTransform(np.pad(whole, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    depth = distance[1:-1, 1:-1][whole]
    if not len(depth):
        return [0.0] * SHELLS
    limits = np.quantile(depth, np.arange(1, SHELLS) / SHELLS)
    shell = SHELLS - 1 - np.searchsorted(limits, distance[1:-1, 1:-1][cracked & whole])
    return np.bincount(shell, minlength=SHELLS).astype(float).tolist()


def _roles(mask: np.ndarray, phases: Phases, opening_px: float | None) -> tuple[np.ndarray, np.ndarray]:
    if opening_px is not None and not 1 <= opening_px < np.inf:
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
