"""Maps of images whose particles are known in, weights by which pieces are joined (`joining.Joining`) out.

The borders that are learned from are those that one meets on the way: of the first pieces, and of all that grow from
them, once by the contact alone and once by what was learned from that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.optimize import minimize

from cathode_tf.errors import InputError
from cathode_tf.particles.joining import Joining, mutual_best, terms
from cathode_tf.particles.pieces import AREA, Pieces
from cathode_tf.particles.separation import ParticleMaps, flooded

RIDGE = 3.0
"""Penalty on the squares of the weights, in borders."""
FROM, LEAST = 0.06, 0.53
"""Pieces are joined down to this while one learns, and from this probability on afterwards."""


@dataclass(frozen=True)
class Taught:
    """One image whose particles are known.

    Attributes:
        pieces: Makes the pieces anew, as joining uses them up.
        truth: The particle in which most of each piece lies, by piece; 0 = none.
        particles: How many there are.
    """

    pieces: Callable[[], Pieces]
    truth: np.ndarray
    particles: int

    @classmethod
    def of(cls, solid: np.ndarray, maps: ParticleMaps, labels: np.ndarray) -> Taught:
        """From the particle phase, Boolean, maps of any size, and the label image, the first and last of one shape."""
        height, width = maps.contact.shape
        small = cv2.resize(solid.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) >= 0.5
        known = cv2.resize(labels.astype(np.float64), (width, height), interpolation=cv2.INTER_NEAREST)
        basins, hills = flooded(small, maps)
        inside = (basins > 0) & (known > 0)
        shape = int(basins.max(initial=0)) + 1, int(known.max(initial=0)) + 1
        shared = np.zeros(shape, np.int64)
        np.add.at(shared, (basins[inside], known[inside].astype(int)), 1)
        return cls(
            lambda: Pieces(basins, hills, maps.contact, maps.grey), shared.argmax(1), len(np.unique(labels))
        )

    @functools.cached_property
    def by_contact(self) -> tuple[np.ndarray, np.ndarray]:
        """Features of all borders that are met while pieces are joined by their contact alone, and the answers."""
        return _way(self, lambda known: 1 - known[:, 0])


def learn_joining(taught: Sequence[Taught], start: Joining | None = None) -> Joining:
    """Weights that tell best which pieces are one particle.

    Args:
        taught: Images with their particles; each counts by the root of the number of its particles.
        start: Weights to stay near to, where a few images shall teach what many did not.

    Raises:
        InputError: If no two pieces meet in them.
    """
    met = [[image.by_contact] for image in taught]
    joining = _fitted(taught, met, start)
    for image, ways in zip(taught, met, strict=True):
        ways.append(_way(image, joining.probability))
    return _fitted(taught, met, start)


def _way(image: Taught, chance_of: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Features of all borders that are met while pieces are joined, and whether both sides are one particle."""
    pieces, truth = image.pieces(), image.truth.copy()
    features, same = [], []

    def met(borders: np.ndarray) -> np.ndarray:
        known = pieces.features(borders)
        first, second = truth[pieces.pairs[borders]].T
        features.append(known)
        same.append((first == second) & (first > 0))
        return chance_of(known)

    chance = met(np.arange(len(pieces.pairs)))
    while len(chance) and chance.max() >= FROM:
        chosen = mutual_best(pieces.pairs, chance, pieces.number, FROM)
        grown, gone = pieces.pairs[chosen].T
        larger = pieces.sums[gone, AREA] > pieces.sums[grown, AREA]
        truth[grown[larger]] = truth[gone[larger]]
        before = dict(zip(map(tuple, pieces.pairs.tolist()), chance.tolist(), strict=True))
        pieces.join(chosen)
        new = np.isin(pieces.pairs, grown).any(1)
        chance = np.array([before.get((a, b), 0.0) for a, b in pieces.pairs.tolist()])
        if new.any():
            chance[new] = met(np.flatnonzero(new))
    return np.concatenate(features), np.concatenate(same)


def _fitted(
    taught: Sequence[Taught],
    met: Sequence[list[tuple[np.ndarray, np.ndarray]]],
    start: Joining | None,
) -> Joining:
    """Logistic regression with a ridge about the weights of `start`, or about none."""
    features = np.concatenate([known for ways in met for known, _ in ways])
    same = np.concatenate([answers for ways in met for _, answers in ways])
    if not len(same):
        raise InputError("particles: must touch somewhere, so that one can learn where they part.")
    numbers = [sum(len(answers) for _, answers in ways) for ways in met]
    counts = np.concatenate(
        [
            np.full(number, np.sqrt(image.particles) / max(number, 1))
            for image, number in zip(taught, numbers, strict=True)
        ]
    )
    counts *= len(counts) / counts.sum()
    known = terms(features)
    if start is None:
        mean, spread = known.mean(0), known.std(0)
        scale = np.where(spread > 1e-9, spread, 1.0)  # without a micrograph nothing is known of the grey
        start = Joining(mean, scale, np.zeros(known.shape[1]), 0.0, LEAST)
    known = (known - start.mean) / start.scale
    sign = np.where(same, 1.0, -1.0)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        margin = sign * (known @ weights + bias)
        wrong = -counts * sign / (1 + np.exp(np.clip(margin, -30, 30)))
        moved = weights - start.weights
        value = counts @ np.logaddexp(0, -margin) + RIDGE / 2 * moved @ moved
        return float(value), np.append(known.T @ wrong + RIDGE * moved, wrong.sum())

    found = minimize(loss, np.append(start.weights, start.bias), jac=True, method="L-BFGS-B").x
    return replace(start, weights=found[:-1], bias=float(found[-1]))
