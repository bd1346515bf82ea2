"""How long a training step takes beside plain float32 Keras, and how long it waits for its input.

    python benchmarks/training_step.py records/sample

Batch 16 of 256 x 256. The plain network is the usual Keras U-Net: 16-32-64-128-256 channels from full
resolution down, two convolutions a level, BatchNormalization, Adam. The networks take turns, step by step, in
one process; each row is the median over its steps, so that other work on the machine meets all alike.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers

from cathode_tf import Phases, build_unet, open_records, patches
from cathode_tf.learning import PRESETS, CombinedLoss
from cathode_tf.learning.averaging import WeightAverage
from cathode_tf.learning.precision import choose_precision

ROUNDS = 5


def plain_unet(n_phases: int, dtype: str) -> keras.Model:
    """The network that a tutorial would build."""

    def twice(x, channels):
        for _ in range(2):
            x = layers.Conv2D(channels, 3, padding="same", use_bias=False, dtype=dtype)(x)
            x = layers.ReLU(dtype=dtype)(layers.BatchNormalization(dtype=dtype)(x))
        return x

    x = inputs = layers.Input((256, 256, 1))
    skips = []
    for channels in (16, 32, 64, 128):
        skips.append(twice(x, channels))
        x = layers.MaxPooling2D(dtype=dtype)(skips[-1])
    x = twice(x, 256)
    for channels in (128, 64, 32, 16):
        x = layers.Conv2DTranspose(channels, 2, 2, dtype=dtype)(x)
        x = twice(layers.Concatenate(dtype=dtype)([skips.pop(), x]), channels)
    x = layers.Conv2D(n_phases, 1, dtype=dtype)(x)
    return keras.Model(inputs, layers.Softmax(dtype="float32")(x))


def main(folder: str) -> None:
    phases = Phases.default()
    best = choose_precision()
    networks = {
        "plain, float32": plain_unet(len(phases), "float32"),
        f"plain, {best}": plain_unet(len(phases), best),
        "instance norm, full resolution, float32": build_unet(phases, filters=(16, 32, 64, 128, 256), stem=1),
        "base, float32": build_unet(phases, filters=PRESETS["base"]),
        f"base, {best} (the default)": build_unet(phases, filters=PRESETS["base"], dtype=best),
        f"small, {best}": build_unet(phases, filters=PRESETS["small"], dtype=best),
        f"large, {best}": build_unet(phases, filters=PRESETS["large"], dtype=best),
    }
    random = np.random.default_rng(0)
    x = random.normal(size=(16, 256, 256, 1)).astype("float32")
    y = random.integers(0, len(phases), (16, 256, 256)).astype("uint8")
    for name, network in networks.items():
        optimizer = keras.optimizers.Adam() if name.startswith("plain") else keras.optimizers.AdamW(2e-3)
        network.compile(optimizer, CombinedLoss())
        network.train_on_batch(x, y)
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(ROUNDS):
        for name, network in networks.items():
            start = time.perf_counter()
            network.train_on_batch(x, y)
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print("| network | parameters | step, s | beside plain float32 |\n|---|---|---|---|")
    for name, value in median.items():
        share = value / median["plain, float32"]
        print(f"| {name} | {networks[name].count_params() / 1e6:.2f} M | {value:.2f} | {share:.2f} |")
    print_waiting(Path(folder), networks[f"base, {best} (the default)"], y)


def print_waiting(folder: Path, network: keras.Model, y: np.ndarray, steps: int = 20) -> None:
    """What a step waits for its batch, and what averaging the weights takes."""
    average = WeightAverage()
    average.set_model(network)
    waited = averaged = worked = before = 0.0
    for index, (image, target) in enumerate(patches(open_records(folder)).take(steps + 4)):
        now = time.perf_counter()
        if index >= 4:  # until the pipeline has filled
            waited += now - before
        network.train_on_batch(image, target)
        trained = time.perf_counter()
        average.on_train_batch_end(index)
        before = time.perf_counter()
        if index >= 4:
            worked += trained - now
            averaged += before - trained
    print(f"\nWaiting for input: {waited / (waited + worked):.1%} of a step of the default network.")
    print(f"Averaging the weights: {averaged / (averaged + worked):.1%}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
