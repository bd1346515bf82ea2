"""Estimates and uncertainties that no number of images lessens in; Estimates with these in their interval out.

Where an outline lies, and how large a pixel is, is wrong by the same amount in every image of a batch. Nothing in the
masks shows by how much: who knows says so, and the interval grows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from scipy import stats

from cathode_tf.statistics.estimate import Estimate

EDGE, PIXEL_SIZE = "edge_placement", "pixel_size"
GUM = "JCGM 100:2008 (GUM)"
POWER_OF_LENGTH = {"um": 1, "um2": 2, "1/um": -1, "1/um2": -2}
SIZES = ("x10_", "x50_", "x90_", "mean_D43", "lognormal_median", "weibull_scale")

SOURCES = {
    "between_images": ("A", "spread between images"),
    "between_groups": ("A", "spread between groups"),
    "between_particles": ("A", "spread between particles"),
    "integral_range": ("A", "structure within images"),
    "reference_points": ("A", "labelled points"),
    "test_images": ("A", "error rates, spread between test images"),
    "segmentation": ("A", "what the masks may get wrong, by plausible masks"),
    "pore_back": ("B", "walls seen through pores, rectangular"),
    EDGE: ("B", "where outlines lie"),
    PIXEL_SIZE: ("B", "size of a pixel"),
}
"""What each component is, and its type: A from statistics, B from other knowledge (GUM)."""


def widened(
    estimate: Estimate, source: str, u: float, bounds: tuple[float, float] = (0.0, math.inf)
) -> Estimate:
    """The estimate with one more independent standard uncertainty, in quadrature on both sides.

    Args:
        estimate: Refused ones stay; without an interval only the component is noted.
        source: Name of the component.
        u: Standard uncertainty, in the estimate's unit.
        bounds: What the quantity can be.

    Example:
        >>> print(widened(Estimate(0.30, ci=(0.27, 0.33), n=9), "pixel_size", 0.04 / 1.959964))
        0.300 +- 0.050 (95 %, 9 images)

    Reference:
        JCGM 100:2008 (GUM), combined standard uncertainty.
    """
    if estimate.value is None or not u:
        return estimate
    components = {**estimate.components, source: u}
    if estimate.ci is None:
        return replace(estimate, components=components)
    extra = float(stats.norm.ppf(0.5 + estimate.level / 2)) * u
    low = estimate.value - math.hypot(estimate.value - estimate.ci[0], extra)
    high = estimate.value + math.hypot(estimate.ci[1] - estimate.value, extra)
    return replace(estimate, ci=(max(low, bounds[0]), min(high, bounds[1])), components=components)


def with_edge(
    summary: Mapping[str, Mapping[str, Estimate]], edge_px: float, pixel_size_nm: float | None
) -> dict[str, dict[str, Estimate]]:
    """The summary with the uncertainty of where outlines lie: of fractions L_A d, of diameters 2 d.

    Args:
        summary: With `surface_density` = (4 / pi) L_A of each phase.
        edge_px: Standard uncertainty d of an outline's place, common to all images, px.
        pixel_size_nm: None = unknown.

    Reference:
        JCGM 100:2008 (GUM); L_A d is the area that a boundary of length L_A per area sweeps.
    """
    um = 1.0 if pixel_size_nm is None else pixel_size_nm / 1000
    result = {}
    for quantity, estimates in summary.items():
        if quantity == "fraction":
            swept = edge_change(summary, pixel_size_nm)
            result[quantity] = {
                name: widened(estimate, EDGE, edge_px * swept.get(name, 0.0), (0.0, 1.0))
                for name, estimate in estimates.items()
            }
        elif quantity.startswith(SIZES):
            result[quantity] = {
                name: widened(estimate, EDGE, 2 * edge_px * um) for name, estimate in estimates.items()
            }
        else:
            result[quantity] = dict(estimates)
    return result


def edge_change(
    summary: Mapping[str, Mapping[str, Estimate]], pixel_size_nm: float | None
) -> dict[str, float]:
    """Change of each phase's fraction where its outline moves by one pixel, L_A px = (pi / 4) S_V px."""
    um = 1.0 if pixel_size_nm is None else pixel_size_nm / 1000
    return {
        name: math.pi / 4 * estimate.value * um
        for name, estimate in summary.get("surface_density", {}).items()
        if estimate.value is not None
    }


def with_pixel_size(
    summary: Mapping[str, Mapping[str, Estimate]], relative: float
) -> dict[str, dict[str, Estimate]]:
    """The summary with the uncertainty of the pixel size: once its share of lengths, twice of areas.

    Args:
        summary: Fractions and other ratios do not change.
        relative: Relative standard uncertainty of the pixel size.

    Reference:
        JCGM 100:2008 (GUM), propagation through a power.
    """
    return {
        quantity: {
            name: widened(
                estimate,
                PIXEL_SIZE,
                abs(POWER_OF_LENGTH.get(estimate.unit, 0) * relative * (estimate.value or 0.0)),
            )
            for name, estimate in estimates.items()
        }
        for quantity, estimates in summary.items()
    }


def budget_rows(estimate: Estimate) -> list[tuple[str, str, float]]:
    """Source in words, type (A or B) and standard uncertainty of each component, the largest first."""
    rows = [
        (SOURCES.get(name, ("A", name.replace("_", " ")))[1], SOURCES.get(name, ("A",))[0], u)
        for name, u in estimate.components.items()
    ]
    return sorted(rows, key=lambda row: -row[2])
