"""`cathode-tf inspect` on the sample set."""

import shutil
from pathlib import Path

import cv2
from click.testing import CliRunner

from cathode_tf.tools.main import cli

SAMPLE = Path(__file__).parents[2] / "records" / "sample"


def test_inspect_prints_every_split_and_draws(tmp_path):
    picture = tmp_path / "sample.png"
    result = CliRunner().invoke(cli, ["inspect", str(SAMPLE), "--out", str(picture)], catch_exceptions=False)
    assert result.exit_code == 0
    for word in ("train: ", "validation: ", "test: ", "pore ", "binder ", "pixel size", f"Wrote {picture}"):
        assert word in result.output
    assert cv2.imread(str(picture)).shape[1] > 600


def test_an_earlier_picture_is_kept_without_force(tmp_path):
    records_path = shutil.copytree(SAMPLE, tmp_path / "set")

    def inspect(*options):
        return CliRunner().invoke(cli, ["inspect", str(records_path), *options], catch_exceptions=False)

    picture = records_path.parent / "set-inspect.png"
    picture.write_text("mine")
    kept = inspect()
    assert kept.exit_code == 0 and "--force draws it anew" in kept.output
    assert picture.read_text() == "mine"
    assert f"Wrote {picture}" in inspect("--force").output
    assert picture.read_bytes().startswith(b"\x89PNG")
