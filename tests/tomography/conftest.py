"""Stacks whose drift, stripes, flicker and thickness are known by construction."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from scipy import ndimage

MARGIN = 14


@dataclass
class Made:
    """A stack and what is true of it: `drift` (n, 2) is by how much the scene is displaced in each slice."""

    slices: np.ndarray
    drift: np.ndarray
    clean: np.ndarray

    def write(self, folder, suffix=".png"):
        import tifffile

        folder.mkdir(parents=True, exist_ok=True)
        for index, pixels in enumerate(self.slices):
            path = folder / f"slice_{index:03}{suffix}"
            if suffix == ".png":
                cv2.imwrite(str(path), pixels)
            else:
                tifffile.imwrite(path, pixels)
        return folder


def make(
    count=20,
    side=224,
    blur=2.0,
    walk=0.7,
    noise=8.0,
    stripes=0.0,
    flicker=0.0,
    z_step=2.0,
    slope=(0, 0),
    seed=0,
):
    """A two-phase field, 40 and 170, cut every `z_step` px; its drift is a random walk plus `slope` px a slice."""
    rng = np.random.default_rng(seed)
    wide = side + 2 * MARGIN
    field = ndimage.gaussian_filter(
        rng.standard_normal((int(count * z_step) + 4, wide, wide), dtype=np.float32), 4.5, mode="wrap"
    )
    field /= field.std()
    drift = np.zeros((count, 2))
    drift[1:] = rng.normal(0, walk, (count - 1, 2)).cumsum(0) if walk else 0
    drift += np.arange(count)[:, None] * np.array(slope, float)
    drift = np.clip(drift, 2 - MARGIN, MARGIN - 2)
    columns = ndimage.gaussian_filter1d(rng.standard_normal(side), 1.5)
    columns -= columns.mean()  # what all columns have in common is brightness
    columns *= stripes / columns.std()
    slices, clean = [], []
    for index in range(count):
        low, share = divmod(index * z_step + 1, 1)
        level = field[int(low)] * (1 - share) + field[int(low) + 1] * share
        grey = 40 + 130 * (level > 0.3).astype(np.float32)
        grey = cv2.GaussianBlur(grey, (0, 0), blur)
        move = np.float32([[1, 0, drift[index, 1]], [0, 1, drift[index, 0]]])
        grey = cv2.warpAffine(grey, move, grey.shape[::-1])[MARGIN : MARGIN + side, MARGIN : MARGIN + side]
        seen = grey + rng.normal(0, noise, grey.shape)
        clean.append(seen)
        slices.append((seen + columns) * (1 + rng.normal(0, flicker)))
    as_bytes = [np.clip(np.rint(part), 0, 255).astype(np.uint8) for part in (slices, clean)]
    return Made(as_bytes[0], drift, as_bytes[1])


@pytest.fixture
def make_stack():
    return make
