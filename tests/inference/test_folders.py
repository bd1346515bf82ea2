"""Many images: done ones are known by content, broken ones do not stop the rest."""

import importlib.util
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from cathode_tf import InputError, InputWarning, Micrograph
from cathode_tf.files import read_json
from cathode_tf.imaging import read_mask, read_micrograph
from cathode_tf.imaging.rasters import open_raster
from cathode_tf.imaging.volumes import tiff_edges
from cathode_tf.inference import Segmenter, beam, folders, image_files
from cathode_tf.inference.folders import segment_files
from cathode_tf.inference.plan import Manner, Task
from cathode_tf.inference.scale import scale_to_model

pytestmark = pytest.mark.usefixtures("untraced")


def test_masks_overlays_and_uncertainty_are_written(segmenter, images, tmp_path):
    report = segment_files(segmenter, [images], tmp_path / "out", uncertainty=True)
    assert sorted(report.scores) == ["i0", "i1", "i2"] and not report.broken
    expected = segmenter.segment(cv2.imread(str(images / "i1.png"), cv2.IMREAD_UNCHANGED))
    mask = read_mask(tmp_path / "out" / "i1_mask.png", segmenter.phases)
    np.testing.assert_array_equal(mask, expected.mask)
    entropy = cv2.imread(str(tmp_path / "out" / "i1_entropy.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(entropy, expected.entropy)
    with pytest.raises(InputError, match="exists already"):
        segment_files(segmenter, [images], tmp_path / "out")


def test_resume_goes_by_content(segmenter, images, image, tmp_path):
    out = tmp_path / "out"
    segment_files(segmenter, [images], out)
    before = (out / "i0_mask.png").stat().st_mtime_ns
    cv2.imwrite(str(images / "i1.png"), image(30, 30, 9))  # new content under an old name
    (images / "i2.png").rename(images / "renamed.png")  # old content under a new name
    report = segment_files(segmenter, [images], out, resume=True)
    assert sorted(path.name for path in report.skipped) == ["i0.png", "renamed.png"]
    assert list(report.scores) == ["i1"]
    assert (out / "i0_mask.png").stat().st_mtime_ns == before
    assert read_mask(out / "i1_mask.png", segmenter.phases).shape == (30, 30)
    assert (out / "renamed_mask.png").read_bytes() == (out / "i2_mask.png").read_bytes()
    assert not segment_files(segmenter, [images], out, resume=True).kept


def test_resume_keeps_corrected_masks_and_those_it_does_not_know(segmenter, small_tiles, images, tmp_path):
    out = tmp_path / "out"
    segment_files(segmenter, [images], out)
    ours = (out / "i2_mask.png").read_bytes()
    (out / "i0_mask.png").write_bytes(b"corrected by hand")
    (out / "i0_overlay.png").unlink()  # so that it is not done
    (images / "i2.png").rename(images / "i3.png")
    (out / "i3_mask.png").write_bytes(b"drawn by hand")
    for model in (segmenter, small_tiles):
        report = segment_files(model, [images], out, resume=True)
        assert [(path.name, name) for path, name in report.kept] == [
            ("i0.png", "i0_mask.png"),
            ("i3.png", "i3_mask.png"),
        ]
    assert (out / "i0_mask.png").read_bytes() == b"corrected by hand"
    assert (out / "i3_mask.png").read_bytes() == b"drawn by hand"
    report = segment_files(segmenter, [images], out, resume=True, force=True)
    assert not report.kept and (out / "i3_mask.png").read_bytes() == ours


def test_a_kill_while_files_are_put_in_place_leaves_nothing_that_counts_as_anothers(
    segmenter, small_tiles, images, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    segment_files(segmenter, [images], out)
    segment_file, replace, moved = folders.segment_file, os.replace, []

    def signed(segmenter, path, folder, *options, **others):
        scores = segment_file(segmenter, path, folder, *options, **others)
        for file in folder.iterdir():
            file.write_bytes(file.read_bytes() + b"the other model's")
        return scores

    def replace_once(source, target):
        if str(target).endswith(("_mask.png", "_overlay.png")) and out == Path(target).parent:
            if moved:
                raise KeyboardInterrupt
            moved.append(target)
        replace(source, target)

    monkeypatch.setattr(folders, "segment_file", signed)
    with monkeypatch.context() as killed:
        killed.setattr(os, "replace", replace_once)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                segment_files(small_tiles, [images], out, resume=True)
    report = segment_files(small_tiles, [images], out, resume=True)
    assert not report.kept and len(report.scores) == 3
    assert all(path.read_bytes().endswith(b"the other model's") for path in out.glob("*.png"))


def test_resume_makes_no_copy_of_a_corrected_mask(segmenter, images, tmp_path):
    out = tmp_path / "out"
    segment_files(segmenter, [images], out)
    ours = (out / "i2_mask.png").read_bytes()
    (out / "i2_mask.png").write_bytes(b"corrected by hand")
    (images / "i3.png").write_bytes((images / "i2.png").read_bytes())
    report = segment_files(segmenter, [images], out, resume=True)
    assert list(report.scores) == ["i3"] and (out / "i3_mask.png").read_bytes() == ours
    assert (out / "i2_mask.png").read_bytes() == b"corrected by hand"


def test_what_segment_made_is_no_image(segmenter, images, tmp_path):
    for out in (images, tmp_path / "out"):
        segment_files(segmenter, [images], out, uncertainty=True)
    # Beside the images, by name; in a folder of their own, by the ledger.
    report = segment_files(segmenter, [images], images, uncertainty=True, resume=True)
    assert len(report.left_out) == 15 and len(report.skipped) == 3 and not report.scores
    with pytest.raises(InputError, match="Received only 15 files that segment wrote"):
        segment_files(segmenter, [tmp_path / "out"], tmp_path / "again")
    (images / "segmented.json").write_text('{"mine": 1}')
    with pytest.raises(InputError, match=r"segmented\.json: must be the list"):
        segment_files(segmenter, [images], tmp_path / "again")


def test_another_model_does_it_again(segmenter, small_tiles, images, tmp_path):
    segment_files(segmenter, [images], tmp_path / "out")
    report = segment_files(small_tiles, [images], tmp_path / "out", resume=True)
    assert len(report.scores) == 3 and not report.skipped


def test_a_broken_image_is_reported_and_the_rest_is_done(segmenter, images, tmp_path):
    (images / "i1.png").write_bytes((images / "i1.png").read_bytes()[:60])
    tifffile.imwrite(images / "nan.tif", np.full((9, 9), np.nan, np.float32))
    report = segment_files(segmenter, [images], tmp_path / "out")
    assert sorted(report.scores) == ["i0", "i2"]
    assert [path.name for path, _ in report.broken] == ["i1.png", "nan.tif"]
    assert all(str(path) in message for path, message in report.broken)


def test_an_image_of_one_grey_value_is_told(segmenter, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((9, 9), 7, np.uint8))
    with pytest.warns(InputWarning, match="must show something. All its pixels are 7"):
        report = segment_files(segmenter, [tmp_path / "grey.png"], tmp_path / "out")
    assert list(report.scores) == ["grey"]


def test_two_images_of_one_stem_are_refused(segmenter, images, image, tmp_path):
    tifffile.imwrite(images / "i1.tif", image(9, 9))
    with pytest.raises(InputError, match="'i1' occurs twice"):
        segment_files(segmenter, [images], tmp_path / "out")


def test_a_stack_gives_a_label_volume(segmenter, image, tmp_path):
    slices = np.stack([image(30, 40, seed) for seed in range(3)])
    tifffile.imwrite(tmp_path / "stack.tif", slices, photometric="minisblack")
    segment_files(segmenter, [tmp_path / "stack.tif"], tmp_path / "out")
    labels = tifffile.imread(tmp_path / "out" / "stack_mask.tif")
    np.testing.assert_array_equal(labels[2], segmenter.segment(slices[2]).mask)


def test_images_are_resampled_to_the_models_pixel_size_and_back(segmenter, image, monkeypatch):
    pixels = image(60, 44)
    fine, card = Micrograph(pixels, pixel_size_nm=5.0), segmenter.card
    monkeypatch.setitem(card, "pixel_size_nm", 10.0)
    result = segmenter.segment(fine)
    small = cv2.resize(pixels, (22, 30), interpolation=cv2.INTER_AREA)
    # Each pixel of the model's scale is two by two of the image's.
    np.testing.assert_array_equal(
        result.mask, np.kron(segmenter.segment(small).mask, np.ones((2, 2), np.uint8))
    )
    assert result.entropy.shape == result.margin.shape == pixels.shape
    assert result.phase_fractions == pytest.approx(segmenter.segment(small).phase_fractions)
    for same in (Micrograph(pixels), Micrograph(pixels, pixel_size_nm=10.1), pixels):
        assert scale_to_model(same, card) == 1.0
    with pytest.warns(InputWarning, match="factor of 4"):
        assert scale_to_model(Micrograph(pixels, pixel_size_nm=50.0), card) == 4.0


@pytest.mark.parametrize("name", ["stack.tif", "stack.lsm"])
def test_slices_appended_one_by_one_are_a_stack(segmenter, image, tmp_path, name):
    """Each `write` begins a series of its own, of one page."""
    with tifffile.TiffWriter(tmp_path / name) as writer:
        for index in range(3):
            writer.write(image(20, 30, index), photometric="minisblack")
    report = segment_files(segmenter, [tmp_path / name], tmp_path / "out")
    assert not report.broken
    labels = tifffile.imread(tmp_path / "out" / "stack_mask.tif")
    np.testing.assert_array_equal(labels[2], segmenter.segment(image(20, 30, 2)).mask)


@pytest.mark.slow
def test_stacks_and_large_images_are_resampled_like_others(tiny, image, tmp_path, monkeypatch):
    """50 pixels a micrometre are 20 nm each, of which the model's are four; slices are 50 nm apart."""
    segmenter = Segmenter(tiny(card={"pixel_size_nm": 10.0}), tile_px=100)
    slices = np.stack([image(120, 90, index) for index in range(2)])
    options = {
        "imagej": True,
        "resolution": (50, 50),
        "metadata": {"axes": "ZYX", "unit": "um", "spacing": 0.05},
    }
    tifffile.imwrite(tmp_path / "stack.tif", slices, **options)
    tifffile.imwrite(tmp_path / "single.tif", slices[0], **options | {"metadata": {"unit": "um"}})
    micrograph = read_micrograph(tmp_path / "single.tif")
    expected = segmenter.segment(micrograph)
    assert expected.mask.shape == (120, 90)
    assert (expected.mask == segmenter.probabilities(micrograph).argmax(-1)).mean() > 0.9999
    assert (expected.mask != segmenter.segment(slices[0]).mask).any()
    segment_files(segmenter, [tmp_path / "stack.tif"], tmp_path / "out")
    with tifffile.TiffFile(tmp_path / "out" / "stack_mask.tif") as file:
        np.testing.assert_array_equal(file.pages[0].asarray(), expected.mask)
        assert "pixel_size_source=ImageJ voxel size" in file.pages[0].description
    with open_raster(tmp_path / "out" / "stack_mask.tif") as raster:
        assert tiff_edges(raster)[0] == pytest.approx((50, 20, 20))
    stated = read_json(tmp_path / "out" / "stack_mask.json")
    assert stated["voxel_nm"] == pytest.approx([50, 20, 20])
    assert stated["pixel_size_source"] == "ImageJ voxel size"
    monkeypatch.setattr(image_files, "LARGE_PX", 1000)
    report = segment_files(segmenter, [tmp_path / "single.tif"], tmp_path / "out", uncertainty=True)
    for name in ("mask", "margin", "entropy"):
        found = tifffile.imread(tmp_path / "out" / f"single_{name}.tif")
        np.testing.assert_array_equal(found, getattr(expected, name))
    assert report.scores["single"] == pytest.approx(expected.score)
    assert report.pixel_sizes["single"] == (pytest.approx(20), "ImageJ XResolution with unit")


def test_a_pixel_size_by_hand_overrides_what_files_say_and_is_other_work(
    segmenter, image, tmp_path, monkeypatch
):
    """The model's pixels are 10 nm, the images' 20, which their files state as 5 or not at all."""
    monkeypatch.setitem(segmenter.card, "pixel_size_nm", 10.0)
    slices = np.stack([image(40, 30, index) for index in range(2)])
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "stack.tif", slices, photometric="minisblack")
    tifffile.imwrite(tmp_path / "in" / "single.tif", slices[0], resolution=(2e6, 2e6), resolutionunit=3)
    cv2.imwrite(str(tmp_path / "in" / "plain.png"), slices[0])
    expected = segmenter.segment(Micrograph(slices[0], pixel_size_nm=20.0)).mask
    out = tmp_path / "out"
    segment_files(segmenter, [tmp_path / "in"], out)
    for _ in range(2):
        report = segment_files(segmenter, [tmp_path / "in"], out, resume=True, pixel_size_nm=20)
        assert not report.kept and not report.broken
    assert len(report.skipped) == 3
    for name in ("single", "plain"):
        np.testing.assert_array_equal(read_mask(out / f"{name}_mask.png", segmenter.phases), expected)
    np.testing.assert_array_equal(tifffile.imread(out / "stack_mask.tif", key=0), expected)
    stated = read_json(out / "stack_mask.json")
    assert (stated["voxel_nm"], stated["pixel_size_source"]) == ([None, 20, 20], "given by hand")
    noted = read_json(out / "segmented.json")["done"].values()
    assert [(e["pixel_size_nm"], e["pixel_size_source"]) for e in noted] == [(20, "given by hand")] * 3
    with tifffile.TiffFile(out / "stack_mask.tif") as file:
        assert "pixel_size_source=given by hand" in file.pages[0].description
    monkeypatch.setattr(image_files, "LARGE_PX", 1000)
    segment_files(segmenter, [tmp_path / "in" / "single.tif"], tmp_path / "large", pixel_size_nm=20)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "large" / "single_mask.tif"), expected)
    with pytest.raises(InputError, match="--pixel-size-nm: must be above 0"):
        segment_files(segmenter, [tmp_path / "in"], out, force=True, pixel_size_nm=0)


