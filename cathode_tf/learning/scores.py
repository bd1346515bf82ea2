"""Reference and prediction in, Dice out: pixel counts first, every ratio a small function of them.

NumPy only. The unit is the image: one confusion matrix an image, kept beside each Dice; pooled figures
come from their sum.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.phases import IGNORE


def confusion(reference: np.ndarray, prediction: np.ndarray, n_phases: int) -> np.ndarray:
    """Pixel counts by reference (rows) and prediction (columns), without the ignored pixels.

    Args:
        reference: Integer array (height, width) of class indices 0 ... n_phases-1; 255 does not count.
        prediction: Integer array of the same shape of class indices, without 255 where the reference
            counts.
        n_phases: How many phases there are.

    Returns:
        int64 array (n_phases, n_phases).

    Raises:
        InputError: If the shapes differ or an index is outside the phases.

    Example:
        >>> reference = np.array([[0, 0, 1, 255]])
        >>> confusion(reference, np.array([[0, 1, 1, 1]]), 2)
        array([[1, 1],
               [0, 1]])
    """
    if reference.shape != prediction.shape:
        raise InputError(
            f"reference and prediction must have the same shape. Received {reference.shape} and "
            f"{prediction.shape}."
        )
    counts = reference != IGNORE
    rows, columns = reference[counts].astype(np.int64), prediction[counts].astype(np.int64)
    for name, values in (("reference", rows), ("prediction", columns)):
        if values.size and not 0 <= values.min() <= values.max() < n_phases:
            raise InputError(
                f"{name} must hold class indices 0 to {n_phases - 1}. "
                f"Received {values.min()} to {values.max()}."
            )
    table = np.bincount(rows * n_phases + columns, minlength=n_phases * n_phases)
    return table.reshape(n_phases, n_phases)


def dice_per_phase(table: np.ndarray) -> np.ndarray:
    """Dice of each phase: 2 x overlap / (reference + prediction).

    Args:
        table: Confusion matrix (n, n), or a sum of several for the pooled Dice.

    Returns:
        float64 array (n,) in 0-1; NaN for a phase absent from both reference and prediction, since
        nothing was there to find.

    Example:
        >>> dice_per_phase(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])).round(3)
        array([0.857, 0.8  ,   nan])
    """
    both = table.sum(axis=0) + table.sum(axis=1)
    overlap = 2.0 * np.diagonal(table)
    return np.divide(overlap, both, out=np.full(len(table), np.nan), where=both > 0)


def phases_in(references: Iterable[np.ndarray], n_phases: int) -> np.ndarray:
    """Which phases occur in any of the references, bool (n_phases,).

    Args:
        references: Integer arrays of class indices; 255 does not count.
        n_phases: How many phases there are.

    Example:
        >>> phases_in([np.array([[0, 255]]), np.array([[2, 2]])], 4)
        array([ True, False,  True, False])
    """
    found = np.zeros(256, bool)
    for reference in references:
        found[np.unique(reference)] = True
    return found[:n_phases]


def judged(dice: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The Dice with NaN for phases that no reference holds: a pixel of them in a prediction makes no image worth 0.

    Args:
        dice: float64 (..., phases).
        there: From `phases_in`.

    Example:
        >>> judged(np.array([[0.5, 0.0]]), np.array([True, False]))
        array([[0.5, nan]])
    """
    return np.where(there, dice, np.nan)


def mean_dice(dice: np.ndarray) -> float:
    """Mean over the phases that are there; NaN if none is.

    Example:
        >>> mean_dice(np.array([0.5, np.nan, 1.0]))
        0.75
    """
    there = dice[~np.isnan(dice)]
    return float(there.mean()) if there.size else float("nan")
