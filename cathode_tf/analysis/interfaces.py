"""Where phases meet: transitions along test lines of each mask in, boundary lengths, contacts and S_V out.

Lines are followed in four directions and changes of phase are counted (Cauchy and Crofton); the staircase of
the pixels therefore adds no length, as it would when pixel edges were summed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cathode_tf.analysis.layers import blocks_test
from cathode_tf.phases import Phases
from cathode_tf.statistics.estimate import Estimate, ratio_estimate
from cathode_tf.statistics.fractions import ABSENT, sum_by_group

DIRECTIONS_DEG = (0, 90, 45, 135)
STEPS_PX = (1.0, 1.0, math.sqrt(2), math.sqrt(2))
ANISOTROPIC = "ANISOTROPIC"
"""Flag: boundaries have a preferred direction, so S_V from sections of one orientation is biased."""
PIXEL_SCALE = "PIXEL_SCALE"
"""Flag: boundaries wiggle from pixel to pixel, so their length is that of the noise, or of the pixels."""
CROFTON = "Crofton/Cauchy intercept counts in four directions: Underwood, Quantitative Stereology, 1970"
LARGEST_ANISOTROPY = 0.15


@dataclass(frozen=True)
class Intercepts:
    """What test lines met in one mask, or in several (the fields add up).

    Attributes:
        counts: Changes from one phase to another, symmetric, (4 directions, n phases, n phases), int64.
        lines_px: Length of the lines on known pixels, (4,), px.
        triple_points: Points where three phases meet (where four do: 2).
        area_px2: Area over which triple points were sought.
    """

    counts: np.ndarray
    lines_px: np.ndarray
    triple_points: int
    area_px2: float


def intercepts(mask: np.ndarray, phases: Phases) -> Intercepts:
    """Count the changes of phase along rows, columns and both diagonals of one mask.

    Args:
        mask: uint8 (height, width) of phase ids. A step onto or from an ignored pixel is neither a change nor
            line length.
        phases: Names and ids.

    Example:
        >>> mask = np.repeat(np.array([[0, 1]], np.uint8), 50, axis=1).repeat(100, axis=0)
        >>> intercepts(mask, Phases.default()).counts[:, 0, 1].tolist()
        [100, 0, 99, 99]
    """
    index = phases.to_indices(mask)
    n = len(phases)
    pairs = (
        (index[:, :-1], index[:, 1:]),
        (index[:-1], index[1:]),
        (index[1:, :-1], index[:-1, 1:]),
        (index[:-1, :-1], index[1:, 1:]),
    )
    counts = np.zeros((4, n, n), np.int64)
    lines = np.zeros(4)
    for direction, (first, second) in enumerate(pairs):
        code = first.astype(np.uint16) << 8 | second
        table = np.bincount(code.ravel(), minlength=65536).reshape(256, 256)[:n, :n]
        counts[direction] = table + table.T
        counts[direction][np.diag_indices(n)] = 0
        lines[direction] = table.sum() * STEPS_PX[direction]
    triple, area = _triple_points(index, n)
    return Intercepts(counts, lines, triple, area)


def _triple_points(index: np.ndarray, n: int) -> tuple[int, float]:
    """Corners where three pixels' phases differ, and the number of corners among known pixels."""
    if min(index.shape) < 2:
        return 0, 0.0
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    known = (a < n) & (b < n) & (c < n) & (d < n)
    different = np.ones(a.shape, np.uint8)
    different += b != a
    different += (c != a) & (c != b)
    different += (d != a) & (d != b) & (d != c)
    return int(np.maximum(different[known], 2).sum(dtype=np.int64) - 2 * known.sum()), float(known.sum())


def boundary_lengths(tables: Sequence[Intercepts]) -> tuple[np.ndarray, np.ndarray]:
    """Boundary length between each two phases and the area it was seen in, per image.

    L = (pi/2) mean over directions of (changes / line length) x area.

    Returns:
        Lengths in px, (images, n, n), and areas in px^2, (images,).
    """
    counts = np.array([table.counts for table in tables], float)
    lines = np.array([table.lines_px for table in tables])
    areas = lines[:, 0] + 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        per_length = np.where(lines[:, :, None, None] > 0, counts / lines[:, :, None, None], 0.0)
    return math.pi / 2 * per_length.mean(1) * areas[:, None, None], areas


