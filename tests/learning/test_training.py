"""Training on stripes: what a run leaves behind, how it goes on, how it stops, what is refused."""

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import keras
import numpy as np
import pytest

from cathode_tf import InputError, InputWarning, Phases, build_unet, patches, train
from cathode_tf.learning import load_model, read_card, save_model, scores, training
from cathode_tf.learning.callbacks import validate
from cathode_tf.learning.pace import Clock, Forecast, Schedule
from cathode_tf.learning.plan import with_phases_there
from cathode_tf.learning.run_folder import STATE, Progress

from .conftest import STRIPES, stripes, write_records

pytestmark = pytest.mark.usefixtures("tiny_network")

TINY = {"preset": "small", "epochs": 3, "steps_per_epoch": 2, "batch": 2, "patch_px": 32}


@pytest.fixture(scope="module")
def run(striped, shared):
    """A run that is at its end, which `train` gives back as it is."""
    return train(striped, shared("striped_run", lambda folder: train(striped, folder, **TINY)), **TINY)


def test_the_folder_explains_itself(run, striped):
    names = {"config.json", "card.json", "best.keras", "history.csv", "curves.png", "logs", "state"}
    names |= {"reliability.png"}
    assert {path.name for path in run.path.iterdir()} == names
    assert json.loads((run.path / "config.json").read_text())["records"]["fingerprint"] == striped.fingerprint
    with (run.path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[2]["mean_dice"]) == run.history[2]["mean_dice"]
    assert cv2.imread(str(run.path / "curves.png")).shape[1] > 500


def test_the_best_model_is_the_one_that_was_validated(run, striped):
    model, card = load_model(run.path)
    images = [(e.image, striped.phases.to_indices(e.mask)) for e in striped.examples("validation")]
    assert np.nanmean(validate(model, images)) == pytest.approx(run.best_dice, abs=1e-6)
    assert card["dice"]["mean"] == run.best_dice == max(row["mean_dice"] for row in run.history)
    assert json.loads((run.path / "card.json").read_text()) == card
    # What its probabilities are worth was measured on the same images.
    assert card["calibration"]["images"] == len(images)
    assert cv2.imread(str(run.path / "reliability.png")) is not None


def test_tensorboard_reads_the_logs(run):
    import tensorflow as tf

    [log] = (run.path / "logs").iterdir()
    events = [event for event in tf.compat.v1.train.summary_iterator(str(log)) if event.summary.value]
    tags = {value.tag for event in events for value in event.summary.value}
    assert {"train/loss", "validation/mean_dice", "validation/dice_ncm"} <= tags
    assert {event.step for event in events} == {1, 2, 3}


def test_a_finished_run_is_returned_not_trained_again(run, striped):
    before = (run.path / STATE).stat().st_mtime_ns
    assert train(striped, run.path, **TINY).history == run.history
    assert (run.path / STATE).stat().st_mtime_ns == before


def weights(path):
    return load_model(path)[0].get_weights()


@pytest.mark.slow
def test_a_run_cut_off_goes_on_to_the_same_weights(run, striped, tmp_path, monkeypatch):
    """The second process dies in the middle of the third epoch, after a state was saved."""
    real = Schedule.on_train_batch_end

    def die(self, batch, logs=None):
        real(self, batch, logs)
        if self.clock.step == 5:
            raise RuntimeError("killed")

    monkeypatch.setattr(Schedule, "on_train_batch_end", die)
    with pytest.raises(RuntimeError):
        train(striped, tmp_path / "run", **TINY)
    monkeypatch.setattr(Schedule, "on_train_batch_end", real)
    again = train(striped, tmp_path / "run", **TINY)
    for row, expected in zip(again.history, run.history, strict=True):
        assert {**row, "seconds": 0} == {**expected, "seconds": 0}
    with np.load(again.path / STATE) as a, np.load(run.path / STATE) as b:
        assert a.files == b.files
        for name in a.files:
            if name != "progress":
                np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.slow
