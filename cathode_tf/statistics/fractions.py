"""Phase fractions: pixel counts of each image in, fractions with the larger of two intervals out.

Two things tell how sure a fraction is: the spread between images, and the size of the structure inside an
image (a field of view that holds three particles says little). Both are computed and the larger one is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, stats

from cathode_tf.statistics.estimate import LEVEL, NO_INTERVAL, Estimate, quantity, ratio_estimate

METHOD = "mean area fraction weighted by area (Delesse)"
REFERENCE = "ASTM E562; ASTM E1245; Cochran, Sampling Techniques, Wiley 1977"
INTEGRAL_RANGE = "Lantuejoul, J. Microsc. 161 (1991) 387; Kanit et al., Int. J. Solids Struct. 40 (2003) 3647"
FEWEST_DOF = 12.0
FEWEST_POOLED = 5
"""With fewer images a larger spread between them is never put down to chance."""
TOO_SMALL = "IMAGE_TOO_SMALL"
"""Flag: the structure is too coarse for its field of view; the integral range was refused."""
ABSENT = "ABSENT"
"""Flag: no pixel of the phase was seen; 0 is the estimate, but nothing bounds it from above."""


@dataclass(frozen=True)
class Covariance:
    """Sums over pairs of pixels at each distance, of one image, from which any mean's covariance follows.

    Attributes:
        step_px: Width of a distance bin.
        cell_px: Pixels (or voxels) in each of the blocks that were averaged first; this leaves the integral
            unchanged.
        ff: Sum of products of local fractions, (number of phases, number of distances).
        fv: Sum of local fractions over pairs, symmetrised, same shape.
        vv: Weight of pairs, (number of distances,).
        area: Valid pixels over `cell_px`: the sum of all weights.
        dimensions: 2 for images, 3 for volumes.
    """

    step_px: float
    cell_px: float
    ff: np.ndarray
    fv: np.ndarray
    vv: np.ndarray
    area: float
    dimensions: int = 2


def pair_sums(
    shares: Iterable[np.ndarray], weight: np.ndarray, spacing_px: tuple[float, ...], cell_px: float
) -> Covariance:
    """Two-point sums of arrays of local phase shares, of any dimension.

    Args:
        shares: Share of each phase in each block, float32; they add up to `weight`.
        weight: Known share of each block.
        spacing_px: Distance between blocks along each axis.
        cell_px: Pixels in a block.
    """
    step = min(spacing_px)
    extent = min(side * spacing for side, spacing in zip(weight.shape, spacing_px, strict=True))
    reach = max(1, int(extent / step) // 3)
    lags = [int(reach * step / spacing) for spacing in spacing_px]
    shape = tuple(
        fft.next_fast_len(side + lag, real=True) for side, lag in zip(weight.shape, lags, strict=True)
    )
    axes = [np.arange(-lag, lag + 1) for lag in lags]
    grids = np.meshgrid(
        *[axis * spacing for axis, spacing in zip(axes, spacing_px, strict=True)],
        indexing="ij",
        sparse=True,
    )
    squares: np.ndarray = sum((grid**2 for grid in grids), np.zeros(1))
    bins = np.minimum(np.rint(np.sqrt(squares) / step).astype(np.int64), reach + 1).ravel()

    def radial(spectrum: np.ndarray) -> np.ndarray:
        window = fft.irfftn(spectrum, shape)[np.ix_(*axes)]
        return np.bincount(bins, window.ravel(), minlength=reach + 2)[: reach + 1]

    weight_hat = fft.rfftn(weight, shape)
    vv = radial(np.abs(weight_hat) ** 2)
    ff, fv = [], []
    for share in shares:
        f_hat = fft.rfftn(share, shape)
        ff.append(radial(np.abs(f_hat) ** 2))
        fv.append(radial((f_hat * weight_hat.conj()).real.astype(f_hat.dtype)))
    total = float(weight.sum(dtype=float))
    return Covariance(step, cell_px, np.array(ff), np.array(fv), vv, total, weight.ndim)


def _products(table: Covariance, phase: int) -> np.ndarray:
    """Sums of products of deviations from the image's own mean, by distance."""
    # Distance 0 of fv and vv is the sum over pixels of f w and w w: its ratio is the weighted mean.
    mean = table.fv[phase, 0] / table.vv[0] if table.vv[0] > 0 else 0.0
    return table.ff[phase] - 2 * mean * table.fv[phase] + mean**2 * table.vv


