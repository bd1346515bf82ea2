"""Micrographs with known particles in, a trained separation network out; corrected particles tune it further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import keras
import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.learning.separation import (
    DIAMETER_PX,
    SIZE_MULTIPLE,
    network_input,
    separation_loss,
    targets,
)

PATCH_PX = 192
BATCH = 4
WITHOUT_GREY = 0.25
"""Share of the patches shown without their micrograph, so that masks alone are served, too."""
SCALES = 0.7, 1.4
"""A patch is shown larger or smaller by up to this, as no diameter is known well beforehand."""


@dataclass(frozen=True)
class Known:
    """Particles that somebody, or the maker of the picture, told apart.

    Attributes:
        labels: int32 (height, width), the particle at each pixel, cracks and inner pores included; 0 = none.
        mask: Boolean (height, width), what the segmentation shows of them.
        grey: Micrograph (height, width); None where there is none.
    """

    labels: np.ndarray
    mask: np.ndarray
    grey: np.ndarray | None = None

    def __post_init__(self) -> None:
        shapes = {part.shape for part in (self.labels, self.mask, self.grey) if part is not None}
        if len(shapes) > 1 or self.labels.ndim != 2:
            raise InputError(
                f"particles: labels, mask and micrograph must be (height, width). Received {shapes}."
            )

    def resized(self, factor: float) -> Known:
        """The same at another pixel size; `factor` above 1 enlarges."""
        height, width = (max(1, round(side * factor)) for side in self.labels.shape)
        way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        labels = cv2.resize(
            self.labels.astype(np.float64), (width, height), interpolation=cv2.INTER_NEAREST_EXACT
        )
        mask = cv2.resize(self.mask.astype(np.float32), (width, height), interpolation=way) >= 0.5
        grey = (
            None
            if self.grey is None
            else cv2.resize(self.grey.astype(np.float32), (width, height), interpolation=way)
        )
        return Known(labels.astype(np.int32), mask, grey)

    def at_network_size(self) -> Known:
        """The same at the pixel size that the network is shown: the median particle `DIAMETER_PX` across."""
        area = np.bincount(self.labels.ravel())[1:]
        area = area[area > 0]
        if not area.size:
            return self
        return self.resized(float(np.clip(DIAMETER_PX / np.sqrt(4 * np.median(area) / np.pi), 0.1, 2.0)))


def train_separation(
    model: keras.Model,
    known: Sequence[Known],
    *,
    steps: int,
    weights: Sequence[float] | None = None,
    learning_rate: float = 2e-3,
    seed: int = 0,
    verbose: int = 0,
) -> list[float]:
    """Train the network in place on random patches; a trained one goes on from what it knows.

    Args:
        model: Of `build_separation`.
        known: Pictures at the network's pixel size (`Known.at_network_size`).
        steps: Batches of `BATCH` patches.
        weights: How often to draw from each picture, relative to the others; default: all alike.
        learning_rate: At the start; it falls to nothing by a cosine.
        seed: Of the patches.
        verbose: As for `keras.Model.fit`.

    Returns:
        Mean loss of each fiftieth of the training.

    Raises:
        InputError: If there is nothing to learn from.
    """
    if not known:
        raise InputError("particles: must hold at least one picture to learn from. Received none.")
    patches = _Patches(known, steps, weights, seed)
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate, steps, warmup_target=learning_rate, warmup_steps=min(50, steps // 10)
    )
    model.compile(keras.optimizers.Adam(schedule), loss=separation_loss)
    epochs = max(1, min(50, steps // 10))
    history = model.fit(patches, epochs=epochs, steps_per_epoch=max(1, steps // epochs), verbose=verbose)
    return [float(value) for value in history.history["loss"]]


class _Patches(keras.utils.PyDataset):
    """Batch i is the same whenever it is asked for."""

    def __init__(
        self, known: Sequence[Known], steps: int, weights: Sequence[float] | None, seed: int
    ) -> None:
        super().__init__()
        self._known, self._steps, self._seed = known, steps, seed
        chances = np.ones(len(known)) if weights is None else np.asarray(weights, float)
        self._chances = chances / chances.sum()

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self._seed, index])
        drawn = [
            _patch(rng, self._known[int(rng.choice(len(self._known), p=self._chances))]) for _ in range(BATCH)
        ]
        return np.stack([shown for shown, _ in drawn]), np.stack([wanted for _, wanted in drawn])


def _patch(rng: np.random.Generator, known: Known) -> tuple[np.ndarray, np.ndarray]:
    """One patch as the network is shown it, and (contact, depth, weight) that it should answer."""
    factor = float(np.exp(rng.uniform(*np.log(SCALES))))
    side = round(PATCH_PX / factor)
    height, width = known.labels.shape
    top, left = (int(rng.integers(0, max(1, size - side + 1))) for size in (height, width))
    window = slice(top, top + side), slice(left, left + side)
    cut = Known(known.labels[window], known.mask[window], None if known.grey is None else known.grey[window])
    cut = cut.resized(PATCH_PX / side)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))

    def placed(part: np.ndarray) -> np.ndarray:
        part = np.rot90(part[:, ::-1] if flip else part, turns)
        room = [(0, PATCH_PX - size) for size in part.shape]
        return np.pad(part, room)

    labels = placed(cut.labels)
    mask = _as_segmented(rng, placed(cut.mask))
    grey = None
    if cut.grey is not None and rng.random() >= WITHOUT_GREY:
        grey = _as_imaged(rng, placed(cut.grey))
    wanted = targets(labels)
    # Far from particles there is nothing to say; contacts matter in them, and the depth just outside, too.
    near = cv2.dilate((mask | (labels > 0)).astype(np.uint8), np.ones((9, 9), np.uint8))
    weight = 0.1 + 0.9 * near.astype(np.float32)
    return network_input(mask, grey), np.concatenate([wanted, weight[..., None]], -1)


def _as_segmented(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """A mask a little too wide or too narrow, or with specks missing, as networks draw them."""
    kind = rng.random()
    if kind < 0.15:
        mask = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    elif kind < 0.3:
        mask = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if rng.random() < 0.3:
        noise = cv2.GaussianBlur(rng.standard_normal(mask.shape, dtype=np.float32), (0, 0), rng.uniform(1, 3))
        mask = mask & (noise < 2.5 * noise.std())
    return mask


def _as_imaged(rng: np.random.Generator, grey: np.ndarray) -> np.ndarray:
    """Another contrast curve, blur and noise."""
    low, high = np.quantile(grey, [0.001, 0.999])
    grey = np.clip((grey.astype(np.float32) - low) / max(float(high - low), 1e-6), 0, 1)
    grey = grey ** np.float32(np.exp(rng.uniform(-0.6, 0.6)))
    if rng.random() < 0.3:
        grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.3:
        grey = grey + rng.uniform(0.01, 0.1) * rng.standard_normal(grey.shape, dtype=np.float32)
    return grey


def padded_size(length: int) -> int:
    """The next multiple that the network takes."""
    return -(-length // SIZE_MULTIPLE) * SIZE_MULTIPLE