def test_a_traced_training_is_the_same_as_one_step_by_step(striped, run, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.Model, "run_eagerly", False)
    traced = train(striped, tmp_path / "run", **TINY)
    for row, expected in zip(traced.history, run.history, strict=True):  # alike but for the order of sums
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-3)
        assert row["mean_dice"] == pytest.approx(expected["mean_dice"], abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("steps_done", [0, 1])
def test_ctrl_c_in_the_first_epoch_leaves_a_model_if_anything_was_learned(
    striped, tmp_path, monkeypatch, steps_done
):
    real = Schedule.on_train_batch_begin

    def interrupt(self, batch, logs=None):
        if self.clock.step == steps_done:
            raise KeyboardInterrupt
        real(self, batch, logs)

    monkeypatch.setattr(Schedule, "on_train_batch_begin", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(striped, tmp_path / "run", **TINY)
    if steps_done:
        _, card = load_model(tmp_path / "run")
        assert 0 <= card["dice"]["mean"] <= 1
    else:
        assert not (tmp_path / "run/best.keras").exists()


def test_time_limit_stops_in_time_with_a_model(striped, tmp_path):
    start = time.process_time()
    options = {**TINY, "epochs": None, "steps_per_epoch": 100_000}
    ended = train(striped, tmp_path / "run", time_limit_s=1, **options)
    assert ended.stopped == "time limit"
    assert time.process_time() - start < 30  # other work on the computer does not count
    assert ended.best_path.exists()


def test_the_schedule_follows_whichever_is_further(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("cathode_tf.learning.pace.time.monotonic", lambda: now[0])
    clock = Clock(steps=100, limit_s=50.0, progress=Progress(elapsed_s=10.0))
    schedule = Schedule(clock, 1.0, Progress(), warmup_steps=1)
    # By time 10 of 50 s are over, by steps none: cos(pi / 5).
    assert schedule.rate() == pytest.approx(0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi / 5)))
    clock.step = 50
    assert schedule.rate() == pytest.approx(0.01 + 0.99 * 0.5)
    now[0] = 200.0
    assert schedule.rate() == pytest.approx(0.01)


def test_the_time_left_leaves_the_first_step_out(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("cathode_tf.learning.pace.time.monotonic", lambda: now[0])
    clock = Clock(steps=100, limit_s=None, progress=Progress(step=10, elapsed_s=5.0))
    now[0] = 60.0
    clock.tick()
    assert np.isnan(clock.left_s())  # compiling says nothing
    now[0] = 64.0
    clock.tick()
    clock.tick()
    # Two steps in 4 s, after 13 of 100.
    assert (clock.step_s(), clock.left_s()) == (2.0, 87 * 2.0)
    clock.limit_s = 100.0
    assert (
        clock.left_s() == 16 * 2.0
    )  # 31 s are left of the limit: the step that it falls into is made to its end
    clock.validation_steps = 1.5
    assert clock.left_s() == 14 * 2.0 + 1.5 * 2.0  # the last validation, before one was timed, is kept free
    clock.reserve_s = 10.0
    assert clock.left_s() == 11 * 2.0 + 10.0


def forecast_of(monkeypatch, capsys, seconds, *, steps=None, limit_s=None, from_model=False):
    """What is said when the first step ends after 20 s and each further one takes `seconds`."""
    now = [0.0]
    monkeypatch.setattr("cathode_tf.learning.pace.time.monotonic", lambda: now[0])
    clock = Clock(steps=steps, limit_s=limit_s, progress=Progress())
    forecast = Forecast(clock, from_model=from_model, advice="Do this.")
    said = {}
    for step in range(1, 30):
        now[0] += 20 if step == 1 else seconds
        clock.tick()
        forecast.on_train_batch_end(step)
        said[step] = capsys.readouterr().err
    return {step: line for step, line in said.items() if line}


def test_the_steps_that_fit_are_told_once_and_too_few_are_a_warning(monkeypatch, capsys):
    # 5 s are watched after the third step of 4 s, at 28 s: 92 s are left for 23 more, 26 in all.
    [(step, line)] = forecast_of(monkeypatch, capsys, 4, limit_s=120).items()
    assert step == 3 and "limit of 2:00 min allows about 26 in all" in line
    assert "too few to learn from (at least 60). Do this." in line
    # From a model 26 are enough.
    [(step, line)] = forecast_of(monkeypatch, capsys, 4, limit_s=120, from_model=True).items()
    assert "about 26" in line and "too few" not in line
    # Without a limit it is the time that is told: 97 more steps of 4 s.
    [(step, line)] = forecast_of(monkeypatch, capsys, 4, steps=100).items()
    assert step == 3 and "97 more take 6:28 min" in line
    # A slow computer is told after its second step, at 50 s, within the minute.
    [(step, line)] = forecast_of(monkeypatch, capsys, 30, limit_s=600).items()
    assert step == 2 and "about 20" in line


@pytest.mark.slow
def test_a_run_without_improvement_stops(striped, tmp_path, monkeypatch):
    monkeypatch.setattr("cathode_tf.learning.callbacks.validate", lambda *_: np.full((1, 3), 0.5))
    ended = train(striped, tmp_path / "run", **{**TINY, "epochs": 10, "steps_per_epoch": 1})
    # The first epoch is best at a tenth of the schedule; the seventh is the first more than half of it later.
    assert (ended.stopped, len(ended.history)) == ("no improvement", 7)


@pytest.mark.slow
def test_divergence_before_any_model_is_an_error(striped, tmp_path):
    with pytest.raises(InputError, match="infinite in the first epoch"):
        train(striped, tmp_path / "run", **TINY, learning_rate=1e30)


def test_start_adapts_to_other_phases(striped, run, tmp_path):
    other = Phases.from_names(("binder", "crack", "ncm"))
    with pytest.warns(InputWarning, match="crack"):
        model = build_unet(other, filters=(4, 8))
        training.adapt_weights(load_model(run.path)[0], model)
    old = load_model(run.path)[0].get_layer("scores").get_weights()
    new = model.get_layer("scores").get_weights()
    # Four block positions, three phases each, phase fastest: old pore ncm binder, new binder crack ncm.
    np.testing.assert_array_equal(new[0][..., 0::3], old[0][..., 2::3])
    np.testing.assert_array_equal(new[1][2::3], old[1][1::3])


@pytest.mark.slow
def test_start_begins_with_the_weights_of_the_run(striped, run, tmp_path):
    options = {**TINY, "epochs": 1, "steps_per_epoch": 1, "learning_rate": 1e-9}
    ended = train(striped, tmp_path / "run", start=run.path, **options)
    for a, b in zip(weights(ended.path), weights(run.path), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert load_model(ended.path)[1]["trained_on"]["start"] == str(run.path)


def test_bad_starts_are_refused(striped, tmp_path):
    inputs = keras.Input((None, None, 3))
    outputs = build_unet(striped.phases, filters=(4,)).layers[-1](keras.layers.Conv2D(3, 1)(inputs))
    save_model(keras.Model(inputs, outputs), tmp_path / "rgb.keras")
    with pytest.raises(InputError, match="one channel"):
        train(striped, tmp_path / "run", start=tmp_path / "rgb.keras", **TINY)
    with pytest.raises(InputError, match="no such file"):
        train(striped, tmp_path / "run", start=tmp_path / "none.keras", **TINY)
    assert not (tmp_path / "run").exists()


def test_another_run_is_not_overwritten(run, striped, tmp_path):
    with pytest.raises(InputError, match=r"holds a run with seed 0\. Received 1"):
        train(striped, run.path, **TINY, seed=1)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        train(striped, tmp_path, **TINY)


def test_force_takes_a_run_away_only_when_the_next_can_begin(striped, run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    for wrong in ({"start": tmp_path / "none.keras"}, {"patch_px": 33}, {"seed": -1}):
        with pytest.raises(InputError):
            train(striped, tmp_path / "run", force=True, **{**TINY, **wrong})
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "run" / "logs" / "notes.txt").write_text("mine")
    for out, start, message in (
        (tmp_path / "run", tmp_path / "run", "--out: must not be what is read"),
        (striped.path.parent, None, "--out: must not hold what is read"),
        (tmp_path, None, r"also notes\.txt"),
        (tmp_path / "run", None, r"also logs/notes\.txt"),
    ):
        with pytest.raises(InputError, match=message):
            train(striped, out, start=start, force=True, **TINY)
    (tmp_path / "run" / "logs" / "notes.txt").unlink()
    ended = train(striped, tmp_path / "run", force=True, **{**TINY, "epochs": 1, "steps_per_epoch": 1})
    assert [row["epoch"] for row in ended.history] == [1]


def test_a_truncated_state_is_one_sentence(striped, run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    content = (tmp_path / "run" / STATE).read_bytes()
    (tmp_path / "run" / STATE).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"last\.npz: cannot be read"):
        train(striped, tmp_path / "run", **TINY)


def test_a_damaged_training_record_is_one_sentence(tmp_path):
    records = write_records(tmp_path, [stripes(i) for i in range(5)])
    [shard] = records.shards("train")
    content = bytearray(shard.read_bytes())
    first = content.index(b"\x89PNG")
    content[first : first + 100] = bytes(100)
    shard.write_bytes(content)
    with pytest.raises(InputError, match=r"cathode-train.*must be a grey PNG[^\n]*$"):
        train(records, tmp_path / "run", **TINY)


def test_changed_records_are_noticed(run, tmp_path):
    records = write_records(tmp_path / "other", [stripes(i + 5) for i in range(5)])
    with pytest.raises(InputError, match=r"holds a run with records.*--force"):
        train(records, run.path, **TINY)


@pytest.mark.filterwarnings("ignore:.*(covers .* of the area|no image shows|is brighter than)")
def test_records_that_cannot_teach_are_refused(tmp_path):
    pairs = [stripes(i) for i in range(2)]
    one = [(image, np.ones_like(mask)) for image, mask in pairs]
    records = write_records(tmp_path / "a", one, splits=("train", "validation"))
    with pytest.raises(InputError, match="two phases at least"):
        train(records, tmp_path / "run", **TINY)
    records = write_records(tmp_path / "b", pairs, splits=("train", "test"))
    with pytest.raises(InputError, match="validation"):
        train(records, tmp_path / "run", **TINY)
    ignored = [(image, np.full_like(mask, 255)) for image, mask in pairs]
    records = write_records(tmp_path / "c", [ignored[0], pairs[1]], splits=("train", "validation"))
    with pytest.raises(InputError, match="all are ignored"):
        train(records, tmp_path / "run", **TINY)
    records = write_records(tmp_path / "d", [pairs[0], ignored[1]], splits=("train", "validation"))
    with pytest.raises(InputError, match="validation split must hold"):
        train(records, tmp_path / "run", **TINY)
    assert not (tmp_path / "run").exists()


def test_a_phase_that_no_mask_shows_is_left_out_with_one_sentence(tmp_path):
    phases = Phases.from_names(("crack", "pore", "ncm", "binder"))
    mask = np.repeat(np.array([1, 2, 3], np.uint8), 16)[None].repeat(48, axis=0)
    image = (60 * mask).astype(np.uint8)
    seen = mask.copy()
    seen[:4] = 0  # a crack, in the validation image alone
    records = write_records(tmp_path / "a", [(image, mask), (image, seen)], phases, ("train", "validation"))
    with pytest.warns(InputWarning, match=r"No training mask has a pixel of crack: left out"):
        kept, pixels = with_phases_there(records)
    # 48 x 48 pixels of three phases; ids stay, and what is left out reads as ignored.
    assert (kept.phases.names, kept.phases.ids, pixels) == (("pore", "ncm", "binder"), (1, 2, 3), 48 * 48)
    [validation] = kept.examples("validation")
    assert (validation.mask[:4] == 255).all() and np.array_equal(validation.mask[4:], mask[4:])
    assert kept.rows_of("validation")[0].counts == (44 * 16, 44 * 16, 44 * 16, 4 * 48)
    image, target = next(iter(patches(kept, "validation", patch_px=48, batch=1, augment=False)))
    assert set(np.unique(target)) == {0, 1, 2, 255}


@pytest.mark.slow
def test_one_image_smaller_than_a_patch_is_enough(tmp_path):
    records = write_records(tmp_path, [stripes(0, 48), stripes(1, 48)], splits=("train", "validation"))
    ended = train(records, tmp_path / "run", **{**TINY, "patch_px": 64, "epochs": 1})
    assert ended.best_path.exists()


def test_options_out_of_range_are_refused(striped, tmp_path):
    for options in (
        {"batch": 0},
        {"preset": "huge"},
        {"learning_rate": float("nan")},
        {"patch_px": 2},
        {"seed": -1},
    ):
        with pytest.raises(InputError, match=next(iter(options))):
            train(striped, tmp_path / "run", **{**TINY, **options})


@pytest.mark.slow
def test_a_full_disk_leaves_a_run_that_goes_on(striped, run, tmp_path, monkeypatch):
    """The disk is full when the second epoch's state is written; with room again, the run ends as if never full."""
    real, calls = np.savez, []

    def full(*arguments, **arrays):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*arguments, **arrays)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(InputError, match=r"last\.npz: cannot be written \(No space left"):
        train(striped, tmp_path / "run", **TINY)
    load_model(tmp_path / "run")
    monkeypatch.setattr(np, "savez", real)
    again = train(striped, tmp_path / "run", **TINY)
    assert [row["mean_dice"] for row in again.history] == [row["mean_dice"] for row in run.history]


@pytest.mark.slow
def test_kill_minus_9_then_the_same_command(striped, tmp_path):
    command = [sys.executable, "-m", "cathode_tf.tools", "train", str(striped.path)]
    command += ["--preset", "small", "--epochs", "4", "--steps", "6", "--batch", "2", "--patch", "32"]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True)
    process = subprocess.Popen([*command, "--out", str(tmp_path / "killed")])
    while not (tmp_path / "killed" / STATE).exists():
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run([*command, "--out", str(tmp_path / "killed")], check=True)
    assert read_card(load_model(tmp_path / "killed")[0])["dice"] == load_model(tmp_path / "whole")[1]["dice"]
    with np.load(tmp_path / "killed" / STATE) as a, np.load(tmp_path / "whole" / STATE) as b:
        for name in a.files:
            if name != "progress":
                np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_phases_that_validation_lacks_are_named_and_left_out_of_the_mean(tmp_path):
    """Class 2 stands in no validation image; a pixel of it in a prediction makes no 0 of its Dice."""
    image, mask = stripes(1, 48)
    without = np.where(mask == STRIPES.ids[2], STRIPES.ids[1], mask).astype(np.uint8)
    records = write_records(tmp_path, [stripes(0, 48), (image, without)], splits=("train", "validation"))
    with pytest.warns(InputWarning, match=rf"hold no pixel of {STRIPES.names[2]}, so nothing tells"):
        images = training._validation_images(records)
    predicted = images[0][1].copy()
    predicted[0, 0] = 2
    tables = np.stack([scores.confusion(images[0][1], predicted, 3)])
    there = scores.phases_in((reference for _, reference in images), 3)
    dice = scores.judged(np.stack([scores.dice_per_phase(table) for table in tables]), there)
    assert np.isnan(dice[0, 2]) and scores.mean_dice(dice[0]) > 0.99
    assert scores.mean_dice(scores.dice_per_phase(tables[0])) < 0.7  # as it would count with the 0
