"""Small sets whose every pixel is known: stripes of the four default phases."""

import cv2
import numpy as np
import pytest

from cathode_tf.datasets import convert
from cathode_tf.phases import Phases


def stripes(height=40, width=64, shift=0):
    """Mask of four upright stripes, each a quarter of the width, in the order of the ids, moved by `shift`."""
    row = (np.arange(width) - shift) % width * 4 // width
    return np.tile(row.astype(np.uint8), (height, 1))


def write_pair(folder, name, mask, *, seed=0, dtype=np.uint8, suffix="_mask"):
    """An image with grey value 50 x id plus a little noise, and its mask beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([seed, *name.encode()]).integers(0, 20, mask.shape)
    image = (np.where(mask == 255, 0, mask).astype(int) * 50 + noise).astype(dtype)
    assert cv2.imwrite(str(folder / f"{name}.png"), image)
    assert cv2.imwrite(str(folder / f"{name}{suffix}.png"), mask)
    return image


@pytest.fixture
def pairs(tmp_path):
    """Ten images of 40 x 64 pixels, `a0` ... `a9`, in one folder with their masks."""
    folder = tmp_path / "pairs"
    for index in range(10):
        write_pair(folder, f"a{index}", stripes(shift=index))
    return folder


@pytest.fixture(scope="session")
def phases():
    return Phases.default()


@pytest.fixture(scope="session")
def records_path(tmp_path_factory):
    """A record set of ten such images, 7 + 2 + 1."""
    folder = tmp_path_factory.mktemp("stripes")
    for index in range(10):
        write_pair(folder / "in", f"a{index}", stripes(shift=index))
    return convert(folder / "in", out=folder / "set", phases=Phases.default())
