"""Who is at work on which image, so that two people do not correct the same one.

A claim is a small file that its holder renews; one not renewed for a while lapses by itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from cathode_tf.errors import InputError
from cathode_tf.files import read_json, write_json
from cathode_tf.rounds import Project

LAPSES_S = 45.0


@dataclass(frozen=True)
class Claim:
    """`session` is one tab of one browser; `who` its person."""

    session: str
    who: str
    renewed: float


class Taken(InputError):
    """Another session is at work on the image."""


def holder(project: Project, key: str) -> Claim | None:
    """Who is at work on this image now, if anyone."""
    path = project.path / "claims" / f"{key}.json"
    if not path.exists():
        return None
    try:
        claim = Claim(**read_json(path))
    except (InputError, TypeError):  # removed or cut short a moment ago
        return None
    return claim if time.time() - claim.renewed < LAPSES_S else None


def claim(project: Project, key: str, session: str, who: str, *, force: bool = False) -> None:
    """Take or renew the claim on an image.

    Args:
        project: The project.
        key: The image's key.
        session: The tab that asks.
        who: Its person.
        force: Take it over from another session.

    Raises:
        Taken: If another session holds it and `force` is not set.
    """
    with project.ledger.locked():
        other = holder(project, key)
        if other and other.session != session and not force:
            raise Taken(f"This image is taken: {other.who} is at work on it in another window.")
        mine = {"session": session, "who": who, "renewed": time.time()}
        write_json(project.path / "claims" / f"{key}.json", mine, force=True)


def release(project: Project, key: str, session: str) -> None:
    """Give the image back, if the session of the caller holds it."""
    with project.ledger.locked():
        other = holder(project, key)
        if other and other.session == session:
            (project.path / "claims" / f"{key}.json").unlink(missing_ok=True)
