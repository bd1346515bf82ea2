"""Masks in, random points to label out; labelled points in, what the masks get wrong out.

Points are drawn at random in strata: the phase that the mask shows, and whether the place lies within 3 px of a border,
where the model was in doubt, or inside. Who labels them sees the micrograph, not the mask. "Cannot tell" is an answer:
it widens the interval by what it might hide, and is never dropped. Areas are corrected by the points. What hangs on
where borders run (surfaces, contacts, sizes, cracks) gets a band from the points near borders, never a correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import pandas as pd
from scipy import stats

from cathode_tf.errors import InputError
from cathode_tf.phases import IGNORE, Phases
from cathode_tf.statistics.correction import combined
from cathode_tf.statistics.estimate import LEVEL, Estimate, ratio_estimate
from cathode_tf.statistics.reference_points import OLOFSSON

BORDER_PX = 3.0
"""So near a border the mask may be right and its border still a little off."""
DOUBTFUL = 128
"""Margin (0-255) below which the model was in doubt."""
ZONES = ("inside", "border", "doubt")
GUESSES = {"inside": 0.05, "border": 0.25, "doubt": 0.35}
"""Shares of wrong pixels that are assumed before anything is known."""
CANNOT_TELL = "?"
FEWEST_IN_STRATUM = 4
LEAST_SHARE = 0.002
"""Strata of less are joined with their phase's largest."""
FEWEST_IMAGES = 5
RESAMPLES = 400
COLUMNS = ("point", "image", "row", "column", "mapped", "zone", "reference")


