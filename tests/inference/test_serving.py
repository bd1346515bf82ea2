"""Python, command line, SavedModel, gRPC and REST give equal bytes, and bad requests do no harm."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from cathode_tf import InputError, ServingClient
from cathode_tf.inference.serving import WARMUP, golden_images, png, write_server_files

pytest.importorskip("tensorflow_serving")


def stand_in():
    path = Path(__file__).with_name("serving_stand_in.py")
    spec = importlib.util.spec_from_file_location("serving_stand_in", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.StandIn


@pytest.fixture(scope="module")
def server(exported):
    with stand_in()({"tiny": {1: exported}}, {"tiny": {"stable": 1}}) as running:
        yield running


@pytest.fixture(params=["grpc", "rest"])
def client(server, request):
    address = server.grpc_address if request.param == "grpc" else server.rest_address
    with ServingClient(address, model="tiny", retries=1) as asking:
        yield asking


def test_golden_images_give_equal_bytes_by_every_way(exported, small_tiles, server):
    loaded = tf.saved_model.load(str(exported))
    for name, pixels in golden_images(small_tiles.grid).items():
        expected = small_tiles.segment(pixels)
        for address in (server.grpc_address, server.rest_address):
            with ServingClient(address, model="tiny") as client:
                served = client.segment(pixels)
            np.testing.assert_array_equal(served.mask, expected.mask, err_msg=f"{name} from {address}")
            np.testing.assert_array_equal(served.margin, expected.margin, err_msg=f"{name} from {address}")
            assert served.score == pytest.approx(expected.score)
            assert served.phase_fractions == pytest.approx(expected.phase_fractions)
        raw = tf.constant(pixels.astype(np.uint16)[None, :, :, None])
        np.testing.assert_array_equal(loaded.signatures["segment"](image=raw)["mask"][0], expected.mask)


def test_the_client_finds_signatures_phases_and_card(client, small_tiles):
    assert client.phases == small_tiles.phases
    assert client.card == small_tiles.card
    signatures = client.signatures()
    assert set(signatures) >= {"serving_default", "segment", "segment_png", "probabilities", "describe"}
    assert signatures["segment"]["inputs"]["image"] == ("uint16", (-1, -1, -1, 1))
    assert signatures["segment"]["outputs"]["mask"] == ("uint8", (-1, -1, -1))


def test_probabilities_come_by_grpc(server, small_tiles, image):
    with ServingClient(f"grpc://{server.grpc_address}", model="tiny", version="stable") as client:
        pixels = image(20, 30)
        np.testing.assert_array_equal(client.probabilities(pixels), small_tiles.probabilities(pixels))


def test_a_busy_server_is_asked_again(server, client):
    server.away = 1
    assert client.segment(np.zeros((3, 3), np.uint8)).mask.shape == (3, 3)


def test_errors_are_sentences_and_the_next_request_is_answered(server, client):
    with pytest.raises(InputError, match="must be uint8 or uint16"):
        client.segment(np.zeros((0, 3), np.uint8))
    for content in (b"no png", png(np.zeros((9, 9), np.uint8))[:40], png(np.zeros((9, 9, 3), np.uint8))):
        with pytest.raises(InputError, match="refused the request"):
            client._predict("segment_png", {"png": [content]})
    with pytest.raises(InputError, match="must be of one size"):
        client._predict("segment_png", {"png": [png(np.zeros((s, 9), np.uint8)) for s in (4, 5)]})
    with pytest.raises(InputError, match="not found"):
        client._predict("nonsense", {"png": [b""]})
    assert client.segment(np.full((5, 5), 9, np.uint8)).mask.shape == (5, 5)


def test_a_wrong_model_and_a_server_away_are_told_apart(server):
    for address in (server.grpc_address, server.rest_address):
        with pytest.raises(InputError, match="must serve the model 'other'"):
            ServingClient(address, model="other").signatures()
        with pytest.raises(InputError, match="must serve the model"):
            ServingClient(address, model="tiny", version=7).signatures()
    for address in ("localhost:9", "http://localhost:9"):
        with pytest.raises(InputError, match="Is the server running"):
            ServingClient(address, model="tiny", retries=0, timeout_s=5).segment(np.zeros((2, 2), np.uint8))
    with pytest.raises(InputError, match="must look like"):
        ServingClient("ftp://host", model="tiny")


def test_a_deadline_is_kept(server, exported):
    client = ServingClient(server.grpc_address, model="tiny", timeout_s=0.0001)
    with pytest.raises(InputError, match="did not answer within"):
        client._predict("segment_png", {"png": [png(np.zeros((400, 400), np.uint8))]})


def test_warm_up_requests_are_the_golden_images(exported, small_tiles):
    from tensorflow_serving.apis import prediction_log_pb2

    golden = golden_images(small_tiles.grid)
    records = list(tf.data.TFRecordDataset(str(exported / WARMUP)).as_numpy_iterator())
    assert len(records) == len(golden)
    for record, pixels in zip(records, golden.values(), strict=True):
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.name == "tiny"
        (tensor,) = (tf.make_ndarray(value) for value in request.inputs.values())
        if request.model_spec.signature_name == "segment":
            np.testing.assert_array_equal(tensor[0, ..., 0], pixels)
        else:
            assert request.model_spec.signature_name == "segment_png"
            np.testing.assert_array_equal(tf.io.decode_png(tensor[0])[..., 0], pixels)


def test_the_server_files_name_stable_and_canary(tmp_path, monkeypatch):
    from tensorflow_serving.config import model_server_config_pb2

    out = tmp_path / "cathode"
    for version, labels in ((1, {"stable": 1, "canary": 1}), (2, {"stable": 1, "canary": 2})):
        (out / str(version)).mkdir(parents=True)
        write_server_files(out, version)
        text = (out / "models.config").read_text()
        config = text_format.Parse(
            text, model_server_config_pb2.ModelServerConfig()
        ).model_config_list.config[0]
        assert (config.name, config.base_path) == ("cathode", "/models/cathode")
        assert dict(config.version_labels) == labels
        assert set(config.model_version_policy.specific.versions) == set(labels.values())
    assert "/models/cathode/batching.config" in (out / "compose.yaml").read_text()
    monkeypatch.chdir(out)
    write_server_files(Path("."), 2)
    assert (out / "models.config").read_text() == text


@pytest.mark.slow
def test_saved_model_cli_shows_and_runs_it(exported, small_tiles, image, tmp_path):
    tool = Path(sys.executable).with_name("saved_model_cli")
    shown = subprocess.run(
        [tool, "show", "--dir", exported, "--all"], capture_output=True, text=True, check=True
    )
    assert "signature_def['segment_png']" in shown.stdout and "phase_fractions" in shown.stdout
    np.save(tmp_path / "image.npy", image(150, 140)[None, ..., None])
    words = ["run", "--dir", exported, "--tag_set", "serve", "--signature_def", "segment"]
    words += ["--inputs", f"image={tmp_path / 'image.npy'}", "--outdir", tmp_path]
    subprocess.run([tool, *words], capture_output=True, check=True)
    expected = small_tiles.segment(image(150, 140))
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy")[0], expected.mask)


def test_grpc_is_not_needed_for_rest(server):
    code = (
        "import sys; sys.modules['grpc'] = None; sys.modules['tensorflow_serving'] = None; "
        "import numpy as np; from cathode_tf import ServingClient, InputError; "
        f"client = ServingClient({server.rest_address!r}, model='tiny'); "
        "print(client.segment(np.zeros((4, 4), np.uint8)).mask.shape); "
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(4, 4)", done.stderr


def test_the_stand_in_speaks_as_tf_serving_does(server, image):
    """By REST, TF Serving knows no uint16 and no signature without inputs (its json_tensor.cc)."""
    client = ServingClient(server.rest_address, model="tiny")
    with pytest.raises(InputError, match="uint16"):
        client._predict("segment", {"image": image(3, 3)[None, ..., None]})
    with pytest.raises(InputError, match="input map"):
        client._predict("describe", {})
    assert json.loads(client._predict("describe_by_rest", {"any": ""})["card"].item())["phases"]
