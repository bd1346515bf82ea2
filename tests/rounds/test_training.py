"""Records of a round, and a whole turn of the loop with a tiny network."""

import errno
import os

import numpy as np
import pytest
import tifffile

from cathode_tf import InputError, InputWarning, Phases, open_records, synthesize
from cathode_tf.inference.trials import known_trials
from cathode_tf.rounds import (
    compare_models,
    create_project,
    evaluate_models,
    project_status,
    promote,
    propose,
    ranking,
    record_review,
    train_round,
    training,
)
from cathode_tf.rounds.training import _parts, write_records


def annotate(project, role, count):
    waiting = [i for i in project.state.queue() if i.role == role][:count]
    for image in waiting:
        record_review(project, image.key, "accept", mask=project.truth)
    return [project.image(image.key) for image in waiting]


def test_each_image_serves_training_above_and_validation_below(small_project):
    [image] = annotate(small_project, "pool", 1)
    records = open_records(small_project.path / write_records(small_project, [image])["path"])
    assert records.splits == {"train": 1, "validation": 1}
    [upper], [lower] = (list(records.examples(split)) for split in ("train", "validation"))
    # 48 labelled rows: 80 % are reached in row 38.
    assert (upper.image.shape, lower.image.shape) == ((38, 64), (10, 64))
    assert np.array_equal(np.vstack([upper.image, lower.image]), small_project.pixels(image))
    assert np.array_equal(np.vstack([upper.mask, lower.mask]), small_project.truth)
    assert (upper.origin, upper.round) == ("corrected", 1)


def test_later_images_are_added_and_nothing_is_rewritten(small_project):
    images = annotate(small_project, "pool", 1)
    first = write_records(small_project, images)
    before = {p: p.read_bytes() for p in (small_project.path / first["path"]).rglob("*.tfrecord*")}
    images += annotate(small_project, "pool", 1)
    annotate(small_project, "test", 1)
    second = write_records(small_project, images)
    assert second["path"] == first["path"] and second["version"] != first["version"]
    assert all(path.read_bytes() == content for path, content in before.items())
    records = open_records(small_project.path / second["path"])
    assert records.splits == {"train": 2, "validation": 2, "test": 1}
    assert write_records(small_project, images) == second


@pytest.mark.filterwarnings("ignore:.*(covers .* of the area|no image shows|is brighter than)")
def test_a_corrected_mask_begins_a_new_set(small_project):
    [image] = annotate(small_project, "pool", 1)
    first = write_records(small_project, [image])
    record_review(small_project, image.key, "accept", mask=np.ones_like(small_project.truth))
    second = write_records(small_project, [small_project.image(image.key)])
    assert (first["path"], second["path"]) == ("records/set-01", "records/set-02")


def test_labels_in_the_upper_half_only_still_give_both_parts(small_project):
    mask = small_project.truth.copy()
    mask[20:] = 255
    key = next(i.key for i in small_project.state.queue() if i.role == "pool")
    record_review(small_project, key, "accept", mask=mask)
    records = open_records(
        small_project.path / write_records(small_project, [small_project.image(key)])["path"]
    )
    [lower] = records.examples("validation")
    assert (lower.mask != 255).any()


@pytest.mark.parametrize(
    ("rows", "cut"),
    [
        ({5: 64, 30: 1}, 6),  # 80 % is reached in row 5, the first: it alone is learned from
        ({5: 1, 47: 64}, 47),  # 80 % is reached in the last: it alone validates
        ({5: 64}, None),  # nothing to divide
    ],
)
def test_both_parts_hold_labels_however_few_rows_do(rows, cut):
    mask = np.full((48, 64), 255, np.uint8)
    for row, count in rows.items():
        mask[row, :count] = 1
    expected = (
        {"train": slice(None)} if cut is None else {"train": slice(0, cut), "validation": slice(cut, None)}
    )
    assert _parts(mask, "pool") == expected


