"""Segmentation masks in, fragmentation of particles out: definition `frag/2`.

There is no common definition of fragmentation, so this one has a name and a version:

1. Parents: pieces of the particle phase that pores no wider than a crack may open part, and that together fill a
   circle better than each alone, as the halves of a disk do and two particles pressed together do not; or what somebody
   says is one particle. Other solids (binder, additive) are never closed: what they separate are two particles.
2. Cracks: pores inside a parent that its own solid closes over, and that are long for their widest place. Two parents
   that touch share a wedge of pore; neither closes over it alone, so it is no crack. Round ones are inner pores.
3. Fragments: pieces of a parent's solid that cracks part completely. A watershed line without a crack parts
   nothing. All are two-dimensional: pieces apart in the section may be joined above or below it.

Reference: parents by closing and watershed: Gillibert and Jeulin, Image Anal. Stereol. 32 (2013); midlines by
thinning: Lee, Kashyap, Chu, Graph. Models Image Process. 56 (1994).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cathode_tf.errors import InputError
from cathode_tf.particles.instances import DEPTH
from cathode_tf.particles.parents import LEAST_OPENING_PX, SHELLS, measure_parents
from cathode_tf.phases import Phases
from cathode_tf.statistics.estimate import Estimate, check_pixel_size, ratio_estimate

DEFINITION = "frag/2"
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
    opening_px: float | None = None,
    labels: Mapping[str, np.ndarray] | None = None,
    fines_diameter: float | None = None,
    sensitivity: bool = False,
) -> Fragmentation:
    """Fragmentation of the particles in a batch of masks, by definition `frag/2`.

    Intervals come from the spread between images. Metrics per area use every parent; metrics per particle use
    whole parents, weighted for those that the frame cut. Cracks narrower than a pixel of the mask are not seen:
    compare batches of one pixel size and one model only, and against a reference batch, as cracks from
    calendering and polishing are there before the first cycle.

    Args:
        masks: Name -> mask, or masks, uint8 (height, width) of phase ids.
        phases: Which phases are particles and pores follows from their roles.
        pixel_size_nm: None = unknown; lengths are then in px.
        opening_px: Widest opening of a crack; None: a share of the typical particle's diameter, found in each image
            (`parents.crack_opening`).
        labels: Label images of the particles by image name, each particle with all its pieces, where they are known.
        fines_diameter: Free pieces below this equivalent diameter (um, or px) are fines; without it fines are
            not reported. A good limit is the x5 of a reference batch.
        sensitivity: Also measure the headline at half and at twice the opening.

    Returns:
        The metrics, each an `Estimate`, and the table of parents.

    Raises:
        InputError: If there is no mask, no phase has the role particle or pore, or the opening is below 1 px.

    Example:
        >>> import cv2
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
    table = _parents(named, phases, pixel_size_nm, opening_px, labels or {})
    opening = opening_px or float(table["opening_px"].median() if len(table) else LEAST_OPENING_PX)
    settings = {
        "definition": DEFINITION,
        "pixel_size_nm": pixel_size_nm,
        "opening_px": opening,
        "opening_found": opening_px is None,
        "neck_depth": DEPTH,
        "fines_diameter": fines_diameter,
    }
    names = list(named)
    bands = {}
    if sensitivity:
        for other_px in (max(0.5 * opening, 1.0), 2 * opening):
            other = _parents(named, phases, pixel_size_nm, other_px, labels or {})
            bands[f"opening_px={other_px:g}"] = parent_estimates(other, names, pixel_size_nm)[HEADLINE]
    return Fragmentation(
        parent_estimates(table, names, pixel_size_nm, fines_diameter),
        radial_profile(table, names),
        table,
        settings,
        bands,
    )


def _parents(
    masks: Mapping[str, np.ndarray],
    phases: Phases,
    pixel_size_nm: float | None,
    opening_px: float | None,
    labels: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    tables = []
    for name, mask in masks.items():
        phases.check_mask(np.asarray(mask), name)
        table = measure_parents(
            mask, phases, pixel_size_nm=pixel_size_nm, opening_px=opening_px, labels=labels.get(name)
        )
        table.insert(0, "image", name)
        tables.append(table)
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


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
        Definition `frag/2` (Gillibert and Jeulin, Image Anal. Stereol. 32 (2013)); ratios of sums over images:
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
        Definition `frag/2`; ratio of sums over images (Cochran, Sampling Techniques, Wiley 1977, ch. 6).
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
