import json

import numpy as np
import pytest
from click.testing import CliRunner

from cathode_tf import InputError, Phases, analyze
from cathode_tf.analysis import Settings
from cathode_tf.tools.compare import command


def cells(rng, share):
    """20 x 20 cells of 6 px, of which exactly `share` are ncm."""
    chosen = rng.permutation(400) < round(400 * share)
    return np.kron(chosen.reshape(20, 20), np.ones((6, 6), np.uint8))


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    """Batches a and b of five masks, 30 and 40 % ncm, 2 % more or less from image to image."""
    folder, rng = tmp_path_factory.mktemp("batches"), np.random.default_rng(0)
    for name, share in (("a", 0.3), ("b", 0.4)):
        masks = [cells(rng, share + more) for more in (-0.02, -0.01, 0, 0.01, 0.02)]
        analyze(
            masks, Phases.from_names(["pore", "ncm"]), settings=Settings(fragmentation=False), drawn_by="Ann"
        ).write(folder / name)
    return folder


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_tells_what_differs_and_writes_it(batches, tmp_path):
    result = run(batches / "a", batches / "b", "--out", tmp_path / "comparison.json")
    assert "fraction ncm: different; difference 0.10" in result.output
    content = json.loads((tmp_path / "comparison.json").read_text())
    assert content["differences"][0]["verdict"] == "different"
    assert (content["a"], content["b"]) == (str(batches / "a"), str(batches / "b"))
    with pytest.raises(InputError, match="exists already"):
        run(batches / "a", batches / "b", "--out", tmp_path / "comparison.json")


def test_equivalence_needs_a_margin(batches):
    assert "equivalent" not in run(batches / "a", batches / "a", "--all").output
    assert "fraction ncm: equivalent" in run(batches / "a", batches / "a", "--margin", "fraction=0.05").output


@pytest.mark.parametrize("text", ["fraction", "fraction=x", "fraction=-1", "nothing=1"])
def test_bad_margins(batches, text):
    with pytest.raises(InputError, match="margin"):
        run(batches / "a", batches / "b", "--margin", text)


def test_a_folder_without_summary(batches, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        run(batches / "a", tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {"summary": {"fraction": {"ncm": {"value": 0.3, "sureness": 1}}}, "length_unit": "px", "phases": []},
        {"summary": {"fraction": 0.3}, "length_unit": "px", "phases": []},
        {"summary": {}, "length_unit": "px", "phases": ["ncm"]},
    ],
)
def test_a_summary_of_another_kind_is_one_sentence(batches, tmp_path, content):
    (tmp_path / "odd.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"must be the summary\.json"):
        run(batches / "a", tmp_path / "odd.json")


def test_unchecked_masks_get_no_verdict_unless_one_says_so(batches, tmp_path):
    rng = np.random.default_rng(1)
    masks = [cells(rng, share) for share in (0.48, 0.5, 0.52)]
    analyze(masks, Phases.from_names(["pore", "ncm"])).write(tmp_path / "c")
    output = run(batches / "a", tmp_path / "c").output
    assert f"{tmp_path / 'c'}: UNCHECKED masks" in output and "drawn by hand by Ann" in output
    assert "No verdict on" in output and "different;" not in output
    assert "fraction ncm: different" in run(batches / "a", tmp_path / "c", "--unchecked").output
