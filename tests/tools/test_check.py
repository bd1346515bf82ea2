"""`cathode-tf check`: verdict and exit code."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from cathode_tf import InputError, Phases
from cathode_tf.datasets import convert
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


def test_the_suffix_of_the_masks_is_suggested(tmp_path):
    for index in range(3):
        for kind in ("", "_label"):
            cv2.imwrite(str(tmp_path / f"{index}{kind}.png"), np.full((8, 8), index, np.uint8))
    pair = "ost names come in pairs NAME / NAME_label: give --mask-suffix _label."
    result = run(tmp_path)
    assert result.exit_code == 1 and pair in result.output
    assert "No --phases was given; taken are 0 pore, 1 ncm, 2 additive, 3 binder." in result.output
    json.loads(run(tmp_path, "--json").output)
    with pytest.raises(InputError, match=pair):
        convert(tmp_path, out=tmp_path / "set", phases=Phases.default())
    assert "No --phases" not in run(SAMPLE).output
