"""Each perturbation is the volume again, changed by what the record says, and by nothing else."""

import json

import numpy as np
import pytest

from cathode_tf import reconstruct
from cathode_tf.imaging.volumes import open_volume
from cathode_tf.tomography.perturbed import perturbations
from cathode_tf.tomography.slices import open_slices


@pytest.mark.slow
def test_the_middle_is_made_again_and_each_step_is_off_by_its_uncertainty(tmp_path, make_stack):
    made_stack = make_stack(count=10, side=192, walk=0.2, slope=(0.5, 0.0), seed=1)
    made_stack.write(tmp_path / "raw")
    made = reconstruct(tmp_path / "raw", tmp_path / "v.zarr", tilt_deg=90, voxel_size_nm=(20, 10, 10))
    found = list(perturbations(made, open_slices(tmp_path / "raw")))
    volume = np.array(list(open_volume(made.path).slices()))
    assert found[0].step == "" and found[0].voxel == (20, 10, 10)
    # The volume is rounded to whole grey levels and clipped.
    assert np.abs(np.clip(found[0].grey, 0, 255) - volume).max() <= 0.51
    steps = [made_again.step for made_again in found[1:]]
    assert steps[:3] == ["drift", "drift", "trend"] and steps[-1] == "thickness"
    trend = next(again for again in found if again.step == "trend")
    kept = made.record["alignment"]["trend"]["kept_px"][0]
    assert kept == pytest.approx(0.5, abs=0.25)  # 0.5 px a slice by construction, and a walk of 0.2
    # Slices k before and behind the middle one are taken from elsewhere by k times the trend.
    np.testing.assert_array_less(
        np.abs(trend.grey[5] - found[0].grey[5]).mean(), np.abs(trend.grey[0] - found[0].grey[0]).mean()
    )
    # Ten slices hardly tell the mean thickness: it is off by how unsure it is, or else by what the image tells.
    off, u = made.record["thickness"]["ratio"] - 1, made.record["thickness"]["u_mean"]
    assert found[-1].voxel[0] == pytest.approx(20 * (1 + (u if abs(off) < u else off)), rel=1e-6)
    assert 0 < abs(found[-1].voxel[0] - 20) <= 10


@pytest.mark.slow
def test_the_report_and_the_record_hold_the_table(tmp_path, make_stack):
    from click.testing import CliRunner

    from cathode_tf.tools.main import cli

    make_stack(count=6, side=192, seed=1).write(tmp_path / "raw")
    options = ["--tilt-deg", "90", "--voxel-size-nm", "20", "10", "10"]
    result = CliRunner().invoke(
        cli, ["reconstruct", str(tmp_path / "raw"), "--out", str(tmp_path / "v.tif"), *options]
    )
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "v.json").read_text())
    rows = {step: changes for step, _, changes in record["trust"]["rows"]}
    assert {"drift", "trend", "shine-through"} <= set(rows)
    # Two phases, 40 and 170, cut at +0.3 standard deviations of a Gaussian field: 0.618 of it are pores.
    assert record["trust"]["values"]["porosity"] == pytest.approx(0.618, abs=0.15)
    assert 0 <= rows["drift"]["porosity"] < 0.02
    page = (tmp_path / "v_report.html").read_text()
    assert "How far to trust this volume" in page and "all together" in page
