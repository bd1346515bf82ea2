import json

import numpy as np
import pytest
from click.testing import CliRunner

from cathode_tf import InputError, Phases, analyze
from cathode_tf.tools.compare import command


@pytest.fixture
def batches(tmp_path):
    rng = np.random.default_rng(0)
    for name, share in (("a", 0.3), ("b", 0.4)):
        masks = [(rng.random((120, 120)) < share).astype(np.uint8) for _ in range(5)]
        analyze(masks, Phases.from_names(["pore", "ncm"]), drawn_by="Ann").write(tmp_path / name)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_tells_what_differs_and_writes_it(batches):
    result = run(batches / "a", batches / "b", "--out", batches / "comparison.json")
    assert "fraction ncm: different; difference 0.10" in result.output
    content = json.loads((batches / "comparison.json").read_text())
    assert content["differences"][0]["verdict"] == "different"
    assert (content["a"], content["b"]) == (str(batches / "a"), str(batches / "b"))
    with pytest.raises(InputError, match="exists already"):
        run(batches / "a", batches / "b", "--out", batches / "comparison.json")


def test_equivalence_needs_a_margin(batches):
    assert "equivalent" not in run(batches / "a", batches / "a", "--all").output
    assert "fraction ncm: equivalent" in run(batches / "a", batches / "a", "--margin", "fraction=0.05").output


@pytest.mark.parametrize("text", ["fraction", "fraction=x", "fraction=-1", "nothing=1"])
def test_bad_margins(batches, text):
    with pytest.raises(InputError, match="margin"):
        run(batches / "a", batches / "b", "--margin", text)


def test_a_folder_without_summary(batches):
    (batches / "empty").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        run(batches / "a", batches / "empty")


@pytest.mark.parametrize(
    "content",
    [
        {"summary": {"fraction": {"ncm": {"value": 0.3, "sureness": 1}}}, "length_unit": "px", "phases": []},
        {"summary": {"fraction": 0.3}, "length_unit": "px", "phases": []},
        {"summary": {}, "length_unit": "px", "phases": ["ncm"]},
    ],
)
def test_a_summary_of_another_kind_is_one_sentence(batches, content):
    (batches / "odd.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"must be the summary\.json"):
        run(batches / "a", batches / "odd.json")


def test_unchecked_masks_get_no_verdict_unless_one_says_so(batches):
    masks = [(np.random.default_rng(1).random((60, 60)) < 0.5).astype(np.uint8) for _ in range(3)]
    analyze(masks, Phases.from_names(["pore", "ncm"])).write(batches / "c")
    output = run(batches / "a", batches / "c").output
    assert f"{batches / 'c'}: UNCHECKED masks" in output and "drawn by hand by Ann" in output
    assert "No verdict on" in output and "different;" not in output
    assert "fraction ncm: different" in run(batches / "a", batches / "c", "--unchecked").output
