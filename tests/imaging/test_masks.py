"""Raster annotations: every declared way to write a phase is read, everything else refused with its place."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import iter_masks, read_annotation, read_mask, write_annotation, write_mask
from cathode_tf.phases import Phases, rgb

DEFAULT = Phases.default()
THREE = np.array([[0, 1, 2, 255], [2, 1, 0, 0]], np.uint8)


def phases(*values, ignore=None):
    names = ("pore", "ncm", "binder")
    tables = [
        {"name": n, "id": i, "values": list(v)} for i, (n, v) in enumerate(zip(names, values, strict=False))
    ]
    return Phases.from_list(tables, ignore)


def save(folder, pixels, name="a.png"):
    path = folder / name
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, **({"photometric": "minisblack"} if pixels.ndim == 2 else {}))
    else:
        Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("values", [(0, 1, 2), (0, 85, 100), (1, 2, 3)], ids=str)
def test_declared_grey_values_of_any_type(tmp_path, dtype, values):
    ids = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    path = save(tmp_path, np.array(values)[ids].astype(dtype), "a.tif")
    assert np.array_equal(read_mask(path, phases(*([v] for v in values))), ids)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (30, 40)])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_mask_that_was_read_may_be_changed(tmp_path, size, name):
    Image.fromarray(np.ones(size, np.uint8)).save(tmp_path / name)
    mask = read_mask(tmp_path / name, DEFAULT)
    mask[0, 0] = 2
    assert read_mask(tmp_path / name, DEFAULT)[0, 0] == 1


def test_several_values_for_one_phase_and_several_ignored(tmp_path):
    path = save(tmp_path, np.array([[10, 11, 20, 30, 99, 98]], np.uint8))
    read = read_mask(path, phases([10, 11], [20], [30], ignore=[99, 98]))
    assert read.tolist() == [[0, 0, 1, 2, 255, 255]]


def test_255_as_a_phase_is_not_ignored(tmp_path):
    path = save(tmp_path, np.array([[0, 128, 255]], np.uint8))
    assert read_mask(path, phases([0], [128], [255])).tolist() == [[0, 1, 2]]


def test_a_black_and_white_mask_is_doubted(tmp_path):
    path = save(tmp_path, np.array([[0, 255]], np.uint8))
    with pytest.warns(InputWarning, match="like a mask of one phase"):
        assert read_mask(path, DEFAULT).tolist() == [[0, 255]]
    assert read_mask(path, phases([0], [255])).tolist() == [[0, 1]]  # no warning where it is declared
    assert (
        read_mask(write_mask(tmp_path / "b.png", np.array([[0, 255]], np.uint8), DEFAULT), DEFAULT)[0, 1]
        == 255
    )


def test_ilastik_simple_segmentation_counts_from_1(tmp_path):
    path = save(tmp_path, np.array([[1, 2, 3]], np.uint8), "a_Simple Segmentation.tif")
    assert read_mask(path, phases([1], [2], [3])).tolist() == [[0, 1, 2]]


def test_napari_labels_with_unlabelled_0(tmp_path):
    path = save(tmp_path, np.array([[0, 1, 2, 3]], np.int32), "labels.tif")
    assert read_mask(path, phases([1], [2], [3], ignore=[0])).tolist() == [[255, 0, 1, 2]]


def test_rgb_by_declared_colour_and_by_own_colour(tmp_path):
    declared = phases(["#ff0000"], ["#00ff00"], ["#0000ff"])
    colors = np.array([[(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)]], np.uint8)
    assert read_mask(save(tmp_path, colors), declared).tolist() == [[0, 1, 2, 255]]
    own = np.array([[rgb(p.color) for p in DEFAULT]], np.uint8)
    assert read_mask(save(tmp_path, own, "b.png"), DEFAULT).tolist() == [[0, 1, 2, 3]]
    opaque = np.concatenate([own, np.full((1, 4, 1), 255, np.uint8)], axis=2)
    assert read_mask(save(tmp_path, opaque, "c.png"), DEFAULT).tolist() == [[0, 1, 2, 3]]


def test_rgb_that_is_grey_counts_as_grey(tmp_path):
    grey = np.array([[0, 128, 255]], np.uint8)
    path = save(tmp_path, np.repeat(grey[..., None], 3, axis=2))
    assert read_mask(path, phases([0], [128], [255])).tolist() == [[0, 1, 2]]


def test_what_is_transparent_does_not_count_among_wrong_colours(tmp_path):
    """Two pixels of pink on a transparent layer of 20 x 30."""
    layer = np.zeros((20, 30, 4), np.uint8)
    layer[7, 11:13] = 255, 0, 255, 255
    with pytest.raises(InputError, match=r"Received #ff00ff in 2 pixels, the first at row 7, column 11"):
        read_mask(save(tmp_path, layer, "strokes.png"), DEFAULT)


def test_transparent_is_unlabelled_and_soft_edges_are_refused(tmp_path):
    own = np.array([[(*rgb(p.color), 255) for p in DEFAULT]], np.uint8)
    own[0, 1] = (1, 2, 3, 0)
    assert read_mask(save(tmp_path, own), DEFAULT).tolist() == [[0, 255, 2, 3]]
    bare = np.zeros_like(own)
    assert (read_mask(save(tmp_path, bare), DEFAULT) == 255).all()
    own[..., 3] = 0
    with pytest.raises(InputError, match="transparent everywhere, with colours under"):
        read_mask(save(tmp_path, own), DEFAULT)
    own[..., 3] = 255
    own[0, 2, 3] = 128
    with pytest.raises(InputError, match="1 pixels in between, the first at row 0, column 2"):
        read_mask(save(tmp_path, own), DEFAULT)
    grey = np.stack([[[0, 1]], [[255, 0]]], axis=2).astype(np.uint8)
    assert read_mask(save(tmp_path, grey), DEFAULT).tolist() == [[0, 255]]


def test_8_bit_colours_in_a_16_bit_file(tmp_path):
    own = np.array([[rgb(p.color) for p in DEFAULT]], np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", own, photometric="rgb")
    assert read_mask(tmp_path / "a.tif", DEFAULT).tolist() == [[0, 1, 2, 3]]
    tifffile.imwrite(tmp_path / "a.tif", own + 1, photometric="rgb")
    with pytest.raises(InputError, match="8 bit"):
        read_mask(tmp_path / "a.tif", DEFAULT)


def test_black_rgb_is_unlabelled_never_a_phase(tmp_path):
    assert (read_mask(save(tmp_path, np.zeros((3, 4, 3), np.uint8)), DEFAULT) == 255).all()


def palette_png(folder, indices, colors):
    image = Image.fromarray(np.asarray(indices, np.uint8))
    image.putpalette(np.asarray(colors, np.uint8).ravel().tolist())
    image.save(folder / "p.png")
    return folder / "p.png"


def voc(count):
    """Pascal VOC's table: bit 3 b + c of the index is bit 7 - b of channel c."""
    table = np.zeros((count, 3), int)
    for index in range(count):
        for bit in range(8):
            for channel in range(3):
                table[index, channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    return table


def test_a_programs_own_table_of_colours_counts_by_index(tmp_path):
    assert voc(4).tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    glasbey = np.random.default_rng(0).permutation(256**3)[:256]  # 256 colours, whatever the picture uses
    for colors in (voc(4), voc(21), np.stack([glasbey >> 16, glasbey >> 8 & 255, glasbey & 255], axis=1)):
        assert read_mask(palette_png(tmp_path, [[0, 1, 3]], colors), DEFAULT).tolist() == [[0, 1, 3]]


def test_a_palette_of_colours_that_are_no_phases_is_refused_in_any_order(tmp_path):
    red, green = (200, 30, 30), (30, 200, 30)
    for colors, indices in (([red, green], [[0, 1]]), ([green, red], [[1, 0]])):
        with pytest.raises(InputError, match=r"must show colours of phases.toml.*Received #"):
            read_mask(palette_png(tmp_path, indices, colors), DEFAULT)
    declared = phases(["#c81e1e"], ["#1ec81e"])
    for colors, indices in (([red, green], [[0, 1]]), ([green, red], [[1, 0]])):
        assert read_mask(palette_png(tmp_path, indices, colors), declared).tolist() == [[0, 1]]


def test_palette_by_colour_where_the_index_means_nothing(tmp_path):
    # A program that sorts palettes wrote binder's colour as index 7.
    colors = [(0, 0, 0)] * 8
    colors[7] = rgb(DEFAULT["binder"].color)
    assert read_mask(palette_png(tmp_path, [[7, 7]], colors), DEFAULT).tolist() == [[3, 3]]


def test_palette_of_greys_where_the_index_means_nothing(tmp_path):
    path = palette_png(tmp_path, [[0, 1, 2]], [(0, 0, 0), (128, 128, 128), (255, 255, 255)])
    assert read_mask(path, phases([0], [128], [255])).tolist() == [[0, 1, 2]]
    with pytest.raises(InputError, match="Received #000000, #808080, #ffffff"):
        read_mask(path, phases([0], [1]))


def test_black_and_white_is_one_picture_in_any_order_of_its_palette(tmp_path):
    black, white = (0, 0, 0), (255, 255, 255)
    assert read_mask(palette_png(tmp_path, [[0, 1]], [black, white]), DEFAULT).tolist() == [[0, 1]]
    assert read_mask(palette_png(tmp_path, [[1, 0]], [white, black]), DEFAULT).tolist() == [[0, 1]]
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "bits.png")
    assert read_mask(tmp_path / "bits.png", DEFAULT).tolist() == [[0, 1]]
    # White is 255 where 1 is not declared.
    assert read_mask(tmp_path / "bits.png", phases([0], [255])).tolist() == [[0, 1]]


