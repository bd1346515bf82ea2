"""Charts, factor plots and lots side by side in; SVG for a page out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator

from cathode_tf.lots.calendering import CalenderingFit
from cathode_tf.lots.causes import Causes
from cathode_tf.lots.charts import Chart
from cathode_tf.lots.effects import Effect
from cathode_tf.reporting.figures import GRID, INK, axes, svg
from cathode_tf.reporting.tables import for_page
from cathode_tf.statistics import Estimate

ALARM, MAYBE, POINT, BAND = "#b3261e", "#c77700", "#0b6e99", "#dbe9f0"
SHOWN = 60
Z = 1.959964


def run_chart(chart: Chart, name: str, unit: str, phase_one: int = 0) -> str:
    """The points with their 95 % intervals, the limits of each, the centre, alarms; the last 60 lots.

    Args:
        chart: Of any kind.
        name: Of the quantity.
        unit: Its unit.
        phase_one: So many first points are phase I, and shaded.
    """
    start = max(0, len(chart.labels) - SHOWN)
    at = np.arange(start, len(chart.labels))
    figure, axis = axes(5.4, 3.1)
    y, u = chart.statistic[start:], chart.u[start:]
    axis.fill_between(at, chart.lower[start:], chart.upper[start:], step="mid", color=BAND, linewidth=0)
    if chart.kind != "cusum":
        axis.axhline(
            chart.phase.mean if chart.kind != "moving_range" else 0, color=INK, linewidth=0.8, alpha=0.6
        )
    if chart.kind == "individuals":
        axis.errorbar(at, y, yerr=Z * u, fmt="none", ecolor=INK, elinewidth=0.9, alpha=0.55)
    axis.plot(at, y, color=POINT, linewidth=0.8, marker="o", markersize=3.6)
    if chart.second is not None:
        axis.plot(at, -chart.second[start:], color=POINT, linewidth=0.8, marker="o", markersize=3.6)
    for alarm in chart.alarms:
        if alarm.index < start:
            continue
        color = ALARM if alarm.grade == "process" else MAYBE
        value = chart.statistic[alarm.index]
        if chart.second is not None and alarm.reason.startswith("lower"):
            value = -chart.second[alarm.index]
        axis.plot(
            alarm.index,
            value,
            marker="o",
            markersize=8,
            markerfacecolor="none",
            color=color,
            markeredgewidth=1.6,
        )
    if phase_one > start:
        axis.axvline(phase_one - 0.5, color=INK, linewidth=0.9, linestyle=":")
    _lot_ticks(axis, at, chart.labels[start:])
    what = {"ewma": "EWMA of ", "cusum": "CUSUM of ", "moving_range": "moving range of "}.get(chart.kind, "")
    shown = "" if chart.kind == "cusum" or not unit else f", {for_page(unit)}"
    axis.set_ylabel(f"{what}{name}{shown}")
    axis.grid(axis="y", color=GRID, linewidth=0.7)
    return svg(figure)


def _lot_ticks(axis, at: np.ndarray, labels: Sequence[str]) -> None:
    step = max(1, -(-len(at) // 12))
    axis.xaxis.set_major_locator(FixedLocator(at[::step].tolist()))
    axis.xaxis.set_major_formatter(FixedFormatter(list(labels)[::step]))
    long = max((len(label) for label in labels), default=0) > 4
    axis.tick_params(axis="x", rotation=60 if long else 0, labelsize=9)
    axis.set_xlim(at[0] - 0.7, at[-1] + 0.7)


def factor_plot(found: Causes, effect: Effect) -> str:
    """The points against one factor, the other factors' effects taken off, with the fitted line and its 95 % band."""
    factor = found.design.factors[effect.factor]
    y = found.series.points.loc[found.series.points["label"].isin(found.used), "value"]
    columns = found.design.index(effect.factor)
    others = [i for i in range(1, len(found.design.names)) if i not in columns]
    partial = y.to_numpy(float) - found.design.matrix[:, others] @ found.fit.beta[others]
    u = np.sqrt(found.fit.variances)
    figure, axis = axes(5.2, 3.2)
    if factor.levels:
        _levels(axis, factor.values, factor.levels, partial, u)
    else:
        _numeric(axis, found, effect, factor.values.astype(float), partial, u)
    unit = for_page(f", {factor.unit}") if factor.unit else ""
    axis.set_xlabel(f"{factor.name.replace('_', ' ')}{unit}")
    shown = f", {for_page(found.series.unit)}" if found.series.unit else ""
    axis.set_ylabel(f"{found.series.name}{shown}")
    axis.grid(color=GRID, linewidth=0.7)
    return svg(figure)


