"""What is wrong is found, all of it, and what is right is not complained about."""

import json
import shutil

import cv2
import numpy as np
import pytest

from cathode_tf.datasets import convert
from cathode_tf.datasets.checking import check, sentences
from cathode_tf.datasets.duplicates import alike, thumbnail
from cathode_tf.errors import InputError, InputWarning

from .conftest import write_pair


def textures(folder, count, side=128):
    """Images with blobs at random places: no two alike, all four phases in each."""
    for index in range(count):
        blobs = cv2.GaussianBlur(np.random.default_rng(index).normal(size=(side, side)), (0, 0), 4)
        mask = np.digitize(blobs, np.quantile(blobs, [0.3, 0.7, 0.9])).astype(np.uint8)
        write_pair(folder, f"t{index}", mask)
    return folder


def kinds(report):
    return {(finding.severity, finding.kind) for finding in report.findings}


def test_good_images_and_a_good_set_pass_without_a_word(tmp_path, phases):
    folder = textures(tmp_path / "in", 6)
    report = check(folder, phases=phases)
    assert (report.ok, report.findings, report.table[0]["images"]) == (True, [], 6)
    out = convert(folder, out=tmp_path / "set", phases=phases)
    report = check(out)
    assert (report.ok, report.findings) == (True, [])
    assert [row["split"] for row in report.table] == ["train", "validation", "test"]
    assert json.loads(json.dumps(report.to_dict()))["ok"]


def test_phases_that_cannot_be_are_named_when_checked_and_when_converted(tmp_path, phases):
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(3):
        mask = np.zeros((64, 64), np.uint8)
        mask[: 12 + index] = 1  # called ncm, and dark; what is called pore is bright, and most of the image
        grey = np.where(mask, 40, 190) + np.random.default_rng(index).integers(0, 9, mask.shape)
        grey[0, 0] = 255
        cv2.imwrite(str(folder / f"a{index}.png"), grey.astype(np.uint8))
        cv2.imwrite(str(folder / f"a{index}_mask.png"), mask)
    found = check(folder, phases=phases)
    told = [finding.message for finding in found.findings if finding.kind == "doubtful phase"]
    assert "a0 and 2 other images: pore is brighter than ncm (median grey 194 and 44)" in told[0]
    assert told[1] == "pore covers 80 % of the area, where 2 to 75 % are usual."
    with pytest.warns(InputWarning) as caught:
        convert(folder, out=tmp_path / "set", phases=phases)
    text = "\n".join(str(warning.message) for warning in caught)
    for words in ("pore is brighter than ncm", "pore covers 80 %", "no image shows additive or binder"):
        assert f"masks: {words}" in text or words in text
    assert "doubtful phase" in {finding.kind for finding in check(tmp_path / "set").findings}


def test_everything_wrong_with_a_folder_is_listed_at_once(tmp_path, phases):
    folder = textures(tmp_path / "in", 9)
    (folder / "t0_mask.png").unlink()
    cv2.imwrite(str(folder / "t1_mask.png"), np.zeros((50, 50), np.uint8))
    cv2.imwrite(str(folder / "t2_mask.png"), np.full((128, 128), 9, np.uint8))
    (folder / "t3.png").write_bytes((folder / "t3.png").read_bytes()[:500])
    cv2.imwrite(str(folder / "t4.png"), np.full((128, 128), 50, np.uint8))
    cv2.imwrite(str(folder / "t5_mask.png"), np.full((128, 128), 255, np.uint8))
    shutil.copy(folder / "t6.png", folder / "t7.png")
    report = check(folder, phases=phases)
    assert not report.ok
    found = {(f.severity, f.kind, f.where.rpartition("/")[2]) for f in report.findings}
    assert found >= {
        ("error", "missing mask", "t0.png"),
        ("error", "image or mask", "t1.png"),
        ("error", "image or mask", "t2.png"),
        ("error", "image or mask", "t3.png"),
        ("warning", "empty image", "t4"),
        ("warning", "no label", "t5"),
        ("warning", "same image", "t6"),
    }
    severities = [f.severity for f in report.findings]
    assert severities == sorted(severities)
    assert len(sentences(report.findings)) == len(report.findings)


def test_nearly_equal_images_on_two_sides_are_found_even_turned_and_noisy(tmp_path, phases):
    folder = textures(tmp_path / "in", 6)
    image, mask = (cv2.imread(str(folder / f"t0{kind}.png"), -1) for kind in ("", "_mask"))
    noisy = np.rot90(image * 0.7 + np.random.default_rng(0).normal(20, 5, image.shape)).astype(np.uint8)
    cv2.imwrite(str(folder / "copy.png"), noisy)
    cv2.imwrite(str(folder / "copy_mask.png"), np.rot90(mask))
    split = {f"t{i}": "train" for i in range(6)} | {"copy": "test"}
    report = check(convert(folder, out=tmp_path / "set", phases=phases, split_file=split))
    near = [f for f in report.findings if f.kind == "near-duplicate"]
    assert [(f.where in ("copy", "t0"), "train" in f.message) for f in near] == [(True, True)]


def test_a_torn_group_and_disagreeing_scales_are_warned_of(tmp_path, phases):
    folder = textures(tmp_path / "in", 4)
    groups = {f"t{i}": f"g{i // 2}" for i in range(4)}
    split = {f"t{i}": ("train", "test")[i % 2] for i in range(4)}
    with pytest.warns(match="tears"):
        out = convert(
            folder, out=tmp_path / "set", phases=phases, groups=groups, split_file=split, pixel_size_nm=10
        )
    assert ("warning", "group on two sides") in kinds(check(out))
    textures(tmp_path / "in2", 6)
    for i in range(4):
        for kind in ("", "_mask"):
            (tmp_path / "in2" / f"t{i}{kind}.png").unlink()
    convert(tmp_path / "in2", out=out, phases=phases, add=True, pixel_size_nm=20)
    found = [f for f in check(out).findings if f.kind == "pixel size"]
    assert len(found) == 1
    assert "from 10 nm" in found[0].message


def test_damage_in_a_set_is_an_error_that_names_the_file(tmp_path, phases):
    out = convert(textures(tmp_path / "in", 4), out=tmp_path / "set", phases=phases)
    shard = next((out / "1.0.0").glob("*train*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    report = check(out)
    assert not report.ok
    assert any(str(shard) in f.where for f in report.findings)
    shard.unlink()
    assert kinds(check(out)) == {("error", "record set")}


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        check(tmp_path / "nothing")


def test_thumbnails_ignore_brightness_contrast_and_size():
    blobs = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(256, 256)), (0, 0), 8) * 800 + 120
    one = thumbnail(blobs.clip(0, 255).astype(np.uint8))
    other = thumbnail(cv2.resize(blobs * 100 + 5000, (512, 512)).clip(0, 65535).astype(np.uint16))
    flat = thumbnail(np.full((50, 60), 9, np.uint8))
    assert np.sum(one * other) > 0.98
    assert (flat == 0).all()
    stack = np.stack([one, other, flat, flat])
    assert [pair[:2] for pair in alike(stack, np.arange(4))] == [(0, 1)]
    assert alike(stack, np.zeros(4)) == []