@dataclass(frozen=True)
class IntegralRange:
    """What the structure inside the images says about a fraction's uncertainty.

    Attributes:
        variance: Of the fraction over all images together.
        area_px2: Integral range A_n: the area (px^2; of volumes px^3) that counts as one independent look.
        radius_px: How far the covariance was summed.
        dof: Degrees of freedom of `variance`.
        reason: Why it was refused, or "".
    """

    variance: float
    area_px2: float
    radius_px: float
    dof: float
    reason: str = ""


def integral_range(tables: Sequence[Covariance], phase: int, fraction: float) -> IntegralRange:
    """Variance of a phase's mean fraction from the covariance C(h) within the images.

    Var = v / A with v = 1/A sum_h N(h) C(h) over |h| <= R: A the area, N(h) the pairs at lag h, and R twice
    the distance at which C first falls to 0 (so that a hard-core structure's negative lobe counts too). C is
    taken about each image's own mean, so that images which differ do not look like one coarse structure; it
    is therefore too low by v / A_i in image i: solved for, v = raw / (1 - 1/A sum_i N_i / A_i). Cutting the
    sum at R leaves A / (pi R^2) degrees of freedom, as for a lag window of a spectrum at frequency 0.

    Args:
        tables: `Covariance` of each image.
        phase: Position of the phase.
        fraction: Its mean fraction over the images.

    Returns:
        The variance and integral range A_n = Var A / (phi (1 - phi)); with a `reason` where the images are
        too small for their structure.

    Reference:
        Lantuejoul, J. Microsc. 161 (1991) 387; Kanit et al., Int. J. Solids Struct. 40 (2003) 3647; the idea
        of using one image: Dahari et al., Adv. Sci. (2024), ImageRep.
    """
    step = max(table.step_px for table in tables)
    used = [table for table in tables if table.step_px == step]
    reach = min(len(table.vv) for table in used)
    pairs = np.sum([table.vv[:reach] for table in used], axis=0)
    products = np.sum([_products(table, phase)[:reach] for table in used], axis=0)
    area = sum(table.area for table in used)
    all_px = sum(table.area * table.cell_px for table in tables)
    dimensions = used[0].dimensions
    spread = fraction * (1 - fraction)
    with np.errstate(divide="ignore", invalid="ignore"):
        profile = np.where(pairs > 0, products / pairs, 0.0)
    crossing = np.flatnonzero(profile <= 0.01 * profile[0])
    side = (all_px / len(tables)) ** (1 / dimensions)
    size = f"images as large as a {'square' if dimensions == 2 else 'cube'} of {side:.0f} px"
    if not len(crossing) or spread <= 0:
        reason = f"correlated beyond {(reach - 1) * step:.0f} px, too far for {size}"
        return IntegralRange(0, 0, 0, 0, reason)
    cut = min(2 * int(crossing[0]), reach - 1)
    radius = (cut + 0.5) * step
    dof = all_px / ((math.pi if dimensions == 2 else 4 / 3 * math.pi) * radius**dimensions)
    if dof < FEWEST_DOF or 2 * int(crossing[0]) > reach - 1:
        reason = f"correlated over {radius:.0f} px, too far for {size}"
        return IntegralRange(0, 0, radius, dof, reason)
    raw = max(float(products[: cut + 1].sum()), 0.0) / area
    lost = sum(float(table.vv[: cut + 1].sum()) / table.area for table in used) / area
    if (
        lost > 0.5
    ):  # in whole images at most 0.35; the known parts of these are hardly larger than the structure
        reason = f"correlated over {radius:.0f} px, too far for the known parts of the images"
        return IntegralRange(0, 0, radius, dof, reason)
    # The images of another coarseness share the integral range; only the area grows.
    variance = raw / (1 - lost) * used[0].cell_px / all_px
    return IntegralRange(variance, variance * all_px / spread, radius, dof)


