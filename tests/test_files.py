"""Writing without loss: whole or not at all, and never over what is there."""

import errno
import stat

import numpy as np
import pytest

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file, atomic_folder, pixel_sha256, read_json, refuse_overwrite, write_json


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path, force=True) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_only_with_force(tmp_path):
    path = write_json(tmp_path / "new" / "a.json", {"x": 1})
    with pytest.raises(InputError, match="--force"):
        write_json(path, {"x": 2})
    write_json(path, {"x": 2}, force=True)
    assert read_json(path) == {"x": 2}


def test_a_written_file_can_be_read_by_others(tmp_path):
    path = write_json(tmp_path / "a.json", 1)
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IRUSR


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), atomic_folder(out) as folder:
        (folder / "a").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(out) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(InputError, match="exists already"), atomic_folder(out):
        pass
    with atomic_folder(out, force=True) as folder:
        (folder / "b").write_text("2")
    assert [path.name for path in out.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_may_be_filled(tmp_path):
    refuse_overwrite(tmp_path)


def test_a_full_disk_is_one_sentence_and_a_missing_input_is_not_blamed_on_it(tmp_path):
    with pytest.raises(InputError, match="cannot be written"), atomic_file(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "a"):
        raise FileNotFoundError(errno.ENOENT, "No such file")


def test_a_file_where_a_folder_must_be_is_one_sentence(tmp_path):
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"), atomic_file(tmp_path / "taken" / "a"):
        pass
    with pytest.raises(InputError, match="cannot be written"), atomic_folder(tmp_path / "taken" / "a"):
        pass
    with pytest.raises(InputError, match="cannot be written"), atomic_file(tmp_path / "folder", force=True):
        pass
    assert (tmp_path / "taken").read_text() == "mine"


def test_json_turns_nan_into_null_and_numpy_into_numbers(tmp_path):
    path = write_json(
        tmp_path / "a.json", {"a": np.float32(0.5), "b": float("nan"), "c": np.arange(2), 3: (1,)}
    )
    assert read_json(path) == {"a": 0.5, "b": None, "c": [0, 1], "3": [1]}


def test_broken_json_is_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{")
    with pytest.raises(InputError, match=r"a\.json: is not valid JSON"):
        read_json(path)
    with pytest.raises(InputError, match=r"b\.json: cannot be read"):
        read_json(tmp_path / "b.json")


def test_pixel_hash_sees_values_shape_and_dtype_but_not_memory_layout():
    a = np.arange(6, dtype=np.uint16).reshape(2, 3)
    assert pixel_sha256(a) == pixel_sha256(np.asfortranarray(a)) == pixel_sha256(a.astype(">u2"))
    others = [a.reshape(3, 2), a.astype(np.uint8), a + 1]
    assert len({pixel_sha256(x) for x in [a, *others]}) == 4
