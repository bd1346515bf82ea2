"""Two lots in; equivalent, different, or undecided with how many more images, out. And where the variance comes
from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from scipy import stats

from cathode_tf.analysis.comparison import UNDECIDED, Difference, difference
from cathode_tf.errors import InputError
from cathode_tf.lots import schema as t
from cathode_tf.lots.intake import fingerprint, relevant
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.series import mean_of, split_name
from cathode_tf.statistics import Estimate
from cathode_tf.words import counted

DRAWS = 4000
NESTED = "Searle, Casella and McCulloch, Variance Components, Wiley 1992, ch. 5 (unbalanced nested)"


@dataclass(frozen=True)
class LotDifference:
    """One quantity of two lots.

    Attributes:
        difference: With verdict and interval (`cathode_tf.analysis.comparison`).
        more_images: Where it is undecided: images that each lot should have in all; None: no number tells.
        aim: What that number would show: `"equivalent"` or `"different"`.
    """

    difference: Difference
    more_images: int | None = None
    aim: str = ""

    @property
    def sentence(self) -> str:
        """For the report."""
        text = self.difference.sentence
        if self.difference.verdict == UNDECIDED and self.more_images:
            a, b = self.difference.a.n, self.difference.b.n
            text += (
                f"; about {counted(self.more_images, 'image')} of each (now {a} and {b}) would show them "
                f"{self.aim}, if "
                "the difference is as it seems"
            )
        return text


def lot_estimates(ledger: Ledger, lot: str) -> tuple[dict[tuple[str, str], Estimate], dict[str, Any]]:
    """Every quantity of a lot, its current analyses averaged; and the newest analysis's measuring system.

    Analyses of other measuring systems than the newest are left out, quantity by quantity.

    Raises:
        InputError: If the lot is unknown, or has no current analysis.
    """
    a, q, n = t.analyses.c, t.quantities.c, t.numbers.c
    query = (
        sa.select(
            a.id, a.system_id, q.quantity, q.phase, q.unit, q.unit_of_replication, q.method, q.reference, n.value,
            n.low, n.high, n.u, n.u_common, n.n, n.notes,
        )
        .join_from(t.numbers, t.quantities)
        .join(t.analyses, a.id == n.analysis_id)
        .join(t.places)
        .join(t.lots)
        .where(t.lots.c.name == lot, a.superseded_at.is_(None))
        .order_by(a.id)
    )  # fmt: skip
    with ledger.database.reading() as connection:
        rows = list(connection.execute(query))
        facts = {
            r.id: json.loads(r.facts)
            for r in connection.execute(sa.select(t.systems.c.id, t.systems.c.facts))
        }
        known = connection.execute(sa.select(t.lots.c.name)).scalars().all()
    if not rows:
        import difflib

        close = difflib.get_close_matches(lot, known, n=3)
        hint = f" Did you mean {' or '.join(close)}?" if close and lot not in known else ""
        raise InputError(
            f"lot {lot}: {'has no current analysis' if lot in known else 'is not in the ledger'}.{hint}"
        )
    newest = facts[max(rows, key=lambda row: row.id).system_id]
    grouped: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        mark = fingerprint(relevant(facts[row.system_id], row.quantity))
        if mark == fingerprint(relevant(newest, row.quantity)):
            grouped.setdefault((row.quantity, row.phase), []).append(row)
    return {key: _together(mine) for key, mine in grouped.items()}, newest


def _together(rows: Sequence[Any]) -> Estimate:
    told = [row for row in rows if row.value is not None]
    if len(told) <= 1:
        return estimate_of(told[0] if told else rows[-1])
    values = np.array([row.value for row in told], float)
    u = np.array([row.u or 0.0 for row in told], float)
    value, mean_u = mean_of(values, u)
    first = told[0]
    n = sum(row.n for row in told)
    fields: dict[str, Any] = {
        "unit": first.unit, "n": n, "unit_of_replication": first.unit_of_replication, "method": first.method,
        "reference": first.reference,
    }  # fmt: skip
    if not mean_u:
        return Estimate(value, **fields)
    dof = max(n - len(told), 1) if len(told) > 1 else n - 1
    whole = math.hypot(mean_u, max(row.u_common or 0.0 for row in told))
    half = float(stats.t.ppf(0.975, dof)) * whole
    components = {f"between_{first.unit_of_replication}s": mean_u}
    return Estimate(value, ci=(value - half, value + half), components=components, **fields)


def estimate_of(row: Any) -> Estimate:
    """The Estimate that a row of `numbers`, joined with its quantity, was made of."""
    notes = json.loads(row.notes) if row.notes else {}
    return Estimate(
        row.value,
        unit=row.unit,
        ci=None if row.low is None else (row.low, row.high),
        level=notes.get("level", 0.95),
        n=row.n,
        unit_of_replication=row.unit_of_replication,
        method=row.method,
        reference=row.reference,
        components=notes.get("components", {}),
        flags=notes.get("flags", {}),
    )


def compare_lots(
    ledger: Ledger, a: str, b: str, *, margins: Mapping[str, float] | None = None
) -> list[LotDifference]:
    """Every quantity of two lots that were measured alike.

    Args:
        ledger: Holds both.
        a: The reference.
        b: What is compared with it.
        margins: Largest difference that counts as the same, by `quantity/phase` or `quantity`.

    Raises:
        InputError: If a lot has no analysis, a margin is not above 0 or names nothing, or the lots were measured with
            different systems.

    Reference:
        Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657 (two one-sided tests).
    """
    margins = dict(margins or {})
    (first, system_a), (second, system_b) = lot_estimates(ledger, a), lot_estimates(ledger, b)
    found, used = [], set()
    for (quantity, phase), estimate in first.items():
        other = second.get((quantity, phase))
        alike = fingerprint(relevant(system_a, quantity)) == fingerprint(relevant(system_b, quantity))
        if other is None or not alike or other.unit != estimate.unit:
            continue
        key = next((k for k in (f"{quantity}/{phase}", quantity) if k in margins), None)
        used |= {key} if key else set()
        margin = margins[key] if key else None
        found.append(_with_plan(difference(quantity, phase, estimate, other, margin=margin)))
    if not found:
        raise InputError(
            f"compare: {a} and {b} must have been measured with one system. They were not; `lots bridge` tells by how "
            "much the systems differ."
        )
    for name, margin in margins.items():
        if not 0 < margin < math.inf:
            raise InputError(f"margin {name}: must be above 0, and finite. Received {margin}.")
        if name not in used:
            raise InputError(f"margin {name}: must name a quantity of both lots, such as fraction/pore.")
    return found


def _with_plan(item: Difference) -> LotDifference:
    spreads = [_spread(estimate) for estimate in (item.a, item.b)]
    if item.verdict != UNDECIDED or item.difference.value is None or None in spreads:
        return LotDifference(item)
    variance = sum(s**2 for s in spreads if s is not None)
    shift = abs(item.difference.value)
    if item.margin is not None and shift < item.margin:
        # 90 % intervals, and 80 % power at the difference that was seen.
        need, aim = ((1.645 + 0.842) / (item.margin - shift)) ** 2 * variance, "equivalent"
    elif shift:
        need, aim = ((1.960 + 0.842) / shift) ** 2 * variance, "different"
    else:
        return LotDifference(item)
    images = max(math.ceil(need), max(item.a.n, item.b.n) + 1)
    return LotDifference(item, images if images < 10_000 else None, aim)


def _spread(estimate: Estimate) -> float | None:
    """Standard deviation of one image."""
    u = estimate.components.get(f"between_{estimate.unit_of_replication}s")
    return None if u is None or estimate.n < 2 else u * math.sqrt(estimate.n)


LEVELS = ("lot", "sheet", "section", "image")


def variance_split(ledger: Ledger, name: str, *, seed: int = 0) -> dict[str, Estimate]:
    """Standard deviation that each level adds: lot, sheet, section, image (with the measurement in it).

    Nested analysis of variance of the images' own values, unbalanced: the expected sums of squares, linear in the
    variances, are solved for them; negative ones count as 0. Intervals: sums of squares drawn from chi^2.

    Args:
        ledger: With analyses whose images have values of their own.
        name: `quantity/phase`.
        seed: Of the draws.

    Raises:
        InputError: If images have no value of this quantity, or there are fewer than 2 lots.

    Reference:
        Searle, Casella and McCulloch, Variance Components, Wiley 1992.
    """
    quantity, phase = split_name(name, ledger)
    a, p, i = t.analyses.c, t.places.c, t.images.c
    query = (
        sa.select(
            t.lots.c.name.label("lot"),
            p.sheet,
            p.position_m,
            p.lane,
            p.section,
            a.id,
            i.measures,
            a.system_id,
        )
        .join_from(t.images, t.analyses)
        .join(t.places)
        .join(t.lots)
        .where(a.superseded_at.is_(None))
    )
    with ledger.database.reading() as connection:
        rows = list(connection.execute(query))
        facts = {
            r.id: json.loads(r.facts)
            for r in connection.execute(sa.select(t.systems.c.id, t.systems.c.facts))
        }
    marks = {number: fingerprint(relevant(each, quantity)) for number, each in facts.items()}
    newest = marks[max(rows, key=lambda row: row.id).system_id] if rows else ""
    table = pd.DataFrame(
        [
            {
                "lot": row.lot,
                "sheet": f"{row.sheet}|{row.lane}",
                "section": f"{row.section}|{row.position_m}|{row.id}",
                "value": json.loads(row.measures).get(f"{quantity}/{phase}"),
            }
            for row in rows
            if marks[row.system_id] == newest
        ]
    )  # fmt: skip
    table = table.dropna() if len(table) else table
    if not len(table):
        raise InputError(
            f"variance: the images must have values of {quantity}/{phase} of their own. They have none."
        )
    if table["lot"].nunique() < 2:
        raise InputError("variance: needs at least 2 lots. Received 1.")
    return nested_variances(table, ["lot", "sheet", "section"], seed=seed)


def nested_variances(table: pd.DataFrame, levels: Sequence[str], *, seed: int = 0) -> dict[str, Estimate]:
    """Standard deviations of nested levels, and of what is left, from a table with a column `value`.

    Levels that nothing repeats (one sheet in every lot) cannot be told from the next and are left out.

    Example:
        >>> rows = pd.DataFrame({"lot": [1, 1, 2, 2], "value": [0.0, 2.0, 10.0, 12.0]})
        >>> found = nested_variances(rows, ["lot"])  # within: 2; between means 1 and 11: 50 - 2 / 2 = 49
        >>> round(found["image"].value ** 2, 6), round(found["lot"].value ** 2, 6)
        (2.0, 49.0)
    """
    y = table["value"].to_numpy(float)
    codes, used = [], []
    key = pd.Series("", index=table.index)
    number = 1
    for level in levels:
        key = key + "\x1f" + table[level].astype(str)
        code = pd.factorize(key)[0]
        if number < code.max() + 1 < len(y):
            codes.append(code)
            used.append(level)
            number = int(code.max()) + 1
    names = [*used, "image"]
    groups = [np.zeros(len(y), int), *codes, np.arange(len(y))]
    k = len(names)
    squares, dof, expected = np.empty(k), np.empty(k), np.zeros((k, k))
    means = [np.bincount(g, y)[g] / np.bincount(g)[g] for g in groups]
    for i in range(1, k + 1):
        squares[i - 1] = float(((means[i] - means[i - 1]) ** 2).sum())
        dof[i - 1] = groups[i].max() - groups[i - 1].max()
        for j in range(i, k + 1):
            expected[i - 1, j - 1] = _shared(groups[i], groups[j]) - _shared(groups[i - 1], groups[j])
    random = np.random.default_rng(seed)
    variances = np.linalg.solve(expected, squares)
    drawn = np.linalg.solve(
        expected, (squares[:, None] * dof[:, None] / random.chisquare(dof[:, None], (k, DRAWS)))
    )
    result = {}
    for row, name in enumerate(names):
        low, high = np.sqrt(np.maximum(np.quantile(drawn[row], [0.025, 0.975]), 0))
        sd = math.sqrt(max(variances[row], 0.0))
        result[name] = Estimate(
            sd, ci=(min(float(low), sd), max(float(high), sd)), n=int(dof[row]) + 1, unit_of_replication=name,
            method="nested analysis of variance", reference=NESTED,
        )  # fmt: skip
    return result


def _shared(outer: np.ndarray, inner: np.ndarray) -> float:
    """Sum over outer groups of sum over inner groups in them of n_inner^2 / n_outer."""
    pairs = np.unique(np.stack([outer, inner]), axis=1, return_counts=True)
    return float((pairs[1].astype(float) ** 2 / np.bincount(outer)[pairs[0][0]]).sum())
