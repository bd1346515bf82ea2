"""Jobs: what a worker writes of them, how it ends early, and how long it says that it will take."""

import json
import os
import time
import warnings

import pytest

from cathode_tf import InputError, InputWarning
from cathode_tf.progress import stop_asked, tell, track
from cathode_tf.review import worker
from cathode_tf.review.forecast import PACE, propose_seconds, training_minutes, training_stages
from cathode_tf.review.jobs import Jobs, lock_of
from cathode_tf.review.work import Ended, Stages, first_three


@pytest.fixture
def job(small_project, monkeypatch):
    """Make a job whose work is a function; gives its folder."""

    def make(run):
        class Work:
            def __init__(self, project, options, who, state):
                self.stages = Stages([("Counting", 10.0)])

            def run(self, note):
                return run(note)

        monkeypatch.setitem(worker.WORK, "propose", Work)
        folder = small_project.path / "jobs" / "001-propose"
        folder.mkdir(parents=True)
        asked = {"kind": "propose", "options": {}, "who": "ann", "at": ""}
        (folder / "job.json").write_text(json.dumps(asked))
        (folder / "state.json").write_text(json.dumps({"state": "waiting"}))
        return folder

    return make


def state(folder):
    return json.loads((folder / "state.json").read_text())


def test_a_job_leaves_its_result_its_notes_and_its_log(job):
    def run(note):
        os.write(1, b"a line for the log")  # as libraries in C print
        for _ in range(2):
            warnings.warn("said once", InputWarning, stacklevel=1)
        note(model=3)
        return {"images": len(list(track(range(4), "Counting")))}

    folder = job(run)
    worker.do(folder)
    found = state(folder)
    assert (found["state"], found["result"], found["notes"]) == ("done", {"images": 4}, ["said once"])
    assert (found["share"], found["model"], found["attempts"]) == (1.0, 3, 1)
    assert "a line for the log" in (folder / "log.txt").read_text()
    worker.do(folder)  # over: not done again
    assert state(folder)["attempts"] == 1


def test_wrong_input_and_faults_end_in_a_sentence(job):
    def wrong(note):
        raise InputError("a.tif: must be an image.")

    folder = job(wrong)
    worker.do(folder)
    assert (state(folder)["state"], state(folder)["error"]) == ("failed", "a.tif: must be an image.")

    def broken(note):
        raise ZeroDivisionError

    (folder / "state.json").write_text(json.dumps({"state": "waiting"}))
    worker.WORK["propose"].run = lambda self, note: broken(note)
    worker.do(folder)
    assert state(folder)["state"] == "failed" and "log.txt" in state(folder)["error"]


@pytest.mark.parametrize(("wish", "ended"), [("pause", "paused"), ("stop", "stopped")])
def test_a_job_ends_between_two_items_when_it_is_told_to(job, wish, ended):
    seen = []

    def run(note):
        for item in track(range(5), "Counting"):
            seen.append(item)
            (folder / wish).touch()
        return {}

    folder = job(run)
    worker.do(folder)
    assert (state(folder)["state"], seen) == (ended, [0])


def test_a_training_is_asked_to_stop_and_keeps_what_it_has(job):
    def run(note):
        (folder / "stop").touch()
        tell("Training", 0.5, 1.0, left_s=3.0)  # does not end it from outside
        return {"stopped": stop_asked()}

    folder = job(run)
    worker.do(folder)
    assert state(folder)["result"] == {"stopped": True}


def test_the_end_of_a_training_that_was_asked_for_ends_no_more_than_the_training(tmp_path):
    stages = Stages([("Training", 60.0), ("Calibrating", 5.0), ("Measuring models", 20.0)])
    teller = worker.Teller(tmp_path, stages)
    (tmp_path / "stop").touch()
    teller.heard("Training", 0.5, 1.0)
    assert teller.stop_asked()
    teller.heard("Calibrating", 0, 3)
    teller.heard("Measuring models", 0, 2)  # the verdict is wanted all the same
    (tmp_path / "stop").touch()  # so late a wish comes to the same: the model is there, its worth nearly
    teller.heard("Measuring models", 1, 2)
    assert not teller.stop_asked()
    (tmp_path / "pause").touch()
    with pytest.raises(Ended):
        teller.heard("Measuring models", 1, 2)


def test_a_job_that_another_process_does_is_left_to_it(job, monkeypatch):
    monkeypatch.setattr(worker, "LOCK_S", 0.1)
    folder = job(lambda note: {})
    with lock_of(folder):
        worker.do(folder)
    assert state(folder)["state"] == "waiting"


def test_work_that_takes_longer_than_foretold_is_called_so(job, small_project):
    folder, jobs = job(lambda note: {}), Jobs(small_project, worker=None)
    for told_ago, left, late in ((2.0, 8.0, False), (11.0, 1.0, False), (20.0, 1.0, True)):
        note = {"state": "running", "left_s": 10.0, "told": time.time() - told_ago}
        (folder / "state.json").write_text(json.dumps(note))
        card = jobs.card(folder)
        assert card["left_s"] == pytest.approx(left, abs=0.5) and card["late"] is late


def test_the_time_left_is_that_of_the_stage_and_of_those_to_come():
    stages = Stages([("Training", 60.0), ("Measuring models", 20.0)])
    stages.heard("Training", 0.25, 1.0, 45.0)
    assert stages.left_s() == 65.0 and stages.share() == pytest.approx(15 / 80)
    stages.heard("Reading", 1, 2, None)  # of no stage
    assert stages.left_s() == 65.0
    stages.heard("Measuring models", 0, 2, None)
    assert stages.left_s() == 20.0 and stages.share() == pytest.approx(60 / 80)


def test_three_images_to_look_at_first_hold_one_that_measures(small_project):
    images = first_three(small_project)
    assert len({image.key for image in images}) == 3 and [i.role for i in images].count("test") == 1


def test_time_follows_the_pixels_and_the_computer(small_project):
    images = list(small_project.state.images.values())
    # Four views of 48 x 64 pixels at 10 s a megapixel, four times as long as on a free core, where an image adds 1.5 s.
    each = 4 * 10.0 * 48 * 64 / 1e6 + 1.5 * 10.0 / PACE
    assert propose_seconds(images, 10.0) == pytest.approx(4 * each, abs=0.06)
    # Nothing annotated: 100 steps of 4 x 3 s are 20 minutes.
    assert training_minutes(small_project, 3.0) == 20.0
    assert training_minutes(small_project, 0.01) == 1.0 and training_minutes(small_project, 100.0) == 30.0


def test_a_training_takes_its_minutes_and_what_is_around_it_as_long_as_the_computer_is_slow(small_project):
    free, slow = (dict(training_stages(small_project, 120.0, pace)) for pace in (PACE, 3 * PACE))
    assert list(free) == [
        "Converting images",
        "Training",
        "Calibrating",
    ]  # no test image is annotated to measure on
    assert slow["Training"] - 120 == pytest.approx(3 * (free["Training"] - 120))
    assert sum(slow.values()) - 120 == pytest.approx(3 * (sum(free.values()) - 120))
