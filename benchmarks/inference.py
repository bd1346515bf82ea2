"""Speed of the Segmenter against a plain Keras loop, on one image with one network, as ratios in one run.

    python benchmarks/inference.py [RUN]

The loop is what people write by hand: tiles of 256 px with 50 % overlap in batches of 8, `predict_on_batch`,
float32, standardised by the whole image, blended by a Hann window in NumPy. Both do the whole work from raw
pixels to the mask, turn by turn, three times; the medians count. The networks are a plain U-Net of
16-32-64-128-256 filters (1.9 M parameters) with batch normalisation, trained for a minute on synthetic sections
so that its answers mean something, and the model that ships with the package; a RUN of your own makes one more row.

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


def trained(seconds: float = 60.0) -> keras.Model:
    """The plain U-Net with batch normalisation, trained for a minute of processor time."""
    model = build_unet(Phases.default(), filters=(16, 32, 64, 128, 256), stem=1, norm="batch")
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


def in_turn(
    ways: dict[str, Callable[[np.ndarray], np.ndarray]], pixels: np.ndarray, turns: int = 3
) -> tuple[dict[str, np.ndarray], dict[str, tuple[float, float]]]:
    """What each way answers, and its median wall and processor seconds; each is warmed up by a whole image."""
    masks = {name: way(pixels) for name, way in ways.items()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            wall, cpu = time.monotonic(), time.process_time()
            way(pixels)
            seconds[name].append((time.monotonic() - wall, time.process_time() - cpu))
    return masks, {name: tuple(np.median(taken, axis=0)) for name, taken in seconds.items()}


def rows(name: str, model: keras.Model, pixels: np.ndarray, truth: np.ndarray) -> None:
    segmenter = Segmenter(model)
    ids = np.array(segmenter.phases.ids, np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        exported = Segmenter(export_savedmodel(segmenter, Path(folder) / "model"))
    ways = {
        "plain Keras loop": lambda image: ids[plain_loop(model, image)],
        "Segmenter": lambda image: segmenter.segment(image).mask,
        "SavedModel": lambda image: exported.segment(image).mask,
    }
    masks, seconds = in_turn(ways, pixels)
    others = {
        "plain Keras loop": ids[plain_loop(model, pixels, 64)],
        "Segmenter": Segmenter(model, tile_px=768).segment(pixels).mask,
        "SavedModel": masks["Segmenter"],
    }
    loop = "plain Keras loop"
    for way, mask in masks.items():
        wall, cpu = (seconds[loop][i] / seconds[way][i] for i in (0, 1))
        cells = [f"{pixels.size / 1e6 / seconds[way][0]:.2f}", f"{wall:.2f}", f"{cpu:.2f}"]
        cells += [f"{(mask == masks[loop]).mean():.2%}", f"{(mask == others[way]).mean():.3%}"]
        cells += [f"{(mask == truth).mean():.2%}"]
        print(f"| {name} | {way} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    sample = next(iter(synthesize(1, seed=77, height=SIDE, width=SIDE)))
    print(
        "| network | way | Mpx/s | speed-up, wall | speed-up, processor | agrees with the loop "
        "| agrees with itself on other tiles (SavedModel: with the Segmenter) | is right |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    rows("plain U-Net, batch normalisation", trained(), sample.image, sample.mask)
    for source in ("default", *sys.argv[1:]):
        rows(Path(source).name, load_model(source)[0], sample.image, sample.mask)


if __name__ == "__main__":
    main()
