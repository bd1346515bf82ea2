"""Confusion matrices of a test set in, phase fractions corrected by its error rates out.

Valid only if these images look like the test images and differ from them in composition alone; `reference_points`
needs no such assumption.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import read_json
from cathode_tf.phases import Phases
from cathode_tf.statistics.correction import by_unit, combined
from cathode_tf.statistics.estimate import Estimate, ratio_estimate

ADJUSTED = "Forman, Data Min. Knowl. Discov. 17 (2008) 164; Buonaccorsi, Measurement Error, 2010"
TRANSFER_UNVERIFIED = "TRANSFER_UNVERIFIED"
"""Flag: nothing here shows that these images look like the test images; label reference points to be sure."""
LARGEST_CONDITION = 20.0
FEWEST_TEST_IMAGES = 3


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
            *by_unit(counts @ inverse[index], counts.sum(1), units), unit_of_replication=unit, what=name
        )
        estimates[name] = combined(
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
