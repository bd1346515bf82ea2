"""Two exported versions, their labels and warm-up requests, by TensorFlow's own loader in C: the one in TF Serving."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

from cathode_tf.inference import Segmenter, export_savedmodel
from cathode_tf.inference.export import SERVED_AS
from cathode_tf.inference.serving import WARMUP

prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
from tensorflow_serving.config import model_server_config_pb2  # noqa: E402

FOLDER = Path(tf.__file__).parent
pytestmark = pytest.mark.skipif(
    not (FOLDER / "libtensorflow_cc.so.2").exists(), reason="this TensorFlow has no C interface to load"
)


@pytest.fixture(scope="module")
def versions(tiny, tmp_path_factory):
    """Two models of different weights, exported as versions 1 and 2 of one."""
    out = tmp_path_factory.mktemp("models") / "tiny"
    made = {}
    for version, seed in ((1, 3), (2, 4)):
        made[version] = Segmenter(tiny(seed=seed), tile_px=128)
        assert export_savedmodel(made[version], out) == out / str(version)
    return out, made


def requests_of(folder):
    """What the warm-up file asks of a version: signature, input, and its value as an array or bytes."""
    for record in tf.data.TFRecordDataset(str(folder / WARMUP)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        [(key, value)] = request.inputs.items()
        yield request.model_spec.signature_name, key, tf.make_ndarray(value)


def test_labels_and_warm_up_requests_are_answered_by_the_loader_in_c(versions, tmp_path):
    out, made = versions
    config = text_format.Parse(
        (out / "models.config").read_text(encoding="utf-8"), model_server_config_pb2.ModelServerConfig()
    )
    labels = config.model_config_list.config[0].version_labels
    assert dict(labels) == {"stable": 1, "canary": 2}

    asked, expected = [], []
    for label in ("stable", "canary"):
        version = labels[label]
        folder = out / str(version)
        content = (folder / "saved_model.pb").read_bytes()
        signatures = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].signature_def
        assert set(SERVED_AS) <= set(signatures)
        for signature, key, value in requests_of(folder):
            file = tmp_path / f"{label}_{len(asked)}"
            if signature == "segment":
                file = file.with_suffix(".npy")
                np.save(file, value)
                pixels = value[0, ..., 0]
            else:
                file.write_bytes(value[0])
                pixels = tf.io.decode_png(value[0], dtype=tf.uint16).numpy()[..., 0]
                # An 8-bit file keeps its values.
                pixels = pixels if value[0][24] == 16 else (pixels >> 8).astype(np.uint8)
            inputs, outputs = signatures[signature].inputs, signatures[signature].outputs
            fetch = {name: outputs[name].name for name in ("mask", "margin", "phase_fractions")}
            asked.append(
                {"version": str(folder), "feed": inputs[key].name, "file": str(file), "fetch": fetch}
            )
            expected.append(made[version].segment(pixels))
    (tmp_path / "requests.json").write_text(json.dumps(asked), encoding="utf-8")
    script = Path(__file__).with_name("c_loader.py")
    words = [sys.executable, script, FOLDER, tmp_path / "requests.json", tmp_path / "out.npz"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

    with np.load(tmp_path / "out.npz") as found:
        for number, segmentation in enumerate(expected):
            np.testing.assert_array_equal(found[f"{number}/mask"][0], segmentation.mask)
            np.testing.assert_array_equal(found[f"{number}/margin"][0], segmentation.margin)
            shares = list(segmentation.phase_fractions.values())
            np.testing.assert_allclose(found[f"{number}/phase_fractions"][0], shares, atol=1e-6)
        # Four requests each; the versions are two models, and each label led to its own.
        assert len(expected) == 8
        assert (found["0/mask"] != found["4/mask"]).any()
