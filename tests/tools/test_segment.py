"""`cathode-tf segment`: files in, files and sentences out."""

import json

import cv2
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from cathode_tf import InputError, Phases, Segmenter, build_unet
from cathode_tf.imaging import read_mask
from cathode_tf.tools.main import cli, main

pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.keras"
    build_unet(Phases.default(), filters=(4, 8)).save(path)
    return path


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(2):
        pixels = np.random.default_rng(index).integers(0, 255, (40, 30)).astype(np.uint8)
        cv2.imwrite(str(folder / f"i{index}.png"), pixels)
    return folder


def run(*arguments, **options):
    words = ["segment", *map(str, arguments)]
    return CliRunner().invoke(cli, words, **{"catch_exceptions": False, **options})


def test_masks_are_those_of_the_python_api(model, images, tmp_path):
    done = run(model, images, "--out", tmp_path / "out", "--uncertainty")
    assert done.exit_code == 0 and "2 images" in done.output and "Most uncertain" in done.output
    assert "Pixel size unknown: 2 images." in done.output
    names = sorted(path.name for path in (tmp_path / "out").glob("i0*"))
    assert names == ["i0_entropy.png", "i0_labels.tif", "i0_margin.png", "i0_mask.png", "i0_overlay.png"]
    pixels = cv2.imread(str(images / "i0.png"), cv2.IMREAD_UNCHANGED)
    mask = read_mask(tmp_path / "out" / "i0_mask.png", Phases.default())
    np.testing.assert_array_equal(mask, Segmenter(model).segment(pixels).mask)
    again = run(model, images, "--out", tmp_path / "out", "--uncertainty", "--resume")
    assert "skipped 2" in again.output


def test_phases_lie_beside_the_masks_and_others_are_not_replaced(model, images, tmp_path):
    out = tmp_path / "out"
    run(model, images / "i0.png", "--out", out)
    assert Phases.from_toml(out / "phases.toml") == Phases.default()
    by_hand = run(model, images / "i0.png", "--out", out, "--force", "--pixel-size-nm", "20").output
    assert "Pixel size 20 nm (given by hand): 1 image." in by_hand
    swapped = Phases.from_names(("ncm", "pore", "additive", "binder")).to_toml()
    (out / "phases.toml").write_text(swapped)
    with pytest.raises(InputError, match=r"phases\.toml: must have the names and ids of the model"):
        run(model, images / "i1.png", "--out", out)
    assert not (out / "i1_mask.png").exists() and (out / "phases.toml").read_text() == swapped
    run(model, images / "i1.png", "--out", out, "--force")
    assert Phases.from_toml(out / "phases.toml") == Phases.default()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(model, images, tmp_path):
    run(model, images / "i0.png", "--out", tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = run(model, images, "--out", tmp_path / "out", "--resume", "--dry-run").output
    assert "1 image to segment" in again and "Done before: i0.png." in again
    assert run(model, images, "--out", tmp_path / "new", "--dry-run").output.endswith("Nothing was done.\n")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_broken_image_ends_in_one_sentence_and_exit_code_1(model, images, tmp_path, capsys):
    (images / "broken.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(SystemExit) as stopped:
        main(["segment", str(model), str(images), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 1
    err = capsys.readouterr().err
    assert "Error: could not segment" in err and "broken.png: must be" in err and "\n  " not in err
    assert (tmp_path / "out" / "i1_mask.png").exists()


@pytest.mark.parametrize("words", [["--max-memory", "1MB"], ["--max-memory", "lots"]])
def test_impossible_memory_is_refused(model, images, tmp_path, words):
    with pytest.raises(InputError, match="max_memory: must be"):
        run(model, images, "--out", tmp_path / "out", *words)


def test_wrong_models_are_one_sentence(images, tmp_path):
    for wrong in ("nowhere", images):
        with pytest.raises(InputError, match="must be"):
            run(wrong, images, "--out", tmp_path / "out")


def test_volumes_have_their_own_options(model, images, tmp_path):
    slices = np.random.default_rng(0).integers(0, 255, (3, 32, 32)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "v.tif", slices, photometric="minisblack")
    words = ["--volume", "--smooth", "--pixel-size-nm", "25", "--out", tmp_path / "out"]
    done = run(model, tmp_path / "v.tif", *words)
    assert "3 x 32 x 32" in done.output and "flicker" in done.output
    assert tifffile.imread(tmp_path / "out" / "v_mask.tif").shape == (3, 32, 32)
    assert json.loads((tmp_path / "out" / "v_mask.json").read_text())["voxel_nm"] == [None, 25, 25]
    assert "images_mask" in run(model, images, "--volume", "--out", tmp_path / "out").output
    for words in (["--smooth"], ["--volume", "--resume"]):
        assert run(model, images, "--out", tmp_path, *words, catch_exceptions=True).exit_code == 2


def test_an_image_without_a_model_is_told_what_comes_first(images):
    done = run(images / "i0.png", "--out", "out", catch_exceptions=True)
    assert done.exit_code == 2 and "put a model before it" in " ".join(done.output.split())


def test_no_such_model_lists_what_a_model_may_be(images, tmp_path):
    with pytest.raises(InputError, match="an exported SavedModel, or"):
        run("defualt", images, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_every_image_fails_no_empty_folder_stays(model, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(InputError, match="could not segment"):
        run(model, tmp_path / "broken.png", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_masks_follow_strokes_in_phases_of_ones_own(model, images, tmp_path):
    (tmp_path / "phases.toml").write_text(
        '[[phase]]\nname = "ncm"\nid = 0\n[[phase]]\nname = "pore"\nid = 5\nvalues = [100]\n'
    )
    strokes = np.full((40, 30), 255, np.uint8)
    strokes[3:6, 3:20], strokes[20:23, 3:20] = 0, 100
    cv2.imwrite(str(tmp_path / "i1_strokes.png"), strokes)
    options = ("--out", tmp_path / "out", "--phases", tmp_path / "phases.toml")
    done = run(model, images, *options, "--strokes", tmp_path)
    assert done.exit_code == 0 and "Followed the strokes on 1 image: i1.png." in done.output
    mask = cv2.imread(str(tmp_path / "out" / "i1_mask.png"), cv2.IMREAD_UNCHANGED)
    found = read_mask(tmp_path / "out" / "i1_mask.png", Phases.from_toml(tmp_path / "out" / "phases.toml"))
    assert mask is not None and (found[3:6, 3:20] == 0).all() and (found[20:23, 3:20] == 5).all()
    # Of one image, the file will do.
    again = run(model, images / "i1.png", *options, "--strokes", tmp_path / "i1_strokes.png", "--force")
    assert "Followed" in again.output


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--strokes", "nowhere"), 1, "nowhere: must be the folder of the strokes"),
        (("--strokes", "images"), 1, "images: must hold the strokes of an image, i0_strokes.png say"),
        (("--strokes", ".", "--volume"), 2, "do not go with --volume"),
        (("--phases", "steel.toml"), 1, "Error: phases: must share two names or roles with the model's"),
        (("--phases", "nowhere.toml"), 1, "nowhere.toml"),
    ],
)
def test_strokes_that_cannot_be_followed(
    model, images, tmp_path, monkeypatch, capsys, options, code, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steel.toml").write_text(
        '[[phase]]\nname = "steel"\nid = 0\n[[phase]]\nname = "slag"\nid = 1\n'
    )
    with pytest.raises(SystemExit) as ended:
        main(["segment", str(model), "images", "--out", "out", *options])
    assert ended.value.code == code and message in capsys.readouterr().err
