"""Opening checks that a set is whole and as written."""

import json
import shutil

import pytest

from cathode_tf.datasets import open_records
from cathode_tf.datasets.record_set import next_version
from cathode_tf.errors import InputError


@pytest.fixture
def path(records_path, tmp_path):
    return shutil.copytree(records_path, tmp_path / "set")


def edit(file, old, new):
    file.write_text(file.read_text().replace(old, new, 1))


def test_a_set_tells_what_it_holds(records_path):
    records = open_records(records_path)
    assert (records.name, records.version) == ("set", "1.0.0")
    assert records.splits == {"train": 7, "validation": 2, "test": 1}
    assert records.phases.names == ("pore", "ncm", "additive", "binder")
    assert sum(row.counts[1] for row in records.rows) == 10 * 40 * 16  # a quarter of 40 x 64 is ncm
    assert open_records(records_path / "1.0.0") == records


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: edit(p / "metadata.json", '"schema": 1', '"schema": 3'), "1 or 2. Received schema 3"),
        (lambda p: edit(p / "metadata.json", '"schema": 1', '"schema": 2'), "instances of every image"),
        (lambda p: edit(p / "metadata.json", '"phases"', '"faces"'), "must hold phases"),
        (lambda p: (p / "metadata.json").write_text("{"), "not valid JSON"),
        (lambda p: (p / "metadata.json").unlink(), "cannot be read"),
        (lambda p: edit(p / "index.csv", "train", "test"), "fingerprint"),
        (lambda p: edit(p / "index.csv", "height", "hight"), "must be the index"),
        (lambda p: next(p.glob("*test*")).unlink(), "Received no file"),
        (lambda p: next(p.glob("*test*")).write_bytes(b"short"), "Received 5 bytes"),
    ],
)
def test_a_set_that_is_not_as_written_is_refused(path, damage, message):
    damage(path / "1.0.0")
    with pytest.raises(InputError, match=message):
        open_records(path)


def test_other_phases_in_the_metadata_are_found_in_the_masks(path):
    file = path / "1.0.0" / "metadata.json"
    metadata = json.loads(file.read_text())
    metadata["phases"][3]["id"] = 9
    file.write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="Received 3 in"):
        list(open_records(path).examples("train"))


def test_changed_pixels_are_found_when_asked_for(path):
    shard = next((path / "1.0.0").glob("*test*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    with pytest.raises(InputError):
        list(open_records(path).examples("test", verify=True))


def test_shards_that_changed_places_are_found(path):
    first, second = (next((path / "1.0.0").glob(f"*{split}*")) for split in ("validation", "train"))
    content = first.read_bytes(), second.read_bytes()
    first.write_bytes(content[1])
    second.write_bytes(content[0])
    with pytest.raises(InputError, match="must have"):
        open_records(path)


@pytest.mark.parametrize("name", ["missing", ""])
def test_no_record_set_is_said_in_one_sentence(tmp_path, name):
    with pytest.raises(InputError, match="must be a record set"):
        open_records(tmp_path / name)


def test_the_newest_version_is_opened_by_number_not_by_letter(path):
    shutil.copytree(path / "1.0.0", path / "1.10.0")
    shutil.copytree(path / "1.0.0", path / "1.9.0")
    assert open_records(path).path.name == "1.10.0"


def test_versions_follow_from_what_changed():
    assert (next_version("1.2.0", "minor"), next_version("1.2.0", "major")) == ("1.3.0", "2.0.0")
    with pytest.raises(InputError, match=r"1\.0\.0"):
        next_version("new", "minor")
