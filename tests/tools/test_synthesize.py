"""The verb `synthesize` on the command line."""

import json

import pytest
from click.testing import CliRunner

from cathode_tf import InputError
from cathode_tf.tools.synthesize import command


def test_writes_what_it_says(tmp_path):
    out = tmp_path / "sections"
    arguments = ["--out", str(out), "--count", "2", "--height", "64", "--width", "96"]
    result = CliRunner().invoke(command, [*arguments, "--set", "ncm_fraction=0.5"], catch_exceptions=False)
    assert result.exit_code == 0 and "Wrote 2 sections" in result.output
    assert len(list((out / "images").iterdir())) == len(list((out / "masks").iterdir())) == 2


def test_unknown_parameter_is_one_sentence(tmp_path):
    result = CliRunner().invoke(command, ["--out", str(tmp_path / "a"), "--set", "colour=3"])
    assert isinstance(result.exception, InputError) and "colour=3" in str(result.exception)


@pytest.mark.parametrize("preset", ["demo", "nano-ct", "random"])
def test_presets_can_be_changed(tmp_path, preset):
    out = tmp_path / "sections"
    arguments = ["--out", str(out), "--count", "1", "--height", "64", "--width", "64", "--preset", preset]
    CliRunner().invoke(command, [*arguments, "--set", "fragmentation=0.25"], catch_exceptions=False)
    (truth,) = json.loads((out / "truth.json").read_text()).values()
    assert truth["parameters"]["fragmentation"] == 0.25


def test_nothing_is_overwritten_without_force(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    result = CliRunner().invoke(command, ["--out", str(tmp_path), "--count", "1"])
    assert isinstance(result.exception, InputError) and (tmp_path / "mine.txt").exists()


def test_a_stack_is_written_with_its_truth(tmp_path):
    arguments = [
        "--out",
        str(tmp_path / "cuts"),
        "--stack",
        "--count",
        "3",
        "--height",
        "48",
        "--width",
        "48",
    ]
    result = CliRunner().invoke(command, [*arguments, "--cutting", "drift_px=2"], catch_exceptions=False)
    truth = json.loads((tmp_path / "cuts" / "truth.json").read_text())
    assert "Wrote 3 serial cuts" in result.output and truth["cutting"]["drift_px"] == 2
    assert {len(row["shift_px"]) for row in truth["slices"]} == {2}


def test_cutting_without_a_stack_is_a_wrong_call(tmp_path):
    result = CliRunner().invoke(command, ["--out", str(tmp_path / "a"), "--cutting", "drift_px=2"])
    assert result.exit_code == 2 and "--stack" in result.output