@dataclass(frozen=True)
class Strata:
    """How many pixels of each phase lie in each zone of each image.

    Attributes:
        images: Names.
        phases: Names.
        pixels: int64 (images, phases, zones).
    """

    images: tuple[str, ...]
    phases: tuple[str, ...]
    pixels: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """Share of all pixels by phase and zone, (phases, zones)."""
        return self.pixels.sum(0) / max(self.pixels.sum(), 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"images": list(self.images), "phases": list(self.phases), "pixels": self.pixels.tolist()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Strata:
        """The strata that `to_dict` described."""
        pixels = np.asarray(content["pixels"], np.int64)
        return cls(tuple(content["images"]), tuple(content["phases"]), pixels)


def zones_of(mask: np.ndarray, margin: np.ndarray | None = None) -> np.ndarray:
    """The zone of each pixel: 0 inside, 1 within 3 px of a border, 2 inside but doubtful; uint8 (height, width).

    Args:
        mask: uint8 (height, width) of phase ids.
        margin: The model's margin, uint8, 255 = sure; None = unknown, then nothing is doubtful.

    Example:
        >>> mask = np.zeros((1, 12), np.uint8); mask[:, 6:] = 1
        >>> zones_of(mask)[0].tolist()
        [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    """
    same = np.ones(mask.shape, np.uint8)
    for axis in (0, 1):
        change = np.diff(mask.astype(np.int16), axis=axis) != 0
        first, second = (slice(None, -1), slice(1, None))
        for part in (first, second):
            index = (part, slice(None)) if axis == 0 else (slice(None), part)
            same[index][change] = 0
    zone = np.zeros(mask.shape, np.uint8)
    if margin is not None:
        zone[margin < DOUBTFUL] = 2
    if not same.all():
        # Pixels that touch a border are at distance 0 here, and half a pixel from it.
        zone[cv2.distanceTransform(same, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= BORDER_PX - 1] = 1
    return zone


def strata_of(masks: Mapping[str, np.ndarray], zones: Mapping[str, np.ndarray], phases: Phases) -> Strata:
    """How many pixels of each phase lie in each zone."""
    pixels = np.zeros((len(masks), len(phases), len(ZONES)), np.int64)
    for image, (name, mask) in enumerate(masks.items()):
        known = mask != IGNORE
        index = phases.to_indices(mask)[known].astype(np.int64) * len(ZONES) + zones[name][known]
        pixels[image] = np.bincount(index, minlength=pixels[image].size).reshape(pixels[image].shape)
    return Strata(tuple(masks), phases.names, _joined(pixels))


def _joined(pixels: np.ndarray) -> np.ndarray:
    """Strata of hardly any pixels go to the largest of their phase, as no point would be drawn there."""
    share = pixels.sum(0) / max(pixels.sum(), 1)
    joined = pixels.copy()
    for phase, zones in enumerate(share):
        largest = int(np.argmax(zones))
        for zone, part in enumerate(zones):
            if zone != largest and 0 < part < LEAST_SHARE:
                joined[:, phase, largest] += joined[:, phase, zone]
                joined[:, phase, zone] = 0
    return joined


def allotted(strata: Strata, points: int) -> np.ndarray:
    """How many points each stratum gets, (phases, zones): by its share and its guessed error (Neyman).

    Reference:
        Cochran, Sampling Techniques, Wiley 1977, ch. 5.
    """
    share = strata.share
    weight = share * np.sqrt([p * (1 - p) for p in GUESSES.values()])
    wanted = np.where(share > 0, np.maximum(points * weight / max(weight.sum(), 1e-12), FEWEST_IN_STRATUM), 0)
    # What the smallest strata got more than their due is taken off the others, one by one.
    number = np.floor(wanted).astype(int)
    while number.sum() > points and (number > FEWEST_IN_STRATUM).any():
        number.flat[np.argmax(np.where(number > FEWEST_IN_STRATUM, number, -1))] -= 1
    while number.sum() < points and share.any():
        number.flat[np.argmax(np.where(share > 0, wanted - number, -np.inf))] += 1
    return np.minimum(number, strata.pixels.sum(0))


def draw_points(
    masks: Mapping[str, np.ndarray],
    phases: Phases,
    points: int,
    *,
    margins: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
) -> tuple[pd.DataFrame, Strata]:
    """Random places to label, in an order in which any beginning is a fair sample too.

    Args:
        masks: Name -> mask, uint8 (height, width).
        phases: Names and ids.
        points: How many in all, at least 20.
        margins: The model's margin of each mask, where it is known.
        seed: Another seed draws other points.

    Returns:
        A row a point (`COLUMNS`, reference empty), and the strata.

    Raises:
        InputError: If there are too few points or nothing to draw from.
    """
    if points < 20:
        raise InputError(f"points: must be at least 20, or nothing can be told. Received {points}.")
    zones = {name: zones_of(mask, (margins or {}).get(name)) for name, mask in masks.items()}
    strata = strata_of(masks, zones, phases)
    if not strata.pixels.sum():
        raise InputError("masks: must hold pixels of a phase. All are ignored (255).")
    rng, rows = np.random.default_rng(seed), []
    share = strata.share
    for phase, zone in np.argwhere(allotted(strata, points) > 0):
        counts = strata.pixels[:, phase, zone]
        places = np.sort(
            rng.choice(int(counts.sum()), int(allotted(strata, points)[phase, zone]), replace=False)
        )
        starts = np.concatenate([[0], np.cumsum(counts)])
        id_ = phases.ids[phase]
        gone = [z for z in range(len(ZONES)) if z != zone and not share[phase, z]]
        for index, (name, mask) in enumerate(masks.items()):
            mine = places[(places >= starts[index]) & (places < starts[index + 1])] - starts[index]
            if not len(mine):
                continue
            # A stratum that was joined to this one is part of it.
            largest = zone == int(np.argmax(share[phase]))
            inside = np.isin(zones[name], [zone, *gone]) if largest else zones[name] == zone
            flat = np.flatnonzero((mask == id_) & inside)[mine]
            row, column = np.divmod(flat, mask.shape[1])
            rows += [
                (name, int(r), int(c), phases.names[phase], ZONES[zone])
                for r, c in zip(row, column, strict=True)
            ]
    table = pd.DataFrame(rows, columns=list(COLUMNS[1:-1])).sample(frac=1, random_state=seed)
    table = table.reset_index(drop=True)
    table.insert(0, "point", np.arange(len(table)))
    table["reference"] = ""
    return table, strata


def expected_half_width(strata: Strata, points: int) -> float:
    """Half width (95 %, 0-1) of a phase's fraction that so many points leave, before any is labelled.

    With the guessed shares of wrong pixels, which are the same for all phases.
    """
    share, number = strata.share, np.maximum(allotted(strata, points), 1)
    rates = np.array(list(GUESSES.values()))
    variance = float((share**2 * rates * (1 - rates) / number).sum())
    return float(stats.norm.ppf(0.5 + LEVEL / 2)) * math.sqrt(variance)


@dataclass(frozen=True)
class Verification:
    """What labelled points say about masks.

    Attributes:
        images: Names of the masks.
        points: Labelled points, those that nobody could tell among them.
        cannot_tell: How many those are.
        right: Share of the area that the masks show right, with its interval.
        matrix: Share of the area by mapped (row) and true (column) phase, (phases, phases).
        fractions: Corrected fraction of each phase.
        border_wrong: Share of the border zone that is wrong, by mapped phase, and `""` for all; of what could be told.
        by: Who labelled.
        u_points: Standard uncertainty of each fraction from the points alone.
    """

    images: tuple[str, ...]
    phases: tuple[str, ...]
    points: int
    cannot_tell: int
    right: Estimate
    matrix: np.ndarray
    fractions: Mapping[str, Estimate]
    border_wrong: Mapping[str, float]
    by: str = ""
    u_points: Mapping[str, float] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """How right the masks are."""
        assert self.right.value is not None
        ends = "" if self.right.ci is None else " [{:.0f}, {:.0f}]".format(*(100 * e for e in self.right.ci))
        doubt = f"; {self.cannot_tell} could not be told" if self.cannot_tell else ""
        by = f"In the judgement of {self.by}, " if self.by else ""
        return f"{by}{100 * self.right.value:.0f}{ends} % of the area is right{doubt}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "images": list(self.images),
            "phases": list(self.phases),
            "points": self.points,
            "cannot_tell": self.cannot_tell,
            "right": self.right.to_dict(),
            "matrix": self.matrix.tolist(),
            "fractions": {name: each.to_dict() for name, each in self.fractions.items()},
            "border_wrong": dict(self.border_wrong),
            "by": self.by,
            "sentence": self.sentence,
        }


def verify_masks(points: pd.DataFrame, strata: Strata, *, by: str = "", seed: int = 0) -> Verification:
    """What the labelled points say.

    p_j = sum_h W_h n_hj / m_h over strata h, m_h the points that could be told. The uncertainty of the points is the
    larger of the stratified one (each rate by the rule of succession) and of resampled images; that between the images
    adds. Points that nobody could tell move the ends of the interval to where all of them are of the phase, or none.

    Args:
        points: Of `draw_points`, `reference` filled in: a phase, `"?"` for "cannot tell", or empty (not yet).
        strata: From the same call.
        by: Who labelled.
        seed: Of the resampling.

    Raises:
        InputError: If fewer than 20 are labelled, or a stratum has none.

    Reference:
        Olofsson et al., Remote Sens. Environ. 129 (2013) 122 and 148 (2014) 42; Cochran 1977, ch. 5.
    """
    told = _labelled(points, strata)
    if len(told) < 20:
        raise InputError(f"points: at least 20 must be labelled. Received {len(told)}.")
    counts = _counts(told, strata)
    rates = _rates(counts, strata)
    share = strata.share
    p = np.einsum("pz,pzj->j", share, rates)
    asked = np.maximum(counts.sum(-1), 1)
    unknown = share * counts[..., -1] / asked
    u_points = _u_points(counts, share)
    u_images = _u_images(told, strata, rates, seed)
    fractions = {}
    for j, name in enumerate(strata.phases):
        between = ratio_estimate(
            np.einsum("ipz,pz->i", strata.pixels, rates[..., j]), strata.pixels.sum((1, 2)), what=name
        )
        spread = between.components.get("between_images", 0.0)
        u = max(u_points[j], math.sqrt(max(u_images[j] ** 2 - spread**2, 0.0)))
        estimate = combined(
            float(p[j]),
            between,
            {"reference_points": (u, max(len(told) - 1.0, 1.0))},
            method=f"fraction corrected by {len(told)} labelled points, stratified by phase and nearness to a border",
            reference=OLOFSSON,
        )
        # All that nobody could tell may be this phase, or none of it.
        none = float((unknown * rates[..., j]).sum())
        fractions[name] = _moved(estimate, none, float(unknown.sum()) - none)
    matrix = np.einsum("pz,pzj->pj", share, rates)
    right = float(np.trace(matrix))
    u_right = float(np.sqrt((share**2 * _variance(_hits(counts))).sum()))
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * u_right
    lost = float(unknown.sum())
    ends = (max(right - half - lost * right, 0.0), min(right + half + lost * (1 - right), 1.0))
    return Verification(
        strata.images,
        strata.phases,
        len(told),
        int(counts[..., -1].sum()),
        Estimate(
            right, ci=ends, n=len(told), unit_of_replication="point", method="share of the area that is right"
        ),
        matrix,
        fractions,
        _border(counts, share, strata.phases),
        by,
        dict(zip(strata.phases, map(float, u_points), strict=True)),
    )


def _labelled(points: pd.DataFrame, strata: Strata) -> pd.DataFrame:
    missing = sorted(set(COLUMNS) - set(points.columns))
    if missing:
        raise InputError(f"points: must be the table of `draw_points`. Its column {missing[0]} is missing.")
    told = points[points["reference"].fillna("").astype(str) != ""]
    wrong = set(told["reference"]) - {*strata.phases, CANNOT_TELL}
    if wrong:
        known = ", ".join(strata.phases)
        raise InputError(f"points: each must be {known} or {CANNOT_TELL}. Received {sorted(wrong)[0]!r}.")
    foreign = set(told["image"].astype(str)) - set(strata.images)
    if foreign:
        raise InputError(
            f"points: must lie on the images of the masks. {sorted(foreign)[0]} is none of them."
        )
    return told


def _counts(told: pd.DataFrame, strata: Strata) -> np.ndarray:
    """Points by mapped phase, zone and answer; the last answer is "cannot tell"."""
    answers = [*strata.phases, CANNOT_TELL]
    counts = np.zeros((len(strata.phases), len(ZONES), len(answers)))
    rows = zip(told["mapped"], told["zone"], told["reference"], strict=True)
    for mapped, zone, reference in rows:
        counts[strata.phases.index(mapped), ZONES.index(zone), answers.index(reference)] += 1
    return counts


def _rates(counts: np.ndarray, strata: Strata) -> np.ndarray:
    """Share of each true phase in each stratum, (phases, zones, phases); one without points is as its phase."""
    known = counts[..., :-1]
    sums = known.sum(-1, keepdims=True)
    of_phase = known.sum(1, keepdims=True)
    n = len(strata.phases)
    own = np.eye(n)[:, None, :]
    fallback = np.where(of_phase.sum(-1, keepdims=True) > 0, of_phase, own)
    fallback = fallback / fallback.sum(-1, keepdims=True)
    return np.where(sums > 0, known / np.maximum(sums, 1), fallback)


def _hits(counts: np.ndarray) -> np.ndarray:
    """Points by stratum that are right, and that are not, (phases, zones, 2)."""
    known = counts[..., :-1]
    right = np.einsum("pzp->pz", known)
    return np.stack([right, known.sum(-1) - right], -1)


def _variance(pair: np.ndarray) -> np.ndarray:
    """Variance of a share from (yes, no) counts, by the rule of succession, so that no error of 5 is not none."""
    total = pair.sum(-1)
    rate = (pair[..., 0] + 1) / (total + 2)
    return rate * (1 - rate) / (total + 1)


def _u_points(counts: np.ndarray, share: np.ndarray) -> np.ndarray:
    known = counts[..., :-1]
    pairs = np.stack([known, known.sum(-1, keepdims=True) - known], -1)
    return np.sqrt(np.einsum("pz,pzj->j", share**2, _variance(pairs)))


def _u_images(told: pd.DataFrame, strata: Strata, rates: np.ndarray, seed: int) -> np.ndarray:
    """Spread of the fractions over resampled images with their points; 0 of fewer than five images."""
    n, names = len(strata.images), strata.phases
    if n < FEWEST_IMAGES:
        return np.zeros(len(names))
    by_image = np.array([_counts(told[told["image"].astype(str) == i], strata) for i in strata.images])
    rng = np.random.default_rng(seed)
    found = []
    for weights in rng.multinomial(n, np.full(n, 1 / n), RESAMPLES):
        counts = np.tensordot(weights, by_image, 1)
        pixels = np.tensordot(weights, strata.pixels, 1)
        known = counts[..., :-1]
        sums = known.sum(-1, keepdims=True)
        mine = np.where(sums > 0, known / np.maximum(sums, 1), rates)
        found.append(np.einsum("pz,pzj->j", pixels / pixels.sum(), mine))
    return np.std(found, axis=0) * math.sqrt(n / (n - 1))


def _moved(estimate: Estimate, down: float, up: float) -> Estimate:
    if estimate.ci is None or not (down or up):
        return estimate
    low, high = max(estimate.ci[0] - down, 0.0), min(estimate.ci[1] + up, 1.0)
    text = f"points that nobody could tell widen the interval by {down:.2g} down and {up:.2g} up"
    return replace(estimate, ci=(low, high)).with_flag("CANNOT_TELL", text)


def _border(counts: np.ndarray, share: np.ndarray, phases: Sequence[str]) -> dict[str, float]:
    zone = ZONES.index("border")
    pairs = _hits(counts)[:, zone]
    wrong = {}
    for name, (right, not_right) in zip(phases, pairs, strict=True):
        if right + not_right:
            wrong[name] = float(not_right / (right + not_right))
    weights = {name: share[phases.index(name), zone] for name in wrong}
    total = sum(weights.values())
    if total:
        wrong[""] = float(sum(weights[name] * wrong[name] for name in weights) / total)
    return wrong


def is_more_worth_it(found: Verification, phase: str) -> str:
    """After some points: what they leave open of a phase's fraction, and whether more would narrow it."""
    u, estimate = found.u_points[phase], found.fractions[phase]
    z = float(stats.norm.ppf(0.5 + LEVEL / 2))
    between = estimate.components.get("between_images", 0.0)
    now = f"{found.points} points leave {100 * z * u:.1f} points of percentage open on {phase}"
    if between > 2 * u:
        return f"{now}; the images themselves differ by {100 * z * between:.1f}: more images help, more points hardly."
    later = z * u * math.sqrt(found.points / (found.points + 100))
    return f"{now}; 100 more would leave {100 * later:.1f}."
