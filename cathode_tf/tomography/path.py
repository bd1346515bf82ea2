"""Steps between slices in; how far each slice is displaced, with what is drift and what may be structure apart, out.

What the geometry of the cut moves is known. What is left has a part without a trend, which is drift, and a trend,
which may be drift or a structure that leans: nothing in the slices' likeness tells these apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cathode_tf.tomography.steps import Step

U_SCALE = 1.8
"""By how much steps err more than the slices' likeness says, where their quarters are too small to tell."""

JUMP_SIGMAS = 6.0
"""A step so far from the others is a jump, and no part of a trend."""

MOST_REFUSED = 0.5
"""With a larger share of steps refused, the slices are not those of one volume."""


@dataclass(frozen=True)
class Path:
    """How far the slices are displaced, raw pixels, (row, column).

    Attributes:
        steps_px: float64 (n - 1, 2), from each slice to the next, bridged where they were refused.
        u_px: float64 (n - 1, 2), standard uncertainty of a step.
        trend_px: float64 (2,), the steps' mean without jumps.
        u_trend_px: float64 (2,), its standard uncertainty, as a displacement of the picture.
        wander_px: float64 (n - 1, 2), steps without their mean, as far as they are more than chance.
        still: Nothing but chance, apart from a trend.
        gaps: float64 (n - 1,), how many slices further the next one lies; more than 1 where some are missing.
        refused: By number of the later slice, why its step was not used.
        bridged: By number of the later slice, from what its step was taken.
    """

    steps_px: np.ndarray
    u_px: np.ndarray
    trend_px: np.ndarray
    u_trend_px: np.ndarray
    wander_px: np.ndarray
    still: bool
    gaps: np.ndarray
    refused: dict[int, str] = field(default_factory=dict)
    bridged: dict[int, str] = field(default_factory=dict)

    def shifts(self, slope_px: np.ndarray) -> np.ndarray:
        """Displacement of each slice against the first, float64 (n, 2), if the picture moves by `slope_px` a slice."""
        steps = self.wander_px + self.gaps[:, None] * slope_px
        return np.concatenate([np.zeros((1, 2)), steps.cumsum(0)])


def find_path(
    steps: Sequence[Step], across: Mapping[int, Step], missing: Mapping[int, int] | None = None
) -> Path:
    """The path of a stack.

    Args:
        steps: From each slice to the next.
        across: Steps from slice i - 2 to slice i, by i, where one between was refused.
        missing: How many slices are missing before slice i, by i.

    Returns:
        The path.
    """
    shift = np.array([step.shift_px for step in steps], float).reshape(-1, 2)
    u = np.array([step.u_px for step in steps], float).reshape(-1, 2) * _scale(steps)
    good = np.array([not step.refused for step in steps])
    refused = {i + 1: step.refused for i, step in enumerate(steps) if step.refused}
    bridged = {}
    for later, step in across.items():
        first = later - 2
        if not step.refused and not good[first] and not good[first + 1]:
            shift[first] = shift[first + 1] = np.array(step.shift_px) / 2
            u[first] = u[first + 1] = np.array(step.u_px)
            bridged[first + 1] = bridged[first + 2] = f"half of the step from slice {first} to slice {later}"
    left = [i for i in refused if i not in bridged]
    if good.any():
        typical = np.median(shift[good], 0)
        for later in left:
            shift[later - 1], u[later - 1] = typical, np.median(u[good], 0) * 2
            bridged[later] = "the median of all steps"
    else:
        shift[:], u[:] = 0, np.inf
    gaps = np.ones(len(steps))
    for later, count in (missing or {}).items():
        gaps[later - 1] += count
    return _told_apart(shift, u, gaps, refused, bridged)


def too_many_refused(path: Path) -> bool:
    """Whether the slices are not those of one volume, or not in order."""
    return len(path.refused) > MOST_REFUSED * len(path.steps_px)


def _scale(steps: Sequence[Step]) -> float:
    """By how much the scatter between the quarters of the slices exceeds the uncertainty that their likeness gives."""
    ratios = [
        float(
            np.mean(np.var(step.quarters_px, axis=0, ddof=1) / len(step.quarters_px) / np.square(step.u_px))
        )
        for step in steps
        if not step.refused and len(step.quarters_px) == 4
    ]
    return max(1.0, float(np.sqrt(np.median(ratios)))) if len(ratios) >= 5 else U_SCALE


def _told_apart(
    shift: np.ndarray, u: np.ndarray, gaps: np.ndarray, refused: dict[int, str], bridged: dict[int, str]
) -> Path:
    middle = np.median(shift, 0)
    spread = np.maximum(1.4826 * np.median(np.abs(shift - middle), 0), np.median(u, 0))
    spread = np.where(np.isfinite(spread), spread, 0.0)
    jump = (np.abs(shift - middle) > JUMP_SIGMAS * spread + 0.5).any(1)
    usual = ~jump if (~jump).any() else np.ones(len(shift), bool)
    trend = shift[usual].sum(0) / gaps[usual].sum()
    rest = shift - gaps[:, None] * trend
    known = usual & np.isfinite(u).all(1)
    wander = np.where(jump[:, None], rest, 0.0)
    still = True
    if known.sum() >= 2:
        # Both axes are judged together: a microscope that drifts does so in both.
        chance = np.square(u[known])
        ratio = np.square(rest[known]) / chance
        still = bool(ratio.mean() < 1 + 3 * np.sqrt(2 / ratio.size))
        if not still:
            beyond = np.maximum(np.square(rest[known]).mean(0) - chance.mean(0), 0)
            share = beyond / (beyond + np.where(np.isfinite(u), np.square(u), np.inf))
            wander = np.where(jump[:, None], rest, rest * share)
            wander[usual] -= wander[usual].mean(0)
    n = max(int(known.sum()), 1)
    u_trend = np.sqrt(np.square(u[known]).sum(0)) / n if known.any() else np.full(2, np.inf)
    return Path(shift, u, trend, u_trend, wander, still and not jump.any(), gaps, refused, bridged)
