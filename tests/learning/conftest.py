"""Record sets whose phases a tiny network tells apart in seconds: stripes of distinct brightness."""

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from cathode_tf import Phases
from cathode_tf.datasets import RecordSet, convert, open_records
from cathode_tf.learning.network import PRESETS

STRIPES = Phases.from_names(("pore", "ncm", "binder"))
SPLITS = ("train", "train", "train", "validation", "test")


def stripes(index: int, size: int = 64, n_phases: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask of vertical stripes 16 px wide; phase k is 60 k + noise up to 30 bright."""
    row = (np.arange(size) // 16 + index) % n_phases
    mask = np.tile(row.astype(np.uint8), (size, 1))
    noise = np.random.default_rng(index).integers(0, 30, mask.shape)
    return (60 * mask + noise).astype(np.uint8), mask


def write_records(folder: Path, pairs, phases: Phases = STRIPES, splits=SPLITS) -> RecordSet:
    """A record set of (image, mask) pairs, the k-th in the k-th split."""
    (folder / "images").mkdir(parents=True)
    lines = ["id,split"]
    for index, ((image, mask), split) in enumerate(zip(pairs, splits, strict=True)):
        cv2.imwrite(str(folder / "images" / f"{index}.png"), image)
        cv2.imwrite(str(folder / "images" / f"{index}_mask.png"), mask)
        lines.append(f"{index},{split}")
    (folder / "split.csv").write_text("\n".join(lines) + "\n")
    out = convert(
        folder / "images",
        out=folder / "records",
        phases=phases,
        split_file=folder / "split.csv",
        databar="none",
    )
    return open_records(out)


@pytest.fixture(scope="session")
def striped(shared) -> RecordSet:
    """Three training images, one for validation, one for test, 64 x 64, phases pore, ncm, binder."""
    folder = shared("striped", lambda folder: write_records(folder, [stripes(i) for i in range(5)]))
    return open_records(folder / "records")


@pytest.fixture(scope="module")
def tiny_network():
    """The preset `small` is a network of two levels, 4 and 8 filters, and no graph of it is traced.

    A step then takes a tenth of a second, and the few that are needed here are done before a graph would be traced.
    """
    patch = pytest.MonkeyPatch()
    patch.setitem(PRESETS, "small", (4, 8))
    patch.setattr(keras.Model, "run_eagerly", property(lambda self: True, lambda self, value: None))
    yield
    patch.undo()
