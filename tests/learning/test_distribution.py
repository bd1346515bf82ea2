"""Two devices, and two processes on loopback, learn what one device learns."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from cathode_tf import InputError, train
from cathode_tf.learning.run_folder import STATE

OPTIONS = 'preset="small", epochs=2, steps_per_epoch=4, batch=4, patch_px=32, precision="float32"'
TWO_DEVICES = """
import sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from cathode_tf import train
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
train(sys.argv[1], sys.argv[2], strategy=strategy, {options})
"""
ONE_WORKER = "import sys\nfrom cathode_tf import train\ntrain(sys.argv[1], sys.argv[2], {options})"


def history(folder):
    with np.load(folder / STATE) as state:
        return json.loads(state["progress"].tobytes())["history"]


@pytest.fixture(scope="module")
def one_device(striped, tmp_path_factory):
    options = eval(f"dict({OPTIONS})")
    return train(striped, tmp_path_factory.mktemp("one") / "run", **options)


def compare(folder, one_device):
    # The sums are the same but for their order: the first four steps agree to the rounding of float32. Adam then
    # divides each gradient by its own size, which makes whole steps of what rounding left of the smallest ones.
    for row, expected, tolerance in zip(history(folder), one_device.history, (1e-5, 2e-3), strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], rel=tolerance)
        assert row["mean_dice"] == pytest.approx(expected["mean_dice"], abs=0.005)


@pytest.mark.slow
def test_two_mirrored_devices(striped, one_device, tmp_path):
    code = TWO_DEVICES.format(options=OPTIONS)
    subprocess.run([sys.executable, "-c", code, str(striped.path), str(tmp_path / "run")], check=True)
    compare(tmp_path / "run", one_device)


@pytest.mark.slow
def test_two_workers_on_loopback(striped, one_device, tmp_path):
    addresses = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            addresses.append(f"127.0.0.1:{probe.getsockname()[1]}")
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        code = ONE_WORKER.format(options=OPTIONS)
        environment = {**os.environ, "TF_CONFIG": json.dumps(task), "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-c", code, str(striped.path), str(tmp_path / "run")]
        processes.append(subprocess.Popen(command, env=environment))
    try:
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    compare(tmp_path / "run", one_device)


def test_a_batch_that_devices_cannot_share_is_refused(striped, tmp_path):
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(InputError, match="multiple of the 3 devices"):
        train(striped, tmp_path / "run", batch=16, strategy=Three())
