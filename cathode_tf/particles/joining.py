"""Pieces of an image and maps of contacts and centres in; which pieces are one particle, out.

A flooding leaves pieces: too many, but hardly one that two particles share. Whether two that meet are one particle is
told by all that is known of their border: how sure the network is of a contact along it, how much lower the map of
centres is there, how narrow the neck is, whether the two together are rounder than apart, and whether their grey
differs. A logistic regression weighs these [1]; pieces are joined where each is the other's likeliest partner, in
rounds, as joined pieces know more than their parts.

Reference:
    [1] Nunez-Iglesias et al., PLOS ONE 8 (2013) e71715 (learned agglomeration).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.particles.pieces import FEATURES, Pieces

CROSSED = (1, 3, 4, 7, 9, 11, 13, 15)
"""Features whose products with each other count, too."""


@dataclass(frozen=True)
class Joining:
    """How to weigh what is known of a border.

    Attributes:
        mean, scale: By which the terms (`terms`) are standardised.
        weights: Of the terms.
        bias: Added to the weighted sum.
        least: Two pieces are joined from this probability on.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float
    least: float

    def probability(self, features: np.ndarray) -> np.ndarray:
        """Probability (n,) that the two sides are one particle, from features (n, len(FEATURES))."""
        score = ((terms(features) - self.mean) / self.scale) @ self.weights + self.bias
        return 1 / (1 + np.exp(-np.clip(score, -30, 30)))

    @classmethod
    def by_contact(cls, contact: float) -> Joining:
        """The rule that asks for the mean contact alone: pieces are one particle where it is below this.

        Example:
            >>> alone = np.zeros((2, len(FEATURES)))
            >>> alone[:, 1] = np.log([0.8 / 0.2, 0.95 / 0.05])
            >>> (Joining.by_contact(0.9).probability(alone) > 0.5).tolist()
            [True, False]
        """
        number = len(terms(np.zeros((1, len(FEATURES))))[0])
        weights = np.zeros(number)
        weights[FEATURES.index("contact_logit")] = -1.0
        return cls(np.zeros(number), np.ones(number), weights, float(np.log(contact / (1 - contact))), 0.5)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a model card."""
        lists = {
            name: [float(f"{value:.6g}") for value in getattr(self, name)]
            for name in ("mean", "scale", "weights")
        }
        return {**lists, "bias": float(f"{self.bias:.6g}"), "least": self.least}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Joining:
        """What `to_dict` gave.

        Raises:
            InputError: If it does not fit the features of this version.
        """
        try:
            mean, scale, weights = (np.array(content[name], float) for name in ("mean", "scale", "weights"))
            joining = cls(mean, scale, weights, float(content["bias"]), float(content["least"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("network: its card must say how pieces are joined. Train it again.") from error
        number = len(terms(np.zeros((1, len(FEATURES))))[0])
        if not mean.shape == scale.shape == weights.shape == (number,) or not (scale > 0).all():
            raise InputError(f"network: must weigh {number} terms. Received {weights.size}. Train it again.")
        return joining


def terms(features: np.ndarray) -> np.ndarray:
    """The features and the products of those that go together, (n, terms)."""
    crossed = [features[:, i] * features[:, j] for k, i in enumerate(CROSSED) for j in CROSSED[k:]]
    return np.column_stack([features, *crossed])


def join(pieces: Pieces, joining: Joining) -> np.ndarray:
    """A new number for each piece, without gaps, the same for all of one particle; 0 stays 0.

    Args:
        pieces: They are used up.
        joining: How borders are weighed.
    """
    root = np.arange(pieces.number)
    chance = joining.probability(pieces.features(np.arange(len(pieces.pairs))))
    while len(chance) and chance.max() >= joining.least:
        chosen = mutual_best(pieces.pairs, chance, pieces.number, joining.least)
        grown = pieces.pairs[chosen, 0]
        before = dict(zip(map(tuple, pieces.pairs.tolist()), chance.tolist(), strict=True))
        root = pieces.join(chosen)[root]
        new = np.isin(pieces.pairs, grown).any(1)
        chance = np.array([before.get((a, b), 0.0) for a, b in pieces.pairs.tolist()])
        chance[new] = joining.probability(pieces.features(np.flatnonzero(new)))
    kept, dense = np.unique(root[1:], return_inverse=True)
    return np.concatenate([[0], dense + 1]).astype(np.int32) if len(kept) else np.zeros(1, np.int32)


def mutual_best(pairs: np.ndarray, chance: np.ndarray, number: int, least: float) -> np.ndarray:
    """Borders at which each side is the other's likeliest partner, and likely enough.

    Example:
        >>> mutual_best(np.array([[1, 2], [2, 3], [3, 4]]), np.array([0.7, 0.9, 0.8]), 5, 0.5).tolist()
        [1]
    """
    # The same chance twice: the first border is the better one.
    order = np.argsort(-chance, kind="stable")
    rank = np.empty(len(chance), np.int64)
    rank[order] = np.arange(len(chance))
    best = np.full(number, len(chance))
    np.minimum.at(best, pairs[:, 0], rank)
    np.minimum.at(best, pairs[:, 1], rank)
    return np.flatnonzero((best[pairs] == rank[:, None]).all(1) & (chance >= least))
