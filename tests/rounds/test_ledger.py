"""The ledger: append-only, whole after any interruption, one writer at a time."""

import json
import multiprocessing

import pytest

from cathode_tf import InputError
from cathode_tf.rounds import Ledger


def test_events_come_back_in_order_with_number_time_and_person(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("init", who="ann")
    ledger.append("image", who="bob", key="a")
    first, second = Ledger(tmp_path / "ledger.jsonl").events()
    assert (first["n"], first["event"], first["who"]) == (1, "init", "ann")
    assert (second["n"], second["key"]) == (2, "a")
    assert first["at"].endswith("+00:00")


def test_an_unfinished_line_is_skipped_and_then_removed(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path).append("init", who="ann")
    with open(path, "a") as file:
        file.write('{"n": 2, "event": "ima')
    ledger = Ledger(path)
    assert len(ledger.events()) == 1
    ledger.append("image", who="ann")
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["init", "image"]


def test_a_reader_sees_what_another_wrote_meanwhile(tmp_path):
    one, other = Ledger(tmp_path / "ledger.jsonl"), Ledger(tmp_path / "ledger.jsonl")
    one.append("init", who="ann")
    assert len(other.events()) == 1
    other.append("image", who="bob")
    assert [event["n"] for event in one.events()] == [1, 2]


def test_a_damaged_line_is_reported_with_the_file(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text("not json\n")
    with pytest.raises(InputError, match=r"ledger.jsonl: each line must be an event"):
        Ledger(path).events()


def append_many(path, who):
    ledger = Ledger(path)
    for _ in range(25):
        ledger.append("note", who=who)


def test_two_processes_lose_and_double_nothing(tmp_path):
    path = tmp_path / "ledger.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=append_many, args=(path, name)) for name in ("ann", "bob")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    events = Ledger(path).events()
    assert [event["n"] for event in events] == list(range(1, 51))
    assert sum(event["who"] == "ann" for event in events) == 25


def test_a_project_that_only_others_can_write_is_read_without_a_lock(tmp_path, monkeypatch):
    Ledger(tmp_path / "ledger.jsonl").append("init", who="ann")
    (tmp_path / "ledger.jsonl.lock").unlink(missing_ok=True)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert [event["event"] for event in Ledger(tmp_path / "ledger.jsonl").events()] == ["init"]
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.jsonl"]
