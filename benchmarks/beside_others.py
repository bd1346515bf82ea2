"""A training step and one image's mask: our networks beside plain Keras, PyTorch, ONNX Runtime and OpenVINO.

    python -m pip install torch onnxruntime openvino onnx tf2onnx     # each is left out where it is not there
    export OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
    TF_ENABLE_ONEDNN_OPTS=1 python benchmarks/beside_others.py step      # as `cathode-tf train` sets it
    python benchmarks/beside_others.py mask                              # as `cathode-tf segment` leaves it

Float32 and one thread everywhere, all ways in turn in one process; medians of processor time, which other work on
the computer changes least. Both networks are written in PyTorch too, in its channels-last layout, eager and compiled:
the usual U-Net (16-32-64-128-256 channels from full resolution down, batch normalisation) and our own with the very
weights of the default model, so that its masks can be compared.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from training_step import plain_unet

from cathode_tf import Phases, Segmenter, build_unet, synthesize
from cathode_tf.datasets import image_statistics, standardize
from cathode_tf.learning import PRESETS, CombinedLoss, load_model
from cathode_tf.learning.processor import quicker

BATCH, SIDE, TURNS = 4, 512, 3
PLAIN = (16, 32, 64, 128, 256)

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:
    torch = None
else:
    torch.set_num_threads(1)

    class Twice(nn.Sequential):
        """Convolution, normalisation, ReLU, two times."""

        def __init__(self, before: int, channels: int, norm: str):
            parts: list[nn.Module] = []
            for width in (before, channels):
                made = nn.BatchNorm2d if norm == "batch" else nn.InstanceNorm2d
                parts.append(nn.Conv2d(width, channels, 3, padding=1, bias=False))
                parts += [made(channels, affine=True), nn.ReLU(inplace=True)]
            super().__init__(*parts)

    def grown(x, size: int):
        """The channels of one pixel as a block of size x size pixels, in the order of our `DepthToSpace`."""
        batch, channels, height, width = x.shape
        x = x.view(batch, size, size, channels // size**2, height, width).permute(0, 3, 4, 1, 5, 2)
        return x.reshape(batch, channels // size**2, height * size, width * size)

    class UNet(nn.Module):
        """The usual U-Net (stem 1, batch normalisation) or ours (stem 2, instance normalisation); scores out."""

        def __init__(self, filters: tuple[int, ...], stem: int, n_phases: int, norm: str):
            super().__init__()
            self.stem = stem
            self.down = nn.ModuleList(
                Twice(before, channels, norm)
                for before, channels in zip((stem**2, *filters), filters, strict=False)
            )
            pairs = [*zip(filters[-2::-1], filters[:0:-1], strict=True)]
            self.widen = nn.ModuleList(
                nn.ConvTranspose2d(below, channels, 2, 2)
                if stem == 1
                else nn.Conv2d(below, channels * 4, 1, bias=False)
                for channels, below in pairs
            )
            self.up = nn.ModuleList(Twice(2 * channels, channels, norm) for channels, _ in pairs)
            self.scores = nn.Conv2d(filters[0], n_phases * stem**2, 1)

        def forward(self, x):
            if self.stem > 1:
                x = F.pixel_unshuffle(x, self.stem)
            skips = []
            for level, block in enumerate(self.down):
                x = block(F.max_pool2d(x, 2) if level else x)
                skips.append(x)
            skips.pop()
            for widen, block in zip(self.widen, self.up, strict=True):
                x = widen(x) if self.stem == 1 else grown(widen(x), 2)
                x = block(torch.cat([skips.pop(), x], 1))
            x = self.scores(x)
            return grown(x, self.stem) if self.stem > 1 else x

    def with_weights_of(model: keras.Model, network: UNet) -> UNet:
        """Our network in PyTorch with the weights of the Keras model: both list them from the input to the output."""
        with torch.no_grad():
            places = [*network.down]
            for widen, block in zip(network.widen, network.up, strict=True):
                places += [widen, block]
            ours = [weight for place in [*places, network.scores] for weight in place.parameters()]
            for weight, theirs in zip(ours, model.get_weights(), strict=True):
                values = theirs.transpose(3, 2, 0, 1) if theirs.ndim == 4 else theirs
                assert tuple(weight.shape) == values.shape, (weight.shape, values.shape)
                weight.copy_(torch.from_numpy(np.ascontiguousarray(values)))
        return network

    def torch_step(network: UNet, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        network = network.to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
        pixels = torch.from_numpy(x.transpose(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)
        target = torch.from_numpy(y.astype(np.int64))

        def step() -> None:
            optimizer.zero_grad()
            scores = network(pixels)
            with_entropy = F.cross_entropy(scores, target)
            given = scores.softmax(1)
            wanted = F.one_hot(target, scores.shape[1]).permute(0, 3, 1, 2)
            overlap = (given * wanted).sum((0, 2, 3))
            dice = 1 - 2 * overlap / (given.sum((0, 2, 3)) + wanted.sum((0, 2, 3)))
            (with_entropy + dice.mean()).backward()
            optimizer.step()

        return step

    def torch_mask(network: UNet) -> Callable[[np.ndarray], np.ndarray]:
        network = network.to(memory_format=torch.channels_last).eval()

        def mask(z: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return network(torch.from_numpy(z[None, None])).argmax(1)[0].numpy()

        return mask


def in_turn(ways: dict[str, Callable[[], Any]], turns: int) -> dict[str, list[float]]:
    """Processor seconds of each turn of each way, after one turn that builds what there is to build."""
    for name in list(ways):
        try:
            ways[name]()
        except Exception as error:  # a compiler that is missing, say: the other rows still count
            print(f"{name}: left out, {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
            del ways[name]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            begun = time.process_time()
            way()
            seconds[name].append(time.process_time() - begun)
    return seconds


def steps() -> None:
    phases = Phases.default()
    random = np.random.default_rng(0)
    x = random.normal(size=(BATCH, 256, 256, 1)).astype("float32")
    y = random.integers(0, len(phases), (BATCH, 256, 256)).astype("uint8")
    base = build_unet(phases, filters=PRESETS["base"])
    small = build_unet(phases, filters=PRESETS["small"])
    ways: dict[str, Callable[[], Any]] = {}
    for name, network in (
        ("usual U-Net, Keras", plain_unet(len(phases), "float32")),
        ("base, Keras", base),
        ("base, as `train` runs it", quicker(base)),
        ("small, as `train` runs it", quicker(small)),
    ):
        network.compile(keras.optimizers.AdamW(2e-3), CombinedLoss())
        ways[name] = lambda network=network: network.train_on_batch(x, y)
    if torch is not None:
        for name, filters, stem, norm in (
            ("usual U-Net, PyTorch", PLAIN, 1, "batch"),
            ("base, PyTorch", PRESETS["base"], 2, "instance"),
        ):
            make = UNet(filters, stem, len(phases), norm)
            ways[f"{name} eager"] = torch_step(make, x, y)
            ways[f"{name} compiled"] = torch_step(torch.compile(UNet(filters, stem, len(phases), norm)), x, y)
    seconds = in_turn(ways, TURNS)
    plain = statistics.median(seconds["usual U-Net, Keras"])
    print(
        f"{BATCH} patches of 256 x 256, {TURNS} steps.\n\n| step | median, s | least, s | beside plain Keras |"
    )
    print("|---|---|---|---|")
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"| {name} | {median:.2f} | {min(taken):.2f} | {median / plain:.2f} |")


def masks() -> None:
    image = next(iter(synthesize(1, seed=77, height=SIDE, width=SIDE))).image
    z = standardize(image, *image_statistics(image))
    model, _ = load_model("default")
    segmenter = Segmenter(model)
    ids = np.array(segmenter.phases.ids, np.uint8)
    found: dict[str, np.ndarray] = {}
    ways: dict[str, Callable[[], Any]] = {
        "Segmenter, the whole way": lambda: segmenter.segment(image).mask,
        "Keras, the network alone": lambda: ids[model.predict_on_batch(z[None, ..., None])[0].argmax(-1)],
    }
    if torch is not None:
        plain = torch_mask(with_weights_of(model, UNet(PRESETS["base"], 2, len(ids), "instance")))
        compiled = torch_mask(
            torch.compile(with_weights_of(model, UNet(PRESETS["base"], 2, len(ids), "instance")))
        )
        ways["PyTorch eager, the network alone"] = lambda: ids[plain(z)]
        ways["PyTorch compiled, the network alone"] = lambda: ids[compiled(z)]
    ways |= other_runtimes(z, ids)

    def keeping(name: str, way: Callable[[], np.ndarray]) -> Callable[[], Any]:
        return lambda: found.__setitem__(name, way())

    seconds = in_turn({name: keeping(name, way) for name, way in ways.items()}, TURNS)
    ours = "Segmenter, the whole way"
    print(f"One section of {SIDE} x {SIDE}, {TURNS} turns.\n")
    print("| mask | median, s | least, s | Segmenter's time beside it | same phase |\n|---|---|---|---|---|")
    for name, taken in seconds.items():
        median = statistics.median(taken)
        same = (found[name] == found[ours]).mean()
        ratio = statistics.median(seconds[ours]) / median
        print(f"| {name} | {median:.2f} | {min(taken):.2f} | {ratio:.2f} | {same:.4%} |")


def other_runtimes(z: np.ndarray, ids: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """ONNX Runtime and OpenVINO with the file that `cathode-tf export --format onnx` writes."""
    try:
        import onnxruntime

        from cathode_tf.inference.formats import export_network
    except ImportError:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "default.onnx"
        export_network("default", file, form="onnx")
        content = file.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    batch, name = z[None, ..., None], session.get_inputs()[0].name
    ways = {"ONNX Runtime, the network alone": lambda: ids[session.run(None, {name: batch})[0][0].argmax(-1)]}
    try:
        import openvino
    except ImportError:
        return ways
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(content), "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    )
    ways["OpenVINO, the network alone"] = lambda: ids[compiled([batch])[compiled.output(0)][0].argmax(-1)]
    return ways


if __name__ == "__main__":
    {"step": steps, "mask": masks}[sys.argv[1]]()
