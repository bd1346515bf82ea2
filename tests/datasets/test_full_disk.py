"""A disk that is full, or must not be written: one clear sentence, what was there stays, nothing half done remains."""

import contextlib
import os
import subprocess

import cv2
import numpy as np
import pytest

from cathode_tf.datasets import convert, open_records
from cathode_tf.errors import InputError

from .test_beam import needs_beam
from .test_conversion import files_of

resource = pytest.importorskip("resource")


@contextlib.contextmanager
def files_of_at_most(size):
    """The system refuses to write beyond so many bytes of a file, as it does when a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise(folder, name, size=300):
    """An image that cannot be packed, of size x size bytes."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(list(name.encode()))
    cv2.imwrite(str(folder / f"{name}.png"), rng.integers(0, 256, (size, size), np.uint8))
    cv2.imwrite(str(folder / f"{name}_mask.png"), rng.integers(0, 4, (size, size), np.uint8))


def left(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    "limit", [40_000, 200_000], ids=["while images are read", "while shards are written"]
)
def test_nothing_is_left_of_a_conversion_that_the_disk_refused(tmp_path, phases, limit):
    for index in range(6):
        noise(tmp_path / "in", f"a{index}")
    out = tmp_path / "sets" / "set"
    with files_of_at_most(limit), pytest.raises(InputError, match=r"set: cannot be written \(File too large"):
        convert(tmp_path / "in", out=out, phases=phases, split="1/0/0")
    assert left(out.parent) == []
    convert(tmp_path / "in", out=out, phases=phases, split="1/0/0")
    assert open_records(out).splits == {"train": 6}


@pytest.mark.parametrize("option", ["add", "force"])
def test_the_version_before_stays_when_the_disk_refuses_the_next(tmp_path, phases, option):
    noise(tmp_path / "in", "a")
    noise(tmp_path / "new", "bb", size=500)
    out = convert(tmp_path / "in", out=tmp_path / "sets" / "set", phases=phases, split="1/0/0")
    before = files_of(out)
    with files_of_at_most(200_000), pytest.raises(InputError, match="cannot be written"):
        convert(tmp_path / "new", out=out, phases=phases, **{option: True})
    assert {name: content for name, content in files_of(out).items() if name.name != ".lock"} == before
    assert left(out.parent) == ["set"]
    assert open_records(out).splits == {"train": 1}


@needs_beam
def test_beam_says_it_as_clearly(tmp_path, phases):
    noise(tmp_path / "in", "a")
    with files_of_at_most(40_000), pytest.raises(InputError, match="cannot be written"):
        convert(tmp_path / "in", out=tmp_path / "set", phases=phases, runner="DirectRunner")
    assert not (tmp_path / "set").exists()


@contextlib.contextmanager
def mounted(folder, size):
    """A file system of its own, in memory."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_that_is_really_full(tmp_path, phases, jobs):
    for index in range(12):
        noise(tmp_path / "in", f"a{index}", size=600)
    with mounted(tmp_path / "disk", "3m") as disk:
        with pytest.raises(InputError, match=r"set: cannot be written \(No space left on device\)\."):
            convert(tmp_path / "in", out=disk / "set", phases=phases, jobs=jobs)
        assert left(disk) == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_disk_that_must_not_be_written(tmp_path, phases):
    with mounted(tmp_path / "disk", "9m") as disk:
        noise(disk / "in", "a")
        out = convert(disk / "in", out=disk / "set", phases=phases, split="1/0/0")
        noise(disk / "new", "bb")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for options in ({"out": disk / "other"}, {"out": out, "add": True}, {"out": out, "force": True}):
            with pytest.raises(InputError, match=r"cannot be written \(Read-only file system\)\."):
                convert(disk / "new", phases=phases, split="1/0/0", **options)
        # But read from.
        assert open_records(out).splits == {"train": 1}
        convert(disk / "in", out=tmp_path / "set", phases=phases, split="1/0/0")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_images_in_a_folder_that_must_not_be_written(tmp_path, phases):
    noise(tmp_path / "in", "a")
    (tmp_path / "in").chmod(0o500)
    out = convert(tmp_path / "in", out=tmp_path / "set", phases=phases, split="1/0/0")
    assert open_records(out).splits == {"train": 1}