def _levels(axis, values: np.ndarray, levels: Sequence[str], y: np.ndarray, u: np.ndarray) -> None:
    random = np.random.default_rng(0)
    for place, level in enumerate(levels):
        mine = values == level
        at = place + random.uniform(-0.13, 0.13, int(mine.sum()))
        axis.errorbar(
            at,
            y[mine],
            yerr=Z * u[mine],
            fmt="o",
            color=POINT,
            ecolor=INK,
            elinewidth=0.8,
            markersize=4,
            alpha=0.8,
        )
        axis.plot([place - 0.25, place + 0.25], [y[mine].mean()] * 2, color=ALARM, linewidth=2)
    axis.set_xticks(range(len(levels)), list(levels))
    axis.set_xlim(-0.5, len(levels) - 0.5)


def _numeric(axis, found: Causes, effect: Effect, x: np.ndarray, y: np.ndarray, u: np.ndarray) -> None:
    axis.errorbar(x, y, yerr=Z * u, fmt="o", color=POINT, ecolor=INK, elinewidth=0.8, markersize=4, alpha=0.8)
    line = np.linspace(x.min(), x.max(), 60)
    if effect.law is not None:
        law: CalenderingFit = effect.law
        curve, half = law.curve(line)
    else:
        column = found.design.index(effect.factor)[0]
        weights = np.zeros((60, len(found.design.names)))
        weights[:, 0], weights[:, column] = 1, line - x.mean()
        curve = weights @ found.fit.beta
        half = Z * np.sqrt(np.einsum("ij,jk,ik->i", weights, found.fit.covariance, weights))
        if effect.form == "quadratic":
            curve = np.polyval(np.polyfit(x, y, 2, w=1 / u), line)
            half = np.zeros(60)
    axis.plot(line, curve, color=ALARM, linewidth=1.6)
    if half.any():
        axis.fill_between(line, curve - half, curve + half, color=ALARM, alpha=0.13, linewidth=0)


def side_by_side(estimates: dict[str, Estimate], name: str, unit: str) -> str:
    """One quantity of the last lots, a row each, with intervals."""
    figure, axis = axes(5.2, 0.28 * len(estimates) + 1.0)
    for row, estimate in enumerate(estimates.values()):
        if estimate.value is None:
            continue
        if estimate.ci is not None:
            axis.plot(estimate.ci, [row, row], color=INK, linewidth=1.4)
        axis.plot(estimate.value, row, marker="o", color=POINT, markersize=5)
    axis.set_yticks(range(len(estimates)), list(estimates))
    axis.invert_yaxis()
    axis.grid(axis="x", color=GRID, linewidth=0.7)
    axis.set_xlabel(f"{name}{f', {for_page(unit)}' if unit else ''}")
    return svg(figure)


def agreement_plot(
    ours: np.ndarray, theirs: np.ndarray, limits: tuple[float, float, float], label: str
) -> str:
    """Differences of two methods against their mean, with bias and limits of agreement."""
    figure, axis = axes()
    axis.plot((ours + theirs) / 2, ours - theirs, "o", color=POINT, markersize=4)
    for value, style in zip(limits, ("-", "--", "--"), strict=True):
        axis.axhline(value, color=ALARM, linewidth=1.2, linestyle=style)
    axis.axhline(0, color=INK, linewidth=0.6)
    axis.set_xlabel(f"mean of both: {label}")
    axis.set_ylabel("images - other")
    axis.grid(color=GRID, linewidth=0.7)
    return svg(figure)


def regression_plot(
    x: np.ndarray,
    y: np.ndarray,
    spreads: tuple[np.ndarray, np.ndarray],
    line: tuple[float, float],
    labels: tuple[str, str],
) -> str:
    """A cell metric against a quantity, a point a lot with both its standard uncertainties doubled."""
    figure, axis = axes()
    axis.errorbar(
        x,
        y,
        xerr=Z * spreads[0],
        yerr=Z * spreads[1],
        fmt="o",
        color=POINT,
        ecolor=INK,
        elinewidth=0.8,
        markersize=4,
    )
    ends = np.array([x.min(), x.max()])
    axis.plot(ends, line[0] + line[1] * ends, color=ALARM, linewidth=1.6)
    axis.set_xlabel(for_page(labels[0]))
    axis.set_ylabel(for_page(labels[1]))
    axis.grid(color=GRID, linewidth=0.7)
    return svg(figure)
