"""How far a run got, and whether it may go on: folders with a config and a state, written by hand."""

import json

import numpy as np
import pytest

from cathode_tf import InputError, train
from cathode_tf.learning import training
from cathode_tf.learning.pace import Schedule
from cathode_tf.learning.resuming import resume_or_begin
from cathode_tf.learning.run_folder import CONFIG, STATE, Progress

CONFIGURED = {"preset": "small", "epochs": 50, "time_limit_s": None}
HISTORY = [
    {"epoch": 1, "mean_dice": 0.5, "seconds": 60.0},
    {"epoch": 2, "mean_dice": 0.7, "seconds": 120.0},
    {"epoch": 3, "mean_dice": 0.7, "seconds": 180.0},
]


@pytest.fixture
def folder(tmp_path):
    """A run of 50 epochs that was cut off after three; the best was the second."""
    write(tmp_path)
    return tmp_path


def write(folder, stopped=""):
    (folder / CONFIG).write_text(json.dumps(CONFIGURED))
    progress = Progress(3, 60, 181.5, 0.7, 2 / 50, HISTORY, stopped)
    (folder / STATE).parent.mkdir(exist_ok=True)
    np.savez(folder / STATE, progress=np.frombuffer(json.dumps(vars(progress)).encode(), np.uint8))
    return progress


def test_the_same_options_go_on_as_if_nothing_had_happened(folder, capsys):
    assert resume_or_begin(folder, dict(CONFIGURED), False) == write(folder)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "end, best_at, words",
    [
        ({"epochs": 100}, 2 / 100, "to 100 epochs (was 50 epochs)"),
        ({"epochs": 5}, 2 / 5, "to 5 epochs (was 50 epochs)"),
        ({"epochs": 1}, 1.0, "to 1 epoch (was 50 epochs)"),
        ({"epochs": None, "time_limit_s": 1200.0}, 120 / 1200, "to 20 min (was 50 epochs)"),
        ({"time_limit_s": 90.0}, 1.0, "to 50 epochs or 1.5 min (was 50 epochs)"),
    ],
)
def test_a_run_that_has_not_ended_may_be_given_another_end(folder, capsys, end, best_at, words):
    progress = resume_or_begin(folder, CONFIGURED | end, False)
    # Epoch 2, after 120 s, was the first of the best.
    assert (progress.epoch, progress.best_at) == (3, best_at)
    said = capsys.readouterr().err
    assert f"goes on after 3 epochs and 3.0 min, now {words}; the learning rate follows" in said


def test_a_run_that_has_ended_says_how_to_train_on(folder):
    done = write(folder, "time limit")
    assert resume_or_begin(folder, dict(CONFIGURED), False) == done
    with pytest.raises(InputError, match=r"ended \(time limit, 3 epochs\).*give --from .* and another --out"):
        resume_or_begin(folder, CONFIGURED | {"epochs": 100}, False)


def test_other_options_are_refused_whatever_the_end(folder):
    with pytest.raises(InputError, match=r"holds a run with preset small\. Received base"):
        resume_or_begin(folder, CONFIGURED | {"preset": "base", "epochs": 60}, False)


@pytest.mark.slow
def test_the_schedule_follows_the_new_end(striped, tmp_path, monkeypatch):
    monkeypatch.setitem(training.PRESETS, "small", (4, 8))
    options = {"preset": "small", "steps_per_epoch": 4, "batch": 2, "patch_px": 32}
    real = Schedule.on_train_batch_end

    def die(self, batch, logs=None):
        real(self, batch, logs)
        if self.clock.step == 10:
            raise RuntimeError("killed")

    monkeypatch.setattr(Schedule, "on_train_batch_end", die)
    with pytest.raises(RuntimeError):
        train(striped, tmp_path / "run", epochs=3, **options)
    monkeypatch.setattr(Schedule, "on_train_batch_end", real)
    run = train(striped, tmp_path / "run", epochs=5, **options)
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5] and run.stopped == "done"
    # The last step of epoch 3 is the twelfth of 20 that warm up; 11 of the 20 of the schedule lie before it.
    expected = 2e-3 * 12 / 20 * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * 11 / 20)))
    assert run.history[2]["learning_rate"] == pytest.approx(expected)
    assert json.loads((run.path / CONFIG).read_text())["epochs"] == 5
    with pytest.raises(InputError, match="has ended"):
        train(striped, tmp_path / "run", epochs=7, **options)


@pytest.mark.slow
def test_an_end_that_is_past_ends_the_run(striped, tmp_path, monkeypatch):
    monkeypatch.setitem(training.PRESETS, "small", (4, 8))
    options = {"preset": "small", "steps_per_epoch": 2, "batch": 2, "patch_px": 32}
    real = Schedule.on_train_batch_end

    def interrupt(self, batch, logs=None):
        real(self, batch, logs)
        if self.clock.step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Schedule, "on_train_batch_end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(striped, tmp_path / "run", epochs=9, **options)
    monkeypatch.setattr(Schedule, "on_train_batch_end", real)
    run = train(striped, tmp_path / "run", epochs=1, **options)
    assert (len(run.history), run.stopped) == (2, "done")
