"""A number's chain names every file, and a changed pixel anywhere is named."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.analysis import analyze
from cathode_tf.analysis.likeness import families, sentence_of, view_of
from cathode_tf.analysis.tracing import trace
from cathode_tf.files import pixel_sha256
from cathode_tf.imaging import read_mask, write_mask
from cathode_tf.imaging.stories import Story, stories_beside, write_stories

PHASES = Phases.from_names(("pore", "ncm"))


@pytest.fixture
def batch(tmp_path):
    rng = np.random.default_rng(0)
    stories, files, masks = {}, {}, {}
    for name in "ab":
        pixels = rng.integers(0, 200, (60, 60)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
        mask = (rng.random((15, 15)) < 0.5).astype(np.uint8).repeat(4, 0).repeat(4, 1)
        files[name] = str(write_mask(tmp_path / f"{name}_mask.png", mask, PHASES))
        image = {"path": str(tmp_path / f"{name}.png"), "pixel_sha256": pixel_sha256(pixels)}
        stories[name] = Story("model", model={"path": "runs/first", "sha256": "ab" * 32}, image=image)
        masks[name] = mask
    analysis = replace(analyze(masks, PHASES, pixel_size_nm=25), stories=stories, mask_files=files)
    analysis.write(tmp_path / "out")
    return tmp_path


def test_the_chain_of_a_number_names_images_masks_models_and_settings(batch):
    text = "\n".join(trace(batch / "out" / "report.html", "fraction/pore").lines)
    for part in (
        "UNCHECKED",
        "fraction/pore = 0.",
        "a.png",
        "a_mask.png",
        "runs/first",
        "neck_depth",
        "cathode_tf 0",
    ):
        assert part in text
    with pytest.raises(InputError, match="has no fraction/gold"):
        trace(batch / "out", "fraction/gold")


def test_one_changed_pixel_anywhere_is_named(batch):
    whole = trace(batch / "out", recompute=True)
    assert not whole.broken and whole.checked > 4
    pixels = cv2.imread(str(batch / "b.png"), cv2.IMREAD_UNCHANGED)
    pixels[7, 8] ^= 1
    cv2.imwrite(str(batch / "b.png"), pixels)
    mask = read_mask(batch / "a_mask.png", PHASES)
    mask[0, 0] ^= 1
    write_mask(batch / "a_mask.png", mask, PHASES, force=True)
    broken = " ".join(trace(batch / "out", recompute=True).broken)
    assert "b.png was changed" in broken and "a_mask.png was changed" in broken


def test_a_mask_that_was_changed_since_is_of_unknown_hand(batch):
    write_stories(batch, {"a_mask.png": Story("corrected", by="Ann", changed=0.03)})
    path = batch / "a_mask.png"
    (story,) = stories_beside([path])
    assert (story.origin, story.by) == ("corrected", "Ann")
    write_mask(path, np.zeros((60, 60), np.uint8), PHASES, force=True)
    assert stories_beside([path])[0].origin == "changed"


def test_images_of_one_place_are_found_and_count_as_one():
    rng = np.random.default_rng(1)
    places = [(rng.random((12, 12)) < 0.5).astype(np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(2)]
    neighbour = np.roll(places[0], 2, axis=1)  # two of 96 px further on
    masks = {"a": places[0], "b": places[0], "c": neighbour, "d": places[1]}
    assert families({name: view_of(mask, PHASES) for name, mask in masks.items()}) == [["a", "b", "c"]]
    analysis = analyze(masks, PHASES)
    assert analysis.families == (("a", "b", "c"),)
    assert "count as one: a, b, c." in sentence_of(analysis.families)
    fraction = analysis.summary["fraction"]["ncm"]
    assert (fraction.n, fraction.unit_of_replication) == (2, "group")
