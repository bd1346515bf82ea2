"""The same model trains with the other Keras backends, where they are installed."""

import importlib.util
import os
import subprocess
import sys

import pytest

CODE = """
import sys
import keras
assert keras.backend.backend() == sys.argv[3]
from cathode_tf import train
run = train(sys.argv[1], sys.argv[2], preset="small", epochs=2, steps_per_epoch=4, batch=4, patch_px=32,
            precision="float32")
print("losses", *(row["loss"] for row in run.history))
"""


def losses(backend, records, out):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", CODE, str(records), str(out), backend]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split("losses")[1].split()]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_learns_the_same(backend, striped, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    expected = losses("tensorflow", striped.path, tmp_path / "tensorflow")
    # Same data and schedule; initial weights come from another random generator.
    assert losses(backend, striped.path, tmp_path / backend) == pytest.approx(expected, rel=0.15)