def test_what_a_beam_worker_notes_is_what_the_launcher_reads(segmenter, images, tmp_path, monkeypatch):
    monkeypatch.setattr(beam, "_segmenter", lambda recipe: segmenter)
    task, manner = Task(images / "i0.png"), Manner(pixel_size_nm=20.0)
    beam._segment_and_note((task, tmp_path / "0"), "", manner)
    found = beam._outcome(read_json(tmp_path / "0" / beam.NOTE))
    expected = image_files.segment_file(segmenter, task, tmp_path / "out", manner)
    assert found == expected and found.pixel_size_source == "given by hand"
    (images / "i1.png").write_bytes(b"")
    beam._segment_and_note((Task(images / "i1.png"), tmp_path / "1"), "", Manner())
    assert "i1.png" in beam._outcome(read_json(tmp_path / "1" / beam.NOTE))


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("apache_beam"), reason='pip install "cathode-tf[beam]"')
def test_a_beam_pipeline_gives_the_same_files(model, segmenter, images, tmp_path):
    (images / "i1.png").write_bytes((images / "i1.png").read_bytes()[:60])
    model.save(tmp_path / "model.keras")
    expected = segment_files(segmenter, [images], tmp_path / "here", uncertainty=True)
    by_beam = segment_files(
        tmp_path / "model.keras", [images], tmp_path / "beam", uncertainty=True, runner="DirectRunner"
    )
    assert by_beam.scores == expected.scores
    assert [(path.name, text) for path, text in by_beam.broken] == [
        (path.name, text) for path, text in expected.broken
    ]
    for path in (tmp_path / "here").glob("*.png"):
        assert (tmp_path / "beam" / path.name).read_bytes() == path.read_bytes()
    again = segment_files(
        tmp_path / "model.keras", [images], tmp_path / "beam", uncertainty=True, resume=True
    )
    assert len(again.skipped) == 2
    with pytest.raises(InputError, match="must be files that other processes can read"):
        segment_files(segmenter, [images], tmp_path / "no", runner="DirectRunner")


