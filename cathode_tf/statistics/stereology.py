"""Diameters of section profiles in, diameters of the spheres they were cut from out.

A plane meets a sphere rarely at its equator, and large spheres more often than small ones: profiles are
smaller than spheres, and their mixture is another. Three ways back: expectation maximisation (the default:
stable, never negative), Saltykov's triangular inversion (the classic), and moment ratios (no bins at all; the
cross-check). All assume spheres and a random plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from cathode_tf.errors import InputError

UNFOLDINGS = ("em", "saltykov")
ITERATIONS = 64
"""EM steps; more sharpen the distribution and its noise alike."""

REFERENCE = (
    "Ohser and Muecklich, Statistical Analysis of Microstructures in Materials Science, Wiley 2000, ch. 6"
)


@dataclass(frozen=True)
class Unfolded:
    """Distribution of sphere diameters.

    Attributes:
        edges: Diameter class limits, (classes + 1,), ascending.
        number: Share of spheres per unit volume in each class; sums to 1.
        clipped_share: Number share that an inversion made negative and that was set to 0 (Saltykov).
        method: `"em"` or `"saltykov"`.
    """

    edges: np.ndarray
    number: np.ndarray
    clipped_share: float = 0.0
    method: str = "em"

    @property
    def centres(self) -> np.ndarray:
        """Geometric middle of each class."""
        return np.sqrt(self.edges[1:] * self.edges[:-1])

    def quantile(self, share: float | np.ndarray, weighting: int = 3) -> np.ndarray:
        """Diameter below which this share (0-1) lies by number (0), length (1), area (2) or volume (3)."""
        mass = self.number * self.centres**weighting
        return weighted_class_quantile(self.edges, mass, share)


def weighted_class_quantile(edges: np.ndarray, mass: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """Quantiles of a distribution known by classes, interpolated evenly in the logarithm of the diameter."""
    cumulative = np.concatenate([[0.0], np.cumsum(mass)]) / np.sum(mass)
    # Equal steps of the cumulative sum (empty classes) would make the inverse ambiguous.
    keep = np.concatenate([[True], np.diff(cumulative) > 0])
    first = max(int(np.argmax(cumulative > 0)) - 1, 0)
    keep[: first + 1] = False
    keep[first] = True
    return np.exp(np.interp(share, cumulative[keep], np.log(edges[keep])))


def classes(diameters: np.ndarray, per_octave: int = 8) -> np.ndarray:
    """Limits of diameter classes, evenly spaced in the logarithm, that hold all the diameters."""
    low, high = float(np.min(diameters)), float(np.max(diameters))
    steps = max(int(np.ceil(np.log2(high / low) * per_octave)) + 1, 2)
    return high * 2.0 ** (np.arange(-steps, 1) / per_octave) * (1 + 1e-9)


def section_kernel(edges: np.ndarray, nodes: int = 8) -> np.ndarray:
    """P[i, j]: share of profiles in class i among the profiles of spheres of class j, (classes, classes).

    A plane at distance h from the centre of a sphere of diameter D cuts a profile sqrt(D^2 - 4 h^2); with h
    even over 0 ... D/2, P(d < x) = 1 - sqrt(1 - (x/D)^2). Averaged over `nodes` diameters in each class; with
    0 nodes all spheres of a class have its upper limit as their diameter, as in Saltykov's tables.
    """
    within = (np.arange(nodes) + 0.5) / nodes if nodes else np.ones(1)
    d = edges[:-1, None] * (edges[1:] / edges[:-1])[:, None] ** within
    ratio = np.minimum(edges[:, None, None] / d, 1.0)
    below = 1 - np.sqrt(1 - ratio**2)
    return np.diff(below, axis=0).mean(-1)


def unfold(
    diameters: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    method: str = "em",
    per_octave: int = 8,
    iterations: int = ITERATIONS,
) -> Unfolded:
    """Distribution of the diameters of spheres from the diameters of their section profiles.

    Args:
        diameters: Profile diameters, any unit, above 0.
        weights: One a profile (edge correction); default equal.
        method: `"em"`: x_j <- x_j / s_j sum_i P_ij h_i / (P x)_i, from an even start; `"saltykov"`:
            back-substitution from the largest class, negative classes set to 0 and their share told.
        per_octave: Classes per doubling of the diameter.
        iterations: EM steps.

    Returns:
        The distribution; `.quantile(0.5)` is the volume median.

    Raises:
        InputError: If there is no diameter, one is not above 0, or the method is unknown.

    Reference:
        Ohser and Muecklich, Statistical Analysis of Microstructures in Materials Science, Wiley 2000, ch. 6;
        Saltykov, Stereometric Metallography, 1967.
    """
    diameters, weights = checked_diameters(diameters, weights)
    edges, hit = spheres_hit(diameters, weights[None], method, per_octave, iterations)
    # A plane meets spheres in proportion to their diameter.
    number = hit[:, 0] / np.sqrt(edges[1:] * edges[:-1])
    positive = np.maximum(number, 0)
    return Unfolded(
        edges, positive / positive.sum(), float(-np.minimum(number, 0).sum() / positive.sum()), method
    )


def spheres_hit(
    diameters: np.ndarray,
    weights: np.ndarray,
    method: str = "em",
    per_octave: int = 8,
    iterations: int = ITERATIONS,
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of spheres that a plane met, by class, for one or many sets of weights.

    Args:
        diameters: Of the profiles, (profiles,).
        weights: One row a set, (sets, profiles).
        method, per_octave, iterations: As for `unfold`; Saltykov's classes are at most 4 an octave.

    Returns:
        Class limits (classes + 1,), and numbers (classes, sets), which Saltykov's inversion may make negative.
    """
    if method not in UNFOLDINGS:
        raise InputError(f"method: must be {' or '.join(UNFOLDINGS)}. Received {method!r}.")
    edges = classes(diameters, per_octave if method == "em" else min(per_octave, 4))
    bins = np.clip(np.searchsorted(edges, diameters, side="right") - 1, 0, len(edges) - 2)
    counts = np.array([np.bincount(bins, row, minlength=len(edges) - 1) for row in weights]).T
    if method == "em":
        return edges, em_steps(section_kernel(edges), counts, iterations)
    return edges, linalg.solve_triangular(section_kernel(edges, nodes=0), counts)


