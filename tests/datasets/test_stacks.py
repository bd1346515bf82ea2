"""Stacks of which only some slices are annotated: in whatever way, the others are left out."""

import json

import numpy as np
import pytest
import tifffile

from cathode_tf.datasets import convert, open_records
from cathode_tf.datasets.checking import check
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging import write_annotation, write_coco, write_mask

from .conftest import stripes, write_pair

MASKS = np.stack([stripes(shift=i) for i in range(6)])


@pytest.fixture
def stack(tmp_path):
    """A stack of six slices in a folder of its own."""
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "stack.tif", MASKS * 40 + 10, photometric="minisblack")
    return tmp_path / "in"


def converted(stack, phases, masks=None, left_out=4):
    with pytest.warns(InputWarning, match=f"{left_out} of 6 slices have no label, and are left out"):
        out = convert(stack, masks, out=stack.parent / "set", phases=phases, split="1/0/0")
    examples = list(open_records(out).examples("train", verify=True))
    for example in examples:
        np.testing.assert_array_equal(example.mask, MASKS[example.acquisition["slice_index"]])
        assert example.group == "stack"
    return [example.id for example in examples]


@pytest.mark.parametrize("names", ["stack_z0001.png stack_z0004.png", "stack_z1_mask.png stack_z4_mask.png"])
def test_a_file_for_each_annotated_slice(stack, tmp_path, phases, names):
    (tmp_path / "masks").mkdir()
    for name, index in zip(names.split(), (1, 4), strict=True):
        write_mask(tmp_path / "masks" / name, MASKS[index], phases)
    assert converted(stack, phases, tmp_path / "masks") == ["stack_z0001", "stack_z0004"]


def test_slices_beside_the_stack_by_a_tool(stack, phases):
    for index in (0, 5):
        write_annotation(stack / f"stack_z{index:04d}.json", MASKS[index], phases, format="labelme")
    assert converted(stack, phases) == ["stack_z0000", "stack_z0005"]


def test_one_binary_mask_for_each_phase_of_a_slice(stack, tmp_path, phases):
    (tmp_path / "masks").mkdir()
    for phase in phases:
        inside = np.uint8(255) * (MASKS[2] == phase.id)
        tifffile.imwrite(tmp_path / "masks" / f"stack_z0002_{phase.name}.tif", inside)
    assert converted(stack, phases, tmp_path / "masks", left_out=5) == ["stack_z0002"]


def test_one_file_that_lists_slices(stack, tmp_path, phases):
    write_coco(
        tmp_path / "coco.json", {"stack_z0003.png": MASKS[3], "slices/stack_z0005.png": MASKS[5]}, phases
    )
    assert converted(stack, phases, tmp_path / "coco.json") == ["stack_z0003", "stack_z0005"]


def test_a_page_for_each_slice_some_of_them_bare(stack, phases):
    pages = np.where(np.isin(np.arange(6), (1, 3))[:, None, None], MASKS, np.uint8(255))
    tifffile.imwrite(stack / "stack_mask.tif", pages, photometric="minisblack")
    assert converted(stack, phases) == ["stack_z0001", "stack_z0003"]


def test_what_fits_no_slice_is_refused(stack, tmp_path, phases):
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "stack_z0006.png", MASKS[0], phases)
    with pytest.raises(InputError, match=r"slices of stack, 0 to 5\. Received slice 6"):
        convert(stack, tmp_path / "masks", out=tmp_path / "set", phases=phases)
    tifffile.imwrite(stack / "stack.tif", MASKS[0])
    with pytest.raises(InputError, match=r"must be a stack.*Received one image"):
        convert(stack, tmp_path / "masks", out=tmp_path / "set", phases=phases)


def test_a_stack_without_any_label_is_refused(stack, tmp_path, phases):
    tifffile.imwrite(stack / "stack_mask.tif", np.full_like(MASKS, 255), photometric="minisblack")
    with pytest.raises(InputError, match=r"at least one slice of stack\.tif"):
        convert(stack, out=tmp_path / "set", phases=phases)


def test_images_without_a_mask_are_left_out_only_where_that_is_asked_for(tmp_path, phases):
    for index in range(6):
        write_pair(tmp_path / "in", f"slice_{index}", MASKS[index])
        if index % 2:
            (tmp_path / "in" / f"slice_{index}_mask.png").unlink()
    with pytest.raises(InputError, match=r"none for 3 of 6 images.*--annotated-only"):
        convert(tmp_path / "in", out=tmp_path / "set", phases=phases)
    with pytest.warns(InputWarning, match="3 of 6 have no mask, and are left out"):
        out = convert(
            tmp_path / "in", out=tmp_path / "set", phases=phases, annotated_only=True, split="1/0/0"
        )
    assert [row.id for row in open_records(out).rows] == ["slice_0", "slice_2", "slice_4"]
    assert not check(tmp_path / "in", phases=phases).ok
    assert check(tmp_path / "in", phases=phases, annotated_only=True).ok


def via(folder, hfw):
    square = {"name": "rect", "x": 0, "y": 0, "width": 64, "height": 40}
    entry = {
        "filename": "a.tif",
        "size": 1,
        "regions": [{"shape_attributes": square, "region_attributes": {"phase": "ncm"}}],
        "file_attributes": {"HFW": hfw},
    }
    (folder / "via.json").write_text(json.dumps({"_via_img_metadata": {"a.tif1": entry}}))
    return folder / "via.json"


@pytest.mark.filterwarnings("ignore:.*(covers 100 % of the area|no image shows)")
@pytest.mark.parametrize(
    ("hfw", "size"), [("103.6 um", 103_600 / 64), ("6400nm", 100.0), ("wide", np.nan), ("", np.nan)]
)
def test_the_field_width_in_a_via_file_is_taken_as_it_stands(tmp_path, phases, hfw, size):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", stripes() * 40)
    out = convert(
        tmp_path / "in", via(tmp_path, hfw), out=tmp_path / "set", phases=phases, split="1/0/0", databar=0
    )
    (example,) = open_records(out).examples("train")
    assert example.pixel_size_nm == pytest.approx(size, nan_ok=True)
    assert example.pixel_size_source == ("" if np.isnan(size) else "VIA via.json, HFW")


@pytest.mark.filterwarnings("ignore:.*(covers 100 % of the area|no image shows)")
def test_the_images_own_scale_stands_before_that_of_a_via_file(tmp_path, phases):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(
        tmp_path / "in" / "a.tif",
        stripes() * 40,
        imagej=True,
        resolution=(20, 20),
        metadata={"unit": "um"},
    )
    out = convert(
        tmp_path / "in", via(tmp_path, "103.6 um"), out=tmp_path / "set", phases=phases, split="1/0/0"
    )
    (example,) = open_records(out).examples("train")
    assert example.pixel_size_nm == 50
