"""What was judged of a series in, a bridge or a phase I; kept in the ledger, and read from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from cathode_tf.lots import schema as t
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.rows import now


def enter_judgement(
    ledger: Ledger,
    kind: str,
    name: tuple[str, str],
    *,
    system: str,
    other_system: str | None = None,
    facts: Mapping[str, Any],
) -> None:
    """Enter a bridge or a phase I; it supersedes the one of the same name and systems."""
    j = t.judgements.c
    with ledger.writing() as entry:
        same = [j.kind == kind, j.quantity == name[0], j.phase == name[1], j.system == system]
        if other_system is not None:
            same.append(j.other_system == other_system)
        entry.connection.execute(
            sa.update(t.judgements).where(*same, j.superseded_at.is_(None)).values(superseded_at=now())
        )
        values = {
            "kind": kind, "quantity": name[0], "phase": name[1], "system": system, "other_system": other_system,
            "facts": json.dumps(facts),
        }  # fmt: skip
        entry.insert(t.judgements, {**values, **entry.entered()})
        entry.event(kind, {"name": "/".join(name), "system": system, "other": other_system})


def judgements(ledger: Ledger, kind: str, name: tuple[str, str], *, system: str) -> list[dict[str, Any]]:
    """Facts of the current judgements of a kind, newest last."""
    j = t.judgements.c
    query = sa.select(j.facts).where(
        j.kind == kind,
        j.quantity == name[0],
        j.phase == name[1],
        j.system == system,
        j.superseded_at.is_(None),
    )
    with ledger.database.reading() as connection:
        return [json.loads(facts) for facts in connection.execute(query.order_by(j.id)).scalars()]
