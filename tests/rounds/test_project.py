"""A project folder: images in by content, masks by revision, decisions with what they changed."""

import errno
import os
import shutil

import cv2
import numpy as np
import pytest

from cathode_tf import InputError, InputWarning, Phases
from cathode_tf.rounds import (
    Project,
    add_images,
    annotations,
    create_project,
    read_groups,
    record_review,
)


def write_images(folder, count, shape=(16, 20)):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for index in range(count):
        cv2.imwrite(str(folder / f"i{index}.png"), rng.integers(0, 255, shape, np.uint8))


def test_images_are_kept_by_content_and_a_share_is_frozen(tmp_path):
    write_images(tmp_path / "in", 10)
    project = create_project(tmp_path / "p", Phases.default(), [tmp_path / "in"], test_share=0.2)
    images = list(project.state.images.values())
    assert len(images) == 10 and sum(i.role == "test" for i in images) == 2
    pixels = cv2.imread(str(tmp_path / "in" / "i3.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(project.pixels(project.image("i3")), pixels)


def test_the_same_pixels_are_not_added_twice(tmp_path):
    write_images(tmp_path / "in", 2)
    project = create_project(tmp_path / "p", Phases.default(), [tmp_path / "in"])
    with pytest.warns(InputWarning, match="in the project already"):
        assert add_images(project, [tmp_path / "in" / "i0.png"]) == []
    assert len(project.state.images) == 2


def test_roles_keep_groups_together_and_never_change(tmp_path):
    write_images(tmp_path / "in", 9)
    groups = {f"i{index}": f"g{index // 3}" for index in range(9)}
    project = create_project(
        tmp_path / "p", Phases.default(), [tmp_path / "in"], groups=groups, test_share=0.33
    )
    before = {i.key: i.role for i in project.state.images.values()}
    by_group = {i.group: {o.role for o in project.state.images.values() if o.group == i.group}
                for i in project.state.images.values()}  # fmt: skip
    assert all(len(roles) == 1 for roles in by_group.values())
    assert sorted(before.values()).count("test") == 3
    rng = np.random.default_rng(5)
    (tmp_path / "more").mkdir()
    for index in range(20):
        cv2.imwrite(str(tmp_path / "more" / f"m{index}.png"), rng.integers(0, 255, (16, 20), np.uint8))
    add_images(project, [tmp_path / "more"])
    after = {i.key: i.role for i in project.state.images.values()}
    assert {key: after[key] for key in before} == before
    assert list(after.values()).count("test") == pytest.approx(0.33 * 29, abs=1)


def test_masks_brought_along_count_as_accepted(tmp_path):
    write_images(tmp_path / "in", 2)
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "i1.png"), np.ones((16, 20), np.uint8))
    project = create_project(tmp_path / "p", Phases.default(), [tmp_path / "in"], masks=tmp_path / "masks")
    image = project.image("i1")
    assert (image.status, image.origin) == ("accepted", "human")
    assert (project.mask(image) == 1).all()
    assert project.image("i0").status == "new"


def test_a_killed_add_is_made_good_by_the_same_call(tmp_path, monkeypatch):
    write_images(tmp_path / "in", 2)
    project = create_project(tmp_path / "p", Phases.default(), [tmp_path / "in" / "i0.png"], test_share=0)
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "i1.png"), np.ones((16, 20), np.uint8))

    def die(*args, **facts):
        raise KeyboardInterrupt

    monkeypatch.setattr("cathode_tf.rounds.intake.record_review", die)
    with pytest.raises(KeyboardInterrupt):
        add_images(project, [tmp_path / "in" / "i1.png"], masks=tmp_path / "masks")
    monkeypatch.undo()
    assert project.image("i1").mask is None
    add_images(project, [tmp_path / "in" / "i1.png"], masks=tmp_path / "masks")
    assert (project.mask(project.image("i1")) == 1).all() and len(project.state.images) == 2
    with pytest.warns(InputWarning, match="in the project already"):  # a mask that is there is not replaced
        add_images(project, [tmp_path / "in" / "i1.png"], masks=tmp_path / "masks")
    assert project.image("i1").revisions == 1


def test_a_project_can_be_copied(small_project, tmp_path):
    shutil.copytree(small_project.path, tmp_path / "copy")
    copy = Project(tmp_path / "copy")
    assert copy.state == small_project.state


def test_a_failed_start_leaves_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    with pytest.raises(InputError):
        create_project(tmp_path / "p", Phases.default(), [tmp_path / "in"])
    assert not (tmp_path / "p").exists()


