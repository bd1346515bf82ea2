"""The verb: a volume, its record and its pages, and one sentence for wrong input."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from cathode_tf.tools.main import cli


def run(*arguments):
    return CliRunner().invoke(cli, ["reconstruct", *map(str, arguments)])


@pytest.fixture
def given(tmp_path):
    """Five slices of blocks that drift by a pixel a slice, and what the verb is told of them."""
    rng = np.random.default_rng(0)
    (tmp_path / "raw").mkdir()
    for index in range(5):
        blocks = np.kron(np.random.default_rng(1).integers(0, 2, (12, 12)), np.ones((8, 8))) * 120 + 50
        pixels = np.clip(np.roll(blocks, index, 1) + rng.normal(0, 6, blocks.shape), 0, 255)
        cv2.imwrite(str(tmp_path / "raw" / f"s{index}.png"), pixels.astype(np.uint8))
    return tmp_path / "raw", "--out", tmp_path / "v.zarr", "--tilt-deg", 90, "--voxel-size-nm", 20, 10, 10


@pytest.mark.slow
def test_the_verb_writes_volume_record_report_and_flight(given, tmp_path):
    result = run(*given, "--trend", "remove")
    assert result.exit_code == 0, result.output
    assert "tilt: Thickness 20 nm, raw pixels 10 x 10 nm: given by hand." in result.output
    page = (tmp_path / "v_report.html").read_text()
    assert (
        "what it did" in page and "Three slices, step by step" in page and "http" not in page.split("<svg")[0]
    )
    assert (tmp_path / "v_flight.html").read_text().count("data:image/webp") == 5
    assert (tmp_path / "v.zarr" / "reconstruction.json").exists()


def test_the_verb_writes_a_volume_and_its_record_and_replaces_nothing(given, tmp_path):
    result = run(*given, "--no-pictures")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "v.zarr" / "reconstruction.json").exists()
    assert not (tmp_path / "v_report.html").exists()
    again = run(tmp_path / "raw", "--out", tmp_path / "v.zarr", "--tilt-deg", 90)
    assert again.exit_code == 1 and "exists already" in str(again.exception)
    asked = run(tmp_path / "raw", "--out", tmp_path / "w.zarr")
    assert asked.exit_code == 1 and "Give --tilt-deg" in str(asked.exception)
    assert run(tmp_path / "raw", "--out", tmp_path / "w.png", "--tilt-deg", 90).exit_code == 1
