"""Which micrographs show a part of the same place: crops of one field do, two fields do not."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from cathode_tf.imaging import read_micrograph
from cathode_tf.imaging.overlaps import common_scales, same_place, sight_of

REAL = Path(os.environ.get("CATHODE_TF_REAL_DATA", ""))


def field(seed, shape=(300, 500)):
    """Disks of random places and sizes on a shaded ground, with noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    grey = 60 + 40 * columns / shape[1]
    for _ in range(60):
        row, column, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(8, 26)
        grey[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = 170 + rng.uniform(-20, 20)
    return np.clip(grey + rng.normal(0, 12, shape), 0, 255).astype(np.uint8)


def pairs(images):
    scales = common_scales([image.shape for image in images.values()])
    sights = {
        name: sight_of(image, scale) for (name, image), scale in zip(images.items(), scales, strict=True)
    }
    return {
        (one, other)
        for one, other in itertools.combinations(sights, 2)
        if sights[one] and sights[other] and same_place(sights[one], sights[other])
    }


def test_crops_that_overlap_are_found_and_other_fields_are_not():
    whole, other = field(1), field(2)
    images = {
        "left": whole[:, :220],
        "right": whole[:, 150:370],  # 70 of 220 columns are shared with the left one
        "far": whole[:, 280:],  # shares 90 with the right one, none with the left one
        "elsewhere": other[:, :220],
        "again": (0.5 * whole[:, :220] + 90).astype(np.uint8),  # darker, less contrast
    }
    assert pairs(images) == {("left", "right"), ("left", "again"), ("right", "far"), ("right", "again")}


def test_what_all_images_of_a_microscope_share_is_no_place():
    rng = np.random.default_rng(0)
    shading = 60 * np.hypot(*np.mgrid[-1:1:120j, -1:1:160j])
    images = {
        str(seed): np.clip(100 + shading + rng.normal(0, 10, shading.shape), 0, 255) for seed in range(4)
    }
    assert pairs(images) == set()
    assert sight_of(np.full((64, 64), 7, np.uint8), 1.0) is None
    assert sight_of(field(0), 0.01) is None  # 3 x 5 px


def test_a_magnification_that_is_known_is_made_equal():
    whole = field(3)
    coarse, fine = whole[::2, ::2], whole[:150, :200]  # pixels of 2 and of 1
    by_size = common_scales([coarse.shape, fine.shape], [2.0, 1.0])
    assert by_size == [128 / 250, 128 / 500]
    assert same_place(*(sight_of(image, scale) for image, scale in zip((coarse, fine), by_size, strict=True)))
    assert common_scales([(10, 20), (10, 40)], [5.0, None]) == [3.2, 3.2]


@pytest.mark.skipif(not (REAL / "powder_sem").is_dir(), reason="needs CATHODE_TF_REAL_DATA")
def test_tiles_of_one_real_powder_are_told_from_fields_that_share_nothing():
    read = lambda folder: {p.stem: read_micrograph(p).pixels for p in sorted((REAL / folder).glob("*.png"))}  # noqa: E731
    assert pairs(read("powder_sem/images")) == {("Sc1Tile_001-001-000_0-000", "Sc1Tile_001-002-000_0-000")}
    assert pairs(read("spheres_sem")) == set()
