"""`cathode-tf inspect` on the sample set."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import tifffile
from click.testing import CliRunner

from cathode_tf.tools.main import cli

SAMPLE = Path(__file__).parents[2] / "records" / "sample"


def test_inspect_prints_every_split_and_draws(tmp_path):
    picture = tmp_path / "sample.png"
    result = CliRunner().invoke(cli, ["inspect", str(SAMPLE), "--out", str(picture)], catch_exceptions=False)
    assert result.exit_code == 0
    for word in ("train: ", "validation: ", "test: ", "pore ", "binder ", "pixel size", f"Wrote {picture}"):
        assert word in result.output
    assert cv2.imread(str(picture)).shape[1] > 600


def test_an_earlier_picture_is_kept_without_force(tmp_path):
    records_path = shutil.copytree(SAMPLE, tmp_path / "set")

    def inspect(*options):
        return CliRunner().invoke(cli, ["inspect", str(records_path), *options], catch_exceptions=False)

    picture = records_path.parent / "set-inspect.png"
    picture.write_text("mine")
    kept = inspect()
    assert kept.exit_code == 0 and "--force draws it anew" in kept.output
    assert picture.read_text() == "mine"
    assert f"Wrote {picture}" in inspect("--force").output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_folder_of_micrographs_says_what_each_states(tmp_path):
    """12.8 um across 128 pixels are 100 nm; the second has no scale, the third is no image."""
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128), np.uint8)
    content = "AP_WIDTH\r\nWidth = 12.80 µm\r\nAP_ACTUALKV\r\nEHT = 5.00 kV\r\n".encode("cp1252")
    tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=[(34118, 1, len(content), content, True)])
    tifffile.imwrite(tmp_path / "b.tif", np.stack([pixels] * 3), photometric="minisblack")
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    printed = re.sub(" +", " ", result.output)
    assert f"{tmp_path / 'a.tif'}: 128 x 96 px, uint8\n pixel size 100 nm (Zeiss tag 34118" in printed
    assert " vendor Zeiss\n" in printed and " kV 5.0\n" in printed
    assert f"{tmp_path / 'b.tif'}: 128 x 96 px, uint8, 3 slices\n pixel size unknown\n" in printed
    (tmp_path / "c.tif").write_bytes(b"no image")
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 1
    assert "128 x 96 px" in result.output and "c.tif: must be a TIFF" in result.output
    picture = str(tmp_path / "picture.png")
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path), "--out", picture])
    assert result.exit_code == 1


def test_masks_among_the_images_are_left_out(tmp_path):
    for name in ("a", "a_mask"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((8, 8), np.uint8))
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0 and result.output.count("8 x 8 px") == 1
    assert "Left out 1 mask or picture of other images: a_mask.png." in result.output
    alone = CliRunner().invoke(cli, ["inspect", str(tmp_path / "a_mask.png")], catch_exceptions=False)
    assert "8 x 8 px" in alone.output


def test_a_float_image_is_said_to_be_one_and_how_it_is_stored(tmp_path):
    tifffile.imwrite(tmp_path / "f.tif", np.linspace(-1, 3, 96 * 128, dtype=np.float32).reshape(96, 128))
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "f.tif")], catch_exceptions=False)
    assert "128 x 96 px, float32, stored as uint16 (scaled from -1 to 3)\n" in result.output


def test_images_in_subfolders_only_are_pointed_at(tmp_path):
    (tmp_path / "day_1").mkdir()
    cv2.imwrite(str(tmp_path / "day_1" / "a.png"), np.zeros((8, 8), np.uint8))
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path)])
    assert "directly in it, but day_1 in it holds images" in str(result.exception)


def test_a_bar_in_the_picture_a_preview_and_the_tilt_are_told(tmp_path):
    """A bar of 60 px: if it stands for 1 um, a pixel has 1000 / 60 = 16.67 nm."""
    pixels = np.random.default_rng(0).integers(0, 200, (160, 256), np.uint8)
    pixels[140:144, 100:160] = 255
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(pixels[::4, ::4], subfiletype=1)
        writer.write(pixels)
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "a.tif")], catch_exceptions=False)
    printed = re.sub(" +", " ", result.output)
    assert "a scale bar seems to be in the picture, 60 px long in row 140, from column 100 on" in printed
    assert "give --pixel-size-nm, its length in nm / 60: 1 um = 16.67" in printed
    assert "left out page 0: a preview of 64 x 40 px" in printed
    lines = (
        "AP_WIDTH",
        "Width = 12.8 um",
        "AP_STAGE_AT_T",
        "Stage at T = 54.0",
        "DP_TILT_CORRECTION",
        "Tilt Corrn. = Off",
    )
    content = "".join(f"{line}\r\n" for line in lines).encode()
    tifffile.imwrite(tmp_path / "b.tif", pixels, extratags=[(34118, 1, len(content), content, True)])
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "b.tif")], catch_exceptions=False)
    printed = re.sub(" +", " ", result.output)
    assert (
        " tilt_deg 54.0\n" in printed and " tilt_correction off\n" in printed and "scale bar" not in printed
    )
