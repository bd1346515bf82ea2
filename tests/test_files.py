"""Writing without loss: whole or not at all, and never over what is there."""

import errno
import os
import stat
import subprocess

import numpy as np
import pytest

from cathode_tf import litter
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import atomic_file, atomic_folder, pixel_sha256, read_json, refuse_overwrite, write_json
from cathode_tf.litter import clear_litter, temporary_prefix
from cathode_tf.ownership import MANIFEST, refuse_inputs


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
    assert sorted(path.name for path in out.iterdir()) == [MANIFEST, "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_may_be_filled(tmp_path):
    refuse_overwrite(tmp_path)


def test_force_replaces_only_what_was_written_here(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "cell.tif").write_text("mine")
    out = _written(tmp_path / "out")
    (out / "sub" / "notes.txt").write_text("mine")
    changed = _written(tmp_path / "changed")
    (changed / "a").write_text("labelled by hand")
    corrected = _written(tmp_path / "corrected")
    (corrected / "sub" / "b").write_text("21")  # as long as before
    linked = _written(tmp_path / "linked")
    (linked / "z").symlink_to(photos)
    for folder, entry in (
        (photos, r"cell\.tif"),
        (out, "sub/notes.txt"),
        (changed, "also a"),
        (corrected, "also sub/b"),
        (linked, "also z"),
    ):
        with pytest.raises(InputError, match=f"only what cathode-tf wrote.*{entry}"):
            refuse_overwrite(folder, force=True)
        with pytest.raises(InputError, match=entry), atomic_folder(folder, force=True):
            pass
    assert (photos / "cell.tif").read_text() == (out / "sub" / "notes.txt").read_text() == "mine"


def test_what_someone_adds_while_the_new_folder_is_made_is_kept(tmp_path):
    out = _written(tmp_path / "out")
    with pytest.raises(InputError, match="notes"), atomic_folder(out, force=True) as folder:
        (folder / "new").write_text("")
        (out / "notes").write_text("mine")
    with pytest.raises(InputError, match="exists already"), atomic_folder(tmp_path / "b") as folder:
        _written(tmp_path / "b")
    assert (out / "notes").exists() and (tmp_path / "b" / "a").exists()


def test_a_moved_folder_and_what_a_file_manager_leaves_in_it_are_still_ours(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    out = _written(tmp_path / "out").rename(tmp_path / "elsewhere" / "moved")
    (out / ".DS_Store").write_text("where the icons are")
    with atomic_folder(out, force=True) as folder:
        (folder / "b").write_text("")
    assert not (out / "a").exists()


def test_the_list_of_files_is_the_same_for_the_same_files(tmp_path):
    assert len({(_written(tmp_path / name) / MANIFEST).read_bytes() for name in "ab"}) == 1


def test_a_folder_never_takes_the_place_of_a_file_or_of_where_one_stands(tmp_path, monkeypatch):
    (tmp_path / "photo.tif").write_text("mine")
    with (
        pytest.raises(InputError, match="must be a folder"),
        atomic_folder(tmp_path / "photo.tif", force=True),
    ):
        pass
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in (".", "..", tmp_path / "here"):
        with pytest.raises(InputError, match="folder that you are in"), atomic_folder(name, force=True):
            pass


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    with atomic_folder(link) as folder:
        (folder / "a").write_text("")
    assert link.is_symlink() and (real / "a").exists()


def test_what_a_killed_process_left_is_cleared_and_what_it_was_replacing_is_put_back(tmp_path, dead_pid):
    mine = temporary_prefix()
    dead = mine.replace(f"-{os.getpid()}-", f"-{dead_pid}-")
    (tmp_path / f"{dead}half.png").write_text("")
    (tmp_path / f"{dead}folder").mkdir()
    (tmp_path / f"{dead}folder" / "a").write_text("")
    old = tmp_path / f"{dead.replace('tmp', 'old')}abcdefgh"
    _written(old / "out")
    kept = [f"{mine}live.png", ".tmp-of-someone-else", f".tmp-00000000-{dead_pid}-other-machine"]
    for name in kept:
        (tmp_path / name).write_text("")
    clear_litter.cache_clear()
    with pytest.warns(InputWarning, match="was killed while it replaced"):
        refuse_overwrite(tmp_path / "new.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "out"])
    assert (tmp_path / "out" / "a").exists()


@pytest.mark.skipif(not litter._PIDS.exists(), reason="not Linux")
@pytest.mark.parametrize("fact", ["_BOOT", "_PIDS"])
def test_what_another_machine_or_container_of_the_same_name_is_at_stays(
    tmp_path, dead_pid, monkeypatch, fact
):
    """Process ids are another's there, so that a process that is unknown here may well live."""
    (tmp_path / "elsewhere").write_text("another boot")
    monkeypatch.setattr(litter, fact, tmp_path / "elsewhere")
    litter._machine.cache_clear()
    name = temporary_prefix().replace(f"-{os.getpid()}-", f"-{dead_pid}-")
    (tmp_path / f"{name}work").write_text("")
    monkeypatch.undo()
    litter._machine.cache_clear()
    clear_litter.cache_clear()
    clear_litter(tmp_path)
    assert (tmp_path / f"{name}work").exists()


def test_an_old_folder_whose_new_one_is_in_place_goes(tmp_path, dead_pid):
    out = _written(tmp_path / "out")
    old = temporary_prefix("old").replace(f"-{os.getpid()}-", f"-{dead_pid}-")
    _written(tmp_path / f"{old}abcdefgh" / "out")
    clear_litter.cache_clear()
    with pytest.raises(InputError, match="exists already"):
        refuse_overwrite(out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_read_is_never_what_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "b7" / "masks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for out in ("b7", "b7/masks", "b7/../b7", tmp_path):
        with pytest.raises(InputError, match="--out: must not"):
            refuse_inputs(out, [None, "default", "b7/masks"])
    refuse_inputs("b7/masks/out", ["b7/masks"])
    refuse_inputs("default", ["default", None])


def _written(path):
    with atomic_folder(path) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "b").write_text("12")
        (folder / "a").write_text("1")
    return path


@pytest.fixture
def dead_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


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