def boundary_density(
    tables: Sequence[Intercepts],
    first: int,
    second: int | None = None,
    *,
    pixel_size_nm: float | None = None,
    units: Sequence[str] | None = None,
) -> Estimate:
    """Boundary length per area, L_A = (pi/2) P_L, between two phases, or of one phase against all others.

    Args:
        tables: `intercepts` of each image.
        first: Position of a phase.
        second: Position of another; None: all others together.
        pixel_size_nm: None = unknown, then the unit is 1/px.
        units: The group of each image, if groups are the independent units.

    Returns:
        In 1/um (or 1/px). Exactly 0 where the phases never touch. Multiply by 4/pi for the surface per volume
        (`surface_density`).

    Reference:
        Underwood, Quantitative Stereology, Addison-Wesley 1970: L_A = (pi/2) P_L.
    """
    lengths, areas = boundary_lengths(tables)
    length = lengths[:, first].sum(1) if second is None else lengths[:, first, second]
    scale = 1.0 if pixel_size_nm is None else 1000 / pixel_size_nm
    estimate = _ratio(
        length * scale,
        areas,
        units,
        unit="1/px" if pixel_size_nm is None else "1/um",
        method="boundary length per area, L_A = (pi/2) P_L",
        what="the boundary",
    )
    return _flag_direction(estimate, tables, first, second)


def surface_density(
    tables: Sequence[Intercepts],
    phase: int,
    second: int | None = None,
    *,
    pixel_size_nm: float | None = None,
    units: Sequence[str] | None = None,
) -> Estimate:
    """Surface of a phase per volume of sample, S_V = 2 P_L = (4/pi) L_A.

    Unbiased for sections of any orientation only where boundaries have no preferred direction; that is
    tested, and the estimate is flagged where it fails.

    Args:
        tables, phase, second, pixel_size_nm, units: As for `boundary_density`.

    Returns:
        In um2/um3 = 1/um (or 1/px).

    Reference:
        Saltykov 1945; Underwood, Quantitative Stereology, Addison-Wesley 1970: S_V = 2 P_L.
    """
    density = boundary_density(tables, phase, second, pixel_size_nm=pixel_size_nm, units=units)
    return _scaled(density, 4 / math.pi, "surface per volume, S_V = 2 P_L = (4/pi) L_A")


def contact_fraction(
    tables: Sequence[Intercepts],
    phase: int,
    others: Sequence[int],
    *,
    units: Sequence[str] | None = None,
) -> Estimate:
    """Share of a phase's boundary along which it touches any of `others`.

    For a phase of particles and the binder this is the coverage of the particle surface; the same share
    estimates that of the surface in 3-D [1].

    Args:
        tables: `intercepts` of each image.
        phase: Position of the phase whose boundary is the whole.
        others: Positions of the phases that may lie on the other side.
        units: The group of each image, if groups are the independent units.

    Returns:
        Share 0-1; refused where the phase has no boundary at all.

    Reference:
        [1] Gurland, Trans. AIME 212 (1958) 452 (contiguity); Underwood 1970.
    """
    lengths, _ = boundary_lengths(tables)
    return _ratio(
        lengths[:, phase, list(others)].sum(1),
        lengths[:, phase].sum(1),
        units,
        bounds=(0, 1),
        method="share of the boundary length, ratio of intercept counts",
        reference=f"Gurland, Trans. AIME 212 (1958) 452; {CROFTON}",
        what="the phase's boundary",
    )


def triple_point_density(
    tables: Sequence[Intercepts],
    *,
    pixel_size_nm: float | None = None,
    units: Sequence[str] | None = None,
) -> Estimate:
    """Points where three phases meet, per area; twice that is the length of triple lines per volume.

    Args:
        tables, pixel_size_nm, units: As for `boundary_density`.

    Returns:
        In 1/um2 (or 1/px2).

    Reference:
        Underwood, Quantitative Stereology, Addison-Wesley 1970: L_V = 2 P_A.
    """
    scale = 1.0 if pixel_size_nm is None else (1000 / pixel_size_nm) ** 2
    return _ratio(
        np.array([table.triple_points for table in tables]) * scale,
        np.array([table.area_px2 for table in tables]),
        units,
        unit="1/px2" if pixel_size_nm is None else "1/um2",
        method="corners at which three phases meet, per area",
        what="a triple point",
    )


