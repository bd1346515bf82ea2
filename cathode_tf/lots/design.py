"""Settings of lots in; the columns of a model and what confounds what out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import sqlalchemy as sa

from cathode_tf.errors import InputError
from cathode_tf.lots import schema as t
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.process import FACTOR

CARRIED = ("thickness", "loading")
"""What microstructure gets the blame for when it is left out (Schmidt et al., J. Electrochem. Soc. 167 (2020)
060501)."""

CONFOUNDED = 0.7
ALIASED = 1e-6


@dataclass(frozen=True)
class Factor:
    """One factor over the rows of a table.

    Attributes:
        name, unit: Of the setting.
        values: (n,) numbers, or words.
        levels: Words in the order in which they first occur; empty for numbers.
    """

    name: str
    unit: str
    values: np.ndarray
    levels: tuple[str, ...] = ()

    @property
    def middle(self) -> float:
        """Mean of the numbers."""
        return float(np.mean(self.values))

    def columns(self) -> dict[str, np.ndarray]:
        """Centred numbers, or a column of 0 and 1 for each word but the first."""
        if not self.levels:
            return {self.name: self.values.astype(float) - self.middle}
        return {f"{self.name}: {level}": (self.values == level).astype(float) for level in self.levels[1:]}

    @property
    def varies(self) -> bool:
        """Whether there is anything to learn."""
        return len(self.levels) > 1 if self.levels else bool(np.ptp(self.values.astype(float)) > 0)


@dataclass(frozen=True)
class Design:
    """The columns of a model.

    Attributes:
        factors: By name, as asked for, then those carried.
        matrix: (n, p), first the constant.
        names: Of the columns.
        of: Column -> factor.
        aliased: Factors that others determine: name -> which.
        correlated: Pairs that go together: (a, b, correlation).
    """

    factors: Mapping[str, Factor]
    matrix: np.ndarray
    names: tuple[str, ...]
    of: Mapping[str, str]
    aliased: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    correlated: Sequence[tuple[str, str, float]] = ()

    def index(self, factor: str) -> list[int]:
        """Columns of a factor."""
        return [i for i, name in enumerate(self.names) if self.of.get(name) == factor]


def is_carried(name: str) -> bool:
    """Whether a setting is always kept in the model."""
    return any(word in name for word in CARRIED)


def settings_table(ledger: Ledger, *, kind: str | None = FACTOR) -> tuple[pd.DataFrame, dict[str, str]]:
    """Current settings: a row a (lot, sheet), sheet "" for the lot itself, a column a name; and the units."""
    s = t.settings.c
    query = (
        sa.select(t.lots.c.name.label("lot"), s.sheet, s.name, s.value, s.text, s.unit)
        .join_from(t.settings, t.lots)
        .where(s.superseded_at.is_(None))
        .order_by(s.id)
    )
    if kind is not None:
        query = query.where(s.kind == kind)
    with ledger.database.reading() as connection:
        rows = list(connection.execute(query))
    units: dict[str, str] = {}
    table: dict[tuple[str, str], dict[str, object]] = {}
    for row in rows:
        units[row.name] = units.get(row.name) or row.unit
        table.setdefault((row.lot, row.sheet or ""), {})[row.name] = (
            row.text if row.value is None else row.value
        )
    index = pd.MultiIndex.from_tuples(list(table) or [("", "")], names=["lot", "sheet"])
    return pd.DataFrame(list(table.values()) or [{}], index=index), units


def joined(rows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Settings of each row of `rows` (columns lot, sheet): its sheet's, or else its lot's."""
    columns = list(table.columns)
    of_lot = table[table.index.get_level_values("sheet") == ""].droplevel("sheet")
    result = of_lot.reindex(rows["lot"])[columns].reset_index(drop=True)
    sheets = pd.MultiIndex.from_arrays([rows["lot"], rows["sheet"].fillna("").astype(str)])
    own = table.reindex(sheets)[columns].reset_index(drop=True)
    own[(rows["sheet"].fillna("") == "").to_numpy()] = np.nan
    return own.combine_first(result)[columns] if columns else result


def factors_of(settings: pd.DataFrame, units: Mapping[str, str], names: Sequence[str]) -> dict[str, Factor]:
    """Factors by name, from rows without gaps."""
    found = {}
    for name in names:
        column = settings[name]
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.notna().all():
            found[name] = Factor(name, units.get(name, ""), numbers.to_numpy(float))
        else:
            words = column.astype(str).to_numpy()
            found[name] = Factor(name, "", words, tuple(dict.fromkeys(words)))
    return found


def design(factors: Mapping[str, Factor], asked: Sequence[str]) -> Design:
    """Columns for a model of these factors; those that others determine are named and left out.

    Args:
        factors: By name; those that do not vary are left out.
        asked: Whose effects are wanted: they are kept before others.

    Raises:
        InputError: If none of those asked for varies.
    """
    varying = {name: factor for name, factor in factors.items() if factor.varies}
    wanted = [name for name in asked if name in varying]
    if asked and not wanted:
        raise InputError(f"causes: {asked[0]} is the same in every lot, so nothing can be learnt of it.")
    order = [*wanted, *[name for name in varying if name not in wanted]]
    n = len(next(iter(varying.values())).values) if varying else 0
    columns, names, of = [np.ones(n)], ["constant"], {}
    aliased: dict[str, tuple[str, ...]] = {}
    for name in order:
        mine = varying[name].columns()
        together = np.column_stack([*columns, *mine.values()])
        if np.linalg.matrix_rank(_scaled(together), tol=ALIASED * np.sqrt(n)) < together.shape[1]:
            aliased[name] = tuple(_with(varying, name, order[: order.index(name)]))
            continue
        for column, values in mine.items():
            columns.append(values)
            names.append(column)
            of[column] = name
    return Design(
        varying, np.column_stack(columns), tuple(names), of, aliased, tuple(_correlated(varying, order))
    )


def _scaled(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-300) * np.sqrt(len(matrix))


def _with(factors: Mapping[str, Factor], name: str, others: Sequence[str]) -> list[str]:
    """Those of the others that go with a factor, strongest first."""
    strengths = {other: association(factors[name], factors[other]) for other in others}
    return [other for other in sorted(strengths, key=lambda o: -strengths[o]) if strengths[other] > 0.3]


def association(a: Factor, b: Factor) -> float:
    """Multiple correlation of two factors, 0-1: of numbers |r|, of words with numbers the correlation ratio.

    Example:
        >>> old_new = Factor("calender", "", np.array(["old", "old", "new", "new"]), ("old", "new"))
        >>> association(old_new, Factor("load", "N/mm", np.array([100, 110, 200, 210.0]))).__round__(3)
        0.995
    """
    x = np.column_stack(list(a.columns().values()))
    y = np.column_stack(list(b.columns().values()))
    x, y = x - x.mean(0), y - y.mean(0)
    qx, qy = np.linalg.qr(x)[0], np.linalg.qr(y)[0]
    return float(min(np.linalg.svd(qx.T @ qy, compute_uv=False)[0], 1.0))


def _correlated(factors: Mapping[str, Factor], order: Sequence[str]) -> list[tuple[str, str, float]]:
    found = []
    for i, a in enumerate(order):
        for b in order[i + 1 :]:
            r = association(factors[a], factors[b])
            if r >= CONFOUNDED:
                found.append((a, b, r))
    return sorted(found, key=lambda item: -item[2])
