"""TensorFlow starts without a word, and its words come back when it fails."""

import subprocess
import sys

import pytest

FAKE = "import os\nos.write(2, b'start-up line')\n"


def run(tmp_path, module: str, code: str) -> subprocess.CompletedProcess:
    (tmp_path / "tensorflow.py").write_text(module)
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True)


QUIET = "from cathode_tf.terminal import quieten_tensorflow; quieten_tensorflow()\n"


def test_start_up_lines_are_left_out_and_later_ones_are_not(tmp_path):
    done = run(tmp_path, FAKE, QUIET + "import tensorflow, os; os.write(2, b'later')")
    assert (done.returncode, done.stderr) == (0, "later")


def test_without_it_they_show(tmp_path):
    assert run(tmp_path, FAKE, "import tensorflow").stderr == "start-up line"


@pytest.mark.parametrize("module", [FAKE + "raise ImportError('broken')"])
def test_a_failing_import_shows_everything(tmp_path, module):
    done = run(tmp_path, module, QUIET + "import tensorflow")
    assert done.returncode == 1
    assert "start-up line" in done.stderr
    assert "broken" in done.stderr