@dataclass(frozen=True)
class Isotropy:
    """Whether boundaries have a preferred direction.

    Attributes:
        per_direction: Changes per length of line, by direction in degrees from the rows, counter-clockwise,
            1/px.
        anisotropy: The larger difference between perpendicular directions (0 and 90, 45 and 135 degrees) over
            the mean of all.
        grid: Difference between the axes of the pixel grid and its diagonals over the mean. Pixel noise has
            0.34.
        p_value: Of "no preferred direction" over the images, or None with fewer than 3 images.
        isotropic: False only if the difference is both large (above 15 %) and not by chance (p < 0.01, where
            there is a test).
    """

    per_direction: dict[int, float]
    anisotropy: float
    grid: float
    p_value: float | None
    isotropic: bool


def isotropy(tables: Sequence[Intercepts], first: int, second: int | None = None) -> Isotropy:
    """Compare the four directions, with the images as blocks (two-way analysis of variance).

    Args:
        tables: `intercepts` of each image.
        first: Position of a phase.
        second: Position of another; None: all others together.
    """
    counts = np.array([table.counts[:, first] for table in tables], float)
    lines = np.array([table.lines_px for table in tables])
    changes = counts.sum(2) if second is None else counts[:, :, second]
    used = (lines > 0).all(1)
    changes, lines = changes[used], lines[used]
    if not len(changes) or not changes.sum():
        return Isotropy(dict.fromkeys(DIRECTIONS_DEG, 0.0), 0.0, 0.0, None, True)
    mean = changes.sum(0) / lines.sum(0)
    # A single stray pixel is crossed sqrt(2) times as often along rows as along diagonals: axes and diagonals
    # then differ as pairs, while within each pair both directions agree.
    anisotropy = float(max(abs(mean[0] - mean[1]), abs(mean[2] - mean[3])) / mean.mean())
    grid = float(abs(mean[:2].mean() - mean[2:].mean()) / mean.mean())
    p_value = blocks_test(changes / lines) if len(changes) >= 3 else None
    certain = p_value is None or p_value < 0.01
    return Isotropy(
        dict(zip(DIRECTIONS_DEG, mean.tolist(), strict=True)),
        anisotropy,
        grid,
        p_value,
        not (anisotropy > LARGEST_ANISOTROPY and certain),
    )


def _flag_direction(
    estimate: Estimate, tables: Sequence[Intercepts], first: int, second: int | None
) -> Estimate:
    test = isotropy(tables, first, second)
    if estimate.value is None:
        return estimate
    if test.grid > LARGEST_ANISOTROPY and test.isotropic:
        estimate = estimate.with_flag(
            PIXEL_SCALE,
            f"boundaries cross rows and columns {100 * test.grid:.0f} % more or less often than diagonals, as noise "
            "of single pixels does: the length depends on the pixel size",
        )
    if test.isotropic:
        return estimate
    counts = ", ".join(f"{angle} deg {value:.4g}" for angle, value in test.per_direction.items())
    return estimate.with_flag(
        ANISOTROPIC,
        f"changes per px of line differ by {100 * test.anisotropy:.0f} % between directions ({counts}); "
        "a surface per volume needs sections of several orientations",
    )


def _ratio(
    numerators: np.ndarray, denominators: np.ndarray, units: Sequence[str] | None, **fields
) -> Estimate:
    """`ratio_estimate` over images or groups; nothing seen at all is 0, and says so."""
    fields.setdefault("reference", CROFTON)
    if units is not None:
        numerators, denominators = sum_by_group(numerators, units), sum_by_group(denominators, units)
    estimate = ratio_estimate(
        numerators, denominators, unit_of_replication="image" if units is None else "group", **fields
    )
    if estimate.value == 0:
        return estimate.with_flag(ABSENT, "none was seen in any image; 0 is what was seen")
    return estimate


def _scaled(estimate: Estimate, factor: float, method: str) -> Estimate:
    """The estimate of a multiple."""
    content = estimate.to_dict() | {"method": method}
    if estimate.value is not None:
        content["value"] = estimate.value * factor
        content["ci"] = None if estimate.ci is None else [end * factor for end in estimate.ci]
        content["components"] = {name: u * factor for name, u in estimate.components.items()}
    return Estimate.from_dict(content)
