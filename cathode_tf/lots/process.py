"""Settings of lots in, with units; rows of the ledger out, in the unit in which each name was entered first."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.lots import schema as t
from cathode_tf.lots.rows import Entry, now
from cathode_tf.lots.settings import Setting
from cathode_tf.lots.units import convert

FACTOR, PROPERTY = "factor", "property"


def enter_settings(
    entry: Entry,
    lot: int,
    sheet: str | None,
    settings: Sequence[Setting],
    kind: str,
    source: str,
    lot_name: str,
    supersede: bool = False,
) -> int:
    """Enter settings of a lot, or of one sheet of it; gives back how many were new.

    Args:
        entry: The transaction.
        lot: Id of the lot.
        sheet: Of the lot, if they hold for it alone.
        settings: Numbers with units, or words.
        kind: `FACTOR` or `PROPERTY`.
        source: Where they come from.
        lot_name: For sentences.
        supersede: Let them replace other values.

    Raises:
        InputError: If one contradicts what is known, or its unit is of another kind.
    """
    new = 0
    for setting in settings:
        setting = in_ledger_unit(entry, setting)
        s = t.settings.c
        known = entry.connection.execute(
            sa.select(s.id, s.value, s.text, s.unit).where(
                s.lot_id == lot,
                s.name == setting.name,
                s.sheet.is_(None) if sheet is None else s.sheet == sheet,
                s.superseded_at.is_(None),
            )
        ).first()
        if known is not None and _alike(known, setting):
            continue
        if known is not None and not supersede:
            where = f"lot {lot_name}{f' sheet {sheet}' if sheet else ''}"
            raise InputError(
                f"{where}: {setting.name} is {_spoken(known)} in the ledger. Received {_spoken(setting)} "
                f"({source}). Give --supersede-settings if that is what it was."
            )
        if known is not None:
            entry.connection.execute(
                sa.update(t.settings).where(s.id == known.id).values(superseded_at=now())
            )
        values = {**vars(setting), "lot_id": lot, "sheet": sheet, "kind": kind, "source": source}
        entry.insert(t.settings, {**values, **entry.entered()})
        new += 1
    return new


def in_ledger_unit(entry: Entry, setting: Setting) -> Setting:
    """The setting in the unit in which its name was entered first."""
    if setting.value is None:
        return setting
    s = t.settings.c
    query = sa.select(s.unit, s.value).where(s.name == setting.name, s.superseded_at.is_(None))
    row = entry.connection.execute(query.order_by(s.unit == "", s.id).limit(1)).first()
    if row is None:
        return setting
    if row.value is None:
        raise InputError(f"{setting.name}: is a word for other lots. Received the number {setting.value:g}.")
    if row.unit == setting.unit:
        return setting
    if not setting.unit or not row.unit:
        unit = row.unit or setting.unit
        warnings.warn(
            f"{setting.name}: was given without a unit for some lots; taken as {unit} for all.",
            InputWarning,
            stacklevel=4,
        )
        return Setting(setting.name, setting.value, None, unit, setting.u)
    value = convert(setting.value, setting.unit, row.unit)
    if value is None:
        raise InputError(
            f"{setting.name}: must be in {row.unit}, or in a unit that can be turned into it. Received "
            f"{setting.unit}."
        )
    u = None
    if setting.u is not None:
        u = abs((convert(setting.value + setting.u, setting.unit, row.unit) or value) - value)
    return Setting(setting.name, float(f"{value:.12g}"), None, row.unit, u)


def _alike(known: Any, setting: Setting) -> bool:
    if known.value is None or setting.value is None:
        return known.text == setting.text and known.value == setting.value
    return abs(known.value - setting.value) <= 1e-9 * max(abs(known.value), abs(setting.value))


def _spoken(setting: Any) -> str:
    if setting.value is None:
        return repr(setting.text)
    return f"{setting.value:g}{f' {setting.unit}' if setting.unit else ''}"
