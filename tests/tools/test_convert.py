"""`cathode-tf convert` from files to a sentence."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from cathode_tf.datasets import open_records
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.tools.main import cli, main


@pytest.fixture
def images(tmp_path):
    """Six images of 32 x 48 with two grey values, their masks with values 0 and 128, and phases.toml."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(6):
        mask = np.zeros((32, 48), np.uint8)
        mask[:, 6 * index :] = 128
        cv2.imwrite(str(folder / f"s{index}.png"), mask + np.uint8(index))
        cv2.imwrite(str(folder / f"s{index}_mask.png"), mask)
    (tmp_path / "phases.toml").write_text(
        '[[phase]]\nname = "pore"\nid = 0\n[[phase]]\nname = "ncm"\nid = 1\nvalues = [128]\n'
    )
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli, ["convert", *map(str, arguments)], catch_exceptions=False)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(images):
    words = (images / "images", "--out", images / "set", "--phases", images / "phases.toml")
    said = run(*words, "--split", "50/25/25", "--dry-run").output
    assert said == (
        f"6 images with masks of 0 pore, 1 ncm.\nWritten to {images / 'set'}.\n"
        "Split: train 50%, validation 25%, test 25%; whole groups, phases alike; seed 0.\nNothing was done.\n"
    )
    assert not (images / "set").exists()
    run(*words, "--jobs", 1)
    (images / "images" / "s5_mask.png").unlink()
    added = run(*words, "--add", "--annotated-only", "--dry-run").output
    assert "1 image without a mask, left out." in added and "version 1.1.0 after 1.0.0" in added
    assert [path.name for path in (images / "set").glob("1.*")] == ["1.0.0"]


def test_convert_says_which_phases_it_assumed(images):
    for path in (images / "images").glob("*_mask.png"):
        cv2.imwrite(str(path), cv2.imread(str(path), -1) // 128)
    with pytest.warns(InputWarning, match="no image shows additive or binder"):
        result = run(images / "images", "--out", images / "set", "--jobs", 1)
    assert result.output.startswith("No --phases was given; taken are 0 pore, 1 ncm, 2 additive, 3 binder.")


def test_a_pixel_size_in_metres_needs_a_yes(images):
    words = (images / "images", "--out", images / "set", "--phases", images / "phases.toml", "--jobs", 1)
    with pytest.raises(InputError, match=r"must be 0.05 to 100,000 nm a pixel. Received 2.5e-08 nm"):
        run(*words, "--pixel-size-nm", 25e-9)
    run(*words, "--pixel-size-nm", 0.02, "--odd-pixel-size")
    assert {row.pixel_size_nm for row in open_records(images / "set").rows} == {np.float32(0.02)}


def test_convert_says_what_it_wrote_and_adds_to_it(images):
    out = images / "set"
    result = run(
        images / "images",
        "--out",
        out,
        "--phases",
        images / "phases.toml",
        "--pixel-size-nm",
        25,
        "--jobs",
        1,
    )
    assert result.exit_code == 0
    assert result.output.startswith(f"Wrote {out} (version 1.0.0): 4 train, 1 validation, 1 test.")
    records = open_records(out)
    assert {row.pixel_size_nm for row in records.rows} == {25.0}
    assert next(records.examples("train")).acquisition is not None
    for index in range(6):
        for kind in ("", "_mask"):
            path = images / "images" / f"s{index}{kind}.png"
            path.rename(path.with_name(f"t{index}{kind}.png"))
        pixels = cv2.imread(str(images / "images" / f"t{index}.png"), -1)
        cv2.imwrite(str(images / "images" / f"t{index}.png"), pixels + np.uint8(9))
    # The masks hold 128, which the set's phases know.
    result = run(images / "images", "--out", out, "--add", "--origin", "corrected", "--jobs", 1)
    assert "(version 1.1.0): 8 train" in result.output


def test_the_databar_is_cut_as_told(images):
    run(
        images / "images",
        "--out",
        images / "set",
        "--phases",
        images / "phases.toml",
        "--databar",
        4,
        "--jobs",
        1,
    )
    example = next(open_records(images / "set").examples("train"))
    assert example.image.shape == example.mask.shape == (28, 48)
    assert example.acquisition["databar_rows"] == 4
    with pytest.raises(InputError, match="--databar"):
        run(images / "images", "--out", images / "other", "--databar", "some")


def test_wrong_input_leaves_with_1_and_one_line(images, capsys):
    (images / "images" / "s3_mask.png").unlink()
    with pytest.raises(SystemExit) as leave:
        main(["convert", str(images / "images"), "--out", str(images / "set"), "--jobs", "1"])
    assert leave.value.code == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("Error: ")
    assert "\n" not in error
    assert not (images / "set").exists()


def test_numbered_images_without_groups_get_a_hint(images):
    words = (images / "images", "--phases", images / "phases.toml", "--jobs", 1)
    hint = "Images named s0, s1, ... may be slices of one stack: give --groups"
    assert hint in run(*words, "--out", images / "a").output
    assert "slices of one stack" not in run(*words, "--out", images / "b", "--group-regex", "^..").output
