import hashlib
import json

import click
import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cathode_tf import InputError, Phases, build_unet
from cathode_tf.imaging import write_mask
from cathode_tf.tools.analyze import command

PHASES = Phases.default()


@pytest.fixture
def laid_out(tmp_path):
    """Three masks of 10 x 10 cells of 4 px: 30 % ncm, 10 % binder, the rest pore."""
    rng = np.random.default_rng(0)
    (tmp_path / "phases.toml").write_text(PHASES.to_toml())
    for k in range(3):
        cells = rng.permutation(np.repeat(np.array([0, 1, 3], np.uint8), (60, 30, 10))).reshape(10, 10)
        write_mask(tmp_path / "masks" / f"m{k}.png", cells.repeat(4, 0).repeat(4, 1), PHASES)
    return tmp_path


@pytest.fixture
def masks(laid_out, monkeypatch):
    """The same, where nobody reads the report: drawing it takes longer than all else."""
    monkeypatch.setattr("cathode_tf.reporting.write_report", lambda *_, **__: None)
    return laid_out


def run(folder, *arguments):
    given = [str(folder / "masks"), "--phases", str(folder / "phases.toml"), "--out", str(folder / "out")]
    return CliRunner().invoke(command, [*given, *arguments], catch_exceptions=False)


def test_writes_summary_tables_and_report(laid_out):
    result = run(laid_out, "--pixel-size-nm", "25")
    assert result.exit_code == 0
    assert "ncm fraction: 0.3" in result.output and "report.html" in result.output
    names = {path.name for path in (laid_out / "out").iterdir()}
    assert names == {
        "summary.json",
        "instances.csv",
        "instances.parquet",
        "per_image.csv",
        "report.html",
        ".cathode-tf.json",
    }
    summary = json.loads((laid_out / "out" / "summary.json").read_text())
    assert summary["summary"]["surface_density"]["ncm"]["unit"] == "1/um"
    assert (summary["pixel_size_nm"], summary["pixel_size_source"]) == (25, "given by hand")
    assert "at 25 nm a pixel (given by hand)." in (laid_out / "out" / "report.html").read_text()


def test_without_a_pixel_size_all_is_in_pixels_and_it_says_so(masks):
    assert "Pixel size unknown" in run(masks).output
    summary = json.loads((masks / "out" / "summary.json").read_text())
    assert summary["length_unit"] == "px"


def test_points_are_drawn_labelled_and_used(masks):
    run(masks, "--draw-points", "40")
    path = masks / "out" / "reference_points.csv"
    points = pd.read_csv(path, keep_default_na=False)
    points["reference"] = points["mapped"]
    points.to_csv(masks / "labelled.csv", index=False)
    result = run(masks, "--reference-points", str(masks / "labelled.csv"), "--force")
    assert "ncm fraction, corrected by reference points: 0.3" in result.output


def test_groups_replicate_and_must_be_complete(masks):
    (masks / "groups.csv").write_text("id,group\nm0,a\nm1,a\nm2,b\n")
    result = run(masks, "--groups", str(masks / "groups.csv"), "--replicate", "group")
    assert "2 groups" in result.output
    (masks / "groups.csv").write_text("id,group\nm0,a\n")
    with pytest.raises(InputError, match="m1 is missing"):
        run(masks, "--groups", str(masks / "groups.csv"), "--force")


def test_nothing_is_half_written_when_a_mask_is_wrong(masks):
    write_mask(masks / "masks" / "z.png", np.full((9, 9), 255, np.uint8), PHASES)
    with pytest.raises(InputError, match="All 81 are ignored"):
        run(masks)
    assert not (masks / "out").exists()


def test_an_existing_result_is_kept_without_force(masks):
    run(masks)
    with pytest.raises(InputError, match="exists already"):
        run(masks)


@pytest.mark.parametrize("size", ["0", "-3", "nan"])
def test_a_pixel_size_must_be_above_zero(masks, size):
    with pytest.raises(InputError, match="above 0"):
        run(masks, "--pixel-size-nm", size)


def test_phases_are_named_or_lie_beside_the_masks(masks):
    words = [str(masks / "masks"), "--out", str(masks / "out")]
    with pytest.raises(InputError, match="--phases"):
        CliRunner().invoke(command, words, catch_exceptions=False)
    (masks / "masks" / "phases.toml").write_text(PHASES.to_toml())
    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert "masks/phases.toml: 0 pore, 1 ncm" in result.output and "ncm fraction: 0.3" in result.output


