"""A chart's options and the uncertainties of its points in; how often it calls a process out that did nothing, out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cathode_tf.lots.charts import Options, usual_variance
from cathode_tf.lots.phase_one import PhaseOne, centre_and_variance
from cathode_tf.lots.rules import broken

PLANTS, LOTS = 300, 200


@dataclass(frozen=True)
class RunLength:
    """Lots between two alarms of a process that is in control.

    Attributes:
        known: If centre and variance were known exactly.
        estimated: As they are, estimated from this phase I.
        error: Relative standard error of both, from the number of simulated alarms.
        points: Lots of phase I.
    """

    known: float
    estimated: float
    error: float
    points: int

    @property
    def sentence(self) -> str:
        """For the report."""
        return (
            f"In control, one lot in about {self.estimated:.0f} gives an alarm (simulated, with these uncertainties "
            "and a "
            f"phase I of {self.points} lots; one in {self.known:.0f} if the process were known exactly)."
        )


def run_length(
    kind: str, u: np.ndarray, phase: PhaseOne, options: Options | None = None, *, seed: int = 0
) -> RunLength:
    """Simulate plants in control: their lots' uncertainties are drawn from `u`, their phase I as in `phase`.

    The false alarm rate is alarms over lots until the first alarm, at most 200, all plants together.

    Args:
        kind: Of the chart.
        u: (n,) standard uncertainties that occur.
        phase: Its process standard deviation, and how many lots it rests on.
        options: Default `Options()`.
        seed: Of the draws.
    """
    options = options or Options()
    random = np.random.default_rng(seed)
    lots = max(len(phase.labels), phase.centre.n)
    own = random.choice(np.asarray(u, float), (PLANTS, LOTS))
    true_sd = phase.sd if phase.sd or own.any() else 1.0
    x = random.normal(size=(PLANTS, LOTS)) * np.sqrt(true_sd**2 + own**2)
    typical = np.full(PLANTS, usual_variance(np.asarray(u, float), phase) - phase.sd**2)
    known = _first(kind, x, own, np.zeros(PLANTS), np.full(PLANTS, true_sd**2), typical, options)
    centre, variance, typical = np.empty(PLANTS), np.empty(PLANTS), np.empty(PLANTS)
    for plant in range(PLANTS):
        before = random.choice(np.asarray(u, float), lots)
        seen = random.normal(size=lots) * np.sqrt(true_sd**2 + before**2)
        centre[plant], variance[plant], _ = centre_and_variance(seen, before, phase.spread)
        typical[plant] = float((before**2).mean())
    estimated = _first(kind, x, own, centre, variance, typical, options)
    alarms = int(known[1].sum())
    return RunLength(_mean(known), _mean(estimated), 1 / math.sqrt(max(alarms, 1)), lots)


def _mean(found: tuple[np.ndarray, np.ndarray]) -> float:
    lengths, alarmed = found
    return float(lengths.sum() / max(int(alarmed.sum()), 1))


def _first(
    kind: str,
    x: np.ndarray,
    u: np.ndarray,
    centre: np.ndarray,
    variance: np.ndarray,
    typical: np.ndarray,
    options: Options,
) -> tuple[np.ndarray, np.ndarray]:
    """Lots until the first alarm of each plant, and whether there was one."""
    s2 = np.maximum(variance[:, None] + u**2, 1e-300)
    y = x - centre[:, None]
    usual = (variance + typical)[:, None]
    if kind == "individuals":
        alarm = np.zeros(x.shape, bool)
        for rule in options.rules:
            alarm |= broken(y / np.sqrt(s2), rule, options.limit)
    elif kind == "moving_range":
        own = (u[:, 1:] ** 2 + u[:, :-1] ** 2) / 2
        beyond = np.abs(np.diff(x, axis=1)) > 3.267 * 1.128379 * np.sqrt(variance[:, None] + own)
        alarm = np.concatenate([np.zeros((len(x), 1), bool), beyond], axis=1)
    else:
        alarm = _swept(kind, y, s2, np.maximum(usual, 1e-300), options)
    there = np.asarray(alarm.any(axis=1))
    return np.where(there, alarm.argmax(axis=1) + 1, x.shape[1]), there


def _swept(kind: str, y: np.ndarray, s2: np.ndarray, usual: np.ndarray, options: Options) -> np.ndarray:
    alarm = np.zeros(y.shape, bool)
    ratio = usual / s2
    high = low = z = v = np.zeros(len(y))
    counts = 1 - (1 - options.weight) ** ratio
    for i in range(y.shape[1]):
        if kind == "ewma":
            c = counts[:, i]
            z = c * y[:, i] + (1 - c) * z
            v = c**2 * s2[:, i] + (1 - c) ** 2 * v
            alarm[:, i] = np.abs(z) > options.limit * np.sqrt(v)
        else:
            step = y[:, i] / np.sqrt(usual[:, 0])
            high = np.maximum(0, high + ratio[:, i] * (step - options.allowance))
            low = np.maximum(0, low + ratio[:, i] * (-step - options.allowance))
            alarm[:, i] = (high > options.decision) | (low > options.decision)
    return alarm
