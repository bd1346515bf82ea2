"""A ledger and a quantity in; its control chart, judged by a frozen phase I where there is one, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cathode_tf.errors import InputError
from cathode_tf.lots.bridges import bridges_to, difference_of
from cathode_tf.lots.charts import Chart, Options, control_chart
from cathode_tf.lots.judgements import enter_judgement, judgements
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.phase_one import FEWEST, PhaseOne, phase_one
from cathode_tf.lots.run_length import RunLength, run_length
from cathode_tf.lots.series import Series, read_series
from cathode_tf.words import counted, some

KIND = "phase_one"
FIRST = 20


@dataclass(frozen=True)
class Monitor:
    """A chart with all that a reader must know.

    Attributes:
        series: The points.
        chart: Judged.
        run_length: How often it would call out a process that does nothing.
        frozen: Whether phase I was frozen before; otherwise the first lots serve.
        notes: What a reader must know.
    """

    series: Series
    chart: Chart
    run_length: RunLength
    frozen: bool
    notes: tuple[str, ...]


def monitor(
    ledger: Ledger,
    name: str,
    *,
    kind: str = "individuals",
    options: Options | None = None,
    first: int | None = None,
    system: str | None = None,
) -> Monitor:
    """The chart of a quantity.

    Args:
        ledger: With its lots.
        name: `quantity/phase`.
        kind: `"individuals"`, `"moving_range"`, `"ewma"` or `"cusum"`.
        options: Limits and rules.
        first: Judge by the first lots, however many, and not by what was frozen.
        system: Measuring system; default: that of the newest analysis.

    Raises:
        InputError: If there are fewer than 5 lots, or as for `read_series`.
    """
    series = read_series(ledger, name, system=system)
    notes = list(series.notes)
    phase, frozen = _phase(ledger, series, first, notes)
    chart = control_chart(kind, series.values, series.u, phase, labels=series.labels, options=options)
    length = run_length(kind, series.u, phase, options)
    for facts, labels in series.left_out.values():
        notes.append(
            f"{counted(len(labels), 'lot')} ({some(labels)}) left out: measured with another system "
            f"({difference_of(facts, series.facts)}). `lots bridge` tells by how much it differs, and brings them in."
        )
    if series.points["bridged"].any():
        carried = int(series.points["bridged"].sum())
        notes.append(
            f"{counted(carried, 'lot')} carried over by a bridge study, its uncertainty added to theirs."
        )
    if len(phase.labels) < FIRST:
        notes.append(f"Phase I rests on {len(phase.labels)} lots; {FIRST} and more are usual.")
    return Monitor(series, chart, length, frozen, tuple(notes))


def _phase(ledger: Ledger, series: Series, first: int | None, notes: list[str]) -> tuple[PhaseOne, bool]:
    name = (series.quantity, series.phase)
    if first is None:
        found = judgements(ledger, KIND, name, system=series.system)
        if found:
            return PhaseOne.from_dict(found[-1]), True
        for before in bridges_to(ledger, *name, series.system):
            found = judgements(ledger, KIND, name, system=before)
            if found:
                old = PhaseOne.from_dict(found[-1])
                mine = series.points[series.points["label"].isin(old.labels)]
                if len(mine) >= FEWEST:
                    notes.append(
                        "Phase I was frozen in the former measuring system, and is carried over by the bridge."
                    )
                    return _of(series, mine, old.spread), True
    count = min(first or FIRST, len(series.points))
    if first is None:
        notes.append(
            f"Phase I is not frozen: the first {count} lots serve. Freeze it when they were in control: cathode-tf "
            "lots "
            f"freeze LEDGER {series.name}"
        )
    return _of(series, series.points.iloc[:count], "moving_range"), False


def _of(series: Series, points: pd.DataFrame, spread: str) -> PhaseOne:
    return phase_one(
        points["value"].to_numpy(float), points["u"].to_numpy(float), spread=spread, unit=series.unit,
        labels=tuple(points["label"]),
    )  # fmt: skip


def freeze(
    ledger: Ledger,
    name: str,
    *,
    first: int | None = None,
    lots: Sequence[str] = (),
    spread: str = "moving_range",
    system: str | None = None,
) -> PhaseOne:
    """Fix what later lots are judged by; supersedes what was fixed before.

    Args:
        ledger: With its lots.
        name: `quantity/phase`.
        first: So many of the first lots; default 20.
        lots: Or these.
        spread: How the process's standard deviation is estimated (`phase_one`).
        system: Measuring system; default: that of the newest analysis.

    Raises:
        InputError: If a lot is not in the series, or there are fewer than 5.
    """
    series = read_series(ledger, name, system=system)
    points = series.points.iloc[: first or FIRST]
    if lots:
        unknown = [lot for lot in lots if lot not in set(series.labels)]
        if unknown:
            raise InputError(f"--lot: must be a lot of the series. {unknown[0]} is none.")
        points = series.points[series.points["label"].isin(lots)]
    phase = _of(series, points, spread)
    enter_judgement(
        ledger, KIND, (series.quantity, series.phase), system=series.system, facts=phase.to_dict()
    )
    return phase
