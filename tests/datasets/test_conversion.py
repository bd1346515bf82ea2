"""Files in, a set that tensorflow-datasets reads out; bad input leaves nothing behind."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
import tifffile

from cathode_tf.datasets import convert, open_records
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.imaging.label_images import write_labels
from cathode_tf.phases import Phases

from .conftest import stripes, write_pair


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def leftovers(folder):
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("inside", ["", "1.0.0"])
def test_tensorflow_datasets_reads_the_set_without_code_of_ours(records_path, inside):
    builder = tfds.builder_from_directory(records_path / inside)
    assert {name: info.num_examples for name, info in builder.info.splits.items()} == {
        "train": 7,
        "validation": 2,
        "test": 1,
    }
    ours = {
        e.id: e
        for split in ("train", "validation", "test")
        for e in open_records(records_path).examples(split)
    }
    seen = 0
    for split in builder.info.splits:
        for theirs in tfds.as_numpy(builder.as_dataset(split=split)):
            example = ours[theirs["id"].decode()]
            np.testing.assert_array_equal(theirs["image"][..., 0], example.image)
            np.testing.assert_array_equal(theirs["segmentation_mask"][..., 0], example.mask)
            assert np.isnan(theirs["pixel_size_nm"])
            seen += 1
    assert seen == 10
    assert builder.info.metadata["fingerprint"] == open_records(records_path).fingerprint


def test_two_conversions_and_any_number_of_processes_give_equal_bytes(pairs, tmp_path, phases):
    once = convert(pairs, out=tmp_path / "once", phases=phases)
    again = convert(pairs, out=tmp_path / "again", phases=phases, jobs=2)
    assert files_of(once) == files_of(again)
    assert leftovers(once) == []


def test_masks_in_their_own_folder_with_or_without_suffix(pairs, tmp_path, phases):
    (tmp_path / "masks").mkdir()
    (tmp_path / "images").mkdir()
    for index in range(10):
        name = f"a{index}.png" if index % 2 else f"a{index}_mask.png"
        (pairs / f"a{index}_mask.png").rename(tmp_path / "masks" / name)
        (pairs / f"a{index}.png").rename(tmp_path / "images" / f"a{index}.png")
    out = convert(tmp_path / "images", tmp_path / "masks", out=tmp_path / "set", phases=phases)
    assert sum(open_records(out).splits.values()) == 10


def test_groups_stay_on_one_side(pairs, tmp_path, phases):
    table = tmp_path / "groups.csv"
    table.write_text("id,group\n" + "".join(f"a{i},g{i // 2}\n" for i in range(10)))
    for out in (
        convert(pairs, out=tmp_path / "one", phases=phases, groups=table, split="60/20/20"),
        convert(pairs, out=tmp_path / "two", phases=phases, group_regex=r"\d", split="60/20/20"),
    ):
        sides = {}
        for row in open_records(out).rows:
            sides.setdefault(row.group, set()).add(row.split)
        assert all(len(splits) == 1 for splits in sides.values())
    assert open_records(tmp_path / "one").splits == {"train": 6, "validation": 2, "test": 2}
    assert {row.group for row in open_records(tmp_path / "one").rows} == {f"g{i}" for i in range(5)}


def test_a_split_file_is_followed_to_the_letter_with_a_warning_where_it_tears_a_group(
    pairs, tmp_path, phases
):
    table = tmp_path / "split.csv"
    wanted = {f"a{i}": ("test" if i in (3, 8) else "train") for i in range(10)}
    table.write_text("id,split\n" + "".join(f"{name},{split}\n" for name, split in wanted.items()))
    out = convert(pairs, out=tmp_path / "whole", phases=phases, split_file=table)
    assert {row.id: row.split for row in open_records(out).rows} == wanted
    with pytest.warns(InputWarning, match="'g1' into test and train"):
        groups = {name: name for name in wanted} | {"a3": "g1", "a4": "g1"}
        out = convert(pairs, out=tmp_path / "torn", phases=phases, split_file=table, groups=groups)
    assert {row.id: row.split for row in open_records(out).rows} == wanted


def test_images_that_a_groups_file_leaves_out_are_told(pairs, tmp_path, phases):
    """A name with its suffix is no id; unnoticed, a sample would be on both sides of the split."""
    groups = {f"a{i}": "g" for i in range(8)} | {"a8.png": "h", "a9.png": "h"}
    with pytest.warns(InputWarning, match="'a8' and 1 others are not listed"):
        convert(pairs, out=tmp_path / "set", phases=phases, groups=groups, split="50/25/25")
    convert(pairs, out=tmp_path / "found", phases=phases, groups={"a0": "g"}, group_regex="a.")


def test_a_negative_seed_is_refused(pairs, tmp_path, phases):
    with pytest.raises(InputError, match=r"--seed: must be 0 or more\. Received -1"):
        convert(pairs, out=tmp_path / "set", phases=phases, seed=-1)


def test_a_split_file_must_list_every_image(pairs, tmp_path, phases):
    with pytest.raises(InputError, match="'a1' is missing"):
        convert(pairs, out=tmp_path / "set", phases=phases, split_file={"a0": "train"})
    assert not (tmp_path / "set").exists()


def test_few_groups_leave_a_split_empty_and_say_so(tmp_path, phases):
    write_pair(tmp_path / "in", "a", stripes())
    with pytest.warns(InputWarning, match="validation and test must have a group"):
        out = convert(tmp_path / "in", out=tmp_path / "set", phases=phases)
    assert open_records(out).splits == {"train": 1}
    with pytest.raises(InputError, match="images in 'test'"):
        next(open_records(out).examples("test"))


def test_eight_bit_images_among_sixteen_bit_ones_are_widened(tmp_path, phases):
    narrow = write_pair(tmp_path / "in", "narrow", stripes())
    write_pair(tmp_path / "in", "wide", stripes(), dtype=np.uint16)
    with pytest.warns(InputWarning, match="1 with 8 and 1 with 16"):
        out = convert(tmp_path / "in", out=tmp_path / "set", phases=phases, split="1/0/0")
    by_id = {e.id: e for e in open_records(out).examples("train", verify=True)}
    assert by_id["narrow"].image.dtype == np.uint16
    np.testing.assert_array_equal(by_id["narrow"].image, narrow)


def test_a_stack_becomes_slices_of_one_group(tmp_path, phases):
    masks = np.stack([stripes(shift=i) for i in range(5)])
    tifffile.imwrite(tmp_path / "stack.tif", masks * 40 + 10, photometric="minisblack")
    tifffile.imwrite(tmp_path / "stack_mask.tif", masks, photometric="minisblack")
    out = convert(
        [tmp_path / "stack.tif", tmp_path / "stack_mask.tif"],
        out=tmp_path / "s",
        phases=phases,
        split="1/0/0",
    )
    examples = list(open_records(out).examples("train"))
    assert [e.id for e in examples] == [f"stack_z{i:04d}" for i in range(5)]
    assert {e.group for e in examples} == {"stack"}
    for index, example in enumerate(examples):
        np.testing.assert_array_equal(example.mask, masks[index])


def test_a_stack_and_its_mask_must_have_as_many_pages(tmp_path, phases):
    masks = np.stack([stripes(shift=i) for i in range(5)])
    tifffile.imwrite(tmp_path / "stack.tif", masks * 40 + 10, photometric="minisblack")
    for pages in (3, 4):
        tifffile.imwrite(tmp_path / "stack_mask.tif", masks[:pages], photometric="minisblack")
        with pytest.raises(InputError, match=f"each of the 5 slices of stack. Received {pages} pages"):
            convert(tmp_path, out=tmp_path / "set" / "s", phases=phases)


def test_a_guard_gap_cuts_a_stack_into_blocks(tmp_path, phases):
    masks = np.stack([stripes(8, 8, shift=i) for i in range(24)])
    noise = np.random.default_rng(0).integers(0, 9, masks.shape)
    tifffile.imwrite(tmp_path / "stack.tif", (masks * 40 + noise).astype(np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "stack_mask.tif", masks, photometric="minisblack")
    out = convert(tmp_path, out=tmp_path / "s", phases=phases, split="50/25/25", guard_gap=2)
    rows = sorted(open_records(out).rows, key=lambda row: row.id)
    # 24 slices less two gaps of 2 leave 20: 10, 5 and 5.
    wanted = ["train"] * 10 + ["validation"] * 5 + ["test"] * 5
    assert [row.split for row in rows] == wanted
    kept = [int(row.id[-4:]) for row in rows]
    assert kept == [*range(10), *range(12, 17), *range(19, 24)]
    assert {row.group for row in rows} == {"stack#1", "stack#2", "stack#3"}
    rule = open_records(out).metadata["split"]
    assert rule["left_out"] == [f"stack_z{i:04d}" for i in (10, 11, 17, 18)]
    assert [e.group for e in open_records(out).examples("test", verify=True)] == ["stack#3"] * 5


def test_images_with_the_same_pixels_stay_on_one_side(pairs, tmp_path, phases):
    for index in range(10):
        for kind in ("", "_mask"):
            shutil.copy(pairs / f"a{index}{kind}.png", pairs / f"b{index}{kind}.png")
    with pytest.warns(InputWarning, match="hold the same pixels"):
        out = convert(pairs, out=tmp_path / "set", phases=phases)
    split = {row.id: row.split for row in open_records(out).rows}
    assert all(split[f"a{i}"] == split[f"b{i}"] for i in range(10))


def _jpeg_mask(folder):
    (folder / "a3_mask.png").unlink()
    cv2.imwrite(str(folder / "a3_mask.jpg"), stripes())


BAD = {
    "must have a mask": lambda f: (f / "a3_mask.png").unlink(),
    "must have an image": lambda f: (f / "a3.png").unlink(),
    "must have the size of its image": lambda f: cv2.imwrite(str(f / "a3_mask.png"), stripes(40, 60)),
    "without loss": _jpeg_mask,
    "a3_mask.png: .*7": lambda f: cv2.imwrite(str(f / "a3_mask.png"), stripes() + 7),
    "a3.png": lambda f: (f / "a3.png").write_bytes((f / "a3.png").read_bytes()[:200]),
    "a4.png": lambda f: (f / "a4.png").write_bytes(b"no image at all"),
    "must hold images": lambda f: [p.unlink() for p in f.iterdir()],
}


@pytest.mark.parametrize("message", BAD)
@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_bad_input_is_one_sentence_and_leaves_nothing(pairs, tmp_path, phases, message, jobs):
    BAD[message](pairs)
    before = files_of(pairs)
    with pytest.raises(InputError, match=message) as error:
        convert(pairs, out=tmp_path / "out" / "set", phases=phases, jobs=jobs)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    assert files_of(pairs) == before


def test_nan_and_equal_stems_are_refused(pairs, tmp_path, phases):
    tifffile.imwrite(pairs / "n.tif", np.full((4, 4), np.nan, np.float32))
    cv2.imwrite(str(pairs / "n_mask.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match=r"n\.tif"):
        convert(pairs, out=tmp_path / "set", phases=phases)
    (pairs / "n.tif").unlink()
    (pairs / "n_mask.png").unlink()
    shutil.copytree(pairs, tmp_path / "copy")
    with pytest.raises(InputError, match="must have"):
        convert([pairs, tmp_path / "copy"], out=tmp_path / "set", phases=phases)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        ("id;groups\na0;x\n", "columns id and group"),
        ("id,group\na0\n", "line 2"),
        ("id,group\na0,x\na0,y\n", "one group"),
        (b"id,group\na0,\x81\x8d\n", "UTF-8"),
    ],
)
def test_a_groups_file_that_is_none_is_refused(pairs, tmp_path, phases, content, message):
    table = tmp_path / "groups.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        convert(pairs, out=tmp_path / "set", phases=phases, groups=table)


@pytest.mark.parametrize(
    "options",
    [
        {"group_regex": "("},
        {"group_regex": "nothing"},
        {"split": "50/50"},
        {"origin": "alien"},
        {"jobs": 0},
        {"guard_gap": -1},
        {"add": True},
        {"split_file": {"a0": "val"}},
        {"split_file": {f"a{i}": "train" for i in range(10)}, "split": "70/20/10"},
        {"split_file": {f"a{i}": "train" for i in range(10)}, "seed": 1},
    ],
)
def test_options_out_of_range_are_refused(pairs, tmp_path, phases, options):
    with pytest.raises(InputError):
        convert(pairs, out=tmp_path / "set", phases=phases, **options)
    assert not (tmp_path / "set").exists()


def test_nothing_is_replaced_without_force_and_nothing_else_than_records_with_it(pairs, tmp_path, phases):
    out = convert(pairs, out=tmp_path / "set", phases=phases)
    with pytest.raises(InputError, match="--force"):
        convert(pairs, out=out, phases=phases)
    with pytest.raises(InputError, match="must not be what is read"):
        convert(pairs, out=pairs, phases=phases, force=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        convert(pairs, out=tmp_path / "photos", phases=phases, force=True)
    before = files_of(out)
    convert(pairs, out=out, phases=phases, force=True)
    assert files_of(out) == before
    convert(pairs, out=out, phases=phases, force=True, annotator="Ada")
    assert open_records(out).version == "1.1.0"
    convert(pairs, out=out, phases=phases, force=True, seed=1)
    assert open_records(out).version == "2.0.0"
    (out / "2.0.0" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"also 2\.0\.0/notes\.txt"):
        convert(pairs, out=out, phases=phases, force=True)
    assert (out / "2.0.0" / "notes.txt").exists()


def test_paths_with_spaces_umlauts_and_links(pairs, tmp_path, phases):
    folder = tmp_path / "Größe und Maß"
    pairs.rename(folder)
    (tmp_path / "link").symlink_to(folder)
    out = convert(tmp_path / "link", out=tmp_path / "Sätze hier" / "né", phases=phases)
    assert sum(open_records(out).splits.values()) == 10


def test_adding_appends_and_rewrites_nothing(pairs, tmp_path, phases):
    out = convert(pairs, out=tmp_path / "set", phases=phases)
    before = files_of(out / "1.0.0")
    old = {row.id: row.split for row in open_records(out).rows}
    for index in range(10):
        write_pair(tmp_path / "new", f"b{index}", stripes(shift=20 + index))
    convert(tmp_path / "new", out=out, phases=phases, add=True, round=2, origin="corrected", annotator="Ada")
    assert files_of(out / "1.0.0") == before
    records = open_records(out)
    assert records.version == "1.1.0"
    assert records.splits == {"train": 14, "validation": 4, "test": 2}
    assert {row.id: row.split for row in records.rows if row.id in old} == old
    assert {(e.round, e.origin, e.annotator) for e in records.examples("test", verify=True)} == {
        (0, "human", ""),
        (2, "corrected", "Ada"),
    }
    first = [
        records.path / "cathode-train.tfrecord-00000-of-00002",
        out / "1.0.0/cathode-train.tfrecord-00000-of-00001",
    ]
    assert first[0].stat().st_ino == first[1].stat().st_ino
    assert open_records(out / "1.0.0").splits == {"train": 7, "validation": 2, "test": 1}
    assert tfds.builder_from_directory(out).info.splits["train"].num_examples == 14
    assert [entry["version"] for entry in records.metadata["history"]] == ["1.0.0", "1.1.0"]


def test_what_is_there_already_is_passed_over_or_refused(pairs, tmp_path, phases):
    out = convert(pairs, out=tmp_path / "set", phases=phases)
    with pytest.warns(InputWarning, match="10 of 10 are in the record set already"):
        convert(pairs, out=out, phases=phases, add=True)
    assert open_records(out).version == "1.0.0"
    cv2.imwrite(str(pairs / "a3_mask.png"), stripes(shift=30))
    with pytest.raises(InputError, match=r"a3: must be new.*another mask"):
        convert(pairs, out=out, phases=phases, add=True)
    assert [p.name for p in out.iterdir() if p.is_dir()] == ["1.0.0"]


def test_an_added_image_joins_its_group(pairs, tmp_path, phases):
    groups = {f"a{i}": f"g{i}" for i in range(10)} | {f"b{i}": f"g{i}" for i in range(10)}
    out = convert(pairs, out=tmp_path / "set", phases=phases, groups=groups)
    for index in range(10):
        write_pair(tmp_path / "new", f"b{index}", stripes(shift=20 + index))
    convert(tmp_path / "new", out=out, phases=phases, add=True, groups=groups)
    split = {row.id: row.split for row in open_records(out).rows}
    assert all(split[f"a{i}"] == split[f"b{i}"] for i in range(10))


def test_adding_keeps_types_phases_and_rule(pairs, tmp_path, phases):
    out = convert(pairs, out=tmp_path / "set", phases=phases)
    write_pair(tmp_path / "wide", "w", stripes(), dtype=np.uint16)
    write_pair(tmp_path / "new", "b", stripes(shift=25))
    with pytest.raises(InputError, match="8 bit like the record set"):
        convert(tmp_path / "wide", out=out, phases=phases, add=True)
    with pytest.raises(InputError, match="must be those of the record set"):
        convert(tmp_path / "new", out=out, phases=Phases.from_names(["pore", "ncm", "cbd", "x"]), add=True)
    with pytest.raises(InputError, match="--split"):
        convert(tmp_path / "new", out=out, phases=phases, add=True, split="50/25/25")
    with pytest.raises(InputError, match="Give one"):
        convert(tmp_path / "new", out=out, phases=phases, add=True, force=True)
    assert [p.name for p in out.iterdir() if p.is_dir()] == ["1.0.0"]


def test_slices_added_between_blocks_are_left_out(tmp_path, phases):
    for index in range(0, 30, 2):
        write_pair(tmp_path / "even", f"s{index}", stripes(8, 8, shift=index))
    for index in range(1, 29, 2):
        write_pair(tmp_path / "odd", f"s{index}", stripes(8, 8, shift=index))
    options = {"phases": phases, "group_regex": "s", "guard_gap": 1}
    out = convert(tmp_path / "even", out=tmp_path / "set", split="60/20/20", **options)
    before = {row.id: row.split for row in open_records(out).rows}
    convert(tmp_path / "odd", out=out, add=True, **options)
    rows = sorted(open_records(out).rows, key=lambda row: int(row.id[1:]))
    splits = [row.split for row in rows]
    # In order of the stack there is still one run of each split, and the gaps are as wide as before.
    assert splits == sorted(splits, key=["train", "validation", "test"].index)
    assert {row.id: row.split for row in rows if row.id in before} == before
    for first, second in itertools.pairwise(rows):
        if first.split != second.split:
            assert int(second.id[1:]) - int(first.id[1:]) == 4


def run_killed(arguments, delay):
    code = "import sys; from cathode_tf.tools.main import main; main(sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], start_new_session=True)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return process.pid


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.4, 0.7, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0])
def test_killing_a_conversion_at_any_moment_leaves_the_set_as_it_was_or_whole(tmp_path, phases, delay):
    for index in range(12):
        write_pair(tmp_path / "in", f"a{index}", stripes(1024, 1024, shift=index))
        write_pair(tmp_path / "new", f"b{index}", stripes(1024, 1024, shift=50 + index))
    out = tmp_path / "sets" / "set"
    run_killed(["convert", tmp_path / "in", "--out", out, "--jobs", 2], delay)
    if out.exists():
        assert sum(open_records(out).splits.values()) == 12
    else:
        convert(tmp_path / "in", out=out, phases=phases)
    before = files_of(out / "1.0.0")
    pid = run_killed(["convert", tmp_path / "new", "--out", out, "--add", "--jobs", 2], delay)
    assert files_of(out / "1.0.0") == before
    assert sum(open_records(out).splits.values()) in (12, 24)
    assert tfds.builder_from_directory(out).info.splits.total_num_examples in (12, 24)
    if open_records(out).version == "1.0.0":
        convert(tmp_path / "new", out=out, phases=phases, add=True)
    assert sum(open_records(out).splits.values()) == 24
    for _ in range(50):  # the workers notice that their parent is gone
        if not alive_in_session(pid):
            break
        time.sleep(0.1)
    assert not alive_in_session(pid)
    # The next conversion clears away what the killed ones left half done.
    write_pair(tmp_path / "small", "c", stripes())
    convert(tmp_path / "small", out=out.parent / "other", phases=phases, split="1/0/0")
    assert sorted(p.name for p in out.parent.iterdir()) == ["other", "set"]


def alive_in_session(session):
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-s", str(session)], capture_output=True, text=True
    ).stdout
    return [line for line in found.splitlines() if "Z" not in line]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_sentence(pairs, tmp_path, phases):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match="cannot be written"):
        convert(pairs, out=tmp_path / "locked" / "set", phases=phases)


def labelme(path, name, disks, shape):
    """A LabelMe file of disks (row, column, radius) on a frame of pore."""
    height, width = shape
    frame = [[0, 0], [width, 0], [width, height], [0, height]]
    shapes = [{"label": "pore", "points": frame, "shape_type": "polygon"}]
    for row, column, radius in disks:
        angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        points = np.stack([column + radius * np.cos(angle), row + radius * np.sin(angle)], 1).tolist()
        shapes.append({"label": "ncm", "points": points, "shape_type": "polygon"})
    content = {"shapes": shapes, "imagePath": name, "imageHeight": height, "imageWidth": width}
    path.write_text(json.dumps(content))


@pytest.mark.filterwarnings("ignore:.*(covers 100 % of the area|no image shows)")
def test_drawn_particles_and_label_images_are_kept_one_by_one(tmp_path, phases):
    for index in range(3):
        image = np.random.default_rng(index).integers(0, 200, (60, 80)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"a{index}.png"), image)
        labelme(tmp_path / f"a{index}.json", f"a{index}.png", [(30, 25, 15), (30, 50, 15)], (60, 80))
    out = convert(tmp_path, out=tmp_path / "drawn", phases=phases, instances="drawn", split="34/33/33")
    records = open_records(out)
    assert records.has_instances and records.metadata["schema"] == 2
    examples = [example for split in records.splits for example in records.examples(split, verify=True)]
    for example in examples:
        # Disks of radius 15 whose centres are 25 apart overlap: each is whole all the same, 707 px but for its corners.
        assert [int(inside.sum()) for _, inside in example.instances] == pytest.approx([705, 705], abs=12)
        assert sorted(np.unique(example.labels)) == [0, 1, 2]
    builder = tfds.builder_from_directory(str(out / "1.0.0"))
    shown = next(iter(builder.as_dataset(split="train").as_numpy_iterator()))
    assert shown["instance_labels"].max() == 2 and b"runs" in shown["outlines"]

    # The same as label images in a folder: what is seen, without what is hidden.
    folder = tmp_path / "labels"
    folder.mkdir()
    for example in examples:
        write_labels(folder / f"{example.id}_labels.tif", 7 * example.labels)
    again = open_records(
        convert(tmp_path, out=tmp_path / "seen", phases=phases, instances=folder, split="34/33/33")
    )
    first = next(again.examples("train"))
    assert first.outlines == () and len(first.instances) == 2
    assert again.fingerprint != records.fingerprint

    with pytest.raises(InputError, match="only there"):
        convert(tmp_path, out=out, phases=phases, add=True)
    (folder / "a1_labels.tif").unlink()
    with pytest.raises(InputError, match="must hold the label image of a1"):
        convert(tmp_path, out=tmp_path / "x", phases=phases, instances=folder)
    with pytest.raises(InputError, match="'drawn', or a folder"):
        convert(tmp_path, out=tmp_path / "x", phases=phases, instances=tmp_path / "nothing")


def test_objects_of_a_raster_were_not_drawn(pairs, tmp_path, phases):
    with pytest.raises(InputError, match="a raster"):
        convert(pairs, out=tmp_path / "set", phases=phases, instances="drawn")
