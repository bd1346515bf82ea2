"""A series and its phase I in; a control chart whose points carry their own interval, and its alarms, out.

Each point's limits are centre +- L sqrt(process variance + u_i^2), so that a lot of few images is not called out for
its noise, nor one of many let pass for that of others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cathode_tf.errors import InputError
from cathode_tf.lots.phase_one import D2, PhaseOne
from cathode_tf.lots.rules import RULES, broken

KINDS = ("individuals", "moving_range", "ewma", "cusum")
D4 = 3.267
"""Upper limit of a moving range of two points over its mean: 1 + 3 * 0.8525 / 1.128."""


@dataclass(frozen=True)
class Options:
    """How a chart judges.

    Attributes:
        limit: L, half width of the limits in standard deviations: of individuals 3, of EWMA 2.7 to 3.
        rules: Of Nelson, for individuals.
        weight: lambda of the EWMA: what a point of usual precision counts.
        allowance: k of the CUSUM: half the shift to be found, in standard deviations of a usual point.
        decision: h of the CUSUM, 4 to 5.
    """

    limit: float = 3.0
    rules: tuple[int, ...] = (1,)
    weight: float = 0.2
    allowance: float = 0.5
    decision: float = 5.0

    def __post_init__(self) -> None:
        for rule in self.rules:
            if rule not in RULES:
                raise InputError(f"rules: must be numbers from 1 to 8. Received {rule}.")
        for name, low, high in (
            ("limit", 0, 10), ("weight", 0, 1), ("allowance", 0, 5), ("decision", 0, 50),
        ):  # fmt: skip
            value = getattr(self, name)
            if not (low < value <= high and math.isfinite(value)):
                raise InputError(f"{name}: must be above {low} and at most {high}. Received {value}.")


@dataclass(frozen=True)
class Alarm:
    """One point that calls for a look.

    Attributes:
        index: Of the point.
        label: Of its lot.
        reason: What was broken.
        grade: `"process"`, or `"may be the measurement"`: gone if every point's own uncertainty were twice as large.
    """

    index: int
    label: str
    reason: str
    grade: str


@dataclass(frozen=True)
class Chart:
    """A control chart.

    Attributes:
        kind: One of `KINDS`.
        labels: Of the points.
        values, u: The points and their standard uncertainties, (n,).
        statistic: What is charted, (n,): the values, moving ranges, EWMA; of the CUSUM the upper sum.
        lower, upper: Limits of each point, (n,).
        second: The lower sum of the CUSUM, (n,); None otherwise.
        phase: What the points are judged by.
        options: How.
        alarms: In the order of the points.
    """

    kind: str
    labels: tuple[str, ...]
    values: np.ndarray
    u: np.ndarray
    statistic: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    second: np.ndarray | None
    phase: PhaseOne
    options: Options
    alarms: tuple[Alarm, ...] = field(default=())

    def table(self) -> pd.DataFrame:
        """A row a point: label, value, u, statistic, limits, alarm."""
        told = {alarm.index: f"{alarm.reason} ({alarm.grade})" for alarm in reversed(self.alarms)}
        return pd.DataFrame(
            {
                "label": self.labels,
                "value": self.values,
                "u": self.u,
                "statistic": self.statistic,
                **({} if self.second is None else {"statistic_below": self.second}),
                "lower": self.lower,
                "upper": self.upper,
                "alarm": [told.get(index, "") for index in range(len(self.labels))],
            }
        )


def control_chart(
    kind: str,
    values: np.ndarray,
    u: np.ndarray,
    phase: PhaseOne,
    *,
    labels: Sequence[str] = (),
    options: Options | None = None,
) -> Chart:
    """A chart of points, each judged with its own uncertainty.

    individuals: limits centre +- L s_i with s_i^2 = S + u_i^2; Nelson's rules on (x_i - centre) / s_i.
    moving_range: |x_i - x_(i-1)| against D4 1.128 sqrt(S + (u_i^2 + u_(i-1)^2) / 2).
    ewma: z_i = l_i x_i + (1 - l_i) z_(i-1) with l_i = 1 - (1 - lambda)^w_i and w_i = s^2 / s_i^2, s of a usual point:
    one as precise as two counts as two; limits from the exact variance l_i^2 s_i^2 + (1 - l_i)^2 v_(i-1).
    cusum: log-likelihood of a shift d = 2 k s, in units in which a usual point adds (x - centre) / s - k:
    C_i = max(0, C_(i-1) + w_i ((x_i - centre) / s - k)), and likewise below; alarm above h.

    Args:
        kind: One of `KINDS`.
        values, u: (n,).
        phase: Centre and process variance.
        labels: Of the points.
        options: Default `Options()`.

    Raises:
        InputError: If the kind is unknown, or neither process nor measurement has a spread.

    Reference:
        NIST/SEMATECH e-Handbook, univariate control charts; ISO 7870; Nelson, J. Qual. Technol. 16 (1984) 237.
    """
    if kind not in KINDS:
        raise InputError(f"chart: must be {', '.join(KINDS)}. Received {kind!r}.")
    options = options or Options()
    x, own = np.asarray(values, float), np.asarray(u, float)
    labels = tuple(labels) or tuple(str(index + 1) for index in range(len(x)))
    if not (phase.total(own) > 0).all():
        raise InputError(
            "chart: neither the process nor the measurement has a spread, so there are no limits."
        )
    draw = _DRAW[kind]
    drawn = draw(x, own, phase, options)
    doubled = draw(x, 2 * own, phase, options)
    still = {(index, reason) for index, reason in doubled["broken"]}
    alarms = tuple(
        Alarm(
            index, labels[index], reason,
            "process" if (index, reason) in still else "may be the measurement",
        )
        for index, reason in sorted(drawn["broken"])
    )  # fmt: skip
    return Chart(
        kind, labels, x, own, drawn["statistic"], drawn["lower"], drawn["upper"], drawn.get("second"), phase,
        options, alarms,
    )  # fmt: skip


def _individuals(x: np.ndarray, u: np.ndarray, phase: PhaseOne, options: Options) -> dict[str, Any]:
    s = phase.total(u)
    z = (x - phase.mean) / s
    found = [
        (int(index), f"rule {rule}: {RULES[rule]}")
        for rule in options.rules
        for index in np.flatnonzero(broken(z, rule, options.limit))
    ]
    half = options.limit * s
    return {"statistic": x, "lower": phase.mean - half, "upper": phase.mean + half, "broken": found}


def _moving_range(x: np.ndarray, u: np.ndarray, phase: PhaseOne, options: Options) -> dict[str, Any]:
    before = np.concatenate([u[:1], u[:-1]])
    upper = D4 * D2 * np.sqrt(phase.sd**2 + (u**2 + before**2) / 2)
    ranges = np.abs(np.diff(x, prepend=x[:1]))
    ranges[:1] = np.nan
    found = [(int(i), "moving range beyond its limit") for i in np.flatnonzero(ranges > upper)]
    return {"statistic": ranges, "lower": np.zeros(len(x)), "upper": upper, "broken": found}


def usual_variance(u: np.ndarray, phase: PhaseOne) -> float:
    """Variance of a point of usual precision: the process's and the phase I points' own."""
    return phase.sd**2 + (phase.u_typical**2 if phase.u_typical or phase.sd else float(np.mean(u**2)))


def _ewma(x: np.ndarray, u: np.ndarray, phase: PhaseOne, options: Options) -> dict[str, Any]:
    s2 = phase.total(u) ** 2
    counts = 1 - (1 - options.weight) ** (usual_variance(u, phase) / s2)
    z, variance = np.empty(len(x)), np.empty(len(x))
    last, last_variance = phase.mean, 0.0
    for i in range(len(x)):
        last = counts[i] * x[i] + (1 - counts[i]) * last
        last_variance = counts[i] ** 2 * s2[i] + (1 - counts[i]) ** 2 * last_variance
        z[i], variance[i] = last, last_variance
    half = options.limit * np.sqrt(variance)
    found = [(int(i), "EWMA beyond its limits") for i in np.flatnonzero(np.abs(z - phase.mean) > half)]
    return {"statistic": z, "lower": phase.mean - half, "upper": phase.mean + half, "broken": found}


def _cusum(x: np.ndarray, u: np.ndarray, phase: PhaseOne, options: Options) -> dict[str, Any]:
    s2 = usual_variance(u, phase)
    weight = s2 / phase.total(u) ** 2
    y = (x - phase.mean) / math.sqrt(s2)
    up, down = np.empty(len(x)), np.empty(len(x))
    high = low = 0.0
    for i in range(len(x)):
        high = max(0.0, high + weight[i] * (y[i] - options.allowance))
        low = max(0.0, low + weight[i] * (-y[i] - options.allowance))
        up[i], down[i] = high, low
    h = options.decision
    found = [(int(i), "upper CUSUM beyond its limit") for i in np.flatnonzero(up > h)]
    found += [(int(i), "lower CUSUM beyond its limit") for i in np.flatnonzero(down > h)]
    limits = np.full(len(x), h)
    return {"statistic": up, "second": down, "lower": -limits, "upper": limits, "broken": found}


_DRAW: Mapping[str, Callable[[np.ndarray, np.ndarray, PhaseOne, Options], dict[str, Any]]] = {
    "individuals": _individuals,
    "moving_range": _moving_range,
    "ewma": _ewma,
    "cusum": _cusum,
}
