"""A connection that writes, and who writes, in; rows entered with both out."""

from __future__ import annotations

import datetime
import getpass
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from cathode_tf.lots import schema as t

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class Entry:
    """One transaction of one person; all of it is there when it ends, or nothing."""

    connection: Connection
    who: str

    def insert(self, table: sa.Table, values: Mapping[str, Any]) -> int:
        """Enter a row; gives back its id."""
        key = self.connection.execute(sa.insert(table).values(**values)).inserted_primary_key
        assert key is not None  # one row was inserted
        return int(key[0])

    def one(self, table: sa.Table, **values: Any) -> int:
        """The id of the row that holds these values; made if there is none."""
        keys = [table.c[name] == value for name, value in values.items() if value is not None]
        found = self.connection.execute(sa.select(table.c.id).where(*keys)).scalar()
        return int(found) if found is not None else self.insert(table, values)

    def entered(self) -> dict[str, str]:
        """When and by whom, for a row."""
        return {"added_at": now(), "who": self.who}

    def event(self, event: str, facts: Mapping[str, Any]) -> None:
        """Note in the log what was done."""
        text = json.dumps(facts, ensure_ascii=False)
        self.insert(t.events, {"at": now(), "who": self.who, "event": event, "facts": text})


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def user_name() -> str:
    """Name of the user that runs this process, or `"someone"` where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"