def test_a_disk_that_is_full_while_records_are_written_is_one_sentence(small_project, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    images = annotate(small_project, "pool", 1)
    monkeypatch.setattr(training, "_write_tiff", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left"):
        write_records(small_project, images)
    assert not list(small_project.path.glob(".tmp-*"))


def test_nothing_to_learn_from_is_said(small_project, tmp_path):
    annotate(small_project, "test", 1)
    with pytest.raises(InputError, match="test images do not count"):
        train_round(small_project)
    foreign = create_project(tmp_path / "steel", Phases.from_names(("steel", "slag")), [tmp_path / "in"])
    with pytest.raises(InputError, match=r"steel, 1 slag.*rounds train"):
        propose(foreign)


@pytest.mark.slow
def test_a_project_without_a_model_is_shown_what_the_shipped_one_makes_of_its_images(tmp_path, monkeypatch):
    sample = synthesize(seed=3, height=96, width=128)[0]
    (tmp_path / "in").mkdir()
    for index, pixels in enumerate((sample.image, sample.image[::-1], sample.image[:, ::-1])):
        tifffile.imwrite(tmp_path / "in" / f"{index}.tif", pixels)
    phases = Phases.from_names(("ncm", "binder", "pore"))
    project = create_project(tmp_path / "project", phases, [tmp_path / "in"], test_share=0.3)
    assert "propose" in project_status(project)["next"]
    # Killed at the third image: the same call keeps the other two.
    seen = ranking._seen_from_all_sides
    calls = []

    def die_at_the_third(micrograph, segmenters, phases):
        calls.append(micrograph)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return seen(micrograph, segmenters, phases)

    monkeypatch.setattr(ranking, "_seen_from_all_sides", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        propose(project)
    assert not project.state.round
    ranked = propose(project)
    assert len(calls) == 4
    # Two to learn from come before what only measures.
    assert [project.image(row["key"]).role for row in ranked] == ["pool", "pool", "test"]
    assert "review" in project_status(project)["next"]
    first = project.image(next(i.key for i in project.state.images.values() if i.name == "0"))
    assert first.proposal["model"] == "default" and project.state.champion is None
    # In the shipped model pore is 0 and ncm 1; here ncm is 0 and pore 2: what is pore is hardly ever told to be 0, and
    # far more often 2 than what is ncm.
    proposal = project.proposal(first)
    of_ncm, of_pore = (np.bincount(proposal[sample.mask == each], minlength=3) for each in (1, 0))
    assert of_ncm.argmax() == 0 and of_pore[2] > 5 * of_pore[0]
    assert of_pore[2] / of_pore.sum() > 5 * of_ncm[2] / of_ncm.sum()


TINY = {"epochs": 1, "steps_per_epoch": 2, "batch": 2, "patch_px": 32, "preset": "small"}


@pytest.mark.slow
def test_the_whole_turn(small_project, monkeypatch):
    project = small_project
    annotate(project, "pool", 1)

    # Killed between the training and its event: the same call finds the finished run and goes on.
    append = project.ledger.append

    def die(event, **facts):
        if event == "train":
            raise KeyboardInterrupt
        return append(event, **facts)

    monkeypatch.setattr(project.ledger, "append", die)
    with pytest.raises(KeyboardInterrupt):
        train_round(project, start="scratch", **TINY)
    monkeypatch.undo()
    assert project.state.champion is None
    model = train_round(project, start="scratch", **TINY)
    assert (model.number, model.start) == (1, "scratch") and project.state.champion.number == 1
    assert (project.path / "models/stable.keras").exists()

    ranked = propose(project)
    assert [row["rank"] for row in ranked] == [1, 2, 3]
    first, second = (project.state.images[row["key"]] for row in ranked[:2])
    assert first.role == "test" and project.state.round == 2
    # The test image keeps its first proposal, which no model of the comparison made.
    assert (first.proposal["round"], second.proposal["round"]) == (1, 2)
    assert project.proposal(first).shape == project.uncertainty(first).shape == (48, 64)

    annotate(project, "test", 1)
    annotate(project, "pool", 1)
    with pytest.warns(InputWarning, match="forgetting"):
        challenger = train_round(project, new_only=True, **TINY)
    assert (challenger.number, challenger.start, len(challenger.images)) == (2, "001", 1)
    verdict = promote(project, force_reason="a test")
    assert verdict.promote and project.state.champion.number == 2
    evaluate_models(project)  # measured already: nothing is done again
    state = project.state
    # What it reached is noted beside it and its copy: masks that it makes of such images are tested.
    trials = [known_trials(project.path / f"models/{name}.keras", {}) for name in ("002", "stable")]
    assert [[(trial["n"], trial["images"]) for trial in each] for each in trials] == [[(1, [first.name])]] * 2
    assert len(compare_models(project, state.models[1], state.models[2])) >= 2
    status = project_status(project)
    assert [row["images"] for row in status["models"]] == [1, 1]
    assert status["curve"] is None and status["change"]["challenger"] == "002"
