"""Phase fractions corrected for what the segmentation gets wrong, in two designs that must not be mixed up.

`from_reference_points`: an expert labelled points drawn at random on these images; valid whatever the model
is.
`transferred`: the confusion matrix of a test set is carried over; valid only if these images look like the
test images and differ from them in composition alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cathode_tf.analysis.estimate import LEVEL, NO_INTERVAL, Estimate, quantity, ratio_estimate
from cathode_tf.errors import InputError
from cathode_tf.files import read_json
from cathode_tf.phases import Phases

OLOFSSON = "Olofsson et al., Remote Sens. Environ. 129 (2013) 122 and 148 (2014) 42"
ADJUSTED = "Forman, Data Min. Knowl. Discov. 17 (2008) 164; Buonaccorsi, Measurement Error, 2010"
TRANSFER_UNVERIFIED = "TRANSFER_UNVERIFIED"
"""Flag: nothing here shows that these images look like the test images; label reference points to be sure."""
LARGEST_CONDITION = 20.0
FEWEST_TEST_IMAGES = 3


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
            *_by_unit(counts @ right[:, index], counts.sum(1), units),
            unit_of_replication="image" if units is None else "group",
            what=name,
        )
        estimates[name] = _combined(
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


@dataclass(frozen=True)
class TestErrors:
    """What a model mistook for what, image by image of a test set.

    Attributes:
        confusions: Pixel counts, (test images, n, n): row = reference, column = prediction.
        phases: Their names, in this order.
        source: Where it was read.
    """

    __test__ = False

    confusions: np.ndarray
    phases: tuple[str, ...]
    source: str = "evaluation"

    def merged(self, phase: str, into: str) -> TestErrors:
        """The same errors where `phase` counts as `into`: what was mistaken between the two is right then."""
        if phase not in self.phases or into not in self.phases:
            return self
        a, b = self.phases.index(phase), self.phases.index(into)
        table = self.confusions.copy()
        table[:, b] += table[:, a]
        table[:, :, b] += table[:, :, a]
        table = np.delete(np.delete(table, a, axis=1), a, axis=2)
        return replace(self, confusions=table, phases=tuple(n for n in self.phases if n != phase))


def read_evaluation(path: str | Path) -> TestErrors:
    """The confusion matrices in an `evaluation.json` of `cathode-tf evaluate`.

    Raises:
        InputError: If the file cannot be read or holds none.
    """
    content: Any = read_json(path)
    tables = content.get("confusions") if isinstance(content, dict) else None
    names = content.get("phases") if isinstance(content, dict) else None
    if not tables or not names:
        raise InputError(
            f"{path}: must be an evaluation.json with phases and confusions. Evaluate the model again."
        )
    names = tuple(name["name"] if isinstance(name, dict) else str(name) for name in names)
    confusions = np.array(list(tables.values()), float)
    if confusions.shape[1:] != (len(names), len(names)):
        raise InputError(
            f"{path}: each confusion matrix must be {len(names)} x {len(names)}, one row a phase."
        )
    return TestErrors(confusions, names, str(path))


def adjusted(confusion: np.ndarray, mapped_share: np.ndarray) -> np.ndarray:
    """True shares p from mapped shares q: q = C^T p with C = P(mapped | true), the nearest p on the simplex.

    Args:
        confusion: Counts or rates, (n, n): row = reference, column = prediction; each row must have a sum.
        mapped_share: q, sums to 1.

    Example:
        >>> c = np.array([[.93, .06, .01], [.05, .90, .05], [.03, .12, .85]])
        >>> adjusted(c, np.array([.682, .2328, .0852])).round(4).tolist()
        [0.72, 0.2, 0.08]
    """
    rates = confusion / confusion.sum(1, keepdims=True)
    return _on_simplex(np.linalg.solve(rates.T, mapped_share))


def _on_simplex(values: np.ndarray) -> np.ndarray:
    """The nearest point with no negative entry and sum 1 (Duchi et al. 2008)."""
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, len(values) + 1)
    return np.maximum(values - excess[np.flatnonzero(ordered > excess)[-1]], 0)


def transferred(
    counts: np.ndarray,
    errors: TestErrors,
    phases: Phases,
    *,
    units: Sequence[str] | None = None,
    draws: int = 400,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Fractions corrected with the error rates of a test set.

    Valid only under label shift: these images look like the test images and differ in composition alone;
    nothing in a mask can show that, so every result carries `TRANSFER_UNVERIFIED`. The uncertainty of the
    rates is that between test images (cluster bootstrap; pixels of an image are not independent), and adds to
    that between the images of the batch.

    Args:
        counts: Mapped pixels by image and phase, (images, n).
        errors: `read_evaluation`.
        phases: Of the masks; the names must be those of the evaluation.
        units: The group of each image, if groups are the independent units.
        draws: Bootstrap samples of the test images.
        seed: Of the bootstrap.

    Returns:
        Fraction by phase; all refused where there are fewer than 3 test images, a phase does not occur in
        them, or the matrix is too badly conditioned (above 20) to be inverted safely.

    Raises:
        InputError: If the phases differ.

    Reference:
        Forman, Data Min. Knowl. Discov. 17 (2008) 164; Buonaccorsi, Measurement Error, 2010.
    """
    if tuple(errors.phases) != phases.names:
        raise InputError(
            f"{errors.source}: must have the phases of the masks ({', '.join(phases.names)}). Received "
            f"{', '.join(errors.phases)}."
        )
    unit = "image" if units is None else "group"
    fields = {
        "method": f"fraction corrected with the error rates of {len(errors.confusions)} test images",
        "reference": ADJUSTED,
        "unit_of_replication": unit,
    }
    reason = _cannot_transfer(errors)
    if reason:
        return {name: Estimate.refused(reason, n=len(counts), **fields) for name in phases.names}
    total = errors.confusions.sum(0)
    share = adjusted(total, counts.sum(0) / counts.sum())
    u = _bootstrap(errors.confusions, counts.sum(0) / counts.sum(), draws, seed)
    inverse = np.linalg.inv((total / total.sum(1, keepdims=True)).T)
    condition = float(np.linalg.cond(total / total.sum(1, keepdims=True)))
    estimates = {}
    for index, name in enumerate(phases.names):
        between = ratio_estimate(
            *_by_unit(counts @ inverse[index], counts.sum(1), units), unit_of_replication=unit, what=name
        )
        estimates[name] = _combined(
            float(share[index]),
            between,
            {"test_images": (float(u[index]), len(errors.confusions) - 1)},
            method=fields["method"],
            reference=ADJUSTED,
        ).with_flag(
            TRANSFER_UNVERIFIED,
            f"holds only if these images look like the test images (condition number {condition:.2g}); "
            "reference points on these images would need no such belief",
        )
    return estimates


