"""Ledgers of lots that lie beside the project in; which there are, and the report of one, out. They are only read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cathode_tf.errors import InputError
from cathode_tf.review.desk import Desk

MOST = 20


def ledgers(desk: Desk) -> list[Path]:
    """SQLite files in the project's folder, beside it, and in the home."""
    places = [desk.project.path, desk.project.path.parent, desk.home]
    if desk.folder is not None:
        places += [desk.folder, desk.folder.parent]
    found = [
        path for place in dict.fromkeys(places) for path in sorted(place.glob("*.db")) if _is_sqlite(path)
    ]
    return found[:MOST]


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(15) == b"SQLite format 3"
    except OSError:
        return False


def report_of(desk: Desk, path: str) -> bytes:
    """The page of `cathode-tf lots report`, made anew.

    Raises:
        InputError: If the file is not one of `ledgers`, or has no report.
    """
    if path not in map(str, ledgers(desk)):
        raise InputError(f"{path}: must be a ledger beside the project. There is none of that name.")
    from cathode_tf.lots import Ledger
    from cathode_tf.lots.report import write_lots_report

    ledger = Ledger(path)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return write_lots_report(ledger, Path(folder) / "lots.html", title=Path(path).stem).read_bytes()
    finally:
        ledger.close()