@pytest.mark.slow
def test_plausible_masks_lie_beside_the_masks_of_a_calibrated_model(tiny, images, tmp_path):
    from cathode_tf.analysis import analyze
    from cathode_tf.inference.batches import Masks, pictures_among
    from cathode_tf.learning.calibration import calibrate, look
    from cathode_tf.learning.models import read_card, write_card

    model = tiny()
    plain = Segmenter(model)
    pixels = cv2.imread(str(images / "i0.png"), cv2.IMREAD_UNCHANGED)
    found = plain.segment(pixels)
    truth = plain.phases.to_indices(found.mask)
    calibration = calibrate([look(plain.probabilities(pixels), truth, body="a")])
    write_card(model, {**read_card(model), "calibration": calibration.to_dict()})
    segmenter, out = Segmenter(model), tmp_path / "out"
    segment_files(segmenter, [images], out, draws=3)
    # The mask is what it was; the draws are three pages of it, and no micrographs.
    np.testing.assert_array_equal(read_mask(out / "i0_mask.png", segmenter.phases), found.mask)
    assert tifffile.imread(out / "i0_draws.tif").shape == (3, 40, 50)
    beside = [out / f"i0_{kind}" for kind in ("draws.tif", "labels.tif", "overlay.png")]
    assert pictures_among(sorted(out.glob("i0_*"))) == beside
    paths = sorted(out.glob("*_mask.png"))
    source = Masks(paths, segmenter.phases, None)
    analysis = analyze(source, segmenter.phases)
    assert analysis.doubt is not None and len(analysis.doubt.draws) == 3
    # A mask that was changed since has no draws any more.
    cv2.imwrite(str(paths[0]), np.zeros((40, 50), np.uint8))
    assert [each[4] is None for each in Masks(paths, segmenter.phases, None)] == [True, False, False]
    with pytest.raises(InputError, match="at least 2"):
        segment_files(segmenter, [images], tmp_path / "other", draws=1)