def test_black_in_the_palette_of_phases_is_unlabelled_unless_its_index_is_a_phase(tmp_path):
    colors = [(0, 0, 0), rgb(DEFAULT["ncm"].color)]
    with pytest.raises(InputError, match="Index 0 is pore, but its colour in the palette is that of ignored"):
        read_mask(palette_png(tmp_path, [[0, 1]], colors), DEFAULT)
    from_2 = Phases.from_list([{"name": "ncm", "id": 2, "color": DEFAULT["ncm"].color}])
    assert read_mask(palette_png(tmp_path, [[0, 1]], colors), from_2).tolist() == [[255, 2]]


def test_palette_whose_index_and_colour_disagree_is_refused(tmp_path):
    # An optimiser sorted the palette: index 0 has the colour of ncm, index 1 that of pore.
    colors = [rgb(DEFAULT["ncm"].color), rgb(DEFAULT["pore"].color)]
    with pytest.raises(InputError, match="Index 0 is pore, but its colour in the palette is that of ncm"):
        read_mask(palette_png(tmp_path, [[0, 1]], colors), DEFAULT)


def test_unknown_value_is_refused_with_count_and_place(tmp_path):
    mask = np.zeros((50, 60), np.uint8)
    mask[30, 40] = mask[41, 2] = 7
    with pytest.raises(InputError, match=r"a\.png.*Received 7 in 2 pixels, the first at row 30, column 40"):
        read_mask(save(tmp_path, mask), DEFAULT)