def test_a_decision_records_what_changed_and_how_good_the_proposal_was(small_project):
    key = next(iter(small_project.state.images))
    event = record_review(small_project, key, "accept", mask=small_project.truth, who="ann", minutes=1.5)
    # 8 of 64 columns went from 1 to 0: 8 x 48 = 384 pixels.
    assert event["pixels_changed"] == {"pore": {"gained": 384, "lost": 0}, "ncm": {"gained": 0, "lost": 384}}
    # pore: proposal 8 columns, truth 16, common 8: 2 x 8 / 24; ncm: 24, 16, 16: 2 x 16 / 40.
    assert event["dice"]["pore"] == pytest.approx(2 / 3, abs=1e-5)
    assert event["dice"]["ncm"] == pytest.approx(0.8, abs=1e-5)
    assert event["dice"]["mean"] == pytest.approx((2 / 3 + 0.8 + 1 + 1) / 4, abs=1e-5)
    assert event["untouched"] is False
    image = small_project.image(key)
    assert (image.status, image.origin, image.annotator, image.minutes) == (
        "accepted",
        "corrected",
        "ann",
        1.5,
    )
    assert np.array_equal(small_project.mask(image), small_project.truth)


def test_a_second_mask_does_not_overwrite_the_first(small_project):
    key = next(iter(small_project.state.images))
    for value in (1, 2):
        record_review(small_project, key, "accept", mask=np.full_like(small_project.truth, value))
    assert sorted(p.name for p in (small_project.path / "masks" / key).iterdir()) == ["001.png", "002.png"]
    assert (small_project.mask(small_project.image(key)) == 2).all()


def test_an_untouched_proposal_is_known_as_such(small_project):
    event = record_review(small_project, next(iter(small_project.state.images)), "accept")
    assert event["untouched"] and event["pixels_changed"] == {} and event["dice"]["mean"] == 1.0


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.zeros((48, 63), np.uint8), "must be 48 x 64 pixels"),
        (np.full((48, 64), 9, np.uint8), "must hold only the ids"),
        (np.full((48, 64), 255, np.uint8), "label at least one pixel"),
    ],
)
def test_a_wrong_mask_is_refused_and_nothing_written(small_project, mask, says):
    key = next(iter(small_project.state.images))
    with pytest.raises(InputError, match=says):
        record_review(small_project, key, "accept", mask=mask)
    assert small_project.image(key).status == "proposed"
    assert not (small_project.path / "masks").exists()


def test_a_decision_that_the_disk_refuses_is_one_sentence_and_no_event(small_project, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    first, second = list(small_project.state.images)[:2]
    before = len(small_project.ledger.events())
    (small_project.path / "masks").mkdir(exist_ok=True)
    (small_project.path / "masks" / first).write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written \(a file stands where"):
        record_review(small_project, first, "accept", mask=small_project.truth)
    with monkeypatch.context() as disk:
        disk.setattr(annotations.os, "replace", full)
        with pytest.raises(InputError, match=r"cannot be written \(No space left"):
            record_review(small_project, second, "accept", mask=small_project.truth)
    assert len(small_project.ledger.events()) == before
    assert not list((small_project.path / "masks" / second).iterdir())


def test_the_queue_puts_the_best_ranked_first_and_skipped_last(small_project):
    keys = list(small_project.state.images)
    assert [i.key for i in small_project.state.queue()] == keys
    record_review(small_project, keys[0], "skip")
    record_review(small_project, keys[1], "reject")
    assert [i.key for i in small_project.state.queue()] == [keys[2], keys[3], keys[0]]


def test_no_project_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="rounds init"):
        Project(tmp_path)


def test_groups_need_their_columns(tmp_path):
    (tmp_path / "g.csv").write_text("image,stack\na,b\n")
    with pytest.raises(InputError, match="columns id and group"):
        read_groups(tmp_path / "g.csv")


def test_masks_that_belong_to_no_image_and_a_folder_that_is_taken_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.arange(64, dtype=np.uint8).reshape(8, 8))
    with pytest.raises(InputError, match="must hold masks of these images"):
        create_project(tmp_path / "p", Phases.default(), [tmp_path / "a.png"], masks=tmp_path)
    assert not (tmp_path / "p").exists()
    with pytest.raises(InputError, match="must be a new folder"):
        create_project(tmp_path, Phases.default(), [tmp_path / "a.png"])
