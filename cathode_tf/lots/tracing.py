"""A ledger or a passport, and a name or a hash in; the chain from image to cell that it is of out."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cathode_tf.errors import InputError
from cathode_tf.lots import schema as t
from cathode_tf.lots.comparing import estimate_of
from cathode_tf.lots.ledger import Ledger

CHAINS = "chains.json"
FEWEST_LETTERS = 6


def chains(
    ledger: Ledger, lots: Iterable[str] | None = None, *, superseded: bool = False
) -> list[dict[str, Any]]:
    """Everything known of each analysis, from its images to its cells, as plain values.

    Args:
        ledger: Where it is kept.
        lots: Of these lots alone.
        superseded: Those that were replaced or withdrawn, too.

    Raises:
        InputError: If a lot is unknown.
    """
    a, p = t.analyses.c, t.places.c
    query = (
        sa.select(
            t.analyses, t.lots.c.name.label("lot"), t.lots.c.made_on, t.slurries.c.name.label("slurry"), p.sheet,
            p.position_m, p.lane, p.section, t.systems.c.facts.label("system"),
        )
        .select_from(t.analyses)
        .join(t.places)
        .join(t.lots)
        .join(t.systems)
        .outerjoin(t.slurries)
        .order_by(a.id)
    )  # fmt: skip
    if not superseded:
        query = query.where(a.superseded_at.is_(None))
    with ledger.database.reading() as connection:
        if lots is not None:
            lots = list(lots)
            known = set(connection.execute(sa.select(t.lots.c.name)).scalars())
            unknown = [lot for lot in lots if lot not in known]
            if unknown:
                raise InputError(f"lot {unknown[0]}: is not in the ledger.")
            query = query.where(t.lots.c.name.in_(lots))
        rows = list(connection.execute(query).mappings())
        return [_chain(connection, dict(row)) for row in rows]


def _chain(connection: sa.Connection, row: Mapping[str, Any]) -> dict[str, Any]:
    i, s, c, r = t.images.c, t.settings.c, t.cells.c, t.results.c
    lot = sa.select(t.lots.c.id).where(t.lots.c.name == row["lot"]).scalar_subquery()
    images = connection.execute(
        sa.select(i.name, i.field, i.mask_sha256, i.image_sha256, i.instrument)
        .where(i.analysis_id == row["id"])
        .order_by(i.id)
    ).mappings()
    settings = connection.execute(
        sa.select(s.name, s.sheet, s.kind, s.value, s.text, s.unit, s.source).where(
            s.lot_id == lot, s.superseded_at.is_(None), sa.or_(s.sheet.is_(None), s.sheet == row["sheet"])
        )
    ).mappings()
    cells = connection.execute(
        sa.select(c.name, c.sheet, r.metric, r.value, r.unit, r.source_sha256)
        .join_from(t.cells, t.results, isouter=True)
        .where(c.lot_id == lot, sa.or_(r.superseded_at.is_(None), r.id.is_(None)))
    ).mappings()
    numbers = connection.execute(
        sa.select(
            t.quantities.c.quantity, t.quantities.c.phase, t.quantities.c.unit, t.quantities.c.unit_of_replication,
            t.quantities.c.method, t.quantities.c.reference, t.numbers.c.value, t.numbers.c.low, t.numbers.c.high,
            t.numbers.c.n, t.numbers.c.notes,
        )
        .join_from(t.numbers, t.quantities)
        .where(t.numbers.c.analysis_id == row["id"])
        .order_by(t.quantities.c.id)
    )  # fmt: skip
    facts = json.loads(row["facts"])
    return {
        "cells": [dict(cell) for cell in cells],
        "slurry": row["slurry"],
        "lot": row["lot"],
        "made_on": row["made_on"] or row["measured_on"],
        "settings": [dict(each) for each in settings],
        "sheet": row["sheet"],
        "position_m": row["position_m"],
        "lane": row["lane"],
        "section": row["section"],
        "analysis": {
            "number": row["id"],
            "folder": row["folder"],
            "summary_sha256": row["summary_sha256"],
            "pixel_size_nm": row["pixel_size_nm"],
            "added_at": row["added_at"],
            "who": row["who"],
            "superseded_by": row["superseded_by"],
            "superseded_at": row["superseded_at"],
            "trust": json.loads(row["trust"]),
            "system": json.loads(row["system"]),
            "model": facts.get("model"),
            "version": facts.get("version"),
        },
        "images": [
            {**image, "instrument": json.loads(image["instrument"]) if image["instrument"] else None}
            for image in images
        ],
        "numbers": [
            {"quantity": number.quantity, "phase": number.phase, **estimate_of(number).to_dict()}
            for number in numbers
        ],
    }


def trace(source: str | Path | Ledger, word: str) -> list[dict[str, Any]]:
    """The chains that a word is in: name of a cell, lot, slurry, sheet or image, an analysis's number, or a SHA-256.

    Args:
        source: A ledger, its address, or a passport (`.eln`).
        word: Of hashes the first six letters are enough.

    Returns:
        The chains (`chains`), each with `found`: what the word is in it.

    Raises:
        InputError: If nothing is of that name.
    """
    if isinstance(source, Ledger):
        known = chains(source, superseded=True)
    elif str(source).endswith(".eln"):
        known = _of_passport(source)
    else:
        known = chains(Ledger(source), superseded=True)
    found = []
    for chain in known:
        what = _match(chain, word.strip())
        if what:
            found.append({"found": what, **chain})
    if not found:
        raise InputError(
            f"{word}: must be a cell, lot, slurry, sheet, image, analysis or SHA-256 of {_shown(source)}. Nothing is."
        )
    return found


def _shown(source: str | Path | Ledger) -> str:
    return "the ledger" if isinstance(source, Ledger) else str(source)


def _match(chain: Mapping[str, Any], word: str) -> str:
    names = {
        "cell": [cell["name"] for cell in chain["cells"]],
        "lot": [chain["lot"]],
        "slurry lot": [chain["slurry"]],
        "sheet": [chain["sheet"]],
        "section": [chain["section"]],
        "image": [image["name"] for image in chain["images"]],
        "analysis": [str(chain["analysis"]["number"]), f"analysis {chain['analysis']['number']}"],
        "folder": [chain["analysis"]["folder"], Path(chain["analysis"]["folder"]).name],
    }
    for what, known in names.items():
        if word in known:
            return what
    if len(word) < FEWEST_LETTERS:
        return ""
    model = chain["analysis"].get("model") or {}
    hashes = {
        "SHA-256 of the analysis": [chain["analysis"]["summary_sha256"]],
        "SHA-256 of a mask": [image["mask_sha256"] for image in chain["images"]],
        "SHA-256 of an image": [image["image_sha256"] for image in chain["images"]],
        "SHA-256 of the model": [model.get("sha256"), model.get("fingerprint")],
        "SHA-256 of a cell's data": [cell["source_sha256"] for cell in chain["cells"]],
    }
    low = word.lower()
    return next((what for what, known in hashes.items() if any(h and h.startswith(low) for h in known)), "")


def _of_passport(path: str | Path) -> list[dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.count("/") == 1 and n.endswith(f"/{CHAINS}"))
            return json.loads(archive.read(name))
    except FileNotFoundError as error:
        raise InputError(f"{path}: is not there.") from error
    except (OSError, StopIteration, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: must be a passport that `lots export --eln` wrote.") from error


def chain_text(chain: Mapping[str, Any]) -> list[str]:
    """The chain for people, a line a link; unknown links are named as that."""
    analysis = chain["analysis"]
    cells = sorted({cell["name"] for cell in chain["cells"]})
    model = analysis.get("model") or {}
    masks = analysis["system"].get("masks", "given")
    where = [
        f"sheet {chain['sheet'] or 'not known'}",
        *([f"{chain['position_m']:g} m"] if chain["position_m"] is not None else []),
        *([f"lane {chain['lane']}"] if chain["lane"] else []),
    ]
    made_on = f" ({chain['made_on']})" if chain["made_on"] else ""
    by_model = f" ({model.get('path')})" if model else ""
    state = ""
    if analysis["superseded_at"]:
        by = f" by analysis {analysis['superseded_by']}" if analysis["superseded_by"] else ""
        state = f"; superseded{by} {analysis['superseded_at']}"
    lines = [
        f"cell: {', '.join(cells) if cells else 'not known'}",
        f"slurry lot: {chain['slurry'] or 'not known'}",
        f"coating lot: {chain['lot']}{made_on}",
        f"sheet: {', '.join(where)}",
        f"cross-section: {chain['section'] or 'not known'}",
        f"analysis: {analysis['number']}, {analysis['folder']}, SHA-256 {analysis['summary_sha256'][:16]}..., added "
        f"{analysis['added_at']} by {analysis['who']}{state}",
        f"masks: {masks}{by_model}; {analysis['trust'].get('masks', 'unchecked')}",
        f"files: {analysis['trust'].get('files', 'not known')}",
    ]
    for image in chain["images"]:
        known = (
            f", image SHA-256 {image['image_sha256'][:16]}..."
            if image["image_sha256"]
            else ", image not hashed"
        )
        field = f", field {image['field']}" if image["field"] else ""
        lines.append(
            f"image: {image['name']}{field}, mask SHA-256 {str(image['mask_sha256'])[:16]}...{known}"
        )
    return lines
