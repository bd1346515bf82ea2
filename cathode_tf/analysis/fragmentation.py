"""Segmentation masks in, fragmentation of particles out: definition `frag/1`.

There is no common definition of fragmentation, so this one has a name and a version:

1. Parents: the particle phase and the pores no wider than a crack may open, closed together, cut at necks. Other
   solids (binder, additive) are never closed: what they separate are two particles.
2. Cracks: pores inside a parent that its own solid closes over, and that are long for their width. Two parents
   that touch share a wedge of pore; neither closes over it alone, so it is no crack. Round ones are inner pores.
3. Fragments: pieces of a parent's solid that cracks part completely. A watershed line without a crack parts
   nothing. All are two-dimensional: pieces apart in the section may be joined above or below it.

Reference: parents by closing and watershed: Gillibert and Jeulin, Image Anal. Stereol. 32 (2013); crack length by
chain code: Kulpa, Comput. Graph. Image Process. 6 (1977).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pandas as pd
from scipy.ndimage import find_objects
from skimage.morphology import skeletonize

from cathode_tf.analysis.estimate import Estimate, check_pixel_size, ratio_estimate
from cathode_tf.analysis.instances import DEPTH, Separation, without_small
from cathode_tf.analysis.measures import measure_instances, perimeters
from cathode_tf.errors import InputError
from cathode_tf.phases import Phases

DEFINITION = "frag/1"
OPENING_PX = 7.0
"""Default: widest opening of a crack; a wider gap parts two particles."""
SHELLS = 5
"""Shells of equal area in the radial profile, from the core (0) to the rim."""
MIN_FRAGMENT_SHARE = 0.002
MIN_PARENT_PX = 200
MIN_CRACK_PX = 8
SLENDER = 6.0
"""A crack is at least so many times as long as it is wide."""
CRACKED_LENGTH = 0.1
"""A particle is cracked when its cracks together are at least this share of its diameter long."""

HEADLINE = "crack_length_density"
METRICS = {
    "crack_length_density": "length of crack midlines per area of particle",
    "crack_area_fraction": "area of cracks per area of particle",
    "fragments_per_particle": "fragments per particle",
    "fragmentation_index": "1 - sum of squared area shares of the fragments, mean over particles",
    "largest_fragment_ratio": "largest fragment over all fragments of a particle, mean over particles",
    "cracked_particle_fraction": "share of particles whose cracks are longer than a tenth of their diameter",
    "surface_connected_fraction": "share of the crack length that is joined to the outside in the section",
    "new_boundary_ratio": "outline of the fragments over outline of the particle, less 1",
    "fines_fraction": "share of the particle area in free pieces below the limit of fines",
}


@dataclass(frozen=True)
class Fragmentation:
    """How fragmented the particles of a batch are.

    Attributes:
        estimates: Metric of `METRICS` -> Estimate; the headline is `crack_length_density`.
        radial_profile: Share of the crack area in shells of equal area, core first.
        parents: One row a parent.
        settings: What was asked for, with the definition.
        sensitivity: Headline at half and twice the widest crack opening, where it was asked for.
    """

    estimates: Mapping[str, Estimate]
    radial_profile: tuple[Estimate, ...]
    parents: pd.DataFrame
    settings: Mapping[str, Any]
    sensitivity: Mapping[str, Estimate] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Estimate:
        return self.estimates[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the parents."""
        return {
            "definition": DEFINITION,
            "settings": dict(self.settings),
            "estimates": {name: estimate.to_dict() for name, estimate in self.estimates.items()},
            "radial_profile": [estimate.to_dict() for estimate in self.radial_profile],
            "sensitivity": {name: estimate.to_dict() for name, estimate in self.sensitivity.items()},
        }


