"""Particles as a reference outlines them and as a separation found them in; how well the two agree, out.

Two particles agree at a threshold when they overlap by more than it (intersection over union); above 0.5 no particle
can agree with two. Counts and sizes are told beside it, as what is cut too much and what is missed cancel there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cathode_tf.errors import InputError

THRESHOLDS = 0.5, 0.75


@dataclass(frozen=True)
class Agreement:
    """What two sets of particles have in common, summed over images.

    Attributes:
        overlaps: Intersection over union (above 0.5) of each pair that agrees.
        found: Number of particles found.
        expected: Number of particles of the reference.
        found_px: Equivalent diameters of those found, px.
        expected_px: Equivalent diameters of the reference, px.
    """

    overlaps: np.ndarray
    found: int
    expected: int
    found_px: np.ndarray
    expected_px: np.ndarray

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            np.concatenate([self.overlaps, other.overlaps]),
            self.found + other.found,
            self.expected + other.expected,
            np.concatenate([self.found_px, other.found_px]),
            np.concatenate([self.expected_px, other.expected_px]),
        )

    def average_precision(self, threshold: float = 0.5) -> float:
        """TP / (TP + FP + FN), 0-1, pairs agreeing above `threshold` (at least 0.5); NaN without any particle."""
        if not 0.5 <= threshold < 1:
            raise InputError(f"threshold: must be 0.5 to 1. Received {threshold}.")
        hits = int((self.overlaps > threshold).sum())
        every = self.found + self.expected - hits
        return hits / every if every else float("nan")

    @property
    def panoptic_quality(self) -> float:
        """Sum of the overlaps of the pairs over TP + FP / 2 + FN / 2, 0-1; NaN without any particle."""
        every = (self.found + self.expected) / 2
        return float(self.overlaps.sum()) / every if every else float("nan")

    @property
    def count_error(self) -> float:
        """How many more were found than there are, as a share of those; NaN where there are none."""
        return self.found / self.expected - 1 if self.expected else float("nan")

    @property
    def median_error(self) -> float:
        """By what share the median diameter found is off; NaN where there is none."""
        if not (self.found and self.expected):
            return float("nan")
        return float(np.median(self.found_px) / np.median(self.expected_px)) - 1

    def to_dict(self) -> dict[str, float | int | None]:
        """`ap50`, `ap75`, `pq`, `count_error`, `median_error`, `found`, `expected`; None where there is nothing."""
        values = {
            **{f"ap{round(100 * at)}": self.average_precision(at) for at in THRESHOLDS},
            "pq": self.panoptic_quality,
            "count_error": self.count_error,
            "median_error": self.median_error,
        }
        plain: dict[str, float | int | None] = {
            name: None if np.isnan(value) else float(value) for name, value in values.items()
        }
        return {**plain, "found": self.found, "expected": self.expected}

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"particles: AP50 {self.average_precision():.3f}, AP75 {self.average_precision(0.75):.3f}, "
            f"PQ {self.panoptic_quality:.3f}; {self.found} found of {self.expected} ({self.count_error:+.1%}), "
            f"median diameter {self.median_error:+.1%}"
        )


def compare_instances(labels: np.ndarray, reference: np.ndarray) -> Agreement:
    """How a label image agrees with another one.

    Args:
        labels: What was found, integer (height, width), 0 = none.
        reference: What should have been, likewise.

    Raises:
        InputError: If the two differ in shape.

    Example:
        >>> truth = np.array([[1, 1, 1, 2, 2, 2]])
        >>> agreement = compare_instances(np.array([[1, 1, 0, 3, 3, 3]]), truth)
        >>> agreement.average_precision(0.5), agreement.average_precision(0.75)
        (1.0, 0.3333333333333333)
        >>> round(agreement.panoptic_quality, 3)  # overlaps 2/3 and 1
        0.833

    Reference:
        Average precision of instances: Caicedo et al., Nature Methods 16 (2019) 1247; panoptic quality: Kirillov et
        al., CVPR 2019.
    """
    labels, reference = np.asarray(labels), np.asarray(reference)
    if labels.shape != reference.shape:
        raise InputError(
            f"labels: must have the reference's shape {reference.shape}. Received {labels.shape}."
        )
    size, expected = _sizes(labels), _sizes(reference)
    both = (labels > 0) & (reference > 0)
    pair = labels[both].astype(np.int64) * (len(expected) + 1) + reference[both]
    pairs, shared = np.unique(pair, return_counts=True)
    first, second = np.divmod(pairs, len(expected) + 1)
    return _agreement(first, second, shared, size, expected)


def compare_outlines(
    labels: np.ndarray, outlines: Iterable[tuple[tuple[slice, slice], np.ndarray]]
) -> Agreement:
    """How a label image agrees with whole particles that may overlap, each with its own pixels.

    Args:
        labels: What was found, integer (height, width), 0 = none.
        outlines: Of each particle, where its box lies and its pixels in the box, boolean (`imaging.read_instances`
            gives them: `(region.window, region.inside)`).

    Example:
        >>> labels = np.array([[1, 1, 1, 2, 2, 0]])
        >>> whole = [((slice(0, 1), slice(0, 3)), np.ones((1, 3), bool)),
        ...          ((slice(0, 1), slice(2, 5)), np.ones((1, 3), bool))]
        >>> compare_outlines(labels, whole).overlaps.round(2).tolist()
        [1.0, 0.67]
    """
    labels = np.asarray(labels)
    size = _sizes(labels)
    firsts, seconds, shareds, expected = [], [], [], [0]
    for window, inside in outlines:
        if not inside.any():
            continue
        numbers, shared = np.unique(labels[window][inside], return_counts=True)
        firsts.append(numbers)
        shareds.append(shared)
        seconds.append(np.full(len(numbers), len(expected)))
        expected.append(int(inside.sum()))
    first, second, shared = (
        np.concatenate(parts) if parts else np.zeros(0, int) for parts in (firsts, seconds, shareds)
    )
    kept = first > 0
    return _agreement(first[kept], second[kept], shared[kept], size, np.array(expected))


def _sizes(labels: np.ndarray) -> np.ndarray:
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 2:
        raise InputError(
            f"labels: must be an integer array (height, width). Received {labels.dtype} {labels.shape}."
        )
    return np.bincount(labels.ravel()) if labels.size else np.zeros(1, int)


def _agreement(
    first: np.ndarray, second: np.ndarray, shared: np.ndarray, size: np.ndarray, expected: np.ndarray
) -> Agreement:
    overlap = shared / np.maximum(size[first] + expected[second] - shared, 1)
    likely = np.flatnonzero(overlap > 0.5)
    # Outlines that overlap may both agree with one label: the better pair counts.
    taken: set[tuple[str, int]] = set()
    kept = []
    for i in likely[np.argsort(-overlap[likely], kind="stable")]:
        ends = {("found", int(first[i])), ("expected", int(second[i]))}
        if not ends & taken:
            taken |= ends
            kept.append(i)
    diameters = [np.sqrt(4 * of[1:][of[1:] > 0] / np.pi) for of in (size, expected)]
    return Agreement(overlap[kept], len(diameters[0]), len(diameters[1]), *diameters)


def total(agreements: Iterable[Agreement]) -> Agreement:
    """All images together."""
    none = np.zeros(0)
    result = Agreement(none, 0, 0, none, none)
    for agreement in agreements:
        result += agreement
    return result
