"""The Dice table: rows by image, mean over images, pooled, and a picture an image."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cathode_tf import InputError, InputWarning, Micrograph, Phases
from cathode_tf.datasets.schema import Example
from cathode_tf.imaging.legends import INK
from cathode_tf.inference import Segmenter, evaluate
from cathode_tf.inference.evaluation import Evaluation, ImageScore
from cathode_tf.inference.pictures import disagreement, draw_evaluation
from cathode_tf.learning import predict_image


class Records:
    """Stands for an opened record set: two images whose reference is the prediction, with one row wrong."""

    name, version, fingerprint, path = "tiny", "1.0.0", "f", "records/tiny"

    def __init__(self, segmenter, image):
        self.phases, self.splits = segmenter.phases, {"test": 2, "train": 0}
        self.items = []
        for index in range(2):
            pixels = image(40, 30, seed=index)
            mask = segmenter.segment(pixels).mask.copy()
            mask[0] = 255
            mask[1] = (mask[1] + index) % 4
            self.items.append(Example(pixels, mask, f"s{index}/a", f"s{index}"))

    def examples(self, split):
        return iter(self.items)


@pytest.fixture(scope="module")
def written(segmenter, tmp_path_factory):
    def image(height, width, seed):
        return np.random.default_rng(seed).integers(0, 255, (height, width)).astype(np.uint8)

    out = tmp_path_factory.mktemp("evaluation") / "out"
    return evaluate(segmenter, Records(segmenter, image), out=out), out


def test_rows_mean_and_pooled_come_from_the_same_counts(written):
    evaluation, out = written
    first, second = evaluation.images
    # The first image agrees wherever it is labelled; the second is wrong in one row of 30 of 1170 pixels.
    assert all(value == 1 or np.isnan(value) for value in first.dice.values()) and first.mean_dice == 1
    assert evaluation.confusions["s0/a"].sum() == 39 * 30
    assert np.trace(evaluation.confusions["s1/a"]) == 38 * 30
    assert evaluation.mean_dice == pytest.approx((1 + second.mean_dice) / 2)
    content = json.loads((out / "evaluation.json").read_text())
    assert [set(image) for image in content["images"]] == [{"id", "dice", "mean_dice"}] * 2
    assert content["mean_dice"] == evaluation.mean_dice
    assert set(content["pooled"]["dice"]) == {"pore", "ncm", "additive", "binder"}
    rows = list(csv.reader((out / "evaluation.csv").open()))
    assert [row[0] for row in rows] == ["image", "s0/a", "s1/a", "mean over images", "pooled"]
    assert sorted(path.name for path in out.glob("*.png")) == ["s0_a.png", "s1_a.png"]


@pytest.mark.parametrize("size", [None, 20.0])
def test_each_pixel_of_an_image_is_a_square_in_its_picture(tmp_path, size):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (130, 210)).astype(np.uint8)
    reference, prediction = (rng.integers(0, 4, (130, 210)).astype(np.uint8) for _ in "ab")
    phases = Phases.default()
    path = draw_evaluation(
        tmp_path / "a.png", pixels, reference, prediction, phases, title="a", pixel_size_nm=size
    )
    picture = np.asarray(Image.open(path))
    # 210 px are enlarged twice, to 420; the second panel of the first row is the reference.
    wanted = phases.palette()[reference].repeat(2, 0).repeat(2, 1)
    [top] = [y for y in range(len(picture) - 260) if (picture[y : y + 260, -420:] == wanted).all()]
    assert top > 30  # title and name of the panel
    # 30 % of the width, 849 px of 10 nm, are 2.5 um: the bar is 2 um, 200 px.
    assert ((picture[-30:] == INK).all(-1).sum(1).max() >= 200) == (size is not None)


def test_particles_are_held_against_those_of_the_records(monkeypatch, segmenter, image):
    records = Records(segmenter, image)
    reference = np.zeros((40, 30), np.int32)
    reference[5:15, 5:15], reference[20:30, 5:15] = 1, 2
    found = np.zeros((40, 30), np.int32)
    found[5:15, 5:13] = 1  # 80 of 100 px
    found[20:30, 5:12] = 2  # 70 of 100 px
    found[31:36, 20:28] = 3  # nobody drew it
    found[0:3, 20:29] = 4  # where nobody looked, for the most part
    found[38, 0] = 5  # a speck
    monkeypatch.setattr("cathode_tf.inference.evaluation.separate", lambda *_: found.copy())
    mask = records.items[0].mask.copy()
    mask[:2] = 255
    records.items = [replace(records.items[0], mask=mask, labels=reference)]
    evaluation = evaluate(segmenter, records)
    # Two of two at 0.5 with one too many, one of two at 0.75 (one pair, one miss, two too many); PQ 1.5 / 2.5.
    told = evaluation.to_dict()["particles"]["all"]
    assert (told["found"], told["expected"]) == (3, 2)
    assert (told["ap50"], told["ap75"], told["pq"]) == pytest.approx((2 / 3, 1 / 4, 1.5 / 2.5))
    assert (
        str(evaluation)
        .splitlines()[-1]
        .startswith("particles: AP50 0.667, AP75 0.250, PQ 0.600; 3 found of 2")
    )


@pytest.mark.slow
def test_images_of_another_pixel_size_are_resampled_as_for_a_user(tiny, image):
    model = tiny(card={"pixel_size_nm": 10.0})
    segmenter = Segmenter(model)
    records = Records(segmenter, image)
    pixels = image(40, 30)
    mask = segmenter.segment(Micrograph(pixels, 20.0)).mask
    assert (mask != segmenter.segment(pixels).mask).any()
    records.items = [Example(pixels, mask, "a", "a", pixel_size_nm=20.0)]
    assert evaluate(segmenter, records).mean_dice == 1
    found = predict_image(model, Micrograph(pixels, 20.0))
    assert (segmenter.phases.to_ids(found.argmax(-1).astype(np.uint8)) == mask).mean() > 0.999


def test_two_ids_never_share_a_picture(segmenter, image, tmp_path):
    records = Records(segmenter, image)
    records.items = [replace(item, id=id_) for item, id_ in zip(records.items, ("a b", "a_b"), strict=True)]
    evaluate(segmenter, records, out=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a_b.png", "a_b_2.png"]


def test_the_table_shows_a_missing_phase_as_a_dash():
    phases = Phases.from_names(("pore", "ncm"))
    image = ImageScore("a", {"pore": 0.5, "ncm": float("nan")}, 0.5)
    text = str(Evaluation(phases, [image], {"a": np.array([[1, 0], [0, 0]])}, {}))
    assert text.splitlines()[2].split() == ["a", "0.500", "-", "0.500"]


def test_other_phases_and_empty_splits_are_refused(tiny, segmenter, image):
    records = Records(segmenter, image)
    with pytest.raises(InputError, match="must have images in the split 'train'"):
        evaluate(segmenter, records, split="train")
    other = Segmenter(tiny(Phases.from_names(("steel", "slag"))))
    with pytest.raises(InputError, match="must share two names or roles"):
        evaluate(other, records)


def test_phases_of_other_ids_are_compared_by_name_and_role(tiny, image):
    # Particle (1) stands for ncm, pore is 0 in one and 1 in the other: the ids change places.
    known = Segmenter(tiny(Phases.from_names(("particle", "pore"))))
    pixels = image(40, 30, seed=0)
    records = Records(known, image)
    records.splits = {"test": 1}
    records.phases = Phases.from_names(("pore", "ncm", "binder"))
    mask = known.segment(pixels).mask
    reference = np.where(mask == 0, 1, 0).astype(np.uint8)
    reference[tuple(np.argwhere(reference == (reference.mean() > 0.5))[0])] = 2  # of the larger phase
    records.examples = lambda split: iter([Example(pixels, reference, "a", "a")])
    with pytest.warns(InputWarning, match="does not know binder"):
        found = evaluate(known, records)
    assert found.phases.names == ("pore", "ncm", "binder") and found.dice["binder"] == 0
    # A pixel of a tie may fall otherwise when it is told in other phases; ids that change places would give 0.
    assert min(value for value in (found.dice["pore"], found.dice["ncm"]) if not np.isnan(value)) > 0.9


def test_disagreement_is_pale_where_both_agree_and_coloured_where_not():
    phases = Phases.default()
    reference, prediction = np.array([[0, 1, 255]], np.uint8), np.array([[0, 2, 2]], np.uint8)
    picture = disagreement(np.full((1, 3), 100, np.uint8), reference, prediction, phases)
    assert picture[0, 0].tolist() == picture[0, 2].tolist() == [170, 170, 170]
    assert picture[0, 1].tolist() == phases.palette()[2].tolist()