def measure_fragmentation(
    masks: Mapping[str, np.ndarray] | Iterable[np.ndarray],
    phases: Phases,
    *,
    pixel_size_nm: float | None = None,
    opening_px: float = OPENING_PX,
    fines_diameter: float | None = None,
    sensitivity: bool = False,
) -> Fragmentation:
    """Fragmentation of the particles in a batch of masks, by definition `frag/1`.

    Intervals come from the spread between images. Metrics per area use every parent; metrics per particle use
    whole parents, weighted for those that the frame cut. Cracks narrower than a pixel of the mask are not seen:
    compare batches of one pixel size and one model only, and against a reference batch, as cracks from
    calendering and polishing are there before the first cycle.

    Args:
        masks: Name -> mask, or masks, uint8 (height, width) of phase ids.
        phases: Which phases are particles and pores follows from their roles.
        pixel_size_nm: None = unknown; lengths are then in px.
        opening_px: Widest opening of a crack.
        fines_diameter: Free pieces below this equivalent diameter (um, or px) are fines; without it fines are
            not reported. A good limit is the x5 of a reference batch.
        sensitivity: Also measure the headline at half and at twice `opening_px`.

    Returns:
        The metrics, each an `Estimate`, and the table of parents.

    Raises:
        InputError: If there is no mask, no phase has the role particle or pore, or the opening is below 1 px.

    Example:
        >>> mask = np.zeros((120, 120), np.uint8)
        >>> _ = cv2.circle(mask, (60, 60), 40, 1, -1)
        >>> mask[58:61] = 0
        >>> found = measure_fragmentation([mask], Phases.default())
        >>> round(found["fragments_per_particle"].value)
        2
    """
    check_pixel_size(pixel_size_nm)
    named = dict(masks) if isinstance(masks, Mapping) else {f"image_{i:04d}": m for i, m in enumerate(masks)}
    if not named:
        raise InputError("masks: must hold at least one mask. Received none.")
    table = _parents(named, phases, pixel_size_nm, opening_px)
    settings = {
        "definition": DEFINITION,
        "pixel_size_nm": pixel_size_nm,
        "opening_px": opening_px,
        "neck_depth": DEPTH,
        "fines_diameter": fines_diameter,
    }
    names = list(named)
    bands = {}
    if sensitivity:
        for opening in (max(0.5 * opening_px, 1.0), 2 * opening_px):
            other = _parents(named, phases, pixel_size_nm, opening)
            bands[f"opening_px={opening:g}"] = parent_estimates(other, names, pixel_size_nm)[HEADLINE]
    return Fragmentation(
        parent_estimates(table, names, pixel_size_nm, fines_diameter),
        radial_profile(table, names),
        table,
        settings,
        bands,
    )