def test_unknown_colour_is_refused_with_count_and_place(tmp_path):
    colors = np.zeros((5, 6, 3), np.uint8)
    colors[2, 3] = (1, 2, 3)
    with pytest.raises(InputError, match="Received #010203 in 1 pixels, the first at row 2, column 3"):
        read_mask(save(tmp_path, colors), DEFAULT)


def test_anti_aliased_mask_is_refused_as_such(tmp_path):
    sharp = np.zeros((64, 64), np.uint8)
    sharp[16:48, 16:48] = 255
    smooth = Image.fromarray(sharp).resize((128, 128), Image.Resampling.LANCZOS)
    with pytest.raises(InputError, match="smoothed, resized with interpolation"):
        read_mask(save(tmp_path, np.asarray(smooth)), phases([0], [255]))


def test_jpeg_masks_are_refused(tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    Image.fromarray(mask).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "renamed.png")
    tifffile.imwrite(tmp_path / "a.tif", mask, compression="jpeg")
    tifffile.imwrite(tmp_path / "s.tif", np.stack([mask] * 2), compression="jpeg", photometric="minisblack")
    for name in ("renamed.png", "a.tif"):
        with pytest.raises(InputError, match="without loss"):
            read_mask(tmp_path / name, DEFAULT)
    with pytest.raises(InputError, match="without loss"):
        list(iter_masks(tmp_path / "s.tif", DEFAULT))


def test_nan_in_a_mask_is_refused(tmp_path):
    with pytest.raises(InputError, match="nan in 1 pixels, the first at row 0, column 1"):
        read_mask(save(tmp_path, np.array([[0, np.nan]], np.float32), "a.tif"), DEFAULT)


def test_shape_and_stack_are_checked(tmp_path):
    path = save(tmp_path, np.zeros((4, 6), np.uint8))
    with pytest.raises(InputError, match=r"6 x 5\. Received 6 x 4"):
        read_mask(path, DEFAULT, shape=(5, 6))
    stack = save(tmp_path, np.zeros((5, 8, 9), np.uint8), "s.tif")
    with pytest.raises(InputError, match="stack of 5"):
        read_mask(stack, DEFAULT)
    assert [m.shape for m in iter_masks(stack, DEFAULT)] == [(8, 9)] * 5


