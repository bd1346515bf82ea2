"""Every kind of file gives back the pixels it was written with; every broken one an InputError."""

import os
import tracemalloc

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import iter_micrographs, read_annotation, read_micrograph
from cathode_tf.imaging.rasters import open_raster
from cathode_tf.phases import Phases

NOISE = np.random.default_rng(0)
GREY8 = NOISE.integers(0, 256, (37, 53), np.uint8)
GREY16 = NOISE.integers(0, 65536, (37, 53), np.uint16)


@pytest.mark.parametrize("pixels", [GREY8, GREY16], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "lzw"},
        {"compression": "zlib", "predictor": True},
        {"compression": "packbits"},
        {"compression": "zstd"},
        {"tile": (16, 16), "compression": "zlib"},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"rowsperstrip": 5},
        {"ome": True},
        {"imagej": True},
    ],
    ids=lambda o: " ".join(o) or "plain",
)
def test_tiff_is_read_to_the_pixel(tmp_path, pixels, options):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, pixels, **({"photometric": "minisblack"} | options))
    micrograph = read_micrograph(path)
    assert micrograph.pixels.dtype == pixels.dtype
    assert np.array_equal(micrograph.pixels, pixels)
    assert micrograph.pixel_size_nm is None and micrograph.pixel_size_source == ""


@pytest.mark.parametrize("name", ["image.png", "image.bmp"])
def test_png_and_bmp_are_read_to_the_pixel(tmp_path, name):
    Image.fromarray(GREY8).save(tmp_path / name)
    assert np.array_equal(read_micrograph(tmp_path / name).pixels, GREY8)


def test_16_bit_png(tmp_path):
    Image.fromarray(GREY16).save(tmp_path / "image.png")
    micrograph = read_micrograph(tmp_path / "image.png")
    assert micrograph.pixels.dtype == np.uint16 and np.array_equal(micrograph.pixels, GREY16)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("grey", [GREY8, GREY16], ids=["8 bit", "16 bit"])
def test_rgb_that_is_grey(tmp_path, grey, channels):
    colors = np.repeat(grey[..., None], channels, axis=2)
    colors[..., 3:] = np.iinfo(grey.dtype).max
    tifffile.imwrite(tmp_path / "a.tif", colors, photometric="rgb")
    (tmp_path / "b.png").write_bytes(cv2.imencode(".png", colors)[1].tobytes())
    for name in ("a.tif", "b.png"):
        assert np.array_equal(read_micrograph(tmp_path / name).pixels, grey)


def test_separate_planes_of_rgb_that_is_grey(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY8] * 3), photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_micrograph(tmp_path / "a.tif").pixels, GREY8)


def test_separate_planes_of_grey_are_a_stack_with_a_word(tmp_path):
    planes = np.stack([GREY8, 255 - GREY8])
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="minisblack", planarconfig="separate")
    with pytest.warns(InputWarning, match="the 2 planes of its page are taken for slices"):
        stack = read_micrograph(tmp_path / "a.tif")
    assert [np.array_equal(m.pixels, plane) for m, plane in zip(stack, planes, strict=True)] == [True, True]


def test_palette_tiff_takes_its_grey_colours(tmp_path):
    # The palette runs backwards: index 0 is white.
    ramp = np.repeat((np.arange(255, -1, -1, dtype=np.uint16) * 257)[None], 3, axis=0)
    tifffile.imwrite(tmp_path / "a.tif", GREY8, photometric="palette", colormap=ramp)
    assert np.array_equal(read_micrograph(tmp_path / "a.tif").pixels, 255 - GREY8)


def test_white_is_zero(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY16, photometric="miniswhite")
    assert np.array_equal(read_micrograph(tmp_path / "a.tif").pixels, 65535 - GREY16)


def test_jpeg_is_read_with_a_warning(tmp_path):
    smooth = np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    with pytest.warns(InputWarning, match="loss"):
        micrograph = read_micrograph(tmp_path / "a.jpg")
    assert np.abs(micrograph.pixels.astype(int) - smooth).max() < 8
    assert micrograph.acquisition["lossy"] == "JPEG"


