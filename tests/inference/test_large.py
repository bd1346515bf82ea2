"""Images in parts: windows of TIFFs of every layout, and the same answer as from memory."""

import numpy as np
import pytest
import tifffile

from cathode_tf import InputError, read_micrograph
from cathode_tf.errors import InputWarning
from cathode_tf.inference import Segmenter
from cathode_tf.inference.large import TiffWindows, segment_large
from cathode_tf.inference.sources import parse_bytes, tile_for
from cathode_tf.inference.streams import prepared_in_parts

LAYOUTS = {
    "contiguous": {},
    "big endian": {"byteorder": ">"},
    "strips": {"rowsperstrip": 7, "compression": "zlib"},
    "tiles": {"tile": (32, 48), "compression": "zlib", "predictor": True},
    "white is zero": {"photometric": "miniswhite"},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_windows_of_every_layout_are_those_of_the_whole(image, tmp_path, layout):
    pixels, options = image(131, 97), dict(layout)
    order = options.pop("byteorder", "<")
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=order) as writer:
        writer.write(pixels, **{"photometric": "minisblack", **options})
    expected = 65535 - pixels if "photometric" in options else pixels
    rows = TiffWindows(tmp_path / "a.tif")
    assert rows.shape == (131, 97)
    for window in (np.s_[0:131, 0:97], np.s_[5:6, 90:97], np.s_[30:70, 0:1], np.s_[130:131, 40:60]):
        np.testing.assert_array_equal(rows.read(*window), expected[window])
    _, found = prepared_in_parts(rows.read, rows.shape, "image-zscore/1")
    assert found == pytest.approx((expected.mean(), expected.std()), rel=1e-9)


GREYS = {
    "float32": lambda pixels: pixels.astype(np.float32) / 7 - 100,
    "big float64": lambda pixels: pixels.astype(">f8") * 1e200,
    "flat float": lambda pixels: np.full_like(pixels, 3, np.float32),
    "int16": lambda pixels: (pixels.astype(np.int32) - 32768).astype(np.int16),
    "int8": lambda pixels: (pixels >> 9).astype(np.int8),
    "uint32": lambda pixels: pixels.astype(np.uint32) * 9,
    "12 bits, white is zero": lambda pixels: pixels >> 4,
}


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("grey", GREYS.values(), ids=GREYS)
def test_other_numbers_become_those_of_ordinary_images(image, tmp_path, grey, compression):
    pixels = grey(image(300, 70))
    options = {"photometric": "minisblack", "compression": compression, "rowsperstrip": 40}
    if pixels.dtype == np.uint16:
        options |= {"bitspersample": 12, "photometric": "miniswhite", "compression": None}
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    windows, micrograph = TiffWindows(tmp_path / "a.tif"), read_micrograph(tmp_path / "a.tif")
    for window in (np.s_[0:300, 0:70], np.s_[255:300, 3:4]):
        found = windows.read(*window)
        np.testing.assert_array_equal(found, micrograph.pixels[window])
        assert found.dtype == micrograph.pixels.dtype


def test_a_palette_of_greys_is_read_and_one_of_colours_refused(image, tmp_path):
    greys = np.tile(np.arange(256, dtype=np.uint16)[::-1] * 257, (3, 1))
    for name, palette in (("grey", greys), ("red", greys * np.array([[1], [0], [0]], np.uint16))):
        indices = (image(40, 30) >> 8).astype(np.uint8)
        tifffile.imwrite(tmp_path / f"{name}.tif", indices, photometric="palette", colormap=palette)
    found = TiffWindows(tmp_path / "grey.tif").read(slice(0, 40), slice(0, 30))
    np.testing.assert_array_equal(found, read_micrograph(tmp_path / "grey.tif").pixels)
    with pytest.raises(InputError, match="a palette of colours"):
        TiffWindows(tmp_path / "red.tif")


def test_what_cannot_be_read_in_parts_is_refused(image, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", image(100, 90))
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="beyond the end of the file"):
        TiffWindows(tmp_path / "a.tif").read(slice(0, 100), slice(0, 90))
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((4, 4, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="must be a grey TIFF, as it is too large"):
        TiffWindows(tmp_path / "b.tif")
    holes = np.zeros((300, 4), np.float32)
    holes[270, 2] = np.nan
    tifffile.imwrite(tmp_path / "d.tif", holes)
    with pytest.raises(InputError, match=r"rows from 256 on: must hold finite numbers.*row 14"):
        TiffWindows(tmp_path / "d.tif")
    tifffile.imwrite(tmp_path / "e.tif", image(40, 30), extratags=[(274, 3, 1, 6, True)])
    with (
        pytest.warns(InputWarning, match="orientation 6"),
        pytest.raises(InputError, match="must lie upright, as it is too large to be turned"),
    ):
        TiffWindows(tmp_path / "e.tif")
    (tmp_path / "c.tif").write_bytes(b"II*\0nonsense")
    with pytest.raises(InputError, match="damaged or truncated"):
        TiffWindows(tmp_path / "c.tif")


def test_a_large_image_gives_the_mask_of_the_whole_in_a_tiled_file(small_tiles, image, tmp_path):
    pixels = image(300, 261)
    tifffile.imwrite(tmp_path / "big.tif", pixels, compression="zlib")
    expected = small_tiles.segment(pixels)
    rows = TiffWindows(tmp_path / "big.tif")
    files, score = segment_large(small_tiles, rows, tmp_path / "out", "big", uncertainty=True)
    assert [path.name for path in files] == [
        "big_mask.tif",
        "big_margin.tif",
        "big_entropy.tif",
        "big_overlay.png",
    ]
    with tifffile.TiffFile(files[0]) as file:
        assert file.pages[0].is_tiled and file.pages[0].photometric == tifffile.PHOTOMETRIC.PALETTE
        np.testing.assert_array_equal(file.asarray(), expected.mask)
    np.testing.assert_array_equal(tifffile.imread(files[1]), expected.margin)
    np.testing.assert_array_equal(tifffile.imread(files[2]), expected.entropy)
    assert score == pytest.approx(expected.score)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in files)


def test_the_databar_and_the_pixel_size_are_those_of_ordinary_images(image, tmp_path):
    pixels = image(300, 200)
    pixels[270:] = 0  # a bar of 30 rows, with text in its middle
    pixels[280:290, 20:120:3] = 65535
    # 50 pixels a micrometre are 20 nm each.
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, resolution=(50, 50), metadata={"unit": "um"})
    windows, micrograph = TiffWindows(tmp_path / "a.tif"), read_micrograph(tmp_path / "a.tif")
    assert windows.shape == micrograph.pixels.shape == (270, 200)
    assert windows.pixel_size_nm == micrograph.pixel_size_nm == pytest.approx(20)


def test_memory_decides_the_tiles(model):
    assert parse_bytes("2GB") == 2 * 10**9 and parse_bytes(5) == 5 and parse_bytes("1 MiB") == 2**20
    assert tile_for("2GB", 500, 0) < tile_for("3GB", 500, 0)
    for wrong in ("much", "-2GB", "100MB"):
        with pytest.raises(InputError, match="max_memory: must be"):
            Segmenter(model, max_memory=wrong)
