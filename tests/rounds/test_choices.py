"""What people say of images beside masks: phases, pixel sizes, groups; and whether it got better, in a sentence."""

import numpy as np
import pytest

from cathode_tf import InputError, Phases
from cathode_tf.rounds import create_project, record_review
from cathode_tf.rounds.choices import (
    PRESETS,
    choose_tests,
    groups_by_likeness,
    groups_by_name,
    odd_ones,
    phases_named,
    regroup,
    set_phases,
    set_scale,
    shared_places,
    switch_off,
)
from cathode_tf.rounds.log import event_line
from cathode_tf.rounds.verdict import what_changed


@pytest.fixture
def fresh(tmp_path, small_project):
    """A project of the same four images in which nothing was proposed."""
    return create_project(tmp_path / "fresh", Phases.default(), [tmp_path / "in"], test_share=0.25)


def test_presets_have_the_same_colour_and_role_for_a_name_everywhere():
    seen = {}
    for _, names in PRESETS.values():
        for phase in phases_named(names):
            assert seen.setdefault(phase.name, (phase.color, phase.role)) == (phase.color, phase.role)
            assert phase.role != "other" or phase.name == "solid_electrolyte"


def test_phases_can_be_chosen_until_there_is_a_mask(fresh):
    with pytest.raises(InputError, match="two at least"):
        set_phases(fresh, phases_named(["pore"]))
    project = set_phases(fresh, phases_named(["ncm", "pore"]))
    assert project.phases.names == ("ncm", "pore")
    key = next(iter(project.state.images))
    record_review(project, key, "accept", mask=np.ones((48, 64), np.uint8))
    with pytest.raises(InputError, match="Switch off"):
        set_phases(project, Phases.default())


def test_a_phase_is_switched_off_and_on(small_project):
    switch_off(small_project, ["additive"])
    assert small_project.active.names == ("pore", "ncm", "binder")
    assert small_project.active.ids == (0, 1, 3)  # masks keep their meaning
    switch_off(small_project, [])
    assert small_project.active is small_project.phases
    with pytest.raises(InputError, match="two at least"):
        switch_off(small_project, ["pore", "ncm", "additive"])
    with pytest.raises(InputError, match="'steel'"):
        switch_off(small_project, ["steel"])


def test_a_pixel_size_by_hand_is_kept_with_where_it_comes_from(small_project):
    keys = list(small_project.state.images)[:2]
    set_scale(small_project, keys, 1000 / 213, "scale bar measured by ann: 213.0 px = 1 um")
    image = small_project.image(keys[1])
    assert (image.pixel_size_nm, image.pixel_size_source[:9]) == (4.69484, "scale bar")
    assert small_project.image(list(small_project.state.images)[2]).pixel_size_nm is None
    with pytest.raises(InputError, match="above 0"):
        set_scale(small_project, keys, 0.0, "")


def test_groups_by_name_drop_the_number_at_the_end():
    names = ["A01_z0001", "A01_z0002", "cell-7", "cell-12", "12"]
    assert list(groups_by_name(names).values()) == ["A01", "A01", "cell", "cell", "12"]


def test_regrouping_draws_whole_groups_and_stops_with_the_first_mask(fresh):
    keys = list(fresh.state.images)
    regroup(fresh, dict(zip(keys, ["a", "a", "b", "b"], strict=True)))
    roles = {image.group: image.role for image in fresh.state.images.values()}
    assert set(roles.values()) == {"pool", "test"}
    with pytest.raises(InputError, match="two at least"):
        regroup(fresh, dict.fromkeys(keys, "a"))
    record_review(fresh, keys[0], "accept", mask=np.ones((48, 64), np.uint8))
    with pytest.raises(InputError, match="once an image is annotated"):
        regroup(fresh, {keys[0]: "c"})


def test_images_that_look_alike_are_one_group(tmp_path):
    import cv2

    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for index in range(4):  # two of white noise, two of blurred noise
        noise = rng.integers(0, 255, (64, 64)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{index}.png"), noise if index < 2 else cv2.blur(noise, (9, 9)))
    project = create_project(tmp_path / "p", Phases.default(), [tmp_path / "in"])
    groups = groups_by_likeness(project)
    by_name = {image.name: groups[key] for key, image in project.state.images.items()}
    assert by_name == {"0": "A", "1": "A", "2": "B", "3": "B"}


def test_crops_that_overlap_are_one_group_whatever_their_looks(tmp_path):
    import cv2

    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    wholes = [cv2.GaussianBlur(rng.normal(0, 1, (80, 200)), (0, 0), 2) for _ in range(2)]
    for name, whole in zip("ab", wholes, strict=True):
        grey = (128 + 300 * whole).clip(0, 255).astype(np.uint8)
        for index, left in enumerate((0, 60, 120)):  # each shares 20 of 80 columns with the next
            # Other looks: the middle one is far darker.
            cut = grey[:, left : left + 80] // (1 + 3 * (index == 1))
            cv2.imwrite(str(tmp_path / "in" / f"{name}{index}.png"), cut)
    project = create_project(tmp_path / "p", Phases.default(), [tmp_path / "in"])
    places = [[project.image(key).name for key in keys] for keys in shared_places(project)]
    assert places == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]
    groups = groups_by_likeness(project)
    by_name = {image.name: groups[key] for key, image in project.state.images.items()}
    # Looks alone would put a0 and b0 together; then all is one group, and places tell them apart.
    assert by_name == {"a0": "A", "a1": "A", "a2": "A", "b0": "B", "b1": "B", "b2": "B"}