def _cannot_transfer(errors: TestErrors) -> str:
    """Why the error rates of this test set cannot be used, or an empty string."""
    if len(errors.confusions) < FEWEST_TEST_IMAGES:
        return (
            f"error rates need at least {FEWEST_TEST_IMAGES} test images; "
            f"the evaluation has {len(errors.confusions)}"
        )
    rows = errors.confusions.sum((0, 2))
    if not rows.all():
        missing = errors.phases[int(np.flatnonzero(rows == 0)[0])]
        return f"no test image shows {missing}, so its error rates are unknown"
    total = errors.confusions.sum(0)
    condition = float(np.linalg.cond(total / total.sum(1, keepdims=True)))
    if condition > LARGEST_CONDITION:
        return (
            f"the model confuses its phases too much: condition number {condition:.0f}, "
            f"at most {LARGEST_CONDITION:.0f}"
        )
    return ""


def _bootstrap(confusions: np.ndarray, mapped_share: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Standard uncertainty of the corrected shares over resampled test images."""
    rng = np.random.default_rng(seed)
    number = len(confusions)
    results = []
    for _ in range(draws):
        table = confusions[rng.integers(0, number, number)].sum(0)
        rates = table / np.maximum(table.sum(1, keepdims=True), 1)
        # A sample in which a phase is missing, or the rates are singular, says nothing about the inverse.
        if table.sum(1).all() and np.linalg.cond(rates) < 10 * LARGEST_CONDITION:
            results.append(adjusted(table, mapped_share))
    if len(results) < draws / 4:
        return np.ones(len(mapped_share))
    # The bootstrap's variance over n clusters is (n - 1) / n of the true one.
    return np.std(results, axis=0) * math.sqrt(number / (number - 1))


def _by_unit(
    numerators: np.ndarray, denominators: np.ndarray, units: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    from cathode_tf.analysis.fractions import sum_by_group

    if units is None:
        return numerators, denominators
    return sum_by_group(numerators, units), sum_by_group(denominators, units)


def _combined(
    value: float,
    between: Estimate,
    others: Mapping[str, tuple[float, float]],
    *,
    method: str,
    reference: str,
) -> Estimate:
    """A fraction with independent uncertainties (u, degrees of freedom) by source, t at Welch's dof."""
    parts = {name: (u, between.n - 1) for name, u in between.components.items()} | dict(others)
    variance = sum(u**2 for u, _ in parts.values())
    dof = variance**2 / (sum(u**4 / dof for u, dof in parts.values()) or 1) if variance else 1.0
    half = float(stats.t.ppf(0.5 + LEVEL / 2, max(dof, 1))) * math.sqrt(variance)
    flags = {}
    if NO_INTERVAL in between.flags:
        flags["NO_BETWEEN_IMAGES"] = f"the interval leaves out the batch: {between.flags[NO_INTERVAL]}"
    return quantity(
        min(max(value, 0.0), 1.0),
        half,
        bounds=(0, 1),
        n=between.n,
        unit_of_replication=between.unit_of_replication,
        method=method,
        reference=reference,
        components={name: u for name, (u, _) in parts.items()},
        flags=flags,
    )
