"""How fast a training goes: its clock, the learning rate that follows it, and what is told of steps and of time."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import keras
import numpy as np

from cathode_tf.learning.averaging import synchronize
from cathode_tf.learning.run_folder import Progress
from cathode_tf.progress import stop_asked, tell


class Clock:
    """How much of a run is over, by steps and by time, whichever is further.

    Args:
        steps: All steps of the run; None where only the time limits it.
        limit_s: Seconds for the whole run; None where only the steps limit it.
        progress: Where the run stands at the start of this process.
        validation_steps: Steps that take as long as validating once; a guess until the first validation.
    """

    def __init__(
        self, steps: int | None, limit_s: float | None, progress: Progress, *, validation_steps: float = 0.0
    ):
        self.steps, self.limit_s = steps, limit_s
        self.before_s, self.start, self.step = progress.elapsed_s, time.monotonic(), progress.step
        self.learning_rate = math.nan  # of the last step
        self.validation_steps = validation_steps
        self._reserve_s: float | None = None
        self._first: tuple[int, float] | None = None

    @property
    def reserve_s(self) -> float:
        """Seconds to keep for the last validation."""
        if self._reserve_s is not None:
            return self._reserve_s
        step_s = self.step_s()
        return 0.0 if math.isnan(step_s) else self.validation_steps * step_s

    @reserve_s.setter
    def reserve_s(self, seconds: float) -> None:
        self._reserve_s = seconds

    def elapsed_s(self) -> float:
        return self.before_s + time.monotonic() - self.start

    def share(self) -> float:
        """0 at the start, 1 at the end."""
        by_step = self.step / self.steps if self.steps else 0.0
        by_time = self.elapsed_s() / max(self.limit_s - self.reserve_s, 1e-9) if self.limit_s else 0.0
        return min(max(by_step, by_time), 1.0)

    def tick(self) -> None:
        """A step is over. The first of a process, which compiles, says nothing about the pace."""
        self.step += 1
        if self._first is None:
            self._first = (self.step, time.monotonic())

    def watched_s(self) -> float:
        """Seconds since the first step of this process ended."""
        return 0.0 if self._first is None else time.monotonic() - self._first[1]

    def step_s(self) -> float:
        """Seconds a step takes, validation included; NaN before the second."""
        if self._first is None or self.step == self._first[0]:
            return math.nan
        return self.watched_s() / (self.step - self._first[0])

    def steps_allowed(self) -> float:
        """All steps of the run that fit into the time limit at this pace; NaN if there is none or before the second."""
        if not self.limit_s:
            return math.nan
        return self.step + max(self.limit_s - self.reserve_s - self.elapsed_s(), 0.0) / self.step_s()

    def left_s(self) -> float:
        """Seconds to go, by the steps at this pace or by the time limit, whichever comes first; NaN if unknown.

        The step that the limit falls into is made to its end, and the last validation follows it.
        """
        step_s = self.step_s()
        by_step = (self.steps - self.step) * step_s if self.steps else math.nan
        by_time = math.nan
        if self.limit_s:
            by_time = max(self.limit_s - self.elapsed_s(), 0.0)
            if step_s > 0:
                steps = math.ceil(max(by_time - self.reserve_s, 0.0) / step_s)
                by_time = steps * step_s + self.reserve_s
        return float(np.fmin(by_step, by_time))


class Schedule(keras.callbacks.Callback):
    """Warm-up, then cosine decay to a hundredth, tied to the clock; stops when time is up or loss is NaN.

    Args:
        clock: The run's clock.
        peak: Highest learning rate.
        progress: Told why the run stops.
        warmup_steps: Steps of linear growth at the beginning.
    """

    def __init__(self, clock: Clock, peak: float, progress: Progress, warmup_steps: int = 20):
        super().__init__()
        self.clock, self.peak, self.progress, self.warmup_steps = clock, peak, progress, warmup_steps

    def rate(self) -> float:
        """The learning rate of the step that comes."""
        warm = min((self.clock.step + 1) / self.warmup_steps, 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * self.clock.share()))
        return self.peak * warm * (0.01 + 0.99 * cosine)

    def on_train_batch_begin(self, batch, logs=None):
        synchronize(self.model)
        self.clock.learning_rate = self.rate()
        self.model.optimizer.learning_rate = self.clock.learning_rate

    def on_train_batch_end(self, batch, logs=None):
        self.clock.tick()
        if not math.isfinite(float(logs["loss"])):
            self.progress.stopped = "diverged"
        elif self.clock.limit_s and self.clock.elapsed_s() + self.clock.reserve_s >= self.clock.limit_s:
            self.progress.stopped = "time limit"
        elif stop_asked():
            self.progress.stopped = "asked"
        if self.progress.stopped:
            self.model.stop_training = True


class Telling(keras.callbacks.Callback):
    """Tells every few seconds how far the epoch got, how fast, and how long it will still take."""

    def __init__(self, clock: Clock, progress: Progress, steps_per_epoch: int, every_s: float = 10.0):
        super().__init__()
        self.clock, self.progress = clock, progress
        self.steps_per_epoch, self.every_s = steps_per_epoch, every_s
        self.last, self.loss = 0.0, math.nan

    def on_train_begin(self, logs=None):
        say("  The first step takes up to a minute, as the network is compiled ...")

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        self.loss = float(logs["loss"])
        tell("Training", self.clock.share(), 1.0, **self._facts())
        now, live = time.monotonic(), sys.stderr.isatty()
        if now - self.last < (0.5 if live else self.every_s):
            return
        self.last = now
        step_s = self.clock.step_s()
        left_s = self.clock.left_s()
        pace = "" if math.isnan(step_s) else f", {1 / max(step_s, 1e-9):.2f} steps/s"
        left = "" if math.isnan(left_s) else f", {duration(left_s)} left"
        best = f", best Dice {self.progress.best_dice:.3f}" if self.progress.history else ""
        line = (
            f"  epoch {self.epoch} step {batch + 1}/{self.steps_per_epoch}{pace}, "
            f"loss {self.loss:.3f}{best}{left}"
        )
        print(f"\r{line:<110}" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)

    def _facts(self) -> dict[str, Any]:
        left_s, best = self.clock.left_s(), self.progress.best_dice
        return {
            "left_s": None if math.isnan(left_s) else left_s,
            "step": self.clock.step,
            "loss": self.loss if math.isfinite(self.loss) else None,
            "best_dice": best if self.progress.history else None,
        }


class Forecast(keras.callbacks.Callback):
    """Says once, within the first minute, what the pace means: how many steps the time allows, or how long it takes.

    Args:
        clock: The run's clock.
        from_model: Whether the weights begin with those of a model, which need fewer steps.
        advice: What to do where the steps are too few to learn from.
    """

    LEAST = 60
    LEAST_FROM_MODEL = 20
    """Steps: the learning rate is warm only after 20, and a fresh network tells bright phases apart after some 60."""
    WATCHED_S = 5.0
    AT_LATEST_S = 40.0

    def __init__(self, clock: Clock, *, from_model: bool, advice: str):
        super().__init__()
        self.clock, self.advice, self.told = clock, advice, False
        self.least = self.LEAST_FROM_MODEL if from_model else self.LEAST

    def on_train_batch_end(self, batch, logs=None):
        clock = self.clock
        step_s = clock.step_s()
        if self.told or math.isnan(step_s):
            return
        if clock.watched_s() < self.WATCHED_S and clock.elapsed_s() - clock.before_s < self.AT_LATEST_S:
            return
        self.told = True
        allowed = clock.steps_allowed()
        if math.isnan(allowed) or (clock.steps and clock.steps <= allowed):
            say(
                f"  A step takes {step_s:.2g} s: {clock.steps - clock.step} more take {duration(clock.left_s())}."
            )
            return
        limit = duration(clock.limit_s)
        say(f"  A step takes {step_s:.2g} s: the time limit of {limit} allows about {allowed:.0f} in all.")
        if allowed < self.least:
            say(f"  Warning: that is too few to learn from (at least {self.least}). {self.advice}")


def say(line: str) -> None:
    """A line of its own, over the one that a terminal may be counting in."""
    print(f"\r{line:<110}" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Minutes and seconds.

    Example:
        >>> duration(75.2)
        '1:15 min'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"
