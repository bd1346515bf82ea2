"""Instance tables in, size distributions out: percentiles, means and span, with intervals, or a refusal.

Names follow ISO 9276: `x50_3` is the diameter below which half of the particles' volume lies (3; 2 = area,
1 = length, 0 = number). 'D50' without its weighting is not a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cathode_tf.analysis.estimate import LEVEL, NO_INTERVAL, Estimate
from cathode_tf.analysis.percentiles import (
    SHARES,
    WOODRUFF,
    Interval,
    Spread,
    direct_curves,
    of_resamples,
    sphere_curves,
)
from cathode_tf.errors import InputError

SAMPLE_TYPES = ("section", "dispersed")
EDGE_CORRECTIONS = ("miles_lantuejoul", "none")
WEIGHTINGS = {0: "number", 2: "area", 3: "volume"}

MIN_PARTICLES = 20
"""Fewer whole particles give no percentile."""
MAX_EDGE_SHARE = 0.05
"""A particle of more than this share of all edge weights has outgrown the frame: no percentile."""
MIN_IMAGES = 5
"""From so many images on, the images are resampled; below, the particles."""

ISO = "ISO 9276-1 and -2 (names and moments)"
SECTION = "expectation maximisation: Ohser and Muecklich, Wiley 2000, ch. 6"
EDGE = "edge weights: Miles (1978), Lantuejoul (1980)"


@dataclass(frozen=True)
class SizeDistribution:
    """Sizes of the instances of a phase.

    Attributes:
        estimates: `x10_3`, `x50_3`, `x90_3`, `span_3`, the same with `_0` and `_2`, and `mean_D43`: name -> Estimate.
        unit: `"um"` or `"px"`.
        sample_type: `"section"` or `"dispersed"`.
        edge_correction: How instances that the frame cuts were made up for.
        n: Whole instances that were used.
        n_effective: Kish's number of equally weighted instances that would say as much.
        area_lost: Share of the instances' area that touches the border and was not used.
        diameters, weights: Equivalent diameters and edge weights of the instances used.
    """

    estimates: Mapping[str, Estimate]
    unit: str
    sample_type: str
    edge_correction: str
    n: int
    n_effective: float
    area_lost: float
    diameters: np.ndarray
    weights: np.ndarray

    def __getitem__(self, name: str) -> Estimate:
        return self.estimates[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the diameters."""
        return {
            "unit": self.unit,
            "sample_type": self.sample_type,
            "edge_correction": self.edge_correction,
            "n": self.n,
            "n_effective": self.n_effective,
            "area_lost": self.area_lost,
            "estimates": {name: estimate.to_dict() for name, estimate in self.estimates.items()},
        }


def display_name(name: str) -> str:
    """What people call a percentile, its weighting attached.

    Example:
        >>> display_name("x50_3")
        'D50 (volume)'
    """
    kind, _, weighting = name.rpartition("_")
    if not weighting.isdigit():
        return {"mean_D43": "D[4,3], mean over volume"}.get(name, name)
    return f"{kind.replace('x', 'D') if kind[0] == 'x' else kind} ({WEIGHTINGS[int(weighting)]})"


