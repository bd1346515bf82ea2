"""Images are found in natural order and matched with whatever holds their annotation."""

import json

import numpy as np
import pytest
from PIL import Image

from cathode_tf.errors import InputError
from cathode_tf.imaging import find_images, match_masks, read_annotation, write_annotation
from cathode_tf.phases import Phases

DEFAULT = Phases.default()


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return [folder / name for name in names]


def names(pairs):
    return [(image.name, mask.name if mask else None) for image, mask in pairs]


def test_natural_order_suffixes_and_hidden_files(tmp_path):
    touch(tmp_path, "s10.tif", "s2.tif", "s1.PNG", ".s3.tif", "notes.txt", "s2.json")
    assert [p.name for p in find_images(tmp_path)] == ["s1.PNG", "s2.tif", "s10.tif"]
    files = touch(tmp_path / "b", "odd.dat")
    assert find_images([files[0], tmp_path, files[0]])[0].name == "odd.dat"
    assert len(find_images([files[0], files[0]])) == 1


def test_nothing_to_find(tmp_path):
    with pytest.raises(InputError, match="must hold images"):
        find_images(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        find_images(tmp_path / "none")
    with pytest.raises(InputError, match="at least one"):
        find_images([])


def test_masks_beside_the_images(tmp_path):
    touch(tmp_path, "a.tif", "a_mask.png", "b.tif", "b.json", "c.tif", "settings.json")
    assert names(match_masks(find_images(tmp_path))) == [
        ("a.tif", "a_mask.png"),
        ("b.tif", "b.json"),
        ("c.tif", None),
    ]


def test_the_folder_of_the_images_given_as_that_of_the_masks(tmp_path):
    touch(tmp_path, "a.tif", "a_mask.png", "b.tif")
    assert names(match_masks(find_images(tmp_path), tmp_path)) == [("a.tif", "a_mask.png"), ("b.tif", None)]


def test_masks_in_their_own_folder(tmp_path):
    images = touch(tmp_path / "i", "a.tif", "b.tif", "c.tif")
    touch(tmp_path / "m", "a.png", "b_label.tif", "c.json")
    assert names(match_masks(images, tmp_path / "m", "_label")) == [
        ("a.tif", "a.png"),
        ("b.tif", "b_label.tif"),
        ("c.tif", "c.json"),
    ]


def test_a_mask_without_its_image(tmp_path):
    images = touch(tmp_path / "i", "a.tif")
    touch(tmp_path / "m", "a.png", "b.png", "c.png")
    with pytest.raises(InputError, match=r"b\.png: must have an image.*nor have 1 other"):
        match_masks(images, tmp_path / "m")


def test_one_image_of_a_folder_does_not_ask_for_the_masks_of_the_others(tmp_path):
    touch(tmp_path, *(f"{name}{tail}.png" for name in "abc" for tail in ("", "_mask")))
    found = match_masks([tmp_path / "b.png"], None)
    assert found == [(tmp_path / "b.png", tmp_path / "b_mask.png")]


def test_two_masks_for_one_image(tmp_path):
    images = touch(tmp_path / "i", "a.tif")
    touch(tmp_path / "m", "a.png", "a_mask.tif")
    with pytest.raises(InputError, match=r"must have one mask. Received a_mask\.tif, a\.png"):
        match_masks(images, tmp_path / "m")


def test_binary_masks_of_the_phases(tmp_path):
    images = touch(tmp_path / "i", "a.tif", "b.tif")
    touch(tmp_path / "m", "a_ncm.png", "a_pore.png", "b.png")
    assert names(match_masks(images, tmp_path / "m", phases=DEFAULT)) == [
        ("a.tif", "a_{phase}.png"),
        ("b.tif", "b.png"),
    ]
    together = touch(tmp_path / "t", "a.tif", "a_ncm.png", "a_pore.png")
    assert names(match_masks(together, phases=DEFAULT)) == [("a.tif", "a_{phase}.png")]


def test_an_image_that_ends_like_a_phase(tmp_path):
    images = touch(tmp_path / "i", "sample_ncm.tif")
    touch(tmp_path / "m", "sample_ncm.png")
    assert names(match_masks(images, tmp_path / "m", phases=DEFAULT)) == [
        ("sample_ncm.tif", "sample_ncm.png")
    ]


def test_one_file_for_all_images(tmp_path):
    images = touch(tmp_path / "i", "a.tif", "b.tif", "c.tif")
    listed = [{"id": i, "file_name": n, "height": 1, "width": 1} for i, n in enumerate(["a.tif", "x/b.png"])]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": listed, "annotations": [], "categories": []}))
    expected = [("a.tif", "coco.json"), ("b.tif", "coco.json"), ("c.tif", None)]
    assert names(match_masks(images, path)) == expected
    (tmp_path / "m").mkdir()
    path.rename(tmp_path / "m/coco.json")
    assert names(match_masks(images, tmp_path / "m")) == expected
    uploaded = [{"id": 1, "data": {"image": "/u/1/0a1b2c3d-c.png"}, "annotations": []}]
    (tmp_path / "m/ls.json").write_text(json.dumps(uploaded))
    assert names(match_masks(images, tmp_path / "m"))[2] == ("c.tif", "ls.json")
    (tmp_path / "m/ls2.json").write_text(json.dumps(uploaded))
    with pytest.raises(InputError, match=r"listed in one file. Received ls\.json and ls2\.json"):
        match_masks(images, tmp_path / "m")
    with pytest.raises(InputError, match="lists none of them"):
        match_masks(images[2:], tmp_path / "m/coco.json")
    with pytest.raises(InputError, match="does not exist"):
        match_masks(images, tmp_path / "nothing")


def test_what_is_matched_can_be_read(tmp_path):
    mask = np.array([[0, 1], [2, 255]], np.uint8)
    folder = tmp_path / "Proben Über 1"
    folder.mkdir()
    for stem, format in (("a", "indexed"), ("b", "rgb"), ("c", "labelme")):
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(folder / f"{stem}.png")
        name = f"{stem}.json" if format == "labelme" else f"{stem}_mask.png"
        write_annotation(folder / name, mask, DEFAULT, format=format)
    for image, path in match_masks(find_images(folder)):
        assert np.array_equal(read_annotation(path, DEFAULT, shape=(2, 2), image_name=image.name), mask)
