"""The tables of a ledger, for SQLAlchemy Core; `migrations/` holds how a file comes to have them.

A row is never changed, but for the marks `superseded_at` and `superseded_by`: what was measured once stays readable.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

HEAD = "0001"
"""The newest revision in `migrations/versions`; what a ledger must be at to be used."""

metadata = MetaData()


def _id() -> Column:
    return Column("id", Integer, primary_key=True, autoincrement=True)


def _to(table: str, *, nullable: bool = False) -> Column:
    plural = {"slurry": "slurries", "analysis": "analyses"}.get(table, f"{table}s")
    return Column(f"{table}_id", Integer, ForeignKey(f"{plural}.id"), nullable=nullable)


def _entered() -> list[Column]:
    """When and by whom a row was entered, and when another took its place."""
    return [
        Column("added_at", String(32), nullable=False),
        Column("who", String(200), nullable=False),
        Column("superseded_at", String(32)),
    ]


meta = Table("meta", metadata, Column("key", String(60), primary_key=True), Column("value", Text))

slurries = Table("slurries", metadata, _id(), Column("name", String(200), nullable=False, unique=True))

lots = Table(
    "lots",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    _to("slurry", nullable=True),
    Column("made_on", String(32)),
)

places = Table(
    "places",
    metadata,
    _id(),
    _to("lot"),
    Column("sheet", String(200)),
    Column("position_m", Float),
    Column("lane", String(200)),
    Column("section", String(200)),
    # NULLs are never equal in SQL, so what makes a place unique is spelled out.
    Column("spelled", String(900), nullable=False),
    UniqueConstraint("lot_id", "spelled", name="places_once"),
)

systems = Table(
    "systems",
    metadata,
    _id(),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("facts", Text, nullable=False),
)

analyses = Table(
    "analyses",
    metadata,
    _id(),
    _to("place"),
    _to("system"),
    Column("measured_on", String(32)),
    Column("folder", Text, nullable=False),
    Column("summary_sha256", String(64), nullable=False),
    Column("pixel_size_nm", Float),
    Column("images", Integer, nullable=False),
    Column("trust", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("picture", LargeBinary),
    *_entered(),
    Column("superseded_by", Integer),
    Index("analyses_by_place", "place_id"),
    Index("analyses_by_summary", "summary_sha256"),
)

images = Table(
    "images",
    metadata,
    _id(),
    _to("analysis"),
    Column("name", String(400), nullable=False),
    Column("field", String(200)),
    Column("mask_sha256", String(64)),
    Column("image_sha256", String(64)),
    Column("instrument", Text),
    Column("measures", Text, nullable=False),
    UniqueConstraint("analysis_id", "name", name="images_once"),
    Index("images_by_mask", "mask_sha256"),
    Index("images_by_image", "image_sha256"),
)

quantities = Table(
    "quantities",
    metadata,
    _id(),
    Column("quantity", String(100), nullable=False),
    Column("phase", String(200), nullable=False),
    Column("unit", String(40), nullable=False),
    Column("unit_of_replication", String(40), nullable=False),
    Column("method", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Index("quantities_by_name", "quantity", "phase"),
)

# By quantity first: a chart then reads one run of the file, whatever else is in it.
numbers = Table(
    "numbers",
    metadata,
    Column("quantity_id", Integer, ForeignKey("quantities.id"), primary_key=True, autoincrement=False),
    Column("analysis_id", Integer, ForeignKey("analyses.id"), primary_key=True, autoincrement=False),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("u", Float),
    Column("u_common", Float),
    Column("n", Integer, nullable=False),
    Column("notes", Text),
    sqlite_with_rowid=False,
)

settings = Table(
    "settings",
    metadata,
    _id(),
    _to("lot"),
    Column("sheet", String(200)),
    Column("kind", String(20), nullable=False),
    Column("name", String(200), nullable=False),
    Column("value", Float),
    Column("text", String(400)),
    Column("unit", String(40), nullable=False),
    Column("u", Float),
    Column("source", Text, nullable=False),
    *_entered(),
    Index("settings_by_lot", "lot_id", "name"),
)

cells = Table(
    "cells",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    _to("lot"),
    Column("sheet", String(200)),
)

results = Table(
    "results",
    metadata,
    _id(),
    _to("cell"),
    Column("metric", String(200), nullable=False),
    Column("value", Float, nullable=False),
    Column("unit", String(40), nullable=False),
    Column("source", Text, nullable=False),
    Column("source_sha256", String(64), nullable=False),
    *_entered(),
    Index("results_by_cell", "cell_id", "metric"),
)

judgements = Table(
    "judgements",
    metadata,
    _id(),
    Column("kind", String(20), nullable=False),
    Column("quantity", String(100), nullable=False),
    Column("phase", String(200), nullable=False),
    Column("system", String(64), nullable=False),
    Column("other_system", String(64)),
    Column("facts", Text, nullable=False),
    *_entered(),
    Index("judgements_by_name", "kind", "quantity", "phase"),
)

events = Table(
    "events",
    metadata,
    _id(),
    Column("at", String(32), nullable=False),
    Column("who", String(200), nullable=False),
    Column("event", String(60), nullable=False),
    Column("facts", Text, nullable=False),
)
