"""Damaged files end in an InputError: no other error, no hang, no memory beyond the declared limit."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz.py")


def load():
    spec = importlib.util.spec_from_file_location("imaging_fuzz", FUZZ)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::cathode_tf.errors.InputWarning")
def test_whole_files_of_the_corpus_are_read(tmp_path):
    fuzz = load()
    for path in fuzz.corpus(tmp_path):
        fuzz.read_all(path)


def test_two_hundred_damaged_files():
    assert load().run(200, seed=1) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_thousands_of_damaged_files(seed):
    # 4 megapixels of 4 channels of 8 bytes are 128 MB, twice while converting; decoders load libraries besides.
    done = subprocess.run(
        [sys.executable, FUZZ, "1500", str(seed)], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) MiB more", done.stdout)[1]) < 400
