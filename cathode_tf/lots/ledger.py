"""Analyses, settings and cells of lots in, rows of the ledger out; nothing in it is overwritten.

The chain image -> field -> cross-section -> sheet (position, lane) -> coating lot -> slurry lot -> cell is as long as
what is known of it; only the lot must be named.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cathode_tf.errors import InputError
from cathode_tf.lots import schema as t
from cathode_tf.lots.database import Database
from cathode_tf.lots.entering import (
    Micrograph,
    Place,
    enter_images,
    enter_numbers,
    find_lot,
    find_system,
    refuse_again,
    supersede_analysis,
)
from cathode_tf.lots.intake import Intake, read_analysis
from cathode_tf.lots.process import FACTOR, enter_settings
from cathode_tf.lots.rows import Entry, now, user_name
from cathode_tf.lots.settings import Row, Setting


@dataclass(frozen=True)
class Added:
    """What `add` entered: the analysis's number, its place, what it holds, what it superseded."""

    analysis: int
    place: Place
    images: int
    numbers: int
    superseded: int | None
    new_system: bool


class Ledger:
    """The ledger at an address.

    Args:
        address: Path of an SQLite file, or `postgresql+pg8000://...`.
        who: Your name, kept beside what you enter; default: your user name.

    Example:
        >>> import tempfile
        >>> ledger = Ledger.create(Path(tempfile.mkdtemp()) / "plant.db")
        >>> ledger.set("L12", [Setting("line_load", 200.0, None, "N/mm")])
        1
        >>> ledger.lots()[0]["name"]
        'L12'
    """

    def __init__(self, address: str | Path, *, who: str | None = None) -> None:
        self.database = Database(address)
        self.who = who or user_name()

    @classmethod
    def create(cls, address: str | Path, *, journal: str = "auto", who: str | None = None) -> Ledger:
        """Make a new ledger.

        Raises:
            InputError: If there is one already.
        """
        Database(address, create=True, journal=journal).close()
        return cls(address, who=who)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Entry]:
        """A transaction of this person: all that is entered in the block is kept, or nothing."""
        with self.database.writing() as connection:
            yield Entry(connection, self.who)

    def close(self) -> None:
        """Let go of the file."""
        self.database.close()

    def add(
        self,
        analysis: str | Path | Intake,
        place: Place,
        *,
        made_on: str | None = None,
        settings: Iterable[Setting] = (),
        sheet_settings: Iterable[Setting] = (),
        micrographs: Mapping[str, Micrograph] | None = None,
        picture: bytes | None = None,
        supersede: int | None = None,
    ) -> Added:
        """Enter an analysis.

        Args:
            analysis: Folder that `analyze` wrote, or what `read_analysis` made of it.
            place: Where its images were taken.
            made_on: ISO date by which charts order lots.
            settings: Of the process, for the whole lot.
            sheet_settings: For the place's sheet alone.
            micrographs: By image name.
            picture: A typical section, WebP.
            supersede: Number of the analysis whose numbers these replace.

        Raises:
            InputError: If this analysis is in the ledger already; if images of this place are, and `supersede` does
                not say that they are replaced; if a setting contradicts what is known.
        """
        intake = analysis if isinstance(analysis, Intake) else read_analysis(analysis)
        with self.writing() as entry:
            lot = find_lot(entry, place.lot, place.slurry, made_on)
            refuse_again(entry, intake, place, lot, supersede)
            system, new_system = find_system(entry, intake)
            values = {
                "place_id": entry.one(t.places, lot_id=lot, spelled=place.spelled, **place.fields()),
                "system_id": system,
                "measured_on": made_on,
                "folder": str(Path(intake.folder).resolve()),
                "summary_sha256": intake.sha256,
                "pixel_size_nm": intake.pixel_size_nm,
                "images": len(intake.images) or max((n.estimate.n for n in intake.numbers), default=0),
                "trust": json.dumps(dict(intake.trust), ensure_ascii=False),
                "facts": json.dumps(dict(intake.facts), ensure_ascii=False),
                "picture": picture,
                **entry.entered(),
            }
            number = entry.insert(t.analyses, values)
            enter_images(entry, number, intake, micrographs or {})
            enter_numbers(entry, number, intake)
            if supersede is not None:
                supersede_analysis(entry, supersede, number)
            enter_settings(entry, lot, None, list(settings), FACTOR, "with the analysis", place.lot)
            if sheet_settings and place.sheet is None:
                raise InputError("--sheet-set: needs --sheet, to know which sheet it is of.")
            enter_settings(
                entry, lot, place.sheet, list(sheet_settings), FACTOR, "with the analysis", place.lot
            )
            facts = {"analysis": number, "place": str(place), "summary_sha256": intake.sha256}
            entry.event("add", {**facts, "superseded": supersede})
        return Added(number, place, len(intake.images), len(intake.numbers), supersede, new_system)

    def withdraw(self, analysis: int, reason: str) -> None:
        """Take an analysis out of all charts; it stays readable, with the reason.

        Raises:
            InputError: If there is no such analysis, or it is superseded already.
        """
        a = t.analyses.c
        with self.writing() as entry:
            known = entry.connection.execute(sa.select(a.superseded_at).where(a.id == analysis)).first()
            if known is None or known.superseded_at is not None:
                state = "is superseded already" if known else "is not in the ledger"
                raise InputError(f"analysis {analysis}: {state}.")
            entry.connection.execute(
                sa.update(t.analyses).where(a.id == analysis).values(superseded_at=now())
            )
            entry.event("withdraw", {"analysis": analysis, "reason": reason})

    def set(
        self,
        lot: str,
        settings: Sequence[Setting],
        *,
        sheet: str | None = None,
        kind: str = FACTOR,
        source: str = "by hand",
        supersede: bool = False,
    ) -> int:
        """Enter what is known of a lot, or of one sheet of it; gives back how many values were new.

        Args:
            lot: Made if it is not there.
            settings: Numbers with units, or words.
            sheet: If they hold for it alone.
            kind: `"factor"`: set in the process; `"property"`: measured by something else than images.
            source: Where they come from.
            supersede: Let them replace other values of the same names.

        Raises:
            InputError: If a value contradicts one that is known, or its unit is of another kind.
        """
        with self.writing() as entry:
            number = find_lot(entry, lot, None, None)
            new = enter_settings(entry, number, sheet, settings, kind, source, lot, supersede)
            entry.event("set", {"lot": lot, "names": [s.name for s in settings]})
        return new

    def import_rows(
        self, rows: Sequence[Row], source: str, *, kind: str = FACTOR, supersede: bool = False
    ) -> tuple[int, list[str], list[str]]:
        """Enter a table of settings, whole or not at all.

        Returns:
            How many values were new; lots of the table that have no analysis; lots with one that the table lacks.
        """
        with self.writing() as entry:
            new = 0
            for row in rows:
                lot = find_lot(entry, row.lot, row.slurry, row.date, supersede)
                where = f"{source}, line {row.line}"
                new += enter_settings(entry, lot, row.sheet, row.settings, kind, where, row.lot, supersede)
            measured = set(
                entry.connection.execute(
                    sa.select(t.lots.c.name).join_from(t.lots, t.places).join(t.analyses).distinct()
                ).scalars()
            )
            entry.event("import", {"source": source, "values": new, "lots": len(rows)})
        told = {row.lot for row in rows}
        return new, sorted(told - measured), sorted(measured - told)

    def lots(self) -> list[dict[str, Any]]:
        """A row a lot in the order of their dates: name, slurry, made_on, analyses, images."""
        current = t.analyses.c.superseded_at.is_(None)
        query = (
            sa.select(
                t.lots.c.id,
                t.lots.c.name,
                t.slurries.c.name.label("slurry"),
                t.lots.c.made_on,
                sa.func.count(t.analyses.c.id).label("analyses"),
                sa.func.coalesce(sa.func.sum(t.analyses.c.images), 0).label("images"),
            )
            .select_from(t.lots)
            .outerjoin(t.slurries)
            .outerjoin(t.places, t.places.c.lot_id == t.lots.c.id)
            .outerjoin(t.analyses, sa.and_(t.analyses.c.place_id == t.places.c.id, current))
            .group_by(t.lots.c.id, t.lots.c.name, t.slurries.c.name, t.lots.c.made_on)
            .order_by(t.lots.c.made_on.is_(None), t.lots.c.made_on, t.lots.c.id)
        )
        with self.database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def events(self) -> list[dict[str, Any]]:
        """What was done, oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(t.events).order_by(t.events.c.id)).mappings()
            return [{**row, "facts": json.loads(row["facts"])} for row in rows]
