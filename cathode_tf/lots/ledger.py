"""Analyses, settings and cells of lots in, rows of the ledger out; nothing in it is overwritten.

The chain image -> field -> cross-section -> sheet (position, lane) -> coating lot -> slurry lot -> cell is as long as
what is known of it; only the lot must be named.
"""

from __future__ import annotations

import datetime
import getpass
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.lots import schema as t
from cathode_tf.lots.database import Database
from cathode_tf.lots.intake import Intake, fingerprint, read_analysis
from cathode_tf.lots.settings import Row, Setting
from cathode_tf.lots.units import convert
from cathode_tf.words import counted, some

if TYPE_CHECKING:
    from sqlalchemy import Connection

FACTOR, PROPERTY = "factor", "property"


@dataclass(frozen=True)
class Place:
    """Where the images of an analysis were taken; only the lot must be known.

    Attributes:
        lot: Of the coating.
        sheet: Cut from it.
        position_m: Along the coating, m.
        lane: Across it.
        section: Cross-section made of the sheet.
        slurry: Lot of the slurry that was coated.
    """

    lot: str
    sheet: str | None = None
    position_m: float | None = None
    lane: str | None = None
    section: str | None = None
    slurry: str | None = None

    def __post_init__(self) -> None:
        if not self.lot.strip():
            raise InputError("lot: must have a name. Received an empty one.")

    @property
    def spelled(self) -> str:
        """What makes it one place of its lot."""
        return json.dumps([self.sheet, self.position_m, self.lane, self.section], ensure_ascii=False)

    def __str__(self) -> str:
        parts = [
            f"lot {self.lot}",
            *([f"sheet {self.sheet}"] if self.sheet else []),
            *([f"{self.position_m:g} m"] if self.position_m is not None else []),
            *([f"lane {self.lane}"] if self.lane else []),
            *([f"section {self.section}"] if self.section else []),
        ]
        return ", ".join(parts)


@dataclass(frozen=True)
class Added:
    """What `add` entered: the analysis's number, its place, what it holds, what it superseded."""

    analysis: int
    place: Place
    images: int
    numbers: int
    superseded: int | None
    new_system: bool


