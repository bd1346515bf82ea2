"""Who may open the page: the owner of this computer, and those whom the owner gave a token of their own.

No accounts: a token stands for a name. Tokens of guests are kept in the project, readable by its owner alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, read_json
from cathode_tf.phases import IGNORE
from cathode_tf.rounds import Project

MOST = 50


@dataclass(frozen=True)
class Person:
    """Someone who opened the page; the owner may also reach the folders of this computer."""

    name: str
    owner: bool


def guests(project: Project) -> dict[str, str]:
    """Name by token of those who were invited."""
    path = _path(project)
    return {row["token"]: row["name"] for row in read_json(path)} if path.exists() else {}


def invite(project: Project, name: str) -> str:
    """Give a person a token; who has one keeps it.

    Raises:
        InputError: If the name is empty or longer than 80 letters, or there are too many people.
    """
    name = name.strip()
    if not 0 < len(name) <= 80:
        raise InputError(f"name: must be 1 to 80 letters. Received {name[:90]!r}.")
    with project.ledger.locked():
        known = guests(project)
        for token, who in known.items():
            if who == name:
                return token
        if len(known) >= MOST:
            raise InputError(f"people: must be at most {MOST}. Remove some.")
        token = secrets.token_urlsafe(24)
        _write(project, {**known, token: name})
        return token


def uninvite(project: Project, name: str) -> None:
    """Take a person's token away; what they did stays."""
    with project.ledger.locked():
        _write(project, {token: who for token, who in guests(project).items() if who != name})


def _path(project: Project) -> Path:
    return project.path / ".people.json"


def _write(project: Project, known: dict[str, str]) -> None:
    import json

    rows = [{"name": name, "token": token} for token, name in known.items()]
    with atomic_file(_path(project), force=True) as temporary:
        temporary.chmod(0o600)
        temporary.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def agreements(project: Project) -> list[dict[str, Any]]:
    """Images that several people accepted a mask of: how far each two agree, mean Dice over the phases (0-1)."""
    by_image: dict[str, dict[str, str]] = {}
    for review in project.state.reviews:
        if review["decision"] == "accept":
            by_image.setdefault(review["key"], {})[review["who"]] = review["mask"]
    rows = []
    for key, masks in by_image.items():
        image = project.state.images[key]
        for one, other in combinations(sorted(masks), 2):
            first, second = (project.mask_at(masks[who], image) for who in (one, other))
            dice = _agreement(first, second, project.phases.ids)
            by_phase = dict(zip(project.phases.names, dice, strict=True))
            there = [value for value in dice if value is not None]
            rows.append(
                {
                    "key": key,
                    "image": image.name,
                    "people": [one, other],
                    "mean": round(sum(there) / len(there), 4) if there else None,
                    "by_phase": by_phase,
                }
            )
    return rows


def _agreement(a: np.ndarray, b: np.ndarray, ids: Iterable[int]) -> list[float | None]:
    both = (a != IGNORE) & (b != IGNORE)
    found: list[float | None] = []
    for id_ in ids:
        first, second = (a == id_) & both, (b == id_) & both
        area = int(first.sum()) + int(second.sum())
        found.append(round(2 * int((first & second).sum()) / area, 4) if area else None)
    return found
