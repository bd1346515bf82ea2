"""A ledger and the name of a quantity in; a point a lot out, with its own interval, all of one measuring system.

Numbers of another model, separation or version are not of the series: a bridge (`bridges`) carries them over, or
they are named and left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from cathode_tf.errors import InputError
from cathode_tf.lots import schema as t
from cathode_tf.lots.intake import fingerprint, relevant
from cathode_tf.lots.ledger import Ledger

POINT = ["label", "lot", "sheet", "date", "value", "u", "low", "high", "images", "analyses", "bridged"]


@dataclass(frozen=True)
class Series:
    """One quantity over lots.

    Attributes:
        quantity, phase, unit: What it is.
        points: A row a lot (or sheet), oldest first: label, lot, sheet, date, value, u (standard uncertainty that its
            images' spread leaves), low, high (95 %), images, analyses (their numbers), bridged.
        system: Fingerprint of what the quantity hangs on in the measuring system.
        facts: That, in words.
        left_out: Measuring systems without a bridge: fingerprint -> (facts, labels).
        notes: What a reader must know.
    """

    quantity: str
    phase: str
    unit: str
    points: pd.DataFrame
    system: str
    facts: Mapping[str, Any]
    left_out: Mapping[str, tuple[Mapping[str, Any], list[str]]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def name(self) -> str:
        """`quantity/phase`."""
        return f"{self.quantity}/{self.phase}"

    @property
    def values(self) -> np.ndarray:
        """The values, (n,) float."""
        return self.points["value"].to_numpy(float)

    @property
    def u(self) -> np.ndarray:
        """Their standard uncertainties, (n,) float."""
        return self.points["u"].to_numpy(float)

    @property
    def labels(self) -> list[str]:
        """Their names."""
        return self.points["label"].tolist()


def split_name(name: str, ledger: Ledger | None = None) -> tuple[str, str]:
    """Quantity and phase from `fraction/pore`; without a phase, the only one there is.

    Raises:
        InputError: If the ledger has no such quantity, or several phases of it.
    """
    quantity, _, phase = name.partition("/")
    if ledger is None:
        return quantity, phase
    q = t.quantities.c
    with ledger.database.reading() as connection:
        known = connection.execute(sa.select(q.quantity, q.phase).distinct()).all()
    phases = sorted({row.phase for row in known if row.quantity == quantity})
    if not phases:
        import difflib

        close = difflib.get_close_matches(quantity, sorted({row.quantity for row in known}), n=3, cutoff=0.4)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise InputError(f"{name}: must be a quantity of the ledger. It is none.{hint}")
    if not phase and len(phases) == 1:
        return quantity, phases[0]
    if phase not in phases:
        raise InputError(
            f"{name}: must name a phase, as in {quantity}/{phases[0]}. There are {', '.join(phases)}."
        )
    return quantity, phase


def measurements(ledger: Ledger, quantity: str, phase: str) -> pd.DataFrame:
    """A row a current analysis: its place, date, value, u, interval, images, and its system for this quantity."""
    a, p, q, n, lots = t.analyses.c, t.places.c, t.quantities.c, t.numbers.c, t.lots.c
    query = (
        sa.select(
            a.id.label("analysis"), lots.id.label("lot_id"), lots.name.label("lot"), p.sheet, p.position_m, p.lane,
            p.section, sa.func.coalesce(lots.made_on, a.measured_on).label("date"), n.value, n.low, n.high, n.u,
            n.u_common, n.n, a.images, q.unit, q.unit_of_replication, a.system_id, n.notes,
        )
        .join_from(t.numbers, t.quantities)
        .join(t.analyses, a.id == n.analysis_id)
        .join(t.places)
        .join(t.lots)
        .where(q.quantity == quantity, q.phase == phase, a.superseded_at.is_(None))
    )  # fmt: skip
    with ledger.database.reading() as connection:
        rows = pd.DataFrame(list(connection.execute(query).mappings()))
        systems = {
            row.id: json.loads(row.facts)
            for row in connection.execute(sa.select(t.systems.c.id, t.systems.c.facts))
        }
    if rows.empty:
        raise InputError(f"{quantity}/{phase}: the ledger has no current analysis with it.")
    facts = {number: relevant(content, quantity) for number, content in systems.items()}
    rows["system"] = rows["system_id"].map({number: fingerprint(each) for number, each in facts.items()})
    rows.attrs["facts"] = {fingerprint(each): each for each in facts.values()}
    order = rows["date"].fillna("9999")
    return rows.assign(order=order).sort_values(["order", "lot_id", "analysis"], ignore_index=True)


def read_series(
    ledger: Ledger, name: str, *, by: str = "lot", system: str | None = None, pooled: bool = True
) -> Series:
    """The points of a quantity, oldest first.

    Args:
        ledger: Where they are kept.
        name: `quantity/phase`.
        by: `"lot"`, or `"sheet"`: what a point is of; several analyses of it are averaged, their spread counted.
        system: Beginning of the fingerprint of a measuring system; default: that of the newest analysis.
        pooled: Steady uncertainties that rest on few images by those of the other lots (`moderated`).

    Raises:
        InputError: If nothing of that name is there, or its units differ.
    """
    from cathode_tf.lots.bridges import bridges_to

    quantity, phase = split_name(name, ledger)
    rows = measurements(ledger, quantity, phase)
    facts: Mapping[str, Any] = rows.attrs["facts"]
    chosen = chosen_system(rows, system)
    units = rows.loc[rows["system"] == chosen, "unit"].unique()
    if len(units) > 1:
        raise InputError(f"{name}: must have one unit in one series. Received {', '.join(units)}.")
    notes = []
    refused = rows["value"].isna()
    if refused.any():
        notes.append(f"{int(refused.sum())} analyses could not tell this quantity and are left out.")
        rows = rows[~refused]
    if rows.empty:
        raise InputError(f"{name}: no analysis could tell it.")
    if pooled:
        rows = _steadied(rows)
    bridges = bridges_to(ledger, quantity, phase, chosen)
    rows, left_out = _bridged(rows, chosen, bridges)
    if rows.empty:
        raise InputError(f"{name}: no lot was measured with this system.")
    unknown = rows["u"].isna()
    if unknown.any():
        notes.append(
            f"{int(unknown.sum())} analyses have no interval of their own; their uncertainty is counted as 0."
        )
    points = _averaged(rows.assign(u=rows["u"].fillna(0.0)), by)
    told = {mark: (facts[mark], sorted(set(labels))) for mark, labels in left_out.items()}
    return Series(quantity, phase, str(units[0]), points, chosen, facts[chosen], told, tuple(notes))


def chosen_system(rows: pd.DataFrame, system: str | None) -> str:
    """Fingerprint of the one system that begins so; None: that of the newest analysis."""
    if system is None:
        return str(rows["system"].iloc[int(rows["analysis"].argmax())])
    found = sorted({mark for mark in rows["system"] if mark.startswith(system)})
    if len(found) != 1:
        known = ", ".join(sorted({mark[:8] for mark in rows["system"]}))
        raise InputError(f"system: must be the beginning of one of {known}. Received {system!r}.")
    return found[0]


def _steadied(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose u is steadied within each system, where it comes from the spread between images."""
    result = rows.copy()
    usable = rows["u"].notna() & (rows["n"] >= 2) & rows["unit_of_replication"].isin(["image", "group"])
    for mark in rows["system"].unique():
        mine = usable & (rows["system"] == mark)
        if mine.sum() >= 3:
            result.loc[mine, "u"] = moderated(rows.loc[mine, "u"].to_numpy(), rows.loc[mine, "n"].to_numpy())
    return result


def moderated(u: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Uncertainties u = s / sqrt(n) steadied by each other: s^2 drawn towards what all lots have, few images more.

    s^2 is the variance between the images of a lot, with n - 1 degrees of freedom; those of many lots follow a scaled
    inverse chi-squared law with d0 degrees of freedom, whose moments of log s^2 give d0 and s0^2; then
    s'^2 = (d0 s0^2 + d s^2) / (d0 + d).

    Args:
        u: (m,) standard uncertainties of means.
        n: (m,) images behind each, at least 2.

    Example:
        >>> moderated(np.array([0.01, 0.02, 0.03]), np.array([4, 4, 4])).round(4).tolist()  # drawn together
        [0.0181, 0.0203, 0.0235]

    Reference:
        Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004) art. 3.
    """
    from scipy.special import digamma, polygamma

    u, n = np.asarray(u, float), np.asarray(n, float)
    d, s2 = n - 1, u**2 * n
    positive = s2 > 0
    if positive.sum() < 3:
        return u
    d, s2 = d[positive], s2[positive]
    e = np.log(s2) - digamma(d / 2) + np.log(d / 2)
    centre = float(np.average(e, weights=d))
    excess = float(np.var(e, ddof=1) - np.mean(polygamma(1, d / 2)))
    if excess <= 0:
        pooled = np.full(s2.shape, float(np.average(s2, weights=d)))
    else:
        d0 = 2 * _inverse_trigamma(excess)
        s02 = math.exp(centre + float(digamma(d0 / 2)) - math.log(d0 / 2))
        pooled = (d0 * s02 + d * s2) / (d0 + d)
    result = u.copy()
    result[positive] = np.sqrt(pooled / n[positive])
    return result


def _inverse_trigamma(value: float) -> float:
    from scipy.optimize import brentq
    from scipy.special import polygamma

    return float(brentq(lambda x: float(polygamma(1, x)) - value, 1e-8, 1e8))


def _bridged(
    rows: pd.DataFrame, chosen: str, bridges: Mapping[str, Any]
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Rows of the chosen system and those that a bridge carries over; labels of the others by system.

    A lot that was measured with the chosen system needs no bridge.
    """
    own = rows[rows["system"] == chosen].assign(bridged=False)
    have = set(own["lot"])
    parts, left_out = [own], {}
    for mark, others in rows[rows["system"] != chosen].groupby("system", sort=False):
        new = others[~others["lot"].isin(have)]
        if new.empty:
            continue
        if mark in bridges:
            parts.append(bridges[mark].carry(new).assign(bridged=True))
            have |= set(new["lot"])
        else:
            left_out[str(mark)] = new["lot"].tolist()
    together = pd.concat(parts) if len(parts) > 1 else own
    return together.sort_values(["order", "lot_id", "analysis"], ignore_index=True), left_out


def _averaged(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    if by not in ("lot", "sheet"):
        raise InputError(f"by: must be lot or sheet. Received {by!r}.")
    keys = rows["lot"] if by == "lot" else rows["lot"] + rows["sheet"].map(lambda s: f"/{s}" if s else "")
    points = []
    if not keys.duplicated().any():  # the usual case, and much faster for thousands of lots
        points = pd.DataFrame(
            {
                "label": keys, "lot": rows["lot"], "sheet": rows["sheet"], "date": rows["date"],
                "value": rows["value"], "u": rows["u"],
                "low": rows["low"], "high": rows["high"], "images": rows["images"],
                "analyses": [[number] for number in rows["analysis"]], "bridged": rows["bridged"],
            }
        )  # fmt: skip
        return points.reset_index(drop=True)
    for label, mine in rows.groupby(keys, sort=False):
        value, u = mean_of(mine["value"].to_numpy(float), mine["u"].to_numpy(float))
        low, high = (
            (mine["low"].iloc[0], mine["high"].iloc[0])
            if len(mine) == 1
            else (value - 1.96 * u, value + 1.96 * u)
        )
        points.append(
            (label, mine["lot"].iloc[0], mine["sheet"].iloc[0], mine["date"].iloc[0], value, u, low, high,
             int(mine["images"].sum()), mine["analysis"].tolist(), bool(mine["bridged"].any()))
        )  # fmt: skip
    return pd.DataFrame(points, columns=POINT)


def mean_of(values: np.ndarray, u: np.ndarray) -> tuple[float, float]:
    """Mean of several measurements of one lot, and its standard uncertainty: their own, and their spread.

    The variance between them that their own u do not explain is counted in (DerSimonian and Laird); weights are
    1 / (u^2 + that).

    Example:
        >>> mean_of(np.array([0.30, 0.30]), np.array([0.01, 0.01]))  # alike: 0.01 / sqrt(2)
        (0.3, 0.007071...)

    Reference:
        DerSimonian and Laird, Control. Clin. Trials 7 (1986) 177.
    """
    k = len(values)
    if k == 1:
        return float(values[0]), float(u[0])
    if (u <= 0).any():
        return float(values.mean()), max(
            float(values.std(ddof=1)) / math.sqrt(k), float(u.mean()) / math.sqrt(k)
        )
    w = 1 / u**2
    centre = float(w @ values / w.sum())
    q = float(w @ (values - centre) ** 2)
    between = max(0.0, (q - (k - 1)) / float(w.sum() - (w**2).sum() / w.sum()))
    w = 1 / (u**2 + between)
    return float(w @ values / w.sum()), float(1 / math.sqrt(w.sum()))