def em_steps(kernel: np.ndarray, counts: np.ndarray, iterations: int = ITERATIONS) -> np.ndarray:
    """Expected numbers of spheres hit, by class, for many histograms at once.

    Args:
        kernel: From `section_kernel`, (classes, classes).
        counts: Profiles by class, one histogram a column, (classes, histograms).
        iterations: Steps.

    Returns:
        Spheres hit, (classes, histograms), not negative; columns sum to the counts.
    """
    seen = kernel.sum(0)
    inverse = np.where(seen > 1e-12, 1 / np.maximum(seen, 1e-12), 0.0)[:, None]
    hit = np.repeat(counts.sum(0, keepdims=True) / len(kernel), len(kernel), axis=0).astype(float)
    for _ in range(iterations):
        expected = kernel @ hit
        ratio = np.divide(counts, expected, out=np.zeros_like(expected), where=expected > 0)
        hit = hit * inverse * (kernel.T @ ratio)
    return hit


def stereo_means(diameters: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Mean sphere diameters from moments of profile diameters: no classes, no inversion.

    D[1,0] = (pi/2) / mean(1/d), D[3,2] = (3 pi/8) mean(d^2) / mean(d), D[4,3] = (32 / 9 pi) mean(d^3) / mean(d^2).
    D[1,0] hangs on the smallest profiles, which a resolution limit removes; D[4,3] hardly does.

    Args:
        diameters: Profile diameters, above 0.
        weights: One a profile (edge correction); default equal.

    Returns:
        `D10`, `D32`, `D43` in the unit of the diameters: number mean, surface mean, volume mean (moment
        notation D[p,q] of ISO 9276-2; not to be mixed up with percentiles).
    """
    d, w = checked_diameters(diameters, weights)

    def mean(values: np.ndarray) -> float:
        return float(np.sum(w * values) / np.sum(w))

    return {
        "D10": np.pi / 2 / mean(1 / d),
        "D32": 3 * np.pi / 8 * mean(d**2) / mean(d),
        "D43": 32 / (9 * np.pi) * mean(d**3) / mean(d**2),
    }


def checked_diameters(
    diameters: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Diameters and weights as float arrays, profiles of weight 0 left out.

    Raises:
        InputError: If nothing is left, or a diameter is not above 0.
    """
    d = np.asarray(diameters, float).ravel()
    w = np.ones_like(d) if weights is None else np.asarray(weights, float).ravel()
    if d.shape != w.shape:
        raise InputError(f"weights: must be one a diameter ({len(d)}). Received {len(w)}.")
    d, w = d[w > 0], w[w > 0]
    if not len(d) or not np.all(np.isfinite(d) & (d > 0)):
        raise InputError("diameters: must hold at least one, each above 0.")
    return d, w
