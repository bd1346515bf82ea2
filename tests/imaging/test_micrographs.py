"""Integer pixels are kept; others are scaled by a rule whose constants undo it."""

import warnings

import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import Micrograph, read_micrograph, scale_to_uint16


def write(folder, pixels, **options):
    tifffile.imwrite(folder / "a.tif", pixels, **options)
    return folder / "a.tif"


def test_float_is_stretched_from_minimum_to_maximum(tmp_path):
    micrograph = read_micrograph(write(tmp_path, np.array([[-1.0, 0.0, 3.0]], np.float32)))
    # (0 - -1) / (3 - -1) * 65535 = 16383.75
    assert micrograph.pixels.tolist() == [[0, 16384, 65535]]
    assert micrograph.acquisition["float_scaling"] == {"offset": -1.0, "scale": 4 / 65535}


@settings(max_examples=60)
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.uint32]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    ).filter(lambda a: np.isfinite(a).all() and np.abs(a.astype(float)).max() < 1e300)
)
def test_scaling_is_undone_by_its_constants(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        pixels, scaling = scale_to_uint16(values)
    assume("outliers_px" not in scaling)  # what no specimen shows is toned down, and said to be
    restored = scaling["offset"] + scaling["scale"] * pixels.astype(np.float64)
    span = float(values.max()) - float(values.min())
    # Half a step of rounding, and the float arithmetic of numbers of this size.
    allowed = 0.5001 * span / 65535 + 1e-12 * np.abs(values.astype(np.float64)).max()
    assert np.abs(restored - values).max() <= allowed


@pytest.mark.parametrize(("dtype", "offset"), [(np.int8, -128), (np.int16, -32768)])
def test_signed_integers_are_shifted_without_loss(tmp_path, dtype, offset):
    info = np.iinfo(dtype)
    values = np.array([[info.min, -1, 0, 1, info.max]], dtype)
    micrograph = read_micrograph(write(tmp_path, values))
    assert (micrograph.pixels.astype(int) + offset).tolist() == values.astype(int).tolist()
    assert micrograph.acquisition["float_scaling"] == {"offset": offset, "scale": 1.0}


def test_constant_float_image(tmp_path):
    micrograph = read_micrograph(write(tmp_path, np.full((4, 4), 7.5, np.float32)))
    assert not micrograph.pixels.any()
    assert micrograph.acquisition["float_scaling"] == {"offset": 7.5, "scale": 1.0}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_is_refused_with_its_place(tmp_path, bad):
    pixels = np.zeros((5, 6), np.float32)
    pixels[2, 3] = pixels[4, 1] = bad
    with pytest.raises(InputError, match="2 NaN or infinite pixels, the first at row 2, column 3"):
        read_micrograph(write(tmp_path, pixels))


def test_complex_and_hyperspectral_images_are_refused(tmp_path):
    with pytest.raises(InputError, match="complex64"):
        read_micrograph(write(tmp_path, np.ones((4, 4), np.complex64)))
    with pytest.raises(InputError, match="7 channels"):
        read_micrograph(
            write(tmp_path, np.ones((8, 9, 7), np.uint8), photometric="rgb", planarconfig="contig")
        )


def test_a_coloured_image_is_refused(tmp_path):
    colors = np.zeros((10, 10, 3), np.uint8)
    colors[5:, :, 0] = 255
    with pytest.raises(InputError, match="50% of its pixels are coloured, the first at row 5, column 0"):
        read_micrograph(write(tmp_path, colors, photometric="rgb"))


def test_a_few_coloured_pixels_become_grey_with_a_warning(tmp_path):
    colors = np.full((100, 100, 3), 100, np.uint8)
    colors[:2, :50] = (255, 255, 0)  # 1 % of the pixels: a label somebody drew
    with pytest.warns(InputWarning, match="100 coloured pixels"):
        pixels = read_micrograph(write(tmp_path, colors, photometric="rgb")).pixels
    assert pixels[50, 50] == 100
    assert pixels[0, 0] == round(0.299 * 255 + 0.587 * 255)


def test_palette_index_beyond_the_palette(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 200]], np.uint8), "L")
    image.putpalette([0, 0, 0, 10, 10, 10, 20, 20, 20])
    image.save(tmp_path / "a.png")
    try:
        pixels = read_micrograph(tmp_path / "a.png").pixels
    except InputError:
        return
    assert pixels[:, 0].tolist() == [0, 20]  # Pillow pads the palette with black


def test_pixel_size_given_by_hand_overrides(tmp_path):
    path = write(
        tmp_path, np.zeros((4, 4), np.uint8), imagej=True, resolution=(10, 10), metadata={"unit": "um"}
    )
    assert read_micrograph(path).pixel_size_nm == pytest.approx(100)
    micrograph = read_micrograph(path, pixel_size_nm=25)
    assert (micrograph.pixel_size_nm, micrograph.pixel_size_source) == (25.0, "given by hand")
    for wrong in (0, -1, np.nan, np.inf):
        with pytest.raises(InputError, match="above 0"):
            read_micrograph(path, pixel_size_nm=wrong)


def test_micrograph_without_a_file_has_a_name():
    micrograph = Micrograph(np.zeros((2, 3), np.uint8))
    assert (micrograph.id, micrograph.height, micrograph.width) == ("micrograph", 2, 3)