def test_a_person_chooses_the_test_images_among_those_that_nobody_corrected(fresh):
    keys = list(fresh.state.images)
    regroup(fresh, dict(zip(keys, ["a", "a", "b", "c"], strict=True)))
    assert choose_tests(fresh, [keys[0]]) == [fresh.image(keys[1]).name]  # of its group
    roles = lambda: [fresh.image(key).role for key in keys]  # noqa: E731
    assert roles() == ["test", "test", "pool", "pool"]
    assert "choose test images: " + fresh.image(keys[0]).name in event_line(
        fresh.ledger.events()[-1], fresh.state
    )
    before = len(fresh.ledger.events())
    for wrong, why in (([], "one to measure on"), ([keys[0], keys[2], keys[3]], "one to learn from")):
        with pytest.raises(InputError, match=why):
            choose_tests(fresh, wrong)
    record_review(fresh, keys[2], "accept", mask=np.ones((48, 64), np.uint8))
    with pytest.raises(InputError, match="must stay one to learn from"):
        choose_tests(fresh, [keys[2]])
    choose_tests(fresh, [keys[3]])  # the two before go back: nobody has corrected them
    assert roles() == ["pool", "pool", "pool", "test"]
    record_review(fresh, keys[3], "accept", mask=np.ones((48, 64), np.uint8))
    with pytest.raises(InputError, match="must stay a test image"):
        choose_tests(fresh, [keys[0]])
    choose_tests(fresh, [keys[3]])  # nothing new is no event
    # One regrouping, two choices, two masks, and the refusals nothing.
    assert len(fresh.ledger.events()) == before + 3


def test_odd_ones_need_a_majority():
    assert odd_ones(["a", "a", "b"]).tolist() == [False, False, True]
    assert not odd_ones(["a", "b"]).any() and not odd_ones([]).any()


def evaluated(project, number, values):
    """A model with these Dice of pore and binder on the test image."""
    tests = project.state.annotated("test")
    facts = {"path": f"models/{number:03d}.keras", "run": "", "records": {}, "start": "scratch", "minutes": 0}
    project.ledger.append("train", model=number, round=1, images=[], **facts)
    pore, binder = values
    dice = {"pore": pore, "ncm": None, "additive": None, "binder": binder}
    rows = {i.key: {"revision": i.revisions, "mean": (pore + binder) / 2, "dice": dice} for i in tests}
    project.ledger.append("evaluate", model=number, test=rows)
    return rows


def test_the_verdict_names_the_model_before_the_default_and_what_gained(small_project):
    project = small_project
    assert what_changed(project) is None
    test = next(i for i in project.state.images.values() if i.role == "test")
    record_review(project, test.key, "accept", mask=project.truth)
    (project.path / "models").mkdir()
    rows = evaluated(project, 1, (0.8, 0.5))
    project.ledger.append("promote", model=1, reason="first model")
    project.ledger.append("baseline", test={key: {**row, "mean": 0.61} for key, row in rows.items()})
    first = what_changed(project)
    assert (first["advice"], first["before"]) == ("promote", None)  # 0.65, and the shipped model 0.61
    evaluated(project, 2, (0.78, 0.78))
    found = what_changed(project)
    assert found["sentence"] == (
        "On your 1 test image: mean Dice 0.78, before 0.65, the default model 0.61; binder gained most (+0.28) and "
        "pore lost (−0.02). One test image proves little: correct another."
    )
    assert (found["advice"], found["before"], found["stable"]) == ("promote", "001", False)


def test_a_model_that_nothing_measures_says_what_to_correct(small_project):
    facts = {"path": "", "run": "", "records": {}, "start": "scratch", "minutes": 0}
    small_project.ledger.append("train", model=1, round=1, images=[], **facts)
    found = what_changed(small_project)
    assert found["advice"] == "unmeasured" and "measures, and is never learned from" in found["sentence"]
