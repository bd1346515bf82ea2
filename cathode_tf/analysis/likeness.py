"""Small views of a batch's masks in; which of them are not independent of each other, out.

Neighbouring slices of a stack, overlapping fields and copies show the same particles at the same places. Taken for
independent images they make intervals that are far too small.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cathode_tf.phases import IGNORE, Phases
from cathode_tf.words import some

VIEW = 48
"""Rows and columns of a view."""
ALIKE = 0.6
"""Cohen's kappa from which on two masks show the same place; between independent ones it is about 0."""


def view_of(mask: np.ndarray, phases: Phases) -> np.ndarray:
    """Every so-manieth pixel of a mask as the position of its phase, uint8 (48, 48); 255 = ignored."""
    rows, columns = (((np.arange(VIEW) + 0.5) * side / VIEW).astype(int) for side in mask.shape)
    return phases.to_indices(mask[np.ix_(rows, columns)])


def kappa(one: np.ndarray, other: np.ndarray) -> float:
    """How far two views agree beyond chance (Cohen's kappa); 0 where both show one phase only.

    Example:
        >>> a = np.array([[0, 1], [1, 0]], np.uint8)
        >>> kappa(a, a), kappa(a, a.T[::-1])
        (1.0, -1.0)
    """
    known = (one != IGNORE) & (other != IGNORE)
    if not known.any():
        return 0.0
    a, b = one[known], other[known]
    p, q = (np.bincount(each, minlength=256) / a.size for each in (a, b))
    chance = float(p @ q)
    return 0.0 if chance > 0.999 else float(((a == b).mean() - chance) / (1 - chance))


def families(views: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Images that show the same place, those of each place together; an image alone is no family."""
    names = list(views)
    pairs = ((name, other) for index, name in enumerate(names) for other in names[:index])
    return joined(names, (pair for pair in pairs if kappa(views[pair[0]], views[pair[1]]) > ALIKE))


def joined(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Names that pairs hold together, in the order of `names`; a name alone is left out.

    Example:
        >>> joined("abcde", [("a", "c"), ("e", "c")])
        [['a', 'c', 'e']]
    """
    family = {name: name for name in names}
    for one, other in pairs:
        old, new = family[one], family[other]
        if old != new:
            family = {each: new if of == old else of for each, of in family.items()}
    found = [[name for name in names if family[name] == first] for first in dict.fromkeys(family.values())]
    return [members for members in found if len(members) > 1]


def sentence_of(found: Sequence[Sequence[str]]) -> str:
    """What a reader must know of images that are not independent; empty where all are."""
    if not found:
        return ""
    each = "; ".join(some(list(members), most=4) for members in found[:3])
    what = "These images show the same place (neighbouring slices, overlapping fields or copies) and count as one"
    return f"{what}: {each}."