def size_distribution(
    table: pd.DataFrame,
    *,
    sample_type: str,
    edge_correction: str = "miles_lantuejoul",
    replicate: str = "image",
    resamples: int = 400,
    seed: int = 0,
) -> SizeDistribution:
    """Percentiles of the equivalent diameter by number, area and volume, with bootstrap intervals.

    Particles dispersed on a flat ground show their own diameter; a section through an electrode shows
    profiles, which are smaller. So `sample_type` must be said:

    - `"dispersed"`: every weighting directly, w d^r.
    - `"section"`: number and area are those of the profiles; volume is that of the spheres, unfolded.

    Intervals come from resamples of whole images (from five images on; t with images - 1 degrees of freedom) or
    of particles (then flagged): percentiles from the spread of the share below them, F(x) +- t s(F) turned back
    into sizes [1]; span and mean from log(x) +- t s. Where groups are the independent units, groups are resampled
    from five groups on; fewer leave the images, flagged.

    Args:
        table: From `measure_instances`, or several of one phase stacked, with an `image` column.
        sample_type: `"section"` or `"dispersed"`.
        edge_correction: `"miles_lantuejoul"`: whole particles, weighted by how rarely their size stays whole;
            `"none"`: whole particles, equally weighted.
        replicate: What is independent of its like: `"image"`, or `"group"` (a column of the table).
        resamples: Bootstrap resamples.
        seed: Of the resampling.

    Returns:
        The distribution; its estimates are refused, with the reason, where particles are too few.

    Raises:
        InputError: If an option is none of those above, or the table lacks its columns.

    Reference:
        [1] Woodruff, J. Am. Stat. Assoc. 47 (1952) 635. ISO 13322-1 (static image analysis, dispersed particles);
        ISO 9276-1, -2; Miles (1978), Lantuejoul (1980).
    """
    if sample_type not in SAMPLE_TYPES:
        raise InputError(f"sample_type: must be {' or '.join(SAMPLE_TYPES)}. Received {sample_type!r}.")
    if edge_correction not in EDGE_CORRECTIONS:
        raise InputError(
            f"edge_correction: must be {' or '.join(EDGE_CORRECTIONS)}. Received {edge_correction!r}."
        )
    unit, diameter, area = _columns(table)
    whole = table[~table["touches_border"].astype(bool)]
    d = whole[diameter].to_numpy(float)
    weights = whole["edge_weight"].to_numpy(float) if edge_correction != "none" else np.ones(len(d))
    all_area = float(table[area].sum())
    lost = 1 - float(whole[area].sum()) / all_area if all_area else 0.0
    if replicate == "group" and whole["group"].nunique() < MIN_IMAGES:
        replicate, few = "image", whole["group"].nunique()
    else:
        few = None
    images = pd.factorize(whole[replicate])[0] if replicate in whole else np.zeros(len(d), int)
    sample = _Sample(d, weights, images, sample_type, unit, replicate)
    return SizeDistribution(
        _estimates(sample, _why_not(sample), _doubts(sample, whole, lost, few), resamples, seed),
        unit,
        sample_type,
        edge_correction,
        len(d),
        sample.effective,
        lost,
        d,
        weights,
    )


@dataclass(frozen=True)
class _Sample:
    d: np.ndarray
    w: np.ndarray
    images: np.ndarray
    sample_type: str
    unit: str
    replicate: str

    @property
    def effective(self) -> float:
        return float(self.w.sum() ** 2 / (self.w**2).sum()) if len(self.w) else 0.0

    @property
    def n_images(self) -> int:
        return int(self.images.max(initial=-1)) + 1


def _columns(table: pd.DataFrame) -> tuple[str, str, str]:
    for unit in ("um", "px"):
        names = (f"equivalent_diameter_{unit}", f"area_{unit}2")
        if {*names, "touches_border", "edge_weight"} <= set(table.columns):
            return unit, *names
    raise InputError("table: must come from measure_instances. Received columns " + ", ".join(table.columns))


def _why_not(sample: _Sample) -> str | None:
    if len(sample.d) < MIN_PARTICLES:
        return f"{len(sample.d)} whole particles are too few for a percentile; at least {MIN_PARTICLES} are needed"
    share = float(sample.w.max() / sample.w.sum())
    if share > MAX_EDGE_SHARE:
        return (
            f"one particle carries {share:.0%} of the edge weights: particles are too large for this frame; "
            f"take larger images"
        )
    return None


def _doubts(sample: _Sample, whole: pd.DataFrame, lost: float, few_groups: int | None) -> dict[str, str]:
    flags = {}
    if few_groups is not None:
        flags["GROUPS_NOT_RESAMPLED"] = (
            f"{few_groups} group{'' if few_groups == 1 else 's'} say little about the spread between groups; "
            f"what differs between them is not in the interval"
        )
    if sample.n_images < MIN_IMAGES:
        flags["PARTICLES_RESAMPLED"] = (
            f"{sample.n_images} image{'' if sample.n_images == 1 else 's'} say little about the spread between "
            f"images, so particles were resampled; differences between places are not in the interval"
        )
    if len(whole) and float(whole["edge_weight"].max()) > 4:
        flags["LARGE_AGAINST_FRAME"] = (
            "a particle is larger than half the frame; particles larger still would never be whole"
        )
    if lost > 0.5:
        flags["AREA_LOST"] = f"{lost:.0%} of the area belongs to particles that the frame cuts"
    return flags


