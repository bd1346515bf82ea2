"""A drawn bar of text is found; microscopy, synthetic or clipped, is not taken for one."""

import numpy as np
import pytest
import tifffile

from cathode_tf.errors import InputError
from cathode_tf.imaging import find_databar, fit_mask_to_cut, read_micrograph

NOISE = np.random.default_rng(0)


def section(height=300, width=400, dtype=np.uint8):
    """Detector noise about two grey levels."""
    levels = np.where(np.arange(width) // 50 % 2, 60, 170) + NOISE.normal(0, 12, (height, width))
    return np.clip(levels, 0, 255).astype(dtype) * (257 if dtype == np.uint16 else 1)


def with_bar(ground, ink, rows=30, below=0, dtype=np.uint8):
    pixels = section(dtype=dtype)
    bar = pixels[-rows - below : pixels.shape[0] - below or None]
    bar[:] = ground
    bar[8:16, 20:80:3] = ink  # text
    bar[20:23, 200:300] = ink  # scale bar
    return pixels


@pytest.mark.parametrize(("ground", "ink"), [(0, 255), (255, 0), (1, 200)])
@pytest.mark.parametrize("below", [0, 2])
def test_bar_is_found(ground, ink, below):
    assert find_databar(with_bar(ground, ink, below=below)) == 30 + below


def test_bar_in_16_bit():
    assert find_databar(with_bar(0, 65535, dtype=np.uint16)) == 30


def test_float_is_scaled_after_the_cut(tmp_path):
    pixels = with_bar(0, 255).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    micrograph = read_micrograph(tmp_path / "a.tif")
    assert micrograph.height == 270
    assert (micrograph.pixels.min(), micrograph.pixels.max()) == (0, 65535)
    assert micrograph.acquisition["float_scaling"]["offset"] == pixels[:270].min()


def test_colours_in_the_databar_do_not_matter(tmp_path):
    colors = np.repeat(with_bar(255, 0)[..., None], 3, axis=2)
    colors[275:285, 300:390] = (0, 90, 180)  # the logo of the institute
    tifffile.imwrite(tmp_path / "a.tif", colors, photometric="rgb")
    assert read_micrograph(tmp_path / "a.tif").height == 270  # and no warning, which would be an error here


def test_bar_with_a_frame_line():
    pixels = with_bar(255, 0)
    pixels[-30] = 0
    assert find_databar(pixels) == 30


@pytest.mark.parametrize(
    "pixels",
    [
        section(),
        section(40, 40),
        np.zeros((300, 400), np.uint8),
        np.where(np.arange(300)[:, None] < 260, section(), 0).astype(np.uint8),  # clipped black, no text
        np.repeat(np.arange(300, dtype=np.uint8)[:, None] // 30 * 20, 400, axis=1),  # noise-free stripes
        np.kron(NOISE.integers(0, 2, (30, 40)), np.full((10, 10), 200)).astype(np.uint8),  # noise-free phases
    ],
    ids=["noise", "small", "black", "clipped", "stripes", "phases"],
)
def test_no_bar(pixels):
    assert find_databar(pixels) == 0


def test_databar_option(tmp_path):
    path = tmp_path / "a.tif"
    pixels = with_bar(0, 255)
    tifffile.imwrite(path, pixels)
    auto = read_micrograph(path)
    assert np.array_equal(auto.pixels, pixels[:270]) and auto.acquisition["databar_rows"] == 30
    none = read_micrograph(path, databar="none")
    assert none.height == 300 and "databar_rows" not in none.acquisition
    assert read_micrograph(path, databar=50).height == read_micrograph(path, databar="50").height == 250
    for wrong in (300, -1, "some", "3.5"):
        with pytest.raises(InputError, match="--databar"):
            read_micrograph(path, databar=wrong)


def test_mask_from_before_or_after_the_cut():
    mask = np.arange(12, dtype=np.uint8).reshape(4, 3)
    assert np.array_equal(fit_mask_to_cut(mask, (4, 3), 2, "m"), mask)
    assert np.array_equal(fit_mask_to_cut(mask, (3, 3), 1, "m"), mask[:3])
    with pytest.raises(InputError, match=r"3 x 2 \(or 3 with its databar\). Received 3 x 4"):
        fit_mask_to_cut(mask, (2, 3), 1, "m")
    with pytest.raises(InputError, match="Received 3 x 4"):
        fit_mask_to_cut(mask, (4, 4), 0, "m")