def phase_fraction(
    counts: np.ndarray,
    phase: int,
    tables: Sequence[Covariance] = (),
    *,
    units: Sequence[str] | None = None,
    name: str = "the phase",
) -> Estimate:
    """Area fraction of one phase, which estimates its volume fraction without bias.

    Args:
        counts: Pixels by image and phase, (number of images, number of phases).
        phase: Position of the phase.
        tables: `Covariance` of each image; without them only the spread between images counts.
        units: The group of each image, if groups and not images are the independent units.
        name: Of the phase, for flags.

    Returns:
        The fraction (0-1). Its `components` hold both standard uncertainties; the larger gives the interval.

    Example:
        >>> print(phase_fraction(np.array([[70, 30], [68, 32], [72, 28]]), 1))
        0.300 +- 0.050 (95 %, 3 images)

    Reference:
        Delesse 1847; ASTM E562; Lantuejoul 1991 (`integral_range`).
    """
    unit = "image" if units is None else "group"
    summed = counts if units is None else sum_by_group(counts, units)
    estimate = ratio_estimate(
        summed[:, phase],
        summed.sum(1),
        bounds=(0, 1),
        unit_of_replication=unit,
        method=f"{METHOD}, interval between {unit}s",
        reference=REFERENCE,
        what=name,
    )
    if estimate.value is None:
        return estimate
    if estimate.value in (0.0, 1.0):
        return _without_variation(estimate, name)
    inside = integral_range(tables, phase, estimate.value) if len(tables) else None
    return estimate if inside is None else larger_interval(estimate, inside)


def _without_variation(estimate: Estimate, name: str) -> Estimate:
    if estimate.value == 0:
        reason = f"no pixel of {name} in any image; 0 is what was seen, and nothing here bounds it from above"
        return replace(estimate, flags={ABSENT: reason, NO_INTERVAL: reason})
    return replace(estimate, flags={NO_INTERVAL: f"every pixel is {name}, so nothing tells an uncertainty"})


def larger_interval(between: Estimate, inside: IntegralRange) -> Estimate:
    """The estimate with the larger of both standard uncertainties, and the t quantile that belongs to it.

    Images that differ more than their structure explains (F above its 70 % quantile) speak for themselves: u
    between them, t(n - 1). Otherwise both variances estimate the same, and the larger of u between images and of
    the pooled u counts, with t at the sum of the degrees of freedom. Fewer than five images always speak for
    themselves if theirs is the larger.

    Reference:
        Cochran, Sampling Techniques, Wiley 1977 (pooled variances); `benchmarks/interval_coverage.md` says how
        often the intervals hold.
    """
    assert between.value is not None
    if inside.reason:
        return between.with_flag(TOO_SMALL, f"integral range refused: the structure is {inside.reason}")
    u = math.sqrt(inside.variance)
    components = {**between.components, "integral_range": u}
    found = between.components.get(f"between_{between.unit_of_replication}s", 0.0)
    # Without a spread between images (one image, or all alike) only the structure speaks.
    dof = between.n - 1 if found else 0
    if found and found**2 >= _explained(between.n, dof, inside.dof) * inside.variance:
        return replace(between, components=components)
    pooled = math.sqrt((dof * found**2 + inside.dof * u**2) / (dof + inside.dof))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, dof + inside.dof)) * max(found, pooled)
    return quantity(
        between.value,
        half,
        bounds=(0, 1),
        unit=between.unit,
        n=between.n,
        unit_of_replication=between.unit_of_replication,
        method=f"{METHOD}, interval from the integral range within images{' and between them' if dof else ''}",
        reference=f"{REFERENCE}; {INTEGRAL_RANGE}",
        components=components,
        flags={flag: reason for flag, reason in between.flags.items() if flag != NO_INTERVAL},
    )


def _explained(images: int, dof: float, dof_inside: float) -> float:
    """Ratio of variances, between images over within, up to which the structure explains both."""
    return max(1.0, float(stats.f.ppf(0.7, dof, dof_inside))) if images >= FEWEST_POOLED else 1.0


def sum_by_group(values: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Rows of `values` added up within each group, in the order in which groups first occur."""
    order = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    result = np.zeros((len(order), *values.shape[1:]), values.dtype)
    np.add.at(result, [order[group] for group in groups], values)
    return result