def _estimates(
    sample: _Sample, reason: str | None, flags: dict[str, str], resamples: int, seed: int
) -> dict[str, Estimate]:
    by_image = sample.n_images >= MIN_IMAGES
    n = sample.n_images if by_image else len(sample.d)
    fields: dict[str, Any] = {"n": n, "unit_of_replication": sample.replicate if by_image else "particle"}
    if reason is not None:
        fields["flags"] = flags
        return {
            name: Estimate.refused(
                reason, unit=_unit(name, sample), method=_method(name, sample), reference=ISO, **fields
            )
            for name in _names()
        }
    order = np.argsort(sample.d)
    counts = np.vstack([np.ones(len(sample.d)), _resampled(sample, by_image, resamples, seed)])
    # Resampling n units has (n - 1) / n of the variance of drawing n new ones.
    spread = Spread(math.sqrt(n / (n - 1)), float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)))
    intervals = _intervals(sample.d[order], (counts * sample.w)[:, order], sample.sample_type, spread)
    return {
        name: _estimate(
            interval,
            flags,
            unit=_unit(name, sample),
            method=_method(name, sample),
            reference=f"{ISO}; {WOODRUFF}; {EDGE}" + (f"; {SECTION}" if "3" in name else ""),
            **fields,
        )
        for name, interval in intervals.items()
    }


def _intervals(d: np.ndarray, w: np.ndarray, sample_type: str, spread: Spread) -> dict[str, Interval]:
    """Every statistic, from ascending diameters and the weights of the sample and its resamples."""
    result = {}
    section = sample_type == "section"
    for r in WEIGHTINGS:
        curves = sphere_curves(d, w) if r == 3 and section else direct_curves(d, w, r)
        for share in SHARES:
            result[f"x{100 * share:.0f}_{r}"] = curves.percentile(share, spread)
        result[f"span_{r}"] = curves.span(spread)
    means = 32 / (9 * np.pi) * (w @ d**3) / (w @ d**2) if section else (w @ d**4) / (w @ d**3)
    result["mean_D43"] = of_resamples(means, spread)
    return result


def _estimate(found: Interval, flags: dict[str, str], **fields: Any) -> Estimate:
    if found.high - found.low <= 1e-12 * found.value:
        reason = "all resamples give the same value, so their spread tells no uncertainty"
        return Estimate(found.value, flags={**flags, NO_INTERVAL: reason}, **fields)
    if found.open_end:
        flags = {
            **flags,
            "OPEN_END": "the interval would reach beyond the sizes that were seen; it ends there",
        }
    components = {f"between_{fields['unit_of_replication']}s": found.u}
    return Estimate(found.value, ci=(found.low, found.high), components=components, flags=flags, **fields)


def _names() -> list[str]:
    return [f"{part}_{r}" for r in WEIGHTINGS for part in [f"x{100 * p:.0f}" for p in SHARES] + ["span"]] + [
        "mean_D43"
    ]


def _unit(name: str, sample: _Sample) -> str:
    return "" if name.startswith("span") else sample.unit


def _method(name: str, sample: _Sample) -> str:
    weighting = "volume" if name == "mean_D43" else WEIGHTINGS[int(name[-1])]
    if sample.sample_type == "dispersed":
        return f"equivalent diameters of dispersed particles, weighted by {weighting}"
    if name == "mean_D43":
        return "volume mean of the spheres of a section, (32 / 9 pi) mean(d^3) / mean(d^2) of the profiles"
    if weighting == "volume":
        return "sphere diameters by volume, unfolded from section profiles by expectation maximisation"
    return f"profile diameters as the section shows them, weighted by {weighting}"


def _resampled(sample: _Sample, by_image: bool, resamples: int, seed: int) -> np.ndarray:
    """How often each particle was drawn, (resamples, particles)."""
    random = np.random.default_rng(seed)
    if by_image:
        n = sample.n_images
        return random.multinomial(n, np.full(n, 1 / n), resamples)[:, sample.images]
    n = len(sample.d)
    return random.multinomial(n, np.full(n, 1 / n), resamples)
