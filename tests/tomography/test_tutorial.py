"""The tutorial's folder of vendor slices, from its own code, to a report with the picture in three dimensions."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from cathode_tf.imaging.volume_writing import write_ome_zarr
from cathode_tf.imaging.volumes import open_volume
from cathode_tf.phases import Phases
from cathode_tf.tools.main import cli

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-tomography.md"


@pytest.mark.slow
def test_from_a_vendors_folder_to_a_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(code, {})
    command = re.search(r'cathode-tf (reconstruct "project[^\n]*)', PAGE.read_text(encoding="utf-8"))
    words = ["reconstruct", "project/Images/SEM Image", "--out", "volume.zarr"]
    assert command and command[1] == 'reconstruct "project/Images/SEM Image" --out volume.zarr'
    result = CliRunner().invoke(cli, [*words, "--no-trust"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "Raw pixels 10 nm: Thermo tag 34682" in result.output and "20 nm: SliceThickness" in result.output
    assert Path("volume_report.html").exists() and Path("volume_flight.html").exists()

    # What viewers of OME-Zarr 0.4 read: axes with units, a scale for each level, and the arrays.
    group = zarr.open_group("volume.zarr", mode="r")
    scales = group.attrs["multiscales"][0]
    assert [axis["name"] for axis in scales["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in scales["axes"]} == {"nanometer"}
    for level in scales["datasets"]:
        assert group[level["path"]].ndim == 3
    scale = scales["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale == pytest.approx([20, 10, 10], rel=1e-6)

    # In place of a model: half-way between the two grey levels, written as `segment --volume --zarr` writes it.
    volume = open_volume("volume.zarr")
    phases = Phases.from_names(["pore", "ncm"])
    labels = ((pixels > 115).astype(np.uint8) for pixels in volume.slices())
    write_ome_zarr("mask.zarr", labels, volume.shape, np.uint8, volume.voxel_nm, phases=phases)
    stored = zarr.open_group("mask.zarr", mode="r").attrs
    assert [entry["label-value"] for entry in stored["image-label"]["colors"]] == [0, 1]
    Path("phases.toml").write_text(phases.to_toml(), encoding="utf-8")
    result = CliRunner().invoke(
        cli,
        ["analyze", "mask.zarr", "--volume", "--phases", "phases.toml", "--out", "analysis"],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    summary = json.loads(Path("analysis/summary.json").read_text())
    assert summary["voxel_size_nm"] == pytest.approx([20, 10, 10], rel=1e-6)
    # A symmetric field cut at its mean: half of it is solid.
    assert summary["summary"]["fraction"]["ncm"]["value"] == pytest.approx(0.5, abs=0.08)
    assert "In three dimensions" in Path("analysis/report.html").read_text(encoding="utf-8")
