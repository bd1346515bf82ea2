"""Tables of process settings and measured properties by lot in; checked rows with units out."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cathode_tf.errors import InputError
from cathode_tf.lots.units import header_of, number_of, quantity_of, setting_of
from cathode_tf.texts import read_table

KEYS = ("lot", "sheet", "slurry", "date")
ALIASES = {
    "batch": "lot", "coating_lot": "lot", "lot_id": "lot", "slurry_lot": "slurry", "made_on": "date", "charge": "lot",
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One value of one lot (or of one sheet of it): a number with its unit, or a word."""

    name: str
    value: float | None
    text: str | None
    unit: str
    u: float | None = None


@dataclass(frozen=True)
class Row:
    """What a line of a table says of one lot."""

    line: int
    lot: str
    sheet: str | None
    slurry: str | None
    date: str | None
    settings: tuple[Setting, ...]


def read_rows(
    path: str | Path, *, must_have: tuple[str, ...] = ("lot",)
) -> tuple[list[dict[str, str]], list[str]]:
    """Lines of a CSV file or Excel workbook as dictionaries by column, whatever parts its columns; and its columns.

    Raises:
        InputError: If it is no table, or a column is missing or occurs twice.
    """
    table = read_table(path)
    if not table.rows:
        raise InputError(f"{path}: must be a table with a line of names and lines of values. Received less.")
    header = list(table.columns)
    known = [ALIASES.get(name, name) for name in (header_of(cell)[0] for cell in header)]
    for name in must_have:
        if name not in known:
            raise InputError(f"{path}: must have a column {name}. Received {', '.join(header)}.")
    twice = sorted({name for name in known if name and known.count(name) > 1})
    if twice:
        raise InputError(f"{path}: each column must have its own name. {twice[0]} occurs twice.")
    return [{"": str(line), **row} for line, row in zip(table.lines, table.rows, strict=True)], header


def read_settings(path: str | Path) -> list[Row]:
    """Rows of a CSV file with a column `lot`, perhaps `sheet`, `slurry`, `date`; units stand in the header.

    `line load [N/mm]`, `drying (°C)` and `speed / m/min` name a setting and its unit; `NAME_u` is the standard
    uncertainty of `NAME`. Decimals may have a comma where columns are parted by semicolons or tabs.

    Raises:
        InputError: If it is no such table, a line has no lot, two lines say different things of one lot, or a column
            holds numbers and words.
    """
    rows, header = read_rows(path)
    columns = {cell: header_of(cell) for cell in header if cell}
    key_of = {cell: ALIASES.get(name, name) for cell, (name, _) in columns.items()}
    names = {cell for cell, key in key_of.items() if key not in KEYS}
    words = {cell for cell in names if not _is_numeric(path, cell, rows)}
    found: list[Row] = []
    for row in rows:
        line = int(row[""])
        keys = {key_of[cell]: row.get(cell, "") for cell in columns if key_of[cell] in KEYS}
        if not keys.get("lot"):
            raise InputError(f"{path}: each line must name its lot. Line {line} does not.")
        settings = tuple(_settings(row, columns, names, words))
        found.append(
            Row(
                line,
                keys["lot"],
                keys.get("sheet") or None,
                keys.get("slurry") or None,
                iso_date(keys["date"], f"{path}: line {line}") if keys.get("date") else None,
                settings,
            )
        )
    return list(_once(path, found))


def _settings(
    row: Mapping[str, str], columns: Mapping[str, tuple[str, str]], names: set[str], words: set[str]
) -> Iterator[Setting]:
    spreads = {columns[cell][0]: cell for cell in names if columns[cell][0].endswith("_u")}
    for cell in columns:
        name, unit = columns[cell]
        text = row.get(cell, "")
        of_other = name.endswith("_u") and any(columns[other][0] == name[:-2] for other in names)
        if cell not in names or not text or of_other:
            continue
        if cell in words:
            yield Setting(name, None, text, "")
            continue
        spread = spreads.get(f"{name}_u")
        u = number_of(row.get(spread, "")) if spread else None
        yield Setting(name, number_of(text), None, unit, u)


def _is_numeric(path: str | Path, cell: str, rows: list[dict[str, str]]) -> bool:
    given = [(row[""], row.get(cell, "")) for row in rows if row.get(cell, "")]
    wrong = [(line, text) for line, text in given if number_of(text) is None]
    if wrong and len(wrong) < len(given):
        # A name such as "2b" among words is fine; one stray word among numbers is a slip.
        if len(wrong) > len(given) / 2:
            return False
        line, text = wrong[0]
        raise InputError(
            f"{path}: column {cell} must hold numbers, as most lines do. Line {line} holds {text!r}."
        )
    return not wrong


def _once(path: str | Path, rows: list[Row]) -> Iterator[Row]:
    seen: dict[tuple[str, str | None], Row] = {}
    for row in rows:
        key = (row.lot, row.sheet)
        before = seen.setdefault(key, row)
        if before is row:
            yield row
        elif before.settings != row.settings or (before.slurry, before.date) != (row.slurry, row.date):
            sheet = f" sheet {row.sheet}" if row.sheet else ""
            raise InputError(
                f"{path}: each lot must stand in one line. {row.lot}{sheet} stands in lines {before.line} and "
                f"{row.line}, which differ."
            )


def iso_date(text: str, what: str = "--date") -> str:
    """A day, or a day and a time, as ISO 8601 writes it.

    Raises:
        InputError: If it is none; 03/04/2026 is none, for nobody knows which is the month.

    Example:
        >>> iso_date("2026-03-04"), iso_date("04.03.2026")
        ('2026-03-04', '2026-03-04')
    """
    text = text.strip()
    for pattern in ("%d.%m.%Y", "%Y%m%d"):
        try:
            return datetime.datetime.strptime(text, pattern).date().isoformat()
        except ValueError:
            continue
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{what}: a date must look like 2026-03-04. Received {text!r}.") from None
    return when.date().isoformat() if len(text) <= 10 else when.isoformat(timespec="seconds")


def typed_settings(texts: Iterable[str]) -> list[Setting]:
    """Settings from `line_load=200`, `drying=120C` and `calender=new`.

    Raises:
        InputError: If one does not look like that, or a name occurs twice.

    Example:
        >>> typed_settings(["drying=120C"])
        [Setting(name='drying', value=120.0, text=None, unit='C', u=None)]
    """
    found: dict[str, Setting] = {}
    for text in texts:
        name, typed = setting_of(text)
        if name in found:
            raise InputError(f"--set: must name a setting once. Received {name} twice.")
        value, unit = quantity_of(typed)
        found[name] = Setting(name, value, typed if value is None else None, unit)
    return list(found.values())