def test_jpeg_compressed_tiff_is_read_with_a_warning(tmp_path):
    smooth = np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1))
    tifffile.imwrite(tmp_path / "a.tif", smooth, compression="jpeg")
    with pytest.warns(InputWarning, match="loss"):
        assert np.abs(read_micrograph(tmp_path / "a.tif").pixels.astype(int) - smooth).max() < 8


OME_STACK = {"ome": True, "metadata": {"axes": "ZYX"}}
IMAGEJ_STACK = {"imagej": True, "metadata": {"axes": "ZYX"}}


@pytest.mark.parametrize("options", [{}, IMAGEJ_STACK, OME_STACK, {"compression": "zlib"}])
def test_stack_keeps_order_and_index(tmp_path, options):
    planes = NOISE.integers(0, 256, (4, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", planes, photometric="minisblack", **options)
    stack = read_micrograph(tmp_path / "stack.tif")
    assert [m.id for m in stack] == ["stack_z0000", "stack_z0001", "stack_z0002", "stack_z0003"]
    assert [m.acquisition["slice_index"] for m in stack] == [0, 1, 2, 3]
    assert all(np.array_equal(m.pixels, plane) for m, plane in zip(stack, planes, strict=True))


def test_imagej_stack_with_one_page_of_many_planes(tmp_path):
    # ImageJ writes stacks above 4 GB so; here with metadata that promise 3 planes behind one page.
    planes = NOISE.integers(0, 256, (3, 20, 30), np.uint8)
    description = "ImageJ=1.53\nimages=3\nslices=3\n"
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(planes[0], description=description, metadata=None, contiguous=False)
    content = (tmp_path / "a.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        end = tiff.pages[0].dataoffsets[0] + planes[0].nbytes
    assert end == len(content)
    (tmp_path / "a.tif").write_bytes(content + planes[1].tobytes() + planes[2].tobytes())
    stack = read_micrograph(tmp_path / "a.tif")
    assert all(np.array_equal(m.pixels, plane) for m, plane in zip(stack, planes, strict=True))
    (tmp_path / "a.tif").write_bytes(content + planes[1].tobytes())
    with pytest.raises(InputError, match="before its last plane"):
        read_micrograph(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, IMAGEJ_STACK, {"compression": "zlib"}])
def test_a_stack_is_read_slice_by_slice(tmp_path, options):
    # 60 slices of 250 kB; one of them and its decoder's buffers must do.
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((60, 500, 500), np.uint8), photometric="minisblack", **options
    )
    next(iter_micrographs(tmp_path / "a.tif"))  # what is imported on first use does not count
    tracemalloc.start()
    count = sum(m.pixels.shape == (500, 500) for m in iter_micrographs(tmp_path / "a.tif"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60 and peak < 3e6


@pytest.mark.parametrize(
    ("dtype", "channels", "most"),
    [("uint8", 1, 3), ("float32", 1, 14), ("float64", 1, 25), ("uint16", 3, 17)],
)
def test_reading_takes_no_more_memory_than_is_said(tmp_path, dtype, channels, most):
    pixels = np.arange(600 * 1000).reshape(600, 1000, 1).repeat(channels, 2).squeeze() % 251
    tifffile.imwrite(
        tmp_path / "a.tif", pixels.astype(dtype), photometric="rgb" if channels > 1 else "minisblack"
    )
    read_micrograph(tmp_path / "a.tif", databar="none")  # what is imported on first use does not count
    tracemalloc.start()
    read_micrograph(tmp_path / "a.tif", databar="none")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (most + 0.5) * 600 * 1000


@settings(max_examples=40, deadline=None)
@given(
    pixels=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]), hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)
    ),
    compression=st.sampled_from([None, "lzw", "zlib", "packbits"]),
)
def test_any_image_comes_back(tmp_path_factory, pixels, compression):
    folder = tmp_path_factory.mktemp("i")
    tifffile.imwrite(folder / "a.tif", pixels, compression=compression, photometric="minisblack")
    Image.fromarray(pixels).save(folder / "a.png")
    for name in ("a.tif", "a.png"):
        read = read_micrograph(folder / name).pixels
        assert read.dtype == pixels.dtype and np.array_equal(read, pixels)


