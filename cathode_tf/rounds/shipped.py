"""How to read masks of the model that ships with the package in a project that has no model of its own yet.

Two sets of phases come in, a table from the ids of one to those of the other goes out.
"""

from __future__ import annotations

import numpy as np

from cathode_tf.phases import IGNORE, Phase, Phases

NAME = "default"


def translation(source: Phases, target: Phases) -> np.ndarray | None:
    """Ids of `target` by ids of `source`, uint8 (256,); 255 for what `target` does not know.

    A phase goes to the one of the same name, else to the only one of its role. Additive and binder stand in
    for each other, as many projects draw both as one phase.

    Returns:
        The table, or None where fewer than two phases of `target` would ever be named.

    Example:
        >>> table = translation(Phases.default(), Phases.from_names(("ncm", "binder", "pore")))
        >>> table[[0, 1, 2, 3]].tolist()  # pore, ncm, additive, binder
        [2, 0, 1, 1]
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


def _counterpart(phase: Phase, target: Phases) -> str | None:
    if phase.name in target:
        return phase.name
    roles = {"additive": ("additive", "binder"), "binder": ("binder", "additive")}.get(
        phase.role, (phase.role,)
    )
    for role in roles:
        names = target.with_role(role)
        if len(names) == 1 and role != "other":
            return names[0]
    return None
