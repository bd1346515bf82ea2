"""Files that are legal and rare: packed bits, separate planes, transparent palettes, channels that are no colours."""

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import read_mask, read_micrograph
from cathode_tf.phases import Phases

NOISE = np.random.default_rng(7)
GREY8 = NOISE.integers(0, 256, (70, 91), np.uint8)
GREY16 = NOISE.integers(0, 65536, (70, 91)).astype(np.uint16)
DEFAULT = Phases.default()
MASK = NOISE.integers(0, 4, (70, 91)).astype(np.uint8)
COLORS = DEFAULT.palette()[MASK]


def tiff(folder, samples, **options):
    tifffile.imwrite(folder / "a.tif", samples, **options)
    return folder / "a.tif"


def png(folder, image, **options):
    image.save(folder / "a.png", **options)
    return folder / "a.png"


def packed_tiff(path, values, bits, *, photometric=1):
    """A TIFF of one strip whose samples have so many bits, the first bit the highest, rows filled to bytes."""
    height, width = values.shape
    spread = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    data = np.packbits(spread.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    data += bytes(len(data) % 2)
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric),
        (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, len(data)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries
    )
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4))
    return path


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 14])
def test_packed_bits(tmp_path, bits):
    values = NOISE.integers(0, 1 << bits, (70, 92))
    pixels = read_micrograph(packed_tiff(tmp_path / "a.tif", values, bits)).pixels
    np.testing.assert_array_equal(pixels, values)
    assert pixels.dtype == (np.uint8 if bits <= 8 else np.uint16)
    # Where 0 is white, the largest sample is black.
    pixels = read_micrograph(packed_tiff(tmp_path / "a.tif", values, bits, photometric=0)).pixels
    np.testing.assert_array_equal(pixels, (1 << bits) - 1 - values)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd"])
@pytest.mark.parametrize("layout", [{}, {"tile": (48, 16)}, {"byteorder": ">"}, {"rowsperstrip": 9}])
def test_differences_to_the_left_neighbour(tmp_path, compression, layout):
    path = tiff(tmp_path, GREY16, predictor=2, compression=compression, **layout)
    np.testing.assert_array_equal(read_micrograph(path).pixels, GREY16)


@pytest.mark.parametrize("options", [{}, {"predictor": 3, "compression": "zlib"}, {"tile": (16, 48)}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_give_back_their_values(tmp_path, dtype, options):
    values = NOISE.normal(size=(70, 91)).astype(dtype)
    micrograph = read_micrograph(tiff(tmp_path, values, **options))
    scaling = micrograph.acquisition["float_scaling"]
    back = scaling["offset"] + scaling["scale"] * micrograph.pixels
    assert np.abs(back - values).max() <= 0.51 * scaling["scale"]


@pytest.mark.parametrize("grey", [GREY8, GREY16], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 32)}, {"rowsperstrip": 7}])
def test_separate_planes(tmp_path, grey, layout):
    path = tiff(
        tmp_path,
        np.stack([grey] * 3),
        photometric="rgb",
        planarconfig="separate",
        compression="zlib",
        **layout,
    )
    np.testing.assert_array_equal(read_micrograph(path).pixels, grey)


def test_grey_with_opacity(tmp_path):
    path = tiff(
        tmp_path,
        np.dstack([GREY8, np.full_like(GREY8, 255)]),
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"],
    )
    np.testing.assert_array_equal(read_micrograph(path).pixels, GREY8)


@pytest.mark.parametrize("scale", [1, 257], ids=["8 bit", "16 bit"])
def test_the_colours_of_a_palette_tiff_have_16_bit_or_8(tmp_path, scale):
    ramp = np.stack([np.arange(256, dtype=np.uint16)[::-1] * scale] * 3)
    path = tiff(tmp_path, GREY8, photometric="palette", colormap=ramp)
    np.testing.assert_array_equal(read_micrograph(path).pixels, 255 - GREY8)