def test_phases_other_than_those_beside_the_masks_are_refused(masks):
    (masks / "masks" / "phases.toml").write_text(PHASES.to_toml())
    assert run(masks).exit_code == 0
    (masks / "phases.toml").write_text(Phases.from_names(("ncm", "pore", "additive", "binder")).to_toml())
    with pytest.raises(InputError, match=r"must have the names and ids of .*masks/phases\.toml"):
        run(masks, "--force")


def test_a_volume_is_measured_in_three_dimensions(masks):
    labels = np.zeros((24, 24, 24), np.uint8)
    labels[8:16, 8:16, 8:16] = 1
    np.save(masks / "volume.npy", labels)
    given = [str(masks / "volume.npy"), "--volume", "--phases", str(masks / "phases.toml")]
    voxels = ["--voxel-size-nm", "50", "20", "20", "--out", str(masks / "volume")]
    result = CliRunner().invoke(command, [*given, *voxels], catch_exceptions=False)
    # 8^3 / 24^3 = 1 / 27.
    assert "fraction ncm: 0.0370" in result.output
    assert (masks / "volume" / "report.html").exists()
    summary = json.loads((masks / "volume" / "summary.json").read_text())
    # Nobody said who made the labels, and no draws tell of their error: each number with an interval says so.
    numbers = [each for found in summary["summary"].values() for each in found.values()]
    assert not summary["masks"]["checked"]
    assert all("SAMPLING_ONLY" in each["flags"] for each in numbers if each["ci"] is not None)
    assert summary["voxel_size_nm"] == [50, 20, 20]