@dataclass(frozen=True)
class Micrograph:
    """What is known of a micrograph beside its mask: SHA-256 of its pixels, microscope and settings."""

    sha256: str
    instrument: Mapping[str, Any] = field(default_factory=dict)


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
        self.who = who or _user()

    @classmethod
    def create(cls, address: str | Path, *, journal: str = "auto", who: str | None = None) -> Ledger:
        """Make a new ledger.

        Raises:
            InputError: If there is one already.
        """
        Database(address, create=True, journal=journal).close()
        return cls(address, who=who)

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
        with self.database.writing() as connection:
            lot = self._lot(connection, place.lot, place.slurry, made_on)
            self._refuse_again(connection, intake, place, lot, supersede)
            system, new_system = self._system(connection, intake)
            values = {
                "place_id": _one(connection, t.places, lot_id=lot, spelled=place.spelled, **_fields(place)),
                "system_id": system,
                "measured_on": made_on,
                "folder": str(Path(intake.folder).resolve()),
                "summary_sha256": intake.sha256,
                "pixel_size_nm": intake.pixel_size_nm,
                "images": len(intake.images) or max((n.estimate.n for n in intake.numbers), default=0),
                "trust": json.dumps(dict(intake.trust), ensure_ascii=False),
                "facts": json.dumps(dict(intake.facts), ensure_ascii=False),
                "picture": picture,
                **self._entered(),
            }
            number = _insert(connection, t.analyses, values)
            self._images(connection, number, intake, micrographs or {})
            self._numbers(connection, number, intake)
            if supersede is not None:
                self._supersede(connection, supersede, number)
            self._set(connection, lot, None, list(settings), FACTOR, "with the analysis", place.lot)
            if sheet_settings and place.sheet is None:
                raise InputError("--sheet-set: needs --sheet, to know which sheet it is of.")
            self._set(
                connection, lot, place.sheet, list(sheet_settings), FACTOR, "with the analysis", place.lot
            )
            facts = {"analysis": number, "place": str(place), "summary_sha256": intake.sha256}
            self._event(connection, "add", {**facts, "superseded": supersede})
        return Added(number, place, len(intake.images), len(intake.numbers), supersede, new_system)

    def _refuse_again(
        self, connection: Connection, intake: Intake, place: Place, lot: int, supersede: int | None
    ) -> None:
        a, p = t.analyses.c, t.places.c
        same = connection.execute(
            sa.select(a.id, t.lots.c.name)
            .join_from(t.analyses, t.places)
            .join(t.lots)
            .where(a.summary_sha256 == intake.sha256, a.superseded_at.is_(None))
        ).first()
        if same and same.id != supersede:
            raise InputError(
                f"{intake.folder}: is in the ledger already, as analysis {same.id} of lot {same.name}."
            )
        names = [image["name"] for image in intake.images]
        there = connection.execute(
            sa.select(a.id, t.images.c.name)
            .join_from(t.images, t.analyses)
            .join(t.places)
            .join(t.systems)
            .where(
                p.lot_id == lot,
                p.spelled == place.spelled,
                a.superseded_at.is_(None),
                t.systems.c.fingerprint == fingerprint(intake.system),
                t.images.c.name.in_(names),
            )
        ).all()
        others = sorted({row.id for row in there if row.id != supersede})
        if others:
            raise InputError(
                f"{intake.folder}: {counted(len(there), 'image')} of {place} ({some([row.name for row in there])}) "
                "were "
                f"measured before, in analysis {others[0]}. Give --supersede {others[0]} to replace its numbers, or "
                "--sheet, --position or --section if these are from another place."
            )

    def _supersede(self, connection: Connection, old: int, new: int) -> None:
        a = t.analyses.c
        known = connection.execute(sa.select(a.superseded_by, a.superseded_at).where(a.id == old)).first()
        if known is None:
            raise InputError(f"--supersede: must be the number of an analysis. There is no analysis {old}.")
        if known.superseded_at is not None:
            by = f" by analysis {known.superseded_by}" if known.superseded_by else ""
            raise InputError(f"--supersede: analysis {old} is superseded already{by}.")
        connection.execute(
            sa.update(t.analyses).where(a.id == old).values(superseded_at=_now(), superseded_by=new)
        )

    def withdraw(self, analysis: int, reason: str) -> None:
        """Take an analysis out of all charts; it stays readable, with the reason.

        Raises:
            InputError: If there is no such analysis, or it is superseded already.
        """
        a = t.analyses.c
        with self.database.writing() as connection:
            known = connection.execute(sa.select(a.superseded_at).where(a.id == analysis)).first()
            if known is None or known.superseded_at is not None:
                state = "is superseded already" if known else "is not in the ledger"
                raise InputError(f"analysis {analysis}: {state}.")
            connection.execute(sa.update(t.analyses).where(a.id == analysis).values(superseded_at=_now()))
            self._event(connection, "withdraw", {"analysis": analysis, "reason": reason})

    def _system(self, connection: Connection, intake: Intake) -> tuple[int, bool]:
        facts = dict(intake.system)
        digest = fingerprint(facts)
        found = connection.execute(
            sa.select(t.systems.c.id).where(t.systems.c.fingerprint == digest)
        ).scalar()
        if found is not None:
            return int(found), False
        there = connection.execute(sa.select(sa.func.count()).select_from(t.systems)).scalar()
        values = {"fingerprint": digest, "facts": json.dumps(facts, ensure_ascii=False, sort_keys=True)}
        return _insert(connection, t.systems, values), bool(there)

    def _images(
        self, connection: Connection, number: int, intake: Intake, micrographs: Mapping[str, Micrograph]
    ) -> None:
        rows = []
        for image in intake.images:
            known = micrographs.get(image["name"])
            rows.append(
                {
                    "analysis_id": number,
                    "name": image["name"],
                    "field": image["field"],
                    "mask_sha256": image["mask_sha256"],
                    "image_sha256": known.sha256 if known else None,
                    "instrument": json.dumps(dict(known.instrument), default=str) if known else None,
                    "measures": json.dumps(image["measures"]),
                }
            )
        if rows:
            connection.execute(sa.insert(t.images), rows)

    def _numbers(self, connection: Connection, number: int, intake: Intake) -> None:
        known = {
            tuple(row[1:]): row[0]
            for row in connection.execute(
                sa.select(
                    t.quantities.c.id,
                    *(t.quantities.c[name] for name in _DEFINES),
                )
            )
        }
        rows = []
        for item in intake.numbers:
            estimate = item.estimate
            key = (
                item.quantity, item.phase, estimate.unit, estimate.unit_of_replication, estimate.method,
                estimate.reference,
            )  # fmt: skip
            if key not in known:
                known[key] = _insert(connection, t.quantities, dict(zip(_DEFINES, key, strict=True)))
            notes = {
                **({"flags": dict(estimate.flags)} if estimate.flags else {}),
                **({"components": dict(estimate.components)} if estimate.components else {}),
                **({"level": estimate.level} if estimate.level != 0.95 else {}),
            }
            low, high = estimate.ci or (None, None)
            rows.append(
                {
                    "quantity_id": known[key],
                    "analysis_id": number,
                    "value": estimate.value,
                    "low": low,
                    "high": high,
                    "u": item.u,
                    "u_common": item.u_common,
                    "n": estimate.n,
                    "notes": json.dumps(notes, ensure_ascii=False) if notes else None,
                }
            )
        if rows:
            connection.execute(sa.insert(t.numbers), rows)

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
        with self.database.writing() as connection:
            number = self._lot(connection, lot, None, None)
            new = self._set(connection, number, sheet, settings, kind, source, lot, supersede)
            self._event(connection, "set", {"lot": lot, "names": [s.name for s in settings]})
        return new

    def import_rows(
        self, rows: Sequence[Row], source: str, *, kind: str = FACTOR, supersede: bool = False
    ) -> tuple[int, list[str], list[str]]:
        """Enter a table of settings, whole or not at all.

        Returns:
            How many values were new; lots of the table that have no analysis; lots with one that the table lacks.
        """
        with self.database.writing() as connection:
            new = 0
            for row in rows:
                lot = self._lot(connection, row.lot, row.slurry, row.date, supersede)
                where = f"{source}, line {row.line}"
                new += self._set(connection, lot, row.sheet, row.settings, kind, where, row.lot, supersede)
            measured = set(
                connection.execute(
                    sa.select(t.lots.c.name).join_from(t.lots, t.places).join(t.analyses).distinct()
                ).scalars()
            )
            self._event(connection, "import", {"source": source, "values": new, "lots": len(rows)})
        told = {row.lot for row in rows}
        return new, sorted(told - measured), sorted(measured - told)

    def _set(
        self,
        connection: Connection,
        lot: int,
        sheet: str | None,
        settings: Sequence[Setting],
        kind: str,
        source: str,
        lot_name: str,
        supersede: bool = False,
    ) -> int:
        new = 0
        for setting in settings:
            setting = self._in_ledger_unit(connection, setting)
            s = t.settings.c
            known = connection.execute(
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
                connection.execute(sa.update(t.settings).where(s.id == known.id).values(superseded_at=_now()))
            values = {**vars(setting), "lot_id": lot, "sheet": sheet, "kind": kind, "source": source}
            _insert(connection, t.settings, {**values, **self._entered()})
            new += 1
        return new

    def _in_ledger_unit(self, connection: Connection, setting: Setting) -> Setting:
        """The setting in the unit in which its name was entered first."""
        if setting.value is None:
            return setting
        s = t.settings.c
        query = sa.select(s.unit, s.value).where(s.name == setting.name, s.superseded_at.is_(None))
        row = connection.execute(query.order_by(s.unit == "", s.id).limit(1)).first()
        if row is None:
            return setting
        if row.value is None:
            raise InputError(
                f"{setting.name}: is a word for other lots. Received the number {setting.value:g}."
            )
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

    def _lot(
        self,
        connection: Connection,
        name: str,
        slurry: str | None,
        made_on: str | None,
        supersede: bool = False,
    ) -> int:
        lots = t.lots.c
        found = connection.execute(
            sa.select(lots.id, lots.slurry_id, lots.made_on).where(lots.name == name)
        ).first()
        slurry_id = None if slurry is None else _one(connection, t.slurries, name=slurry)
        if found is None:
            return _insert(connection, t.lots, {"name": name, "slurry_id": slurry_id, "made_on": made_on})
        if slurry_id is not None and found.slurry_id not in (None, slurry_id):
            raise InputError(f"lot {name}: was made of another slurry lot in the ledger. Received {slurry}.")
        changes: dict[str, Any] = {}
        if slurry_id is not None and found.slurry_id is None:
            changes["slurry_id"] = slurry_id
        if made_on is not None and (found.made_on is None or (supersede and found.made_on != made_on)):
            changes["made_on"] = made_on
            if found.made_on is not None:
                self._event(connection, "date", {"lot": name, "was": found.made_on, "is": made_on})
        if changes:
            connection.execute(sa.update(t.lots).where(lots.id == found.id).values(**changes))
        return int(found.id)

    def _entered(self) -> dict[str, str]:
        return {"added_at": _now(), "who": self.who}

    def _event(self, connection: Connection, event: str, facts: Mapping[str, Any]) -> None:
        values = {
            "at": _now(),
            "who": self.who,
            "event": event,
            "facts": json.dumps(facts, ensure_ascii=False),
        }
        _insert(connection, t.events, values)

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
    with ledger.database.writing() as connection:
        same = [j.kind == kind, j.quantity == name[0], j.phase == name[1], j.system == system]
        if other_system is not None:
            same.append(j.other_system == other_system)
        connection.execute(
            sa.update(t.judgements).where(*same, j.superseded_at.is_(None)).values(superseded_at=_now())
        )
        values = {
            "kind": kind, "quantity": name[0], "phase": name[1], "system": system, "other_system": other_system,
            "facts": json.dumps(facts),
        }  # fmt: skip
        _insert(connection, t.judgements, {**values, **ledger._entered()})
        ledger._event(connection, kind, {"name": "/".join(name), "system": system, "other": other_system})


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


_DEFINES = ("quantity", "phase", "unit", "unit_of_replication", "method", "reference")


def _fields(place: Place) -> dict[str, Any]:
    return {name: getattr(place, name) for name in ("sheet", "position_m", "lane", "section")}


def _alike(known: Any, setting: Setting) -> bool:
    if known.value is None or setting.value is None:
        return known.text == setting.text and known.value == setting.value
    return abs(known.value - setting.value) <= 1e-9 * max(abs(known.value), abs(setting.value))


def _spoken(setting: Any) -> str:
    if setting.value is None:
        return repr(setting.text)
    return f"{setting.value:g}{f' {setting.unit}' if setting.unit else ''}"


def _one(connection: Connection, table: sa.Table, **values: Any) -> int:
    """The id of the row that holds these values; made if there is none."""
    keys = [table.c[name] == value for name, value in values.items() if value is not None]
    found = connection.execute(sa.select(table.c.id).where(*keys)).scalar()
    return int(found) if found is not None else _insert(connection, table, values)


def _insert(connection: Connection, table: sa.Table, values: Mapping[str, Any]) -> int:
    key = connection.execute(sa.insert(table).values(**values)).inserted_primary_key
    assert key is not None  # one row was inserted
    return int(key[0])


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"
