"""`cathode-tf inspect` on the sample set."""

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
