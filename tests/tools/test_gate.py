"""The gate on the command line: exit code 0 lets a batch through, 3 stops it, 1 says what is wrong."""

import json

import pytest

from cathode_tf.files import write_json
from cathode_tf.statistics import Estimate
from cathode_tf.tools.main import main

MASKS = {"sentence": "Masks drawn by hand by Ann.", "checked": True}
PORE = Estimate(0.25, ci=(0.24, 0.26), n=9)


@pytest.fixture
def analysis(tmp_path):
    write_json(
        tmp_path / "b7" / "summary.json", {"masks": MASKS, "summary": {"fraction": {"pore": PORE.to_dict()}}}
    )
    return tmp_path / "b7"


def run(analysis, text, *words):
    spec = analysis.parent / "spec.toml"
    spec.write_text(text)
    try:
        main(["gate", str(analysis), "--spec", str(spec), *map(str, words)])
    except SystemExit as leaving:
        return leaving.code
    return 0


def test_a_batch_within_its_limits_passes_and_is_written_down(analysis, tmp_path, capsys):
    # The interval 0.24-0.26 keeps the whole guard band (0.01) from both limits.
    out = tmp_path / "gate"
    assert run(analysis, '[[spec]]\nname = "fraction/pore"\nlower = 0.2\nupper = 0.3\n', "--out", out) == 0
    assert "Batch: PASS" in capsys.readouterr().out
    assert json.loads((out / "gate.json").read_text())["accepted"] is True
    assert "0.250 ± 0.010" in (out / "gate.html").read_text()


def test_one_quantity_out_of_its_limits_stops_the_batch(analysis, capsys):
    text = '[[spec]]\nname = "fraction/pore"\nlower = 0.2\n[[spec]]\nname = "fraction/pore"\nupper = 0.2\n'
    assert run(analysis, text) == 3
    assert "Batch: FAIL" in capsys.readouterr().out


def test_what_the_data_cannot_tell_does_not_pass(analysis, capsys):
    # The tolerance, 0.245-0.255, is narrower than the measurement's interval.
    assert run(analysis, '[[spec]]\nname = "fraction/pore"\nlower = 0.245\nupper = 0.255\n') == 3
    assert "Batch: INSUFFICIENT" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one"),
        ("[[spec]\n", "not valid TOML"),
        ('[[spec]]\nname = "fraction/ncm"\nlower = 0.2\n', "has no fraction/ncm. It has fraction/pore"),
        ('[[spec]]\nname = "fraction/pore"\n', "must have a lower or an upper limit"),
        ('[[spec]]\nname = "fraction/pore"\nlower = "0.2"\n', "lower must be a number"),
        ('[[spec]]\nname = "fraction/pore"\nlower = 0.2\nunit = "um"\n', "unit"),
        ('[[spec]]\nname = "fraction/pore"\nlower = 0.2\nlow = 1\n', "'low'"),
        ("[[spec]]\nname = 5\nlower = 0.2\n", "name must be a text"),
        ('[[spec]]\nname = "fraction/pore"\nlower = 0.2\nrule = ["a"]\n', "rule must be a text"),
    ],
)
def test_a_wrong_specification_is_one_sentence(analysis, capsys, text, message):
    assert run(analysis, text) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_something_else_than_an_analysis_is_refused(tmp_path, capsys):
    write_json(tmp_path / "b7" / "summary.json", [1])
    assert run(tmp_path / "b7", '[[spec]]\nname = "fraction/pore"\nlower = 0.2\n') == 1
    assert "must be the summary.json" in capsys.readouterr().err


def test_an_estimate_of_another_kind_is_one_sentence(analysis, capsys):
    write_json(
        analysis / "summary.json",
        {"masks": MASKS, "summary": {"fraction": {"pore": {"worth": 1}}}},
        force=True,
    )
    assert run(analysis, '[[spec]]\nname = "fraction/pore"\nlower = 0.2\n') == 1
    assert "must be the summary.json" in capsys.readouterr().err


@pytest.mark.parametrize("masks", [None, {"sentence": "UNCHECKED masks: nothing tells.", "checked": False}])
def test_unchecked_masks_give_no_verdict_unless_one_says_so(analysis, capsys, masks):
    content = {"summary": {"fraction": {"pore": PORE.to_dict()}}}
    write_json(
        analysis / "summary.json", content if masks is None else {"masks": masks, **content}, force=True
    )
    text = '[[spec]]\nname = "fraction/pore"\nlower = 0.2\nupper = 0.3\n'
    assert run(analysis, text) == 1
    error = capsys.readouterr().err
    assert "must rest on checked masks" in error and "cathode-tf verify" in error
    assert run(analysis, text, "--unchecked") == 0
    out = capsys.readouterr().out
    assert out.startswith("UNCHECKED masks") and "Batch: PASS" in out
