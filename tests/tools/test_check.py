"""`cathode-tf check`: verdict and exit code."""

import json
import shutil
from pathlib import Path

from click.testing import CliRunner

from cathode_tf.tools.main import cli

SAMPLE = Path(__file__).parents[2] / "records" / "sample"


def run(*arguments):
    return CliRunner().invoke(cli, ["check", *map(str, arguments)])


def test_the_sample_is_good():
    result = run(SAMPLE)
    assert result.exit_code == 0
    assert result.output.splitlines()[0].startswith("split")
    assert "OK (0 errors" in result.output.splitlines()[-1]


def test_a_damaged_set_leaves_with_1(tmp_path):
    folder = shutil.copytree(SAMPLE, tmp_path / "set")
    next(folder.rglob("*-train.*")).unlink()
    result = run(folder)
    assert result.exit_code == 1
    assert "NOT OK (1 error," in result.output
    result = run(folder, "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["findings"][0]["kind"] == "record set"