def test_previews_are_no_slices(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(GREY8)
        writer.write(GREY8[::4, ::4], subfiletype=1)
    assert np.array_equal(read_micrograph(tmp_path / "a.tif").pixels, GREY8)


@pytest.mark.parametrize("name", ["a b.tif", "Kathodenstück_µ.tif", "正極.png"])
def test_odd_file_names_and_links(tmp_path, name):
    folder = tmp_path / "Mappe mit Umläuten"
    folder.mkdir()
    path = folder / name
    if path.suffix == ".png":
        Image.fromarray(GREY8).save(path)
    else:
        tifffile.imwrite(path, GREY8)
    link = tmp_path / f"link{path.suffix}"
    link.symlink_to(path)
    assert np.array_equal(read_micrograph(path).pixels, GREY8)
    assert np.array_equal(read_micrograph(link).pixels, GREY8)


def test_content_decides_not_the_suffix(tmp_path):
    Image.fromarray(GREY8).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    assert np.array_equal(read_micrograph(tmp_path / "a.tif").pixels, GREY8)


def written(folder):
    """One file of each kind, by name."""
    tifffile.imwrite(folder / "plain.tif", GREY8)
    tifffile.imwrite(folder / "zip.tif", GREY16, compression="zlib", rowsperstrip=8)
    tifffile.imwrite(folder / "tiled.tif", GREY8, tile=(16, 16), compression="lzw")
    tifffile.imwrite(folder / "stack.tif", np.stack([GREY8] * 3), photometric="minisblack")
    Image.fromarray(GREY8).save(folder / "grey.png")
    Image.fromarray(GREY16).save(folder / "deep.png")
    (folder / "deep_color.png").write_bytes(cv2.imencode(".png", np.stack([GREY16] * 3, axis=2))[1].tobytes())
    Image.fromarray(GREY8).save(folder / "grey.bmp")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("index", range(8))
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.97])
def test_truncated_files_are_refused(tmp_path, index, share):
    path = written(tmp_path)[index]
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=path.name):
        read_micrograph(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a" + bytes(100), b"II*\0", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif"):
        read_micrograph(tmp_path / "a.tif")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_micrograph(tmp_path / "none.tif")
    with pytest.raises(InputError, match="cannot be read"):
        read_micrograph(tmp_path)


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(InputError, match="no regular file"):
        read_micrograph(tmp_path / "a.tif")
    with pytest.raises(InputError, match="no regular file"):
        read_annotation(tmp_path / "a.tif", Phases.default())


def test_declared_size_is_checked_before_decoding(tmp_path):
    tifffile.imwrite(tmp_path / "bomb.tif", GREY8)
    with tifffile.TiffFile(tmp_path / "bomb.tif", mode="r+") as tiff:
        for name in ("ImageWidth", "ImageLength"):
            tiff.pages[0].tags[name].overwrite(60000)
    with pytest.raises(InputError, match="400 megapixels"):
        read_micrograph(tmp_path / "bomb.tif")
    Image.fromarray(GREY8).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"0\.001 megapixels"):
        read_micrograph(tmp_path / "a.png", max_megapixels=0.001)


def test_limit_counts_all_slices_unless_read_one_by_one(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((10, 100, 100), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match="all its slices"):
        read_micrograph(tmp_path / "a.tif", max_megapixels=0.05)
    assert sum(1 for _ in iter_micrographs(tmp_path / "a.tif", max_megapixels=0.05)) == 10


def test_a_bug_of_the_caller_is_not_called_damage(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY8)
    with pytest.raises(ZeroDivisionError), open_raster(tmp_path / "a.tif"):
        1 / 0  # noqa: B018
