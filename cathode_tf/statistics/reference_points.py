"""Points that an expert labelled on these very images in, phase fractions corrected by them out.

Valid whatever the model is. Where no such points are at hand, `transfer` carries over the errors of a test set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from cathode_tf.errors import InputError
from cathode_tf.phases import Phases
from cathode_tf.statistics.correction import by_unit, combined
from cathode_tf.statistics.estimate import LEVEL, Estimate, ratio_estimate

OLOFSSON = "Olofsson et al., Remote Sens. Environ. 129 (2013) 122 and 148 (2014) 42"


@dataclass(frozen=True)
class PostStratified:
    """Corrected shares from a stratified sample of labelled points.

    Attributes:
        share: Corrected share of each reference phase, 0-1.
        u: Standard uncertainty of `share` from the points alone.
        users_accuracy: Share of each mapped phase that is right; NaN where no point was drawn.
        producers_accuracy: Share of each reference phase that was mapped as such; NaN where it has no share.
    """

    share: np.ndarray
    u: np.ndarray
    users_accuracy: np.ndarray
    producers_accuracy: np.ndarray


def post_stratified(points: np.ndarray, mapped_share: np.ndarray) -> PostStratified:
    """Shares of the reference phases from points drawn within each mapped phase.

    p_j = sum_i W_i n_ij / n_i; u_j^2 = sum_i W_i^2 (n_ij / n_i)(1 - n_ij / n_i) / (n_i - 1).

    Args:
        points: Numbers of points n_ij, (n, n): row = mapped phase, column = reference phase.
        mapped_share: W_i, share of the mapped phases, sums to 1.

    Raises:
        InputError: If a phase that is mapped somewhere has fewer than 2 points.

    Example:
        >>> areas = np.array([22353, 1122543, 610228])
        >>> points = np.array([[97, 0, 3], [3, 279, 18], [2, 1, 97]])
        >>> result = post_stratified(points, areas / areas.sum())
        >>> round(float(result.share[0] * areas.sum())), round(float(1.95996 * result.u[0] * areas.sum()))
        (45112, 21072)

    Reference:
        Olofsson et al., Remote Sens. Environ. 129 (2013) 122 and 148 (2014) 42.
    """
    points, weight = np.asarray(points, float), np.asarray(mapped_share, float)
    row = points.sum(1)
    poor = np.flatnonzero((weight > 0) & (row < 2))
    if len(poor):
        raise InputError(
            f"reference points: each mapped phase must have at least 2 labelled points. Phase number "
            f"{poor[0]} covers {100 * weight[poor[0]]:.2g} % and has {row[poor[0]]:.0f}."
        )
    used = weight > 0
    right = np.zeros_like(points)
    right[used] = points[used] / row[used, None]
    share = weight @ right
    variance = np.zeros_like(points)
    variance[used] = (right * (1 - right))[used] / (row[used, None] - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        users = np.where(row > 0, np.diag(points) / row, np.nan)
        producers = np.where(share > 0, weight * np.diag(right) / share, np.nan)
    return PostStratified(share, np.sqrt(weight**2 @ variance), users, producers)


def plan_reference_points(
    mapped_share: Mapping[str, float],
    phase: str,
    *,
    half_width: float,
    users_accuracy: Mapping[str, float] | float = 0.9,
    missed: float = 0.05,
) -> dict[str, int]:
    """How many points to label in each mapped phase so that one fraction is known to +- `half_width` (95 %).

    Neyman's allocation: n_i proportional to W_i s_i with s_i = sqrt(p_i (1 - p_i)), p_i the guessed share of
    `phase` among the pixels mapped as i. At least 20 in each phase, so that a wrong guess shows.

    Args:
        mapped_share: Fraction of each phase in the masks.
        phase: The phase whose fraction matters.
        half_width: Wanted half width of the interval, 0-1.
        users_accuracy: Guess of the share of pixels mapped as `phase` that are right.
        missed: Guess of the share of the other phases' pixels that are really `phase`.

    Returns:
        Points by mapped phase.

    Example:
        >>> mapped = {"pore": 0.25, "ncm": 0.67, "binder": 0.08}
        >>> plan_reference_points(mapped, "pore", half_width=0.02, missed=0.04)
        {'pore': 160, 'ncm': 280, 'binder': 34}

    Reference:
        Cochran, Sampling Techniques, Wiley 1977, ch. 5; Olofsson 2014.
    """
    if not 0 < half_width < 1:
        raise InputError(f"half width: must be between 0 and 1. Received {half_width}.")
    if phase not in mapped_share:
        raise InputError(f"phase: must be one of {', '.join(mapped_share)}. Received {phase!r}.")
    right = users_accuracy if isinstance(users_accuracy, float) else users_accuracy[phase]
    spread = {
        name: share * math.sqrt(p * (1 - p))
        for name, share in mapped_share.items()
        for p in [right if name == phase else missed]
    }
    z = float(stats.norm.ppf(0.5 + LEVEL / 2))
    total = sum(spread.values()) ** 2 * (z / half_width) ** 2
    every = sum(spread.values()) or 1.0
    return {
        name: max(20, math.ceil(total * s / every)) for name, s in spread.items() if mapped_share[name] > 0
    }


def draw_reference_points(
    masks: Mapping[str, np.ndarray], phases: Phases, points: int | Mapping[str, int], *, seed: int = 0
) -> pd.DataFrame:
    """Places to label, drawn at random among the pixels of each mapped phase over all images.

    Args:
        masks: Name -> mask, uint8 (height, width).
        phases: Names and ids.
        points: How many in each mapped phase (`plan_reference_points`); a phase with fewer pixels gives all.
        seed: Another seed draws other points.

    Returns:
        A row a point in random order: point, image, row, column, mapped (phase), and an empty column
        reference, in which the annotator writes the name of the phase that is really there.

    Example:
        >>> mask = np.repeat(np.array([[0, 1]], np.uint8), 50, axis=1).repeat(100, axis=0)
        >>> points = draw_reference_points({"a": mask}, Phases.default(), 20)
        >>> points["mapped"].value_counts().tolist()
        [20, 20]
    """
    rng = np.random.default_rng(seed)
    names = list(masks)
    rows = []
    for phase in phases:
        wanted = points if isinstance(points, int) else points.get(phase.name, 0)
        counts = np.array([np.count_nonzero(masks[name] == phase.id) for name in names])
        chosen = np.sort(rng.choice(int(counts.sum()), min(wanted, int(counts.sum())), replace=False))
        starts = np.concatenate([[0], np.cumsum(counts)])
        for index, name in enumerate(names):
            mine = chosen[(chosen >= starts[index]) & (chosen < starts[index + 1])] - starts[index]
            place = np.flatnonzero(masks[name] == phase.id)[mine] if len(mine) else np.zeros(0, int)
            row, column = np.divmod(place, masks[name].shape[1])
            rows += [(name, int(r), int(c), phase.name) for r, c in zip(row, column, strict=True)]
    table = pd.DataFrame(rows, columns=["image", "row", "column", "mapped"])
    table = table.sample(frac=1, random_state=seed).reset_index(drop=True)
    table.insert(0, "point", np.arange(len(table)))
    table["reference"] = ""
    return table


def from_reference_points(
    counts: np.ndarray,
    points: pd.DataFrame,
    phases: Phases,
    *,
    units: Sequence[str] | None = None,
) -> dict[str, Estimate]:
    """Fractions corrected by labelled points of `draw_reference_points`.

    Two uncertainties add: of the points (which phase is really there) and between the images (how much of it
    the batch holds); u^2 = u_points^2 + u_between^2.

    Args:
        counts: Mapped pixels by image and phase, (images, n).
        points: The table with its column reference filled in; points left empty do not count.
        phases: Names and ids.
        units: The group of each image, if groups are the independent units.

    Returns:
        Fraction by phase, 0-1.

    Raises:
        InputError: If the table lacks a column, names an unknown phase, or a mapped phase has fewer than two
            labelled points.

    Reference:
        Olofsson et al., Remote Sens. Environ. 129 (2013) 122 and 148 (2014) 42.
    """
    table = _point_table(points, phases)
    result = post_stratified(table, counts.sum(0) / counts.sum())
    row = np.maximum(table.sum(1, keepdims=True), 1)
    right = table / row
    estimates = {}
    for index, name in enumerate(phases.names):
        # With the error rates fixed, an image's corrected content is linear in its mapped pixels.
        between = ratio_estimate(
            *by_unit(counts @ right[:, index], counts.sum(1), units),
            unit_of_replication="image" if units is None else "group",
            what=name,
        )
        estimates[name] = combined(
            float(result.share[index]),
            between,
            {"reference_points": (float(result.u[index]), max(float(table.sum()) - 1, 1))},
            method=f"fraction corrected by {int(table.sum())} labelled points, post-stratified",
            reference=OLOFSSON,
        )
    return estimates


def _point_table(points: pd.DataFrame, phases: Phases) -> np.ndarray:
    missing = sorted({"mapped", "reference"} - set(points.columns))
    if missing:
        raise InputError(
            f"reference points: must have the columns mapped and reference. {missing[0]} is missing."
        )
    labelled = points[points["reference"].fillna("").astype(str).str.strip() != ""]
    table = np.zeros((len(phases), len(phases)))
    for mapped, reference in zip(labelled["mapped"], labelled["reference"], strict=True):
        for name in (mapped, str(reference).strip()):
            if name not in phases:
                raise InputError(
                    f"reference points: each must be one of {', '.join(phases.names)}. Received {name!r}."
                )
        table[phases.names.index(mapped), phases.names.index(str(reference).strip())] += 1
    if not table.sum():
        raise InputError("reference points: at least one must be labelled. The column reference is empty.")
    return table