def test_channels_that_are_no_colours_are_refused(tmp_path):
    """A channel for each phase looks like RGBA, and all of it would count as transparent."""
    one_hot = np.dstack([id_ == MASK for id_ in range(4)]).astype(np.uint8) * 255
    with pytest.raises(InputError, match="4 channels that are no colours"):
        read_mask(tiff(tmp_path, one_hot, photometric="minisblack", planarconfig="contig"), DEFAULT)
    inks = np.dstack([255 - COLORS, np.zeros_like(MASK)])
    with pytest.raises(InputError, match="4 channels that are no colours"):
        read_mask(tiff(tmp_path, inks, photometric="separated"), DEFAULT)
    same = tiff(tmp_path, np.dstack([MASK] * 4), photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(read_mask(same, DEFAULT), MASK)


def test_channels_of_a_hyperstack_are_no_slices(tmp_path):
    planes = NOISE.integers(0, 256, (3, 2, 20, 30), np.uint8)
    for options in ({"imagej": True}, {"ome": True}):
        path = tiff(tmp_path, planes, metadata={"axes": "ZCYX"}, photometric="minisblack", **options)
        with pytest.raises(InputError, match=r"one channel. Received 2 \(axes ZCYX\)"):
            read_micrograph(path)
    for options in (
        {"imagej": True, "metadata": {"axes": "CYX", "mode": "composite"}},
        {"imagej": True},
        {"ome": True},
        {"metadata": {"axes": "CYX"}},
    ):
        with pytest.raises(InputError, match=r"one channel. Received 3 \(axes CYX\)"):
            read_micrograph(tiff(tmp_path, planes[:, 0], photometric="minisblack", **options))


def test_more_channels_than_a_microscope_has_are_slices_and_said_to_be(tmp_path):
    path = tiff(tmp_path, np.zeros((33, 20, 30), np.uint8), photometric="minisblack", imagej=True)
    with pytest.warns(InputWarning, match="33 channels .* are taken for slices"):
        assert len(read_micrograph(path)) == 33


def test_frames_in_time_are_slices_only_with_a_word_and_never_beside_slices(tmp_path):
    frames = NOISE.integers(0, 256, (4, 20, 30), np.uint8)
    path = tiff(tmp_path, frames, photometric="minisblack", imagej=True, metadata={"axes": "TYX"})
    with pytest.warns(InputWarning, match="4 frames, which follow in time"):
        assert len(read_micrograph(path)) == 4
    both = np.stack([frames, frames])
    path = tiff(tmp_path, both, photometric="minisblack", imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(InputError, match=r"one stack\. Received 2 of 4 slices"):
        read_micrograph(path)


@pytest.mark.parametrize(
    "samples",
    [
        MASK.astype(np.uint16), MASK.astype(np.int8), MASK.astype(np.int16), MASK.astype(np.int32),
        MASK.astype(np.int64), MASK.astype(np.uint32), MASK.astype(np.float32), MASK.astype(np.float64),
        MASK.astype(">u2"),
    ],
    ids=lambda samples: samples.dtype.str,
)  # fmt: skip
def test_a_mask_of_any_number_type(tmp_path, samples):
    np.testing.assert_array_equal(read_mask(tiff(tmp_path, samples), DEFAULT), MASK)


def test_a_16_bit_png_mask(tmp_path):
    np.testing.assert_array_equal(
        read_mask(png(tmp_path, Image.fromarray(MASK.astype(np.uint16))), DEFAULT), MASK
    )


@pytest.mark.parametrize("deep", [False, True], ids=["8 bit", "16 bit"])
def test_a_mask_in_colours_with_opacity(tmp_path, deep):
    opacity = np.where(MASK == 3, 0, 255).astype(np.uint8)
    colors = np.dstack([COLORS, opacity])
    colors = colors.astype(np.uint16) * 257 if deep else colors
    path = tiff(tmp_path, colors, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_mask(path, DEFAULT), np.where(MASK == 3, 255, MASK))


def palette_image(mask, colors):
    image = Image.fromarray(mask)
    image.putpalette(np.asarray(colors, np.uint8).ravel().tolist())
    return image


def test_a_transparent_index_is_not_labelled_unless_it_is_a_phase(tmp_path):
    image = palette_image(MASK, DEFAULT.palette())
    with pytest.raises(InputError, match=r"index 2 \(additive\), transparent in the palette, in \d+ pixels"):
        read_mask(png(tmp_path, image, transparency=2), DEFAULT)
    opacity = bytes([255, 255, 0])
    with pytest.raises(InputError, match=r"index 2 \(additive\)"):
        read_mask(png(tmp_path, image, transparency=opacity), DEFAULT)
    # A colour that is half transparent is how overlays show a phase: its index is as exact as ever.
    path = png(tmp_path, image, transparency=bytes([255, 120, 120]))
    np.testing.assert_array_equal(read_mask(path, DEFAULT), MASK)
    bare = np.where(MASK == 2, 255, MASK).astype(np.uint8)
    path = png(tmp_path, palette_image(bare, DEFAULT.palette()), transparency=255)
    np.testing.assert_array_equal(read_mask(path, DEFAULT), bare)


def test_a_grey_value_called_transparent_is_not_labelled(tmp_path):
    path = png(tmp_path, Image.fromarray(MASK), transparency=0)
    np.testing.assert_array_equal(read_mask(path, DEFAULT), np.where(MASK == 0, 255, MASK))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_palette_of_few_bits(tmp_path, bits):
    path = png(tmp_path, palette_image(MASK, DEFAULT.palette()[:4]), bits=bits)
    np.testing.assert_array_equal(read_mask(path, DEFAULT), MASK)
