"""What TF Serving wants beside a SavedModel: warm-up requests, batching, versions, a compose file."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from cathode_tf.datasets.tfrecord import field
from cathode_tf.files import atomic_file
from cathode_tf.inference.tiles import Grid

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"


def golden_images(grid: Grid) -> dict[str, np.ndarray]:
    """The images of the warm-up requests, on which every entry must give equal bytes.

    Args:
        grid: The grid of the model; one image is just too large for a single tile.

    Returns:
        By name: `odd` (uint8, odd sides), `deep` (uint16), `tiled` (uint8, needs tiles), `pixel` (one pixel).
    """
    side = grid.tile_px
    return {
        "odd": (_blobs(61, 83) >> 8).astype(np.uint8),
        "deep": _blobs(96, 128),
        "tiled": (_blobs(side + grid.multiple + 1, side) >> 8).astype(np.uint8),
        "pixel": np.array([[117]], np.uint8),
    }


def _blobs(height: int, width: int) -> np.ndarray:
    """Blobs of three grey levels with a little noise, uint16; the same on every machine."""
    rows, columns = np.mgrid[:height, :width].astype(np.int64)
    level = (rows // 23 * 7 + columns // 31 * 5 + (rows // 23) * (columns // 31)) % 3
    noise = (rows * 1103 + columns * 7919 + rows * columns * 31) % 1021
    return (9000 + 15000 * level + 2 * noise).astype(np.uint16)


def png(pixels: np.ndarray) -> bytes:
    """A grey PNG of uint8 or uint16 pixels."""
    return cv2.imencode(".png", pixels)[1].tobytes()


def write_warmup(folder: Path, model: str, grid: Grid) -> None:
    """Write the golden images as requests that a server runs before it takes others.

    TF Serving reads a TFRecord of `PredictionLog`s; these are written field by field, so that exporting
    does not need the serving package.
    """
    path = folder / WARMUP
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, pixels in golden_images(grid).items():
            if name == "deep":
                signature, key = "segment", "image"
                tensor = tf.make_tensor_proto(pixels.astype(np.uint16)[None, :, :, None])
            else:
                signature, key = "segment_png", "png"
                tensor = tf.make_tensor_proto([png(pixels)])
            spec = _field(1, model.encode()) + _field(3, signature.encode())
            entry = _field(1, key.encode()) + _field(2, tensor.SerializeToString())
            request = _field(1, spec) + _field(2, entry)
            writer.write(_field(6, _field(1, request)))  # PredictionLog.predict_log.request


def _field(number: int, content: bytes) -> bytes:
    """One length-delimited field of a protocol buffer."""
    return b"".join(field(number, [content]))


BATCHING = """\
# One image at a time: an image keeps all cores busy by itself, images of different sizes cannot share
# a batch, and so the memory of a request is the memory of the server. Others wait in the queue.
max_batch_size { value: 1 }
batch_timeout_micros { value: 0 }
max_enqueued_batches { value: 1000 }
num_batch_threads { value: 1 }
"""

COMPOSE = """\
# docker compose up      gRPC on 8500, REST on 8501
services:
  serving:
    image: tensorflow/serving:${{TF_SERVING_TAG:-latest}}
    ports: ["8500:8500", "8501:8501"]
    volumes: ["./:/models/{name}:ro"]
    command:
      - --model_config_file=/models/{name}/models.config
      - --model_config_file_poll_wait_seconds=60
      - --allow_version_labels_for_unavailable_models=true
      - --enable_batching=true
      - --batching_parameters_file=/models/{name}/batching.config
      - --rest_api_timeout_in_ms=600000
    restart: unless-stopped
"""


def write_server_files(out: Path, version: int) -> None:
    """Write `models.config`, `batching.config` and `compose.yaml` beside the versions of a model.

    The new version gets the label `canary`; `stable` stays where it was, or begins at the first version.

    Args:
        out: The model's folder; its name is the model's name on the server.
        version: The version that was just written.
    """
    versions = sorted(int(child.name) for child in out.iterdir() if child.name.isdigit())
    config, name = out / "models.config", out.resolve().name
    stable = _label(config.read_text(encoding="utf-8"), "stable") if config.exists() else None
    if stable not in versions:
        stable = version if len(versions) == 1 else versions[0]
    served = "".join(f"        versions: {number}\n" for number in sorted({stable, version}))
    labels = "".join(
        f'    version_labels {{ key: "{key}" value: {value} }}\n'
        for key, value in (("stable", stable), ("canary", version))
    )
    text = (
        "model_config_list {\n  config {\n"
        f'    name: "{name}"\n    base_path: "/models/{name}"\n    model_platform: "tensorflow"\n'
        f"    model_version_policy {{\n      specific {{\n{served}      }}\n    }}\n{labels}  }}\n}}\n"
    )
    for file, content in (
        ("models.config", text),
        ("batching.config", BATCHING),
        ("compose.yaml", COMPOSE.format(name=name)),
    ):
        with atomic_file(out / file, force=True) as temporary:
            temporary.write_text(content, encoding="utf-8")


def _label(config: str, key: str) -> int | None:
    found = re.search(rf'version_labels\s*{{\s*key:\s*"{key}"\s*value:\s*(\d+)', config)
    return int(found.group(1)) if found else None
