"""Cell data by lot in (CSV or Parquet, columns as in the Battery Data Format); what it owes to the structure out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from cathode_tf.errors import InputError, reason_of
from cathode_tf.lots import schema as t
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.rows import Entry, now
from cathode_tf.lots.series import read_series
from cathode_tf.lots.settings import ALIASES, read_rows
from cathode_tf.lots.units import header_of, number_of
from cathode_tf.statistics import Estimate

# Preferred labels of the Battery Data Format, and its machine-readable names.
CYCLE = ("cycle_count", "cycle_dimensionless", "cycle_index", "cycle")
DISCHARGE = ("discharging_capacity", "discharging_capacity_ah")
CURRENT = ("current", "current_ampere")
RESISTANCE = ("internal_resistance", "internal_resistance_ohm")
KEYS = ("cell", "lot", "sheet")
FEWEST = 4


@dataclass(frozen=True)
class CellRow:
    """One cell: its lot, and metric -> (value, unit)."""

    cell: str
    lot: str | None
    sheet: str | None
    metrics: Mapping[str, tuple[float, str]]


def read_cells(path: str | Path, *, cell: str | None = None, lot: str | None = None) -> list[CellRow]:
    """Metrics of cells from a table: a row a cell with columns `cell` and `lot`, or the time series of one cell.

    A time series has `Cycle Count / 1` and `Discharging Capacity / Ah`: the capacity of a cycle is its largest value,
    the retention the last cycle's over the first's, the rate capability that of the cycle with the largest current over
    that with the smallest, the resistance the mean of `Internal Resistance / ohm`.

    Args:
        path: CSV or Parquet.
        cell, lot: Of a time series.

    Raises:
        InputError: If it is neither, or a value is no number.
    """
    table, units = _table(path)
    cycle = next((name for name in CYCLE if name in table.columns), None)
    if "cell" not in table.columns and cycle is not None:
        if cell is None:
            raise InputError(f"{path}: is the record of one cell. Say which: --cell C7 --lot L12.")
        return [CellRow(cell, lot, None, _of_record(path, table, units, cycle))]
    for name in ("cell", "lot"):
        if name not in table.columns:
            raise InputError(
                f"{path}: must have the columns cell and lot, or Cycle Count / 1 and Discharging Capacity / Ah. "
                f"{name} is "
                "missing."
            )
    metrics = [name for name in table.columns if name not in KEYS]
    rows = []
    for number, row in enumerate(table.to_dict("records"), 2):
        name, its_lot = str(row["cell"] or "").strip(), str(row["lot"] or "").strip()
        if not name or not its_lot:
            raise InputError(f"{path}: each line must name its cell and its lot. Line {number} does not.")
        values = {}
        for metric in metrics:
            text = str(row[metric]).strip()
            if text in ("", "nan", "None"):
                continue
            value = number_of(text)
            if value is None:
                raise InputError(f"{path}: column {metric} must hold numbers. Line {number} holds {text!r}.")
            values[metric] = (value, units[metric])
        sheet = str(row.get("sheet") or "").strip() or None
        rows.append(CellRow(name, its_lot, sheet, values))
    names = [row.cell for row in rows]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"{path}: each cell must stand in one line. {twice} stands in several.")
    return rows


def _table(path: str | Path) -> tuple[pd.DataFrame, dict[str, str]]:
    if str(path).endswith((".parquet", ".pq")):
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as Parquet ({reason_of(error)}).") from error
    else:
        rows, header = read_rows(path, must_have=())
        table = pd.DataFrame([{name: row.get(name, "") for name in header if name} for row in rows])
    heads = {column: header_of(str(column)) for column in table.columns}
    units = {ALIASES.get(name, name): unit for name, unit in heads.values()}
    return table.rename(columns={c: ALIASES.get(name, name) for c, (name, _) in heads.items()}), units


def _of_record(
    path: str | Path, table: pd.DataFrame, units: Mapping[str, str], cycle: str
) -> dict[str, tuple[float, str]]:
    capacity = next((name for name in DISCHARGE if name in table.columns), None)
    if capacity is None:
        raise InputError(f"{path}: must have the column Discharging Capacity / Ah. It is missing.")
    numbers = table.map(lambda cell: number_of(str(cell)) if isinstance(cell, str) else cell)
    numbers = numbers.apply(pd.to_numeric, errors="coerce")
    by_cycle = numbers.groupby(cycle)[capacity].agg(lambda c: float(c.max() - min(c.min(), 0.0)))
    by_cycle = by_cycle[by_cycle > 0]
    if by_cycle.empty:
        raise InputError(f"{path}: must hold a discharge. No cycle has a capacity above 0.")
    unit = units.get(capacity) or "Ah"
    metrics = {"discharging_capacity": (float(by_cycle.iloc[0]), unit)}
    if len(by_cycle) > 1:
        metrics["capacity_retention"] = (float(by_cycle.iloc[-1] / by_cycle.iloc[0]), "")
        metrics["cycles"] = (float(len(by_cycle)), "")
    current = next((name for name in CURRENT if name in numbers.columns), None)
    if current is not None:
        rates = (
            numbers[numbers[current] < 0].groupby(cycle)[current].min().abs().reindex(by_cycle.index).dropna()
        )
        if len(rates) > 1 and rates.max() > 1.5 * rates.min():
            slow, fast = rates.idxmin(), rates.idxmax()
            metrics["rate_capability"] = (float(by_cycle[fast] / by_cycle[slow]), "")
    resistance = next((name for name in RESISTANCE if name in numbers.columns), None)
    if resistance is not None and (numbers[resistance] > 0).any():
        metrics["internal_resistance"] = (
            float(numbers.loc[numbers[resistance] > 0, resistance].mean()),
            "ohm",
        )
    return metrics


def enter_cells(
    ledger: Ledger, rows: Sequence[CellRow], source: str | Path, *, supersede: bool = False
) -> int:
    """Enter cells and their metrics, all or none; gives back how many values were new.

    Raises:
        InputError: If a lot is not in the ledger, a cell is of another lot there, or a value contradicts one there and
            `supersede` is not set.
    """
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    new = 0
    with ledger.writing() as entry:
        known = entry.connection.execute(sa.select(t.lots.c.name, t.lots.c.id))
        lots = {row.name: row.id for row in known}
        missing = sorted({row.lot or "" for row in rows} - set(lots))
        if missing:
            raise InputError(f"{source}: its lots must be in the ledger. {missing[0] or 'A lot'} is not.")
        for row in rows:
            cell = _cell(entry, row, lots[row.lot or ""], source)
            for metric, (value, unit) in row.metrics.items():
                fields = {"metric": metric, "value": value, "unit": unit, "source_sha256": digest}
                new += _result(entry, row.cell, {"cell_id": cell, "source": str(source), **fields}, supersede)
        entry.event("cells", {"source": str(source), "cells": len(rows), "values": new})
    return new


def _cell(entry: Entry, row: CellRow, lot: int, source: str | Path) -> int:
    c = t.cells.c
    known = entry.connection.execute(sa.select(c.id, c.lot_id).where(c.name == row.cell)).first()
    if known is None:
        return entry.insert(t.cells, {"name": row.cell, "lot_id": lot, "sheet": row.sheet})
    if known.lot_id != lot:
        raise InputError(f"{source}: cell {row.cell} is of another lot in the ledger. Received {row.lot}.")
    return int(known.id)


def _result(entry: Entry, cell: str, values: Mapping[str, Any], supersede: bool) -> bool:
    """Enter one value of a cell; whether it was new."""
    r = t.results.c
    query = sa.select(r.id, r.value).where(
        r.cell_id == values["cell_id"], r.metric == values["metric"], r.superseded_at.is_(None)
    )
    there = entry.connection.execute(query).first()
    if there is not None and math.isclose(there.value, values["value"], rel_tol=1e-9):
        return False
    if there is not None and not supersede:
        raise InputError(
            f"{values['source']}: {values['metric']} of cell {cell} is {there.value:g} in the ledger. Received "
            f"{values['value']:g}. Give --supersede if that is what it is."
        )
    if there is not None:
        entry.connection.execute(sa.update(t.results).where(r.id == there.id).values(superseded_at=now()))
    entry.insert(t.results, {**values, **entry.entered()})
    return True


def cell_metrics(ledger: Ledger, metric: str | None = None) -> pd.DataFrame:
    """Current metrics: columns cell, lot, sheet, metric, value, unit."""
    c, r = t.cells.c, t.results.c
    query = (
        sa.select(c.name.label("cell"), t.lots.c.name.label("lot"), c.sheet, r.metric, r.value, r.unit)
        .join_from(t.results, t.cells)
        .join(t.lots)
        .where(r.superseded_at.is_(None))
        .order_by(r.id)
    )
    with ledger.database.reading() as connection:
        columns = ["cell", "lot", "sheet", "metric", "value", "unit"]
        table = pd.DataFrame(list(connection.execute(query).mappings()), columns=columns)
    return table if metric is None else table[table["metric"] == metric].reset_index(drop=True)


@dataclass(frozen=True)
class Regression:
    """A cell metric against a quantity, lot by lot.

    Attributes:
        metric, name: Of what, on what.
        slope, intercept: With intervals.
        r2: Share of the variance between lots that is explained, 0-1.
        reliability: Share of the quantity's variance that is not its measurement's; the slope is that much too flat.
        lots, cells, images: How many.
        x, y, x_u, y_u: (lots,) the points.
        labels: Of the lots.
    """

    metric: str
    name: str
    slope: Estimate
    intercept: Estimate
    r2: float
    reliability: float
    lots: int
    cells: int
    images: int
    x: np.ndarray
    y: np.ndarray
    x_u: np.ndarray
    y_u: np.ndarray
    labels: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """For the report."""
        ci = self.slope.ci
        sure = ci is not None and (ci[0] > 0 or ci[1] < 0)
        text = (
            f"{self.metric} {'goes' if sure else 'is not shown to go'} with {self.name}: slope {self.slope}, R2 "
            f"{self.r2:.2f}, {self.cells} cells of {self.lots} lots, {self.images} images."
        )
        if self.reliability < 0.9:
            text += (
                f" {1 - self.reliability:.0%} of the variance of {self.name} is its measurement's: the slope is too "
                "flat "
                "by about that share."
            )
        return text + " This is correlation."


def regress(ledger: Ledger, metric: str, name: str, *, system: str | None = None) -> Regression:
    """Mean of each lot's cells against a quantity of its sections, weighted.

    Weights: 1 / (S + v / m), v the variance between cells of a lot, m their number, S between lots (as in
    `fit_mixed`).

    Raises:
        InputError: If no cell has the metric, or fewer than 4 lots have both.
    """
    from cathode_tf.lots.mixed import fit_mixed

    table = cell_metrics(ledger, metric)
    if table.empty:
        known = ", ".join(sorted(set(cell_metrics(ledger)["metric"]))) or "none"
        raise InputError(f"{metric}: must be a metric of cells in the ledger ({known}).")
    series = read_series(ledger, name, system=system)
    grouped = table.groupby("lot")["value"]
    means, counts = grouped.mean(), grouped.count()
    dof = int((counts - 1).sum())
    pooled = float(((table["value"] - grouped.transform("mean")) ** 2).sum()) / dof if dof else 0.0
    points = series.points[series.points["lot"].isin(means.index)]
    if len(points) < FEWEST:
        raise InputError(f"cells: {FEWEST} lots must have both {metric} and {name}. Received {len(points)}.")
    x, x_u = points["value"].to_numpy(float), points["u"].to_numpy(float)
    y = means[points["lot"]].to_numpy(float)
    y_u = np.sqrt(pooled / counts[points["lot"]].to_numpy(float))
    if not np.ptp(x):
        raise InputError(f"cells: {name} must vary between the lots. It does not.")
    fit = fit_mixed(y, np.column_stack([np.ones(len(x)), x - x.mean()]), y_u, points["lot"].to_numpy())
    unit = str(table["unit"].iloc[0])
    slope, intercept = (
        _coefficient(fit, weights, unit_of)
        for weights, unit_of in (
            (np.array([0.0, 1.0]), f"{unit or '1'}/({series.unit})" if series.unit else unit),
            (np.array([1.0, -x.mean()]), unit),
        )
    )
    residual = float((fit.residuals**2).sum())
    r2 = 1 - residual / float(((y - y.mean()) ** 2).sum()) if np.ptp(y) else 0.0
    variance = float(x.var(ddof=1))
    reliability = max(1 - float((x_u**2).mean()) / variance, 0.0)
    return Regression(
        metric, series.name, slope, intercept, max(r2, 0.0), reliability, len(x),
        int(counts[points["lot"]].sum()), int(points["images"].sum()), x, y, x_u, y_u,
        tuple(points["label"]),
    )  # fmt: skip


def _coefficient(fit: Any, weights: np.ndarray, unit: str) -> Estimate:
    value, u, half = fit.interval(weights)
    return Estimate(
        value, unit=unit, ci=(value - half, value + half), n=fit.lots, unit_of_replication="lot",
        method="regression of lots, weighted", reference="Knapp and Hartung, Stat. Med. 22 (2003) 2693",
        components={"between_lots": u},
    )  # fmt: skip