def test_one_binary_mask_a_phase(tmp_path):
    save(tmp_path, np.array([[0, 255, 0, 0]], np.uint8), "s_ncm.png")
    save(tmp_path, np.array([[1, 0, 0, 0]], np.uint8), "s_pore.png")
    Image.fromarray(np.array([[False, False, True, False]])).save(tmp_path / "s_binder.png")
    assert read_annotation(tmp_path / "s_{phase}.png", DEFAULT).tolist() == [[0, 1, 3, 255]]
    save(tmp_path, np.array([[0, 255, 0, 255]], np.uint8), "s_pore.png")
    with pytest.raises(
        InputError, match=r"1 belong to ncm and to another, the first \(pore\) at row 0, column 1"
    ):
        read_annotation(tmp_path / "s_{phase}.png", DEFAULT)
    save(tmp_path, np.array([[0, 255, 7]], np.uint8), "t_ncm.png")
    with pytest.raises(InputError, match="Received 7 in 1 pixels"):
        read_annotation(tmp_path / "t_{phase}.png", DEFAULT)
    with pytest.raises(InputError, match="at least one file"):
        read_annotation(tmp_path / "u_{phase}.png", DEFAULT)


masks_of_default = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([0, 1, 2, 3, 255]),
)


@settings(max_examples=25, deadline=None)
@given(mask=masks_of_default, format=st.sampled_from(["indexed", "rgb"]))
def test_raster_round_trip(tmp_path_factory, mask, format):
    path = tmp_path_factory.mktemp("m") / "a.png"
    write_annotation(path, mask, DEFAULT, format=format)
    assert np.array_equal(read_mask(path, DEFAULT), mask)


@settings(max_examples=25, deadline=None)
@given(ids=st.lists(st.integers(0, 254), min_size=1, max_size=5, unique=True), data=st.data())
def test_indexed_round_trip_of_any_ids(tmp_path_factory, ids, data):
    odd = Phases.from_list([{"name": f"p{i}", "id": i} for i in ids])
    mask = data.draw(hnp.arrays(np.uint8, (4, 5), elements=st.sampled_from([*ids, 255])))
    path = tmp_path_factory.mktemp("m") / "a.png"
    write_mask(path, mask, odd)
    assert np.array_equal(read_mask(path, odd), mask)


def test_written_mask_shows_the_phases_colours(tmp_path):
    path = write_mask(tmp_path / "a.png", THREE, DEFAULT)
    image = Image.open(path)
    assert image.mode == "P"
    assert image.convert("RGB").getpixel((1, 0)) == rgb(DEFAULT["ncm"].color)


def test_write_mask_refuses_undefined_ids_and_existing_files(tmp_path):
    with pytest.raises(InputError, match="Received 9"):
        write_mask(tmp_path / "a.png", np.full((2, 2), 9, np.uint8), DEFAULT)
    assert not list(tmp_path.iterdir())
    write_mask(tmp_path / "a.png", THREE, DEFAULT)
    with pytest.raises(InputError, match="exists already"):
        write_mask(tmp_path / "a.png", THREE, DEFAULT)
    write_mask(tmp_path / "a.png", THREE, DEFAULT, force=True)


def test_rgb_needs_distinct_colours(tmp_path):
    same = Phases.from_list(
        [{"name": "a", "id": 0, "color": "#112233"}, {"name": "b", "id": 1, "color": "#112233"}]
    )
    with pytest.raises(InputError, match="its own colour"):
        write_annotation(tmp_path / "a.png", np.zeros((2, 2), np.uint8), same, format="rgb")


def test_a_mask_written_here_is_read_back_whatever_values_other_programs_use(tmp_path):
    # In the lab's own files 2 means pore and 0 particle, which are also ids of other phases.
    tables = [{"name": "pore", "id": 0, "values": [2]}, {"name": "particle", "id": 1, "values": [0]}]
    three = Phases.from_list([*tables, {"name": "binder", "id": 2, "values": [1]}])
    mask = np.array([[0, 1, 2, 255]], np.uint8)
    path = write_mask(tmp_path / "a.png", mask, three)
    np.testing.assert_array_equal(read_mask(path, three), mask)
    colors = three.palette().T.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", mask, photometric="palette", colormap=colors)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", three), mask)
    # The same numbers without that palette are the lab's values.
    Image.fromarray(mask).save(tmp_path / "b.png")
    with pytest.warns(
        InputWarning, match=r"read as the values of phases.toml \(0 is particle, not pore, 1 is"
    ):
        read = read_mask(tmp_path / "b.png", three)
    np.testing.assert_array_equal(read, [[1, 2, 0, 255]])


def test_values_that_cannot_be_ids_are_not_doubted(tmp_path):
    # Black and white says nothing of ids; and 3 is no id here.
    read_mask(save(tmp_path, np.array([[0, 255]], np.uint8)), phases([255], [0]))
    read_mask(save(tmp_path, np.array([[1, 2, 3]], np.uint8)), phases([1], [2], [3]))
