"""An analysis and its place in; its rows in the ledger out, refused where they contradict what is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from cathode_tf.errors import InputError
from cathode_tf.lots import schema as t
from cathode_tf.lots.intake import Intake, fingerprint
from cathode_tf.lots.rows import Entry, now
from cathode_tf.words import counted, some


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

    def fields(self) -> dict[str, Any]:
        """What is known of it below the lot."""
        return {name: getattr(self, name) for name in ("sheet", "position_m", "lane", "section")}

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
class Micrograph:
    """What is known of a micrograph beside its mask: SHA-256 of its pixels, microscope and settings."""

    sha256: str
    instrument: Mapping[str, Any] = field(default_factory=dict)


def find_lot(
    entry: Entry,
    name: str,
    slurry: str | None,
    made_on: str | None,
    supersede: bool = False,
) -> int:
    """The id of a lot, made if it is new; its slurry lot and date are noted once.

    Raises:
        InputError: If it was made of another slurry lot.
    """
    lots = t.lots.c
    found = entry.connection.execute(
        sa.select(lots.id, lots.slurry_id, lots.made_on).where(lots.name == name)
    ).first()
    slurry_id = None if slurry is None else entry.one(t.slurries, name=slurry)
    if found is None:
        return entry.insert(t.lots, {"name": name, "slurry_id": slurry_id, "made_on": made_on})
    if slurry_id is not None and found.slurry_id not in (None, slurry_id):
        raise InputError(f"lot {name}: was made of another slurry lot in the ledger. Received {slurry}.")
    changes: dict[str, Any] = {}
    if slurry_id is not None and found.slurry_id is None:
        changes["slurry_id"] = slurry_id
    if made_on is not None and (found.made_on is None or (supersede and found.made_on != made_on)):
        changes["made_on"] = made_on
        if found.made_on is not None:
            entry.event("date", {"lot": name, "was": found.made_on, "is": made_on})
    if changes:
        entry.connection.execute(sa.update(t.lots).where(lots.id == found.id).values(**changes))
    return int(found.id)


def find_system(entry: Entry, intake: Intake) -> tuple[int, bool]:
    """The id of the measuring system, made if it is new; and whether it is new beside others."""
    facts = dict(intake.system)
    digest = fingerprint(facts)
    found = entry.connection.execute(
        sa.select(t.systems.c.id).where(t.systems.c.fingerprint == digest)
    ).scalar()
    if found is not None:
        return int(found), False
    there = entry.connection.execute(sa.select(sa.func.count()).select_from(t.systems)).scalar()
    values = {"fingerprint": digest, "facts": json.dumps(facts, ensure_ascii=False, sort_keys=True)}
    return entry.insert(t.systems, values), bool(there)


def refuse_again(entry: Entry, intake: Intake, place: Place, lot: int, supersede: int | None) -> None:
    """Raise `InputError` if this analysis, or images of this place by this system, are in the ledger already."""
    a, p = t.analyses.c, t.places.c
    if supersede is not None:
        check_current(entry, supersede)
    same = entry.connection.execute(
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
    there = entry.connection.execute(
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


_DEFINES = ("quantity", "phase", "unit", "unit_of_replication", "method", "reference")


def enter_images(entry: Entry, number: int, intake: Intake, micrographs: Mapping[str, Micrograph]) -> None:
    """Enter the images of an analysis."""
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
        entry.connection.execute(sa.insert(t.images), rows)


def enter_numbers(entry: Entry, number: int, intake: Intake) -> None:
    """Enter the numbers of an analysis; what defines them is entered once for all analyses."""
    known = {
        tuple(row[1:]): row[0]
        for row in entry.connection.execute(
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
            known[key] = entry.insert(t.quantities, dict(zip(_DEFINES, key, strict=True)))
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
        entry.connection.execute(sa.insert(t.numbers), rows)


def supersede_analysis(entry: Entry, old: int, new: int) -> None:
    """Mark an analysis as superseded by another.

    Args:
        entry: The transaction.
        old: Its number (`check_current`).
        new: That of the other.
    """
    a = t.analyses.c
    entry.connection.execute(
        sa.update(t.analyses).where(a.id == old).values(superseded_at=now(), superseded_by=new)
    )


def check_current(entry: Entry, old: int) -> None:
    """Raise `InputError` unless there is an analysis of this number that nothing supersedes."""
    a = t.analyses.c
    known = entry.connection.execute(sa.select(a.superseded_by, a.superseded_at).where(a.id == old)).first()
    if known is None:
        raise InputError(f"--supersede: must be the number of an analysis. There is no analysis {old}.")
    if known.superseded_at is not None:
        by = f" by analysis {known.superseded_by}" if known.superseded_by else ""
        raise InputError(f"--supersede: analysis {old} is superseded already{by}.")
