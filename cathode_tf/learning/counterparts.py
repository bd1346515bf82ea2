"""What a model says, told in other phases than its own: those of a project, say, that has no model yet.

Two sets of phases come in, a table from the ids of one to those of the other goes out; and probabilities by it.
"""

from __future__ import annotations

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.phases import IGNORE, Phase, Phases

_CARBON = {"additive": "binder", "binder": "additive"}


def translation(source: Phases, target: Phases) -> np.ndarray | None:
    """Ids of `target` by ids of `source`, uint8 (256,); 255 for what `target` does not know.

    A phase goes to the one of the same name, else to the only one of its role. Additive and binder stand in
    for each other, as many projects draw both as one phase; where there is neither, they go to the pores, as
    all that is no particle does in masks of particles and pores.

    Returns:
        The table, or None where fewer than two phases of `target` would ever be named.

    Example:
        >>> table = translation(Phases.default(), Phases.from_names(("ncm", "binder", "pore")))
        >>> table[[0, 1, 2, 3]].tolist()  # pore, ncm, additive, binder
        [2, 0, 1, 1]
        >>> translation(Phases.default(), Phases.from_names(("pore", "ncm")))[[0, 1, 2, 3]].tolist()
        [0, 1, 0, 0]
        >>> translation(Phases.default(), Phases.from_names(("steel", "slag"))) is None
        True
    """
    table = np.full(256, IGNORE, np.uint8)
    for phase in source:
        found = _counterpart(phase, target)
        if found is not None:
            table[phase.id] = target[found].id
    reached = set(table.tolist()) - {IGNORE}
    return table if len(reached) > 1 else None


def counterparts(source: Phases, target: Phases) -> np.ndarray:
    """As `translation`, but where fewer than two phases would ever be named that is an `InputError`."""
    table = translation(source, target)
    if table is None:
        raise InputError(
            f"phases: must share two names or roles with the model's ({source.describe()}). Received "
            f"{target.describe()}. Give the phases their roles in phases.toml."
        )
    return table


def told_in(probabilities: np.ndarray, source: Phases, target: Phases) -> np.ndarray:
    """Probabilities of the phases of `target`, from those of `source`: a sum over the phases that become one.

    A phase of `target` that no phase of `source` stands for gets 0. What stands for none of `target` is left
    out, and the rest made to sum to 1.

    Args:
        probabilities: float32 (height, width, phases of `source`).
        source: The model's phases.
        target: The phases to tell them in.

    Returns:
        float32 (height, width, phases of `target`).

    Raises:
        InputError: If fewer than two phases of `target` have a counterpart.

    Example:
        >>> probabilities = np.array([[[0.5, 0.25, 0.125, 0.125]]], np.float32)  # pore, ncm, additive, binder
        >>> told_in(probabilities, Phases.default(), Phases.from_names(("ncm", "binder", "pore"))).tolist()
        [[[0.25, 0.25, 0.5]]]
    """
    table = counterparts(source, target)
    told = np.zeros((*probabilities.shape[:2], len(target)), np.float32)
    for index, phase in enumerate(source):
        if table[phase.id] != IGNORE:
            told[..., target.ids.index(int(table[phase.id]))] += probabilities[..., index]
    return told / np.maximum(told.sum(axis=-1, keepdims=True), 1e-12)


def partner(phase: Phase, known: Phases) -> str | None:
    """The phase among `known` of the same name, else the only one of the same role (not `other`), else None."""
    return phase.name if phase.name in known else _only_one(phase.role, known)


def _counterpart(phase: Phase, target: Phases) -> str | None:
    found = partner(phase, target)
    if found is None and phase.role in _CARBON:
        other = _CARBON[phase.role]
        # Two phases of the other role are a choice that nobody made; none of either is "all that is no particle".
        found = _only_one(other, target) or (None if target.with_role(other) else _only_one("pore", target))
    return found


def _only_one(role: str, known: Phases) -> str | None:
    names = known.with_role(role)
    return names[0] if len(names) == 1 and role != "other" else None
