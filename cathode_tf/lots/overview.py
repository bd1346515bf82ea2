"""A ledger in; what it holds, for people, out."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from cathode_tf.errors import InputError
from cathode_tf.lots import schema as t
from cathode_tf.lots.bridges import difference_of
from cathode_tf.lots.comparing import lot_estimates
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.tracing import chains
from cathode_tf.words import counted

SHOWN = ("fraction", "x50_3", "crack_length_density", "fragments_per_particle")


def ledger_lines(ledger: Ledger) -> list[str]:
    """How the ledger is kept, how much is in it, its measuring systems and settings."""
    lots = ledger.lots()
    analyses = sum(lot["analyses"] for lot in lots)
    images = sum(lot["images"] for lot in lots)
    lines = [
        f"Ledger {ledger.database.address if ledger.database.is_file else 'on a server'}: {ledger.database.journal()}.",
        f"{counted(len(lots), 'lot')}, {counted(analyses, 'current analysis', 'current analyses')}, "
        f"{counted(images, 'image')}.",
    ]
    s, a = t.systems.c, t.analyses.c
    query = (
        sa.select(s.fingerprint, s.facts, sa.func.count(a.id).label("analyses"))
        .join_from(t.systems, t.analyses)
        .where(a.superseded_at.is_(None))
        .group_by(s.id, s.fingerprint, s.facts)
        .order_by(sa.func.max(a.id).desc())
    )
    with ledger.database.reading() as connection:
        systems = list(connection.execute(query))
        names = connection.execute(
            sa.select(
                t.settings.c.name,
                sa.func.max(t.settings.c.unit),
                sa.func.count(sa.distinct(t.settings.c.lot_id)),
            )
            .where(t.settings.c.superseded_at.is_(None))
            .group_by(t.settings.c.name)
        ).all()
    newest: dict[str, Any] = json.loads(systems[0].facts) if systems else {}
    for number, row in enumerate(systems):
        count = counted(row.analyses, "analysis", "analyses")
        facts = json.loads(row.facts)
        if number == 0:
            text = "; ".join(f"{key} {value}" for key, value in facts.items() if value is not None)
            lines.append(f"Measuring system of {count}, the newest: {text}.")
        else:
            lines.append(f"Measuring system of {count}: {difference_of(facts, newest)}.")
    for name, unit, count in names:
        lines.append(f"Setting {name}{f' [{unit}]' if unit else ''}: {counted(count, 'lot')}.")
    return lines


def lot_lines(ledger: Ledger, lot: str, *, everything: bool = False) -> list[str]:
    """A lot's place in the chain, its settings, and its headline numbers, or all.

    Raises:
        InputError: If the lot is unknown.
    """
    known = chains(ledger, [lot], superseded=everything)
    row = next((each for each in ledger.lots() if each["name"] == lot), None)
    if row is None:
        raise InputError(f"lot {lot}: is not in the ledger.")
    lines = [f"Lot {lot}: {row['made_on'] or 'no date'}, slurry lot {row['slurry'] or 'not known'}."]
    for chain in known:
        analysis = chain["analysis"]
        place = [
            f"{key.removesuffix('_m')} {chain[key]}{' m' if key == 'position_m' else ''}"
            for key in ("sheet", "position_m", "lane", "section")
            if chain[key] is not None
        ]
        state = " (superseded)" if analysis["superseded_at"] else ""
        lines.append(
            f"Analysis {analysis['number']}{state}: {', '.join(place) or 'place not known'}, "
            f"{counted(len(chain['images']), 'image')}; masks: {analysis['trust'].get('masks', 'unchecked')}; files: "
            f"{analysis['trust'].get('files', 'not known')}."
        )
    with ledger.database.reading() as connection:
        s = t.settings.c
        settings = connection.execute(
            sa.select(s.name, s.value, s.text, s.unit, s.sheet, s.source)
            .join_from(t.settings, t.lots)
            .where(t.lots.c.name == lot, s.superseded_at.is_(None))
            .order_by(s.id)
        ).all()
    for each in settings:
        value = each.text if each.value is None else f"{each.value:g} {each.unit}".strip()
        of = f" of sheet {each.sheet}" if each.sheet else ""
        lines.append(f"{each.name}{of}: {value} ({each.source})")
    if any(not chain["analysis"]["superseded_at"] for chain in known):
        numbers, _ = lot_estimates(ledger, lot)
        for (quantity, phase), estimate in numbers.items():
            if everything or quantity in SHOWN:
                lines.append(f"{quantity}/{phase}: {estimate}")
    return lines