def _parents(
    masks: Mapping[str, np.ndarray], phases: Phases, pixel_size_nm: float | None, opening_px: float
) -> pd.DataFrame:
    tables = []
    for name, mask in masks.items():
        phases.check_mask(np.asarray(mask), name)
        table = measure_parents(mask, phases, pixel_size_nm=pixel_size_nm, opening_px=opening_px)
        table.insert(0, "image", name)
        tables.append(table)
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


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
    grey: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row a parent particle: its cracks and fragments.

    Args:
        mask: uint8 (height, width) of phase ids.
        phases: Roles say which phases are particles and pores.
        pixel_size_nm: None = unknown; lengths are then in px.
        opening_px: Widest opening of a crack.
        grey: The micrograph (height, width); dark valleys inside particles then count as cracks, too, which
            finds cracks that the mask leaves out.

    Returns:
        `label`, `touches_border`, `edge_weight`, `area`, `diameter`, `crack_length`, `crack_area`,
        `connected_length`, `fragments`, `fragmentation_index`, `largest_fragment_ratio`, `new_boundary_ratio`,
        `shell_0` ... (crack area by shell, core first); lengths in um, or px without a pixel size.
    """
    mask = np.asarray(mask)
    labels = reconstruct_parents(mask, phases, opening_px=opening_px)
    solid, pore = _roles(mask, phases, opening_px)
    if grey is not None:
        dark = _valleys(np.asarray(grey), solid, opening_px)
        solid, pore = solid & ~dark, pore | dark
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
    mine = parent & solid
    whole = _fill(_close(mine, opening_px) & (mine | (pore & parent)), pore & parent)
    cracks, lengths = _cracks(whole & ~mine)
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


def _valleys(grey: np.ndarray, solid: np.ndarray, opening_px: float) -> np.ndarray:
    """Dark lines inside the solid: deeper, against a closing, than noise explains."""
    if grey.shape != solid.shape:
        raise InputError(f"grey: must have the mask's shape {solid.shape}. Received {grey.shape}.")
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 0.8)
    side = 2 * int(np.ceil(opening_px / 2)) + 1
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    depth = cv2.morphologyEx(smooth, cv2.MORPH_BLACKHAT, disk)
    inner = solid & (cv2.erode(solid.astype(np.uint8), disk) > 0)
    if not inner.any():
        return np.zeros_like(solid)
    middle = np.median(depth[inner])
    noise = 1.4826 * np.median(np.abs(depth[inner] - middle))
    return inner & (depth > middle + 6 * max(noise, 0.5))


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


def parent_estimates(
    table: pd.DataFrame,
    names: Sequence[str],
    pixel_size_nm: float | None,
    fines_diameter: float | None = None,
) -> dict[str, Estimate]:
    """Every metric of `METRICS` from the rows of `measure_parents`, stacked, with a column `image`.

    Args:
        table: One row a parent.
        names: Of all images, those without a parent too.
        pixel_size_nm: With which the parents were measured.
        fines_diameter: As for `fragmentation`.

    Reference:
        Definition `frag/1` (Gillibert and Jeulin, Image Anal. Stereol. 32 (2013)); ratios of sums over images:
        Cochran, Sampling Techniques, Wiley 1977, ch. 6.
    """
    unit = "px" if pixel_size_nm is None else "um"
    w = table["edge_weight"]
    area, length = table["area"], table["crack_length"]
    cracked = (length >= CRACKED_LENGTH * table["diameter"]).astype(float)
    # Numerator and denominator of each metric, by parent; summed by image.
    parts = {
        "crack_length_density": (length, area),
        "crack_area_fraction": (table["crack_area"], area),
        "fragments_per_particle": (w * table["fragments"], w),
        "fragmentation_index": (w * table["fragmentation_index"], w),
        "largest_fragment_ratio": (w * table["largest_fragment_ratio"], w),
        "cracked_particle_fraction": (w * cracked, w),
        "surface_connected_fraction": (table["connected_length"], length),
        "new_boundary_ratio": (w * table["new_boundary_ratio"], w),
    }
    if fines_diameter is not None:
        parts["fines_fraction"] = (area * (table["diameter"] < fines_diameter), area)
    return {
        name: ratio_estimate(
            _by_image(table, numerator, names),
            _by_image(table, denominator, names),
            unit=f"1/{unit}" if name == "crack_length_density" else "",
            bounds=(0.0, 1.0 if "fraction" in name or name.endswith("index") else np.inf),
            method=f"{METRICS[name]} ({DEFINITION})",
            reference="Gillibert and Jeulin, Image Anal. Stereol. 32 (2013)",
            what=name.replace("_", " "),
        )
        for name, (numerator, denominator) in parts.items()
    }


def radial_profile(table: pd.DataFrame, names: Sequence[str]) -> tuple[Estimate, ...]:
    """Share of the crack area in shells of equal area, core first, from the rows of `measure_parents`, stacked.

    Args:
        table: One row a parent, with a column `image`.
        names: Of all images, those without a parent too.

    Reference:
        Definition `frag/1`; ratio of sums over images (Cochran, Sampling Techniques, Wiley 1977, ch. 6).
    """
    total = sum(table[f"shell_{i}"] for i in range(SHELLS))
    return tuple(
        ratio_estimate(
            _by_image(table, table[f"shell_{i}"], names),
            _by_image(table, total, names),
            bounds=(0.0, 1.0),
            method=f"share of the crack area in each of {SHELLS} shells of equal area, core to rim ({DEFINITION})",
            what="the radial profile",
        )
        for i in range(SHELLS)
    )


def _by_image(table: pd.DataFrame, values: pd.Series, names: Sequence[str]) -> np.ndarray:
    if not len(table):
        return np.zeros(len(names))
    return values.groupby(table["image"]).sum().reindex(names, fill_value=0.0).to_numpy(float)
