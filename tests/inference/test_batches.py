"""Masks one after the other, from files or from a model; their names."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from cathode_tf import InputError, InputWarning, Phases
from cathode_tf.analysis import analyze
from cathode_tf.analysis.image import LABELS, OUTLINES
from cathode_tf.files import write_json
from cathode_tf.imaging import write_mask
from cathode_tf.imaging.label_images import write_labels
from cathode_tf.inference.batches import Masks, Segmented, pictures_among, unique_names

PHASES = Phases.default()


def test_the_pixel_size_given_reaches_the_model(tmp_path, monkeypatch):
    import cathode_tf.inference

    seen = []

    class Model:
        phases, card, fingerprint, sources = PHASES, {"pixel_size_nm": None}, "abc", []

        def __init__(self, path):
            pass

        def kind(self, micrograph):
            return None

        def segment_with_draws(self, micrograph, count):
            seen.append(micrograph.pixel_size_nm)
            return SimpleNamespace(mask=np.zeros(micrograph.pixels.shape, np.uint8)), None

    monkeypatch.setattr(cathode_tf.inference, "Segmenter", Model)
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 255, (32, 32), np.uint8))
    source = Segmented("model", [tmp_path / "a.png"], 25.0, tmp_path / "masks")
    assert source.pixel_size_nm == 25 and len(list(source)) == 1 and seen == [25.0]
    with pytest.raises(InputError, match="above 0"):
        Segmented("model", [tmp_path / "a.png"], 0.0, tmp_path / "masks")


def note(folder, sizes):
    """Masks as `segment` notes them; a size is in nm."""
    done = {
        name: {
            "stem": name,
            "files": [f"{name}_mask.png"],
            "pixel_size_nm": size,
            "pixel_size_source": source,
        }
        for name, (size, source) in sizes.items()
    }
    write_json(folder / "segmented.json", {"done": done, "sha256": {}}, force=True)
    return [folder / f"{name}_mask.png" for name in sizes]


def test_masks_have_the_pixel_size_that_segment_noted(tmp_path):
    paths = note(tmp_path, {"a": (20.0, "Zeiss tag"), "b": (20.000001, "Zeiss tag")})
    masks = Masks(paths, PHASES, None)
    assert (masks.pixel_size_nm, masks.pixel_size_source) == (20.0, "Zeiss tag, noted by segment")
    with pytest.warns(InputWarning, match=r"a_mask\.png: was segmented at 20 nm .*Zeiss tag.*Taken is 25 nm"):
        masks = Masks(paths, PHASES, 25.0)
    assert (masks.pixel_size_nm, masks.pixel_size_source) == (25.0, "given by hand")
    assert Masks(paths, PHASES, 20.0).pixel_size_source == "given by hand"
    # One that nobody noted leaves all unknown.
    assert Masks([*paths, tmp_path / "c.png"], PHASES, None).pixel_size_nm is None
    paths = note(tmp_path, {"a": (20.0, "Zeiss tag"), "b": (None, "")})
    assert Masks(paths, PHASES, None).pixel_size_nm is None
    paths = note(tmp_path, {"a": (20.0, "Zeiss tag"), "b": (30.0, "given by hand")})
    # Two magnifications: fractions go together, lengths are told of each.
    masks = Masks(paths, PHASES, None)
    assert (masks.pixel_size_nm, masks.mixed) == (None, (20.0, 30.0))


def test_masks_come_with_the_label_image_and_the_micrograph_that_segment_noted(tmp_path):
    mask = np.zeros((20, 20), np.uint8)
    mask[5:15, 5:15] = PHASES["ncm"].id
    labels = (mask > 0).astype(np.int32)
    labels[5:15, 10:15] = 2
    write_mask(tmp_path / "a_mask.png", mask, PHASES)
    write_labels(tmp_path / "a_labels.tif", labels)
    write_mask(tmp_path / "b_mask.png", mask, PHASES)
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.arange(400, dtype=np.uint8).reshape(20, 20))
    entry = {"stem": "a", "files": ["a_mask.png", "a_labels.tif"], "micrograph": "images/a.png"}
    write_json(tmp_path / "segmented.json", {"done": {"k": entry}, "sha256": {}})
    paths = [tmp_path / "a_mask.png", tmp_path / "b_mask.png"]
    (_, _, pixels, beside, draws), (_, _, nothing, none, _) = Masks(paths, PHASES, None)
    assert (
        pixels[0, 5] == 5
        and np.array_equal(beside, labels)
        and nothing is None
        and none is None
        and draws is None
    )
    assert pictures_among([*paths, tmp_path / "a_labels.tif"]) == [tmp_path / "a_labels.tif"]
    # An analysis counts what the label image says, and says so; where there is none the outlines decide.
    analysis = analyze(Masks(paths, PHASES, None), PHASES)
    assert [image.separation for image in analysis.images] == [LABELS, OUTLINES]
    assert analysis.instances.query("phase == 'ncm'").groupby("image").size().tolist() == [2, 1]


def test_lists_of_earlier_versions_know_no_pixel_size(tmp_path):
    done = {"k": {"stem": "a", "files": ["a_mask.png"]}}
    write_json(tmp_path / "segmented.json", {"done": done, "sha256": {}})
    assert Masks([tmp_path / "a_mask.png"], PHASES, None).pixel_size_nm is None


def test_pictures_are_what_segment_put_beside_a_mask():
    names = [
        "a_mask.png",
        "a_overlay.png",
        "a_margin.tif",
        "b_overlay.png",
        "c_mask.tif",
        "c_entropy.png",
        "c.png",
    ]
    paths = [Path("x") / name for name in names]
    # No mask of b is there, so b_overlay is somebody's name for a mask.
    assert [path.name for path in pictures_among(paths)] == ["a_overlay.png", "a_margin.tif", "c_entropy.png"]
    assert not pictures_among([Path("x/a_mask.png"), Path("y/a_overlay.png")])


def test_masks_of_one_stem_are_told_apart_by_their_folders(tmp_path):
    paths = [tmp_path / name for name in ("x/1/a.png", "y/1/a.png", "x/2/a.png", "x/2/a.tif", "b.png")]
    assert unique_names(paths) == ["x/1/a.png", "y/1/a.png", "2/a.png", "2/a.tif", "b"]
    with pytest.raises(InputError, match="must be given once"):
        unique_names([paths[0], tmp_path / "x" / ".." / "x" / "1" / "a.png"])
    with pytest.raises(InputError, match="must have a stem of its own"):
        Segmented("model", paths, None, tmp_path)
