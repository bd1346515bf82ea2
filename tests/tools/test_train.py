"""`cathode-tf train`: what its options accept. What training does is tested in tests/learning."""

import click
import pytest
from click.testing import CliRunner

from cathode_tf.learning import PRESETS
from cathode_tf.tools import train
from cathode_tf.tools.main import main


@pytest.mark.parametrize("text, seconds", [("90s", 90), ("25m", 1500), ("1.5h", 5400), ("40", 40)])
def test_durations(text, seconds):
    assert train.Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "m", "0s", "-5m", "25min", "1h30m"])
def test_bad_durations(text):
    with pytest.raises(click.BadParameter, match="such as 90s, 25m or 2h"):
        train.Duration().convert(text, None, None)


def test_presets_are_those_of_the_library():
    # They stand in the verb too, so that `--help` loads no TensorFlow.
    assert tuple(PRESETS) == train.PRESETS


def test_help_ends_with_an_example():
    out = CliRunner().invoke(train.command, ["--help"]).output
    assert "Example: cathode-tf train records/sample" in out


def test_ctrl_c_is_told_once(tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("cathode_tf.learning.train", interrupted)
    for files, says in (((), "nothing was learned yet"), (("best.keras",), "can be evaluated")):
        for name in files:
            (tmp_path / name).write_text("")
        with pytest.raises(SystemExit) as stopped:
            main(["train", str(tmp_path), "--out", str(tmp_path)])
        err = capsys.readouterr().err
        assert stopped.value.code == 130 and err.count("Stopped") == 1 and says in err


def test_wrong_usage_is_2(tmp_path):
    assert CliRunner().invoke(train.command, [str(tmp_path)]).exit_code == 2
    assert CliRunner().invoke(train.command, [str(tmp_path), "--out", "x", "--preset", "huge"]).exit_code == 2