@pytest.mark.slow
def test_points_on_masks_with_pore_back_are_drawn_as_the_fractions_are_counted(masks):
    phases = Phases.from_names(["pore", "ncm", "pore_back"])
    (masks / "phases.toml").write_text(phases.to_toml())
    cells = np.random.default_rng(0).choice([0, 1, 2], (40, 40)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    for k in range(3):
        write_mask(masks / "masks" / f"m{k}.png", cells, phases, force=True)
    run(masks, "--draw-points", "10", "--no-fragmentation")
    points = pd.read_csv(masks / "out" / "reference_points.csv", dtype=str, keep_default_na=False)
    assert points["mapped"].value_counts().to_dict() == {"pore": 10, "ncm": 10}
    points.assign(reference=points["mapped"]).to_csv(masks / "labelled.csv", index=False)
    result = run(masks, "--reference-points", str(masks / "labelled.csv"), "--force")
    assert "ncm fraction, corrected by reference points: 0.3" in result.output


def test_points_find_images_whose_names_are_numbers(masks):
    for path in (masks / "masks").iterdir():
        path.rename(path.with_stem(path.stem.replace("m", "00")))
    run(masks, "--draw-points", "5")
    points = pd.read_csv(masks / "out" / "reference_points.csv", dtype=str, keep_default_na=False)
    assert set(points["image"]) <= {"000", "001", "002"}
    points.assign(reference=points["mapped"]).to_csv(masks / "labelled.csv", index=False)
    assert run(masks, "--reference-points", str(masks / "labelled.csv"), "--force").exit_code == 0


def test_some_points_must_be_drawn(masks):
    assert run(masks, "--draw-points", "-5").exit_code == 2


def test_cracks_are_left_out_where_they_are_not_asked_for(masks):
    assert "crack length" not in run(masks, "--no-fragmentation").output
    summary = json.loads((masks / "out" / "summary.json").read_text())
    assert "crack_length_density" not in summary["summary"] and not summary["settings"]["fragmentation"]


def test_groups_come_as_windows_writes_them(masks):
    (masks / "groups.csv").write_bytes("id;group\nm0;Prüfling\nm1;Prüfling\nm2;b\n".encode("cp1252"))
    run(masks, "--groups", str(masks / "groups.csv"))
    assert set(json.loads((masks / "out" / "summary.json").read_text())["by_group"]) == {"Prüfling", "b"}


def test_what_a_volume_has_no_use_for_is_refused(masks):
    with pytest.raises(InputError, match="--draw-points, --no-fragmentation: must be left out"):
        run(masks, "--volume", "--no-fragmentation", "--draw-points", "5")
    with pytest.raises(InputError, match="for a label volume"):
        run(masks, "--tortuosity")


@pytest.mark.parametrize(
    "options, idle",
    [
        ("--sample-type dispersed --unfolding saltykov", "--unfolding: must be left out. It is for sections"),
        ("--no-fragmentation --crack-opening-px 3", "--crack-opening-px: must be left out. It is for cracks"),
        ("--no-fragmentation --fines-diameter 1", "--fines-diameter: must be left out. It is for cracks"),
        ("--pixel-size-rel 0.1", "pixel_size_rel: must be left out where the pixel size is unknown"),
        ("--model default", "--phases: must be left out. It is for masks"),
        ("--volume --voxel-size-nm 9 9 9 --pixel-size-nm 9", "--pixel-size-nm: must be left out"),
    ],
)
def test_what_would_do_nothing_beside_other_options_is_refused(masks, options, idle):
    with pytest.raises(InputError, match=idle):
        run(masks, *options.split())


def test_pictures_beside_masks_are_left_out(masks):
    for path in sorted((masks / "masks").iterdir()):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    cv2.imwrite(str(masks / "masks" / "m1_overlay.png"), np.zeros((9, 9, 3), np.uint8))
    result = run(masks)
    assert "Left out 1 picture beside the masks: m1_overlay.png." in result.output
    assert len(pd.read_csv(masks / "out" / "per_image.csv")) == 3


def test_an_image_among_the_masks_is_called_one(masks):
    noise = np.random.default_rng(0).integers(0, 255, (50, 60)).astype(np.uint8)
    cv2.imwrite(str(masks / "masks" / "a.png"), noise)
    with pytest.raises(InputError, match=r"a\.png.* looks like an image; name the masks, as \*_mask\.png"):
        run(masks)


@pytest.mark.slow
def test_what_is_known_beside_the_masks_is_counted_in(masks):
    (masks / "electrode.toml").write_text(
        "loading_mg_cm2 = 9\nthickness_um = 70\nthickness_u = 0.7\n"
        "[[component]]\nname = 'ncm'\nmass_fraction = 1.0\ndensity_g_cm3 = 4.7\n"
    )
    options = [
        "--unfolding",
        "saltykov",
        "--edge-px",
        "0.2",
        "--pixel-size-rel",
        "0.01",
        "--no-fragmentation",
    ]
    result = run(masks, "--pixel-size-nm", "25", "--electrode", str(masks / "electrode.toml"), *options)
    # 1 - (10 x 9 / 70) / 4.7
    assert "porosity gravimetric: 0.7264" in result.output and "E_n" in result.output
    summary = json.loads((masks / "out" / "summary.json").read_text())["summary"]
    assert {"edge_placement"} < set(summary["fraction"]["ncm"]["components"])
    assert "Saltykov" in summary["x50_3"]["ncm"]["method"]


def test_the_model_is_a_word_or_a_path():
    # As a path, the word default would be looked for in the folder where one happens to be.
    (model,) = (parameter for parameter in command.params if parameter.name == "model")
    assert model.type is click.STRING


@pytest.mark.slow
def test_masks_of_a_model_are_called_so(laid_out):
    build_unet(PHASES, filters=(4, 8)).save(laid_out / "tiny.keras")
    pixels = np.random.default_rng(0).integers(0, 255, (60, 50)).astype(np.uint8)
    cv2.imwrite(str(laid_out / "photo.png"), pixels)
    words = [
        str(laid_out / "photo.png"),
        "--model",
        str(laid_out / "tiny.keras"),
        "--out",
        str(laid_out / "out"),
    ]
    CliRunner().invoke(command, words, catch_exceptions=False)
    digest = hashlib.sha256((laid_out / "tiny.keras").read_bytes()).hexdigest()
    model = json.loads((laid_out / "out" / "summary.json").read_text())["masks"]["models"][0]
    assert model["sha256"] == digest and model["path"].endswith("tiny.keras")
    report = (laid_out / "out" / "report.html").read_text()
    assert "UNCHECKED masks: made by model" in report and "tiny.keras" in report
    assert "sampling only" in report and "synthetic" not in report
    assert Phases.from_toml(laid_out / "out" / "masks" / "phases.toml") == PHASES
    run(laid_out, "--force")
    assert json.loads((laid_out / "out" / "summary.json").read_text())["masks"]["models"] == []
