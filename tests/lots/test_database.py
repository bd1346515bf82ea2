"""The ledger's file: kinds of journals, other versions, damage, full disks, several writers, sudden death."""

import multiprocessing
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from cathode_tf.errors import InputError
from cathode_tf.lots import Ledger, Place
from cathode_tf.lots.database import Database, migrate, revisions
from cathode_tf.lots.drives import is_network
from cathode_tf.lots.schema import HEAD, metadata
from cathode_tf.lots.settings import Setting

from .conftest import intake

VALUES = {"fraction/pore": [0.3, 0.32, 0.31]}


def test_the_migrations_make_the_tables_that_the_code_knows(tmp_path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.begin() as connection:
        migrate(connection, HEAD)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert revisions()[-1] == HEAD


def test_a_local_disk_has_a_write_ahead_log_and_a_choice_is_kept(tmp_path):
    assert "write-ahead log, on a local disk" in Database(tmp_path / "a.db", create=True).journal()
    Database(tmp_path / "b.db", create=True, journal="rollback")
    assert "rollback journal" in Database(tmp_path / "b.db").journal()


def test_a_network_drive_has_a_rollback_journal(tmp_path, monkeypatch):
    monkeypatch.setattr("cathode_tf.lots.database.is_network", lambda path: True)
    found = Database(tmp_path / "a.db", create=True).journal()
    assert "rollback journal" in found
    assert "network drive" in found
    assert "not safe" in Database(tmp_path / "b.db", create=True, journal="wal").journal()


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_network_drives_are_known_by_their_kind(kind):
    mounts = f"/dev/sda1 / ext4 rw 0 0\nserver:/x /mnt/lab\\040disk {kind} rw 0 0\n"
    assert is_network("/mnt/lab disk/a.db", mounts)
    assert not is_network("/mnt/lab diskette/a.db", mounts)


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "a.db"
    Database(path, create=True).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(InputError, match=r"newer version of cathode-tf .*9999"):
        Ledger(path)


def test_what_is_no_ledger_is_said(tmp_path):
    (tmp_path / "notes.db").write_text("not a database at all")
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE a (b)")
    other.close()
    for name, words in (
        ("notes.db", "not an SQLite file"), ("other.db", "has no version"), ("gone.db", "lots init"), (".", "a folder"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            Ledger(tmp_path / name)
    with pytest.raises(InputError, match=r"exists already"):
        Ledger.create(tmp_path / "notes.db")
    with pytest.raises(InputError, match=r"folder that exists"):
        Ledger.create(tmp_path / "a" / "b.db")


def test_a_damaged_ledger_is_said(tmp_path):
    path = tmp_path / "a.db"
    ledger = Ledger.create(path, journal="rollback")
    for number in range(30):
        ledger.add(intake(f"L{number}", VALUES), Place(f"L{number}"))
    ledger.close()
    data = bytearray(path.read_bytes())
    data[4096 : len(data) : 2] = b"\xff" * len(data[4096 : len(data) : 2])
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be read or written|must be a ledger"):
        Ledger(path).lots()


def test_a_full_disk_changes_nothing(tmp_path):
    path = tmp_path / "a.db"
    ledger = Ledger.create(path)
    ledger.add(intake("L1", VALUES), Place("L1"))

    @sa.event.listens_for(ledger.database._engine, "connect")
    def small(raw, _):
        raw.execute("PRAGMA max_page_count=1")  # as many as there are: the next page does not fit

    ledger.database._engine.dispose()
    with pytest.raises(InputError, match=r"disk is full.*nothing was changed"):
        for number in range(2, 40):
            ledger.add(intake(f"L{number}", {"fraction/pore": [0.3] * 200 + [0.4]}), Place(f"L{number}"))
    ledger.close()
    again = Ledger(path)
    assert all(lot["analyses"] == 1 for lot in again.lots())
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_busy_ledger_is_waited_for_then_said(tmp_path, monkeypatch):
    monkeypatch.setattr("cathode_tf.lots.database.WAIT_S", 0.2)
    path = tmp_path / "a.db"
    ledger = Ledger.create(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(InputError, match=r"Another process has been writing"):
        ledger.set("L1", [Setting("a", 1.0, None, "")])
    assert ledger.lots() == []  # readers do not wait
    other.execute("ROLLBACK")
    ledger.set("L1", [Setting("a", 1.0, None, "")])
    assert len(ledger.lots()) == 1


def _fill(path, name, count):
    ledger = Ledger(path)
    for number in range(count):
        ledger.add(intake(f"{name}{number}", VALUES), Place(f"{name}{number}", slurry=f"S{number % 3}"))


def test_several_writers_lose_nothing(tmp_path):
    path = tmp_path / "a.db"
    Ledger.create(path).close()
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_fill, args=(path, name, 12)) for name in "AB"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    lots = Ledger(path).lots()
    assert len(lots) == 24
    assert {lot["slurry"] for lot in lots} == {"S0", "S1", "S2"}


def _fill_until_killed(path, start, acknowledged):
    ledger = Ledger(path)
    number = start
    while True:
        ledger.add(
            intake(f"L{number}", {"fraction/pore": [0.3 + 0.001 * i for i in range(20)]}), Place(f"L{number}")
        )
        os.write(acknowledged, f"{number}\n".encode())
        number += 1


@pytest.mark.slow
@pytest.mark.parametrize(("journal", "turns"), [("wal", 50), ("rollback", 10)])
def test_sudden_death_at_any_point_loses_nothing_that_was_confirmed(tmp_path, journal, turns):
    path = tmp_path / "a.db"
    Ledger.create(path, journal=journal).close()
    context = multiprocessing.get_context("fork")
    wait = random.Random(0)
    confirmed = 0
    for turn in range(turns):
        out, into = os.pipe()
        writer = context.Process(target=_fill_until_killed, args=(path, turn * 10_000, into))
        writer.start()
        os.close(into)
        with os.fdopen(out) as told:
            first = told.readline()  # it is at work; now the kill comes anywhere in what follows
            time.sleep(wait.uniform(0, 0.08))
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
            confirmed += len([first, *told.read().split()])
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept = Ledger(path).lots()
    assert len(kept) >= confirmed >= turns
    # A kill may come between the commit and the confirmation, once a turn at most; no lot is half there.
    assert len(kept) <= confirmed + turns
    assert all(lot["analyses"] == 1 and lot["images"] == 20 for lot in kept)


def test_without_sqlalchemy_the_remedy_is_named(tmp_path):
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from cathode_tf.tools.main import main\n"
        f"main(['lots', 'init', {str(tmp_path / 'a.db')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'cathode-tf[lots]'" in done.stderr


def _server_programs():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return (
        found[-1].parent
        if found
        else (Path(shutil.which("initdb")).resolve().parent if shutil.which("initdb") else None)
    )


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory):
    """Address of a database: the one that CATHODE_TF_POSTGRESQL names, or a server of our own."""
    pytest.importorskip("pg8000")
    if os.environ.get("CATHODE_TF_POSTGRESQL"):
        yield os.environ["CATHODE_TF_POSTGRESQL"]
        return
    programs = _server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here: install postgresql, or name one in CATHODE_TF_POSTGRESQL")
    folder = Path(f"/tmp/cathode_tf_pg_{os.getpid()}")
    prefix = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if not shutil.which("runuser") or subprocess.run(["id", "postgres"], capture_output=True).returncode:
            pytest.skip("no user postgres to run a server as")
        prefix = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    try:
        subprocess.run(
            [*prefix, programs / "initdb", "-D", folder, "-A", "trust", "-U", "lots", "--no-sync"], **run
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        subprocess.run([*prefix, programs / "pg_ctl", "-D", folder, "-w", "-o", options, "start"], **run)
        yield f"postgresql+pg8000://lots@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run(
            [*prefix, programs / "pg_ctl", "-D", folder, "-m", "immediate", "stop"], **{**run, "check": False}
        )
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_postgresql_keeps_the_same_ledger(postgresql):
    from cathode_tf.lots.causes import causes
    from cathode_tf.lots.monitoring import freeze, monitor

    engine = sa.create_engine(postgresql)
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    ledger = Ledger.create(postgresql)
    assert ledger.database.journal() == "PostgreSQL"
    for number in range(10):
        values = {"fraction/pore": [0.3 + 0.01 * (number % 3) + 0.001 * i for i in range(5)]}
        ledger.add(
            intake(f"L{number}", values), Place(f"L{number}", sheet="1"), made_on=f"2026-01-{number + 1:02d}",
            settings=[Setting("line_load", 100.0 * (number % 3), None, "N/mm")],
        )  # fmt: skip
    with pytest.raises(InputError, match=r"in the ledger already"):
        ledger.add(
            intake("L3", {"fraction/pore": [0.3 + 0.001 * i for i in range(5)]}), Place("L3", sheet="1")
        )
    assert len(ledger.lots()) == 10
    # 0.01 for 100 N/mm.
    assert causes(ledger, "fraction/pore")["line_load"].change.value == pytest.approx(0.02, abs=1e-3)
    freeze(ledger, "fraction/pore", first=10)
    assert monitor(ledger, "fraction/pore").frozen
    with pytest.raises(InputError, match=r"holds a ledger already"):
        Ledger.create(postgresql)


def test_a_server_that_is_not_there_is_said():
    pytest.importorskip("pg8000")
    with pytest.raises(InputError, match=r"cannot be reached|cannot be read"):
        Ledger("postgresql+pg8000://lots:secret@127.0.0.1:9/lots")
