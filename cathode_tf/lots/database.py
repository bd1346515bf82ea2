"""A ledger's file (or the address of a PostgreSQL database) in, connections that read or write it out.

One process writes at a time, in whole transactions; the others wait. On a local disk SQLite keeps a write-ahead log, so
that readers never wait; on a network drive, where that log is not safe, it keeps a rollback journal.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cathode_tf.errors import InputError, reason_of
from cathode_tf.files import refuse_overwrite
from cathode_tf.lots.drives import is_network

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

JOURNALS = ("auto", "wal", "rollback")
WAIT_S = 60.0
ADVISORY_LOCK = 0x6C6F7473
INSTALL = "python -m pip install 'cathode-tf[lots]'"


class Database:
    """The tables of one ledger.

    Args:
        address: Path of an SQLite file, or a URL such as `postgresql+pg8000://user@host/lots`.
        create: Make the tables; otherwise they must be there.
        journal: Of an SQLite file that is made: `"wal"`, `"rollback"`, or `"auto"`: by the drive it lies on.

    Raises:
        InputError: If the file is no ledger, or of a newer version, is there already (`create`), or cannot be
            opened; if SQLAlchemy is not installed.
    """

    def __init__(self, address: str | Path, *, create: bool = False, journal: str = "auto") -> None:
        if importlib.util.find_spec("sqlalchemy") is None:
            raise InputError(
                f"lots: needs SQLAlchemy and Alembic, which are not installed. Install them: {INSTALL}."
            )
        if journal not in JOURNALS:
            raise InputError(f"journal: must be {', '.join(JOURNALS)}. Received {journal!r}.")
        self.address = str(address)
        self.is_file = "://" not in self.address
        if self.is_file:
            self._check_file(create)
        self._engine = self._connect()
        if not create:
            self._check_version()
            return
        try:
            with self._told():
                self._create(journal)
        except BaseException:
            self.close()
            if self.is_file:
                for end in ("", "-wal", "-shm", "-journal"):
                    Path(f"{self.address}{end}").unlink(missing_ok=True)
            raise

    def _check_file(self, create: bool) -> None:
        path = Path(self.address)
        if create:
            refuse_overwrite(path)
            if not path.absolute().parent.is_dir():
                raise InputError(f"{path}: must lie in a folder that exists. {path.parent} does not.")
            return
        if not path.is_file():
            what = "a folder" if path.is_dir() else "nothing"
            raise InputError(
                f"{path}: must be a ledger. Received {what}. Make one: cathode-tf lots init {path}"
            )
        with contextlib.suppress(OSError), path.open("rb") as file:
            head = file.read(16)
            if head != b"SQLite format 3\x00":
                raise InputError(f"{path}: must be a ledger that `lots init` made. It is not an SQLite file.")

    def _connect(self) -> Engine:
        import sqlalchemy as sa

        if not self.is_file:
            try:
                return sa.create_engine(self.address, pool_pre_ping=True)
            except (sa.exc.ArgumentError, ImportError) as error:
                raise InputError(
                    f"{self._shown}: must be a path or an address such as postgresql+pg8000://user@host/lots "
                    f"({reason_of(error)})."
                ) from error
        engine = sa.create_engine(
            f"sqlite:///{self.address}", connect_args={"timeout": WAIT_S, "check_same_thread": False}
        )

        @sa.event.listens_for(engine, "connect")
        def settings(raw: Any, _: Any) -> None:
            # sqlite3 must not begin or end transactions by itself: `writing` does.
            raw.isolation_level = None
            for pragma in ("foreign_keys=ON", "synchronous=FULL"):
                raw.execute(f"PRAGMA {pragma}")

        @sa.event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            write = connection.get_execution_options().get("write")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

        return engine

    @property
    def _shown(self) -> str:
        """The address without a password."""
        if self.is_file:
            return self.address
        before, at, after = self.address.rpartition("@")
        return f"{before.split('://')[0]}://...@{after}" if at else self.address

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the ledger, whatever others write meanwhile."""
        with self._told(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection whose changes are all there when the block ends, or none, whatever happens meanwhile."""
        with (
            self._told(),
            self._engine.connect().execution_options(write=True) as connection,
            connection.begin(),
        ):
            if not self.is_file:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
            yield connection

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the database refuses into one sentence."""
        import sqlalchemy as sa

        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.InterfaceError) as error:
            reason = reason_of(error.orig or error)
            advice = next((text for word, text in _ADVICE.items() if word in reason), "Nothing was changed.")
            raise InputError(
                f"{self._shown}: the ledger cannot be read or written ({reason}). {advice}"
            ) from error
        except OSError as error:
            raise InputError(f"{self._shown}: cannot be reached ({reason_of(error)}).") from error

    def _create(self, journal: str) -> None:
        import datetime

        import sqlalchemy as sa

        from cathode_tf.lots.schema import HEAD, meta

        if self.is_file:
            self._set_journal(journal)
        with self.writing() as connection:
            if "alembic_version" in sa.inspect(connection).get_table_names():
                raise InputError(f"{self._shown}: holds a ledger already.")
            migrate(connection, HEAD)
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            values = {"made_at": now, "journal": journal}
            connection.execute(
                sa.insert(meta), [{"key": key, "value": value} for key, value in values.items()]
            )

    def _set_journal(self, journal: str) -> None:
        network = is_network(self.address)
        mode = {"auto": "DELETE" if network else "WAL", "wal": "WAL", "rollback": "DELETE"}[journal]
        with self._engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute(f"PRAGMA journal_mode={mode}")

    def _check_version(self) -> None:
        import sqlalchemy as sa

        from cathode_tf.lots.schema import HEAD

        with self.reading() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                raise InputError(f"{self._shown}: must be a ledger that `lots init` made. It has no version.")
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        if found == HEAD:
            return
        if found not in revisions():
            raise InputError(
                f"{self._shown}: is of a newer version of cathode-tf (tables {found}; this one knows {HEAD}). "
                "Install the newer version; nothing was changed."
            )
        with self.writing() as connection:
            migrate(connection, HEAD)

    def journal(self) -> str:
        """How changes are kept from being lost, for people."""
        if not self.is_file:
            return "PostgreSQL"
        with self.reading() as connection:
            mode = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
        where = "a network drive" if is_network(self.address) else "a local disk"
        kept = "write-ahead log" if mode == "wal" else f"rollback journal, waiting up to {WAIT_S:g} s"
        risky = mode == "wal" and is_network(self.address)
        return f"{kept}, on {where}{': not safe there; use --journal rollback' if risky else ''}"


_ADVICE = {
    "full": "Make room on the disk; nothing was changed.",
    "locked": "Another process has been writing for over a minute; try again when it is done.",
    "readonly": "The file or its folder is read-only.",
    "malformed": "The file is damaged: restore it from a backup.",
    "not a database": "The file is damaged, or no ledger.",
}


def revisions() -> list[str]:
    """The revisions of the tables that this version knows, oldest first."""
    folder = Path(__file__).parent / "migrations" / "versions"
    return sorted(path.stem.removeprefix("rev_") for path in folder.glob("rev_*.py"))


def migrate(connection: Connection, revision: str) -> None:
    """Bring the tables to a revision, in the transaction of the connection."""
    from alembic.command import upgrade
    from alembic.config import Config

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", (Path(__file__).parent / "migrations").as_posix())
    config.attributes["connection"] = connection
    upgrade(config, revision)
