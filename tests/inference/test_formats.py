"""Other formats hold the same network, and say how well they agree."""

import json
import sys

import pytest

from cathode_tf import InputError
from cathode_tf.inference.formats import export_network


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("form", "suffix", "needed"),
    [
        ("onnx", ".onnx", "tf2onnx"),
        ("litert", ".tflite", "ai_edge_litert"),
    ],
)
def test_other_formats_agree_with_the_segmenter(model, tmp_path, form, suffix, needed):
    pytest.importorskip(needed)
    result = export_network(model, tmp_path / f"net{suffix}", form=form)
    assert result.path.exists() and result.compared_px > 100_000
    assert result.agreement >= 0.999
    content = json.loads((tmp_path / "net.json").read_text())
    assert content["compared_with_segmenter"]["differing_px"] == result.differing_px


def test_a_missing_extra_and_a_wrong_name_are_sentences(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"cathode-tf\[onnx\]"):
        export_network(model, tmp_path / "net.onnx", form="onnx")
    with pytest.raises(InputError, match="must end in"):
        export_network(model, tmp_path / "net.onnx", form="litert")
    assert not list(tmp_path.iterdir())
