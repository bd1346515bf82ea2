"""Speed of the Segmenter against a plain Keras loop, on one image with one network, as ratios in one run.

    python benchmarks/inference.py [RUN]

The loop is what people write by hand: tiles of 256 px with 50 % overlap in batches of 8, `predict_on_batch`,
float32, blending by a Hann window in NumPy. Both do the whole work from raw pixels to the mask. The network is
a U-Net of 16-32-64-128-256 filters (1.9 M parameters) without and with instance normalisation, trained for a
minute on synthetic sections so that its answers mean something; a RUN of your own makes one more row.

Agreement is the share of pixels with the same phase. With instance normalisation the loop itself answers
differently for each grid of tiles, since every tile is normalised alone: its agreement with itself on a grid
shifted by 64 px stands beside, and that of the Segmenter on other tiles.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from cathode_tf import Phases, Segmenter, build_unet, export_savedmodel, synthesize
from cathode_tf.datasets import image_statistics, standardize
from cathode_tf.learning import CombinedLoss, load_model

SIDE, TILE, BATCH = 2048, 256, 8


def plain_loop(model: keras.Model, pixels: np.ndarray, shift: int = 0) -> np.ndarray:
    """Class indices by the loop that people write."""
    padded = np.pad(pixels, ((shift, TILE - shift), (shift, TILE - shift)), mode="symmetric")
    z = standardize(padded, *image_statistics(pixels))
    side = np.hanning(TILE + 2)[1:-1].astype(np.float32)
    window = np.outer(side, side)[..., None]
    total = np.zeros((*z.shape, model.output_shape[-1]), np.float32)
    weight = np.zeros((*z.shape, 1), np.float32)
    starts = [
        (y, x)
        for y in range(0, z.shape[0] - TILE + 1, TILE // 2)
        for x in range(0, z.shape[1] - TILE + 1, TILE // 2)
        if y < shift + pixels.shape[0] and x < shift + pixels.shape[1]
    ]
    for first in range(0, len(starts), BATCH):
        chosen = starts[first : first + BATCH]
        tiles = np.stack([z[y : y + TILE, x : x + TILE, None] for y, x in chosen])
        for (y, x), found in zip(chosen, model.predict_on_batch(tiles), strict=True):
            total[y : y + TILE, x : x + TILE] += found * window
            weight[y : y + TILE, x : x + TILE] += window
    inner = tuple(slice(shift, shift + length) for length in pixels.shape)
    return (total / np.maximum(weight, 1e-9))[inner].argmax(-1)


def trained(norm: str, seconds: float = 60.0) -> keras.Model:
    """The network of the benchmark, trained for a minute of processor time."""
    model = build_unet(Phases.default(), filters=(16, 32, 64, 128, 256), stem=1, norm=norm)
    samples = list(synthesize(8, seed=5, height=512, width=512))
    images = [standardize(sample.image, *image_statistics(sample.image)) for sample in samples]
    model.compile(keras.optimizers.AdamW(2e-3), CombinedLoss())
    rng, start = np.random.default_rng(0), time.process_time()
    while time.process_time() - start < seconds:
        x, y = [], []
        for index in rng.integers(0, len(samples), 8):
            row, column = rng.integers(0, 512 - 128, 2)
            x.append(images[index][row : row + 128, column : column + 128, None])
            y.append(samples[index].mask[row : row + 128, column : column + 128])
        model.train_on_batch(np.stack(x), np.stack(y))
    return model


def timed(call: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """The result, and the shorter of two times, after a call with a small image to warm up."""
    call(pixels[:TILE, :TILE])
    seconds = []
    for _ in range(2):
        start = time.monotonic()
        result = call(pixels)
        seconds.append(time.monotonic() - start)
    return result, min(seconds)


def rows(name: str, model: keras.Model, pixels: np.ndarray) -> None:
    loop, loop_s = timed(lambda image: plain_loop(model, image), pixels)
    segmenter = Segmenter(model)
    mask, python_s = timed(lambda image: segmenter.segment(image).mask, pixels)
    with tempfile.TemporaryDirectory() as folder:
        exported = Segmenter(export_savedmodel(segmenter, Path(folder) / "model"))
        served, served_s = timed(lambda image: exported.segment(image).mask, pixels)
    other = Segmenter(model, tile_px=768).segment(pixels).mask
    shifted = plain_loop(model, pixels, 64)
    ids = np.array(segmenter.phases.ids, np.uint8)
    mega = pixels.size / 1e6
    for label, seconds, result, again in (
        ("plain Keras loop", loop_s, ids[loop], ids[shifted]),
        ("Segmenter", python_s, mask, other),
        ("SavedModel", served_s, served, None),
    ):
        agreement = f"{(result == ids[loop]).mean():.2%}"
        itself = (
            f"{(again == result).mean():.3%}"
            if again is not None
            else f"{(result == mask).mean():.3%} (Segmenter)"
        )
        print(
            f"| {name} | {label} | {mega / seconds:.2f} | {loop_s / seconds:.2f} | {agreement} | {itself} |",
            flush=True,
        )


def main() -> None:
    sample = next(iter(synthesize(1, seed=77, height=SIDE, width=SIDE)))
    print("| network | way | Mpx/s | speed-up | agrees with the loop | agrees with itself on other tiles |")
    print("|---|---|---|---|---|---|", flush=True)
    for norm in ("batch", "instance"):
        rows(f"16-32-64-128-256, norm {norm}", trained(norm), sample.image)
    for path in sys.argv[1:]:
        rows(Path(path).name, load_model(path)[0], sample.image)


if __name__ == "__main__":
    main()
