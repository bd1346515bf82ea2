"""The same images measured with two systems in; by how much these differ, and a series carried over, out.

A model, a separation or a reconstruction of another version shifts numbers. Who analyses some images with both knows by
how much, and the earlier lots stay in the series, with the bridge's own uncertainty added to theirs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from scipy import stats

from cathode_tf.errors import InputError
from cathode_tf.lots import schema as t
from cathode_tf.lots.judgements import enter_judgement, judgements
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.series import chosen_system, measurements, split_name
from cathode_tf.statistics import Estimate

FEWEST = 5
KIND = "bridge"
REFERENCE = "Bland and Altman, Lancet 327 (1986) 307; Bland and Altman, Stat. Methods Med. Res. 8 (1999) 135"


@dataclass(frozen=True)
class Bridge:
    """How numbers of one measuring system become those of another.

    new = old + offset + slope (old - middle).

    Attributes:
        quantity, phase: Of what.
        before, after: Fingerprints of the systems.
        offset: New minus old, at `middle`.
        slope: Change of that with the old value; 0 unless it is surely none.
        slope_u: Its standard uncertainty.
        middle: Mean of the old values.
        spread: Standard deviation of single differences around that.
        pairs: `"image"` or `"analysis"`: what was measured twice.
        equal: Whether the systems agree: the offset may be 0, and there is no slope.
    """

    quantity: str
    phase: str
    before: str
    after: str
    offset: Estimate
    slope: float
    slope_u: float
    middle: float
    spread: float
    pairs: str
    equal: bool

    def carry(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of `measurements` in numbers of the new system; their u and intervals hold the bridge's, too."""
        old = rows["value"].to_numpy(float)
        value = old + float(self.offset.value or 0) + self.slope * (old - self.middle)
        u_bridge = np.sqrt((self.offset_u) ** 2 + (self.slope_u * (old - self.middle)) ** 2)
        u = np.sqrt((abs(1 + self.slope) * rows["u"].to_numpy(float)) ** 2 + u_bridge**2)
        half_old = (rows["high"] - rows["low"]).to_numpy(float) / 2
        half = np.sqrt((abs(1 + self.slope) * half_old) ** 2 + (1.96 * u_bridge) ** 2)
        return rows.assign(value=value, u=u, low=value - half, high=value + half)

    @property
    def offset_u(self) -> float:
        """Standard uncertainty of the offset: it shifts all lots that were carried over together."""
        return float(self.offset.components.get("between_pairs", 0.0))

    @property
    def sentence(self) -> str:
        """For the report."""
        unit = f" {self.offset.unit}" if self.offset.unit else ""
        text = f"{self.quantity}/{self.phase}: the new system finds {self.offset} more than the old"
        if self.slope:
            text += f", and {self.slope:+.1%} of what lies above {self.middle:.4g}{unit}"
        return f"{text}; they agree." if self.equal else f"{text}."


def bridge_study(old: np.ndarray, new: np.ndarray, **names: Any) -> Bridge:
    """Differences of the same things measured with two systems.

    d = new - old is held against the pairs' means, which errors of both leave unbiased; where it changes with
    them (95 %), the slope is carried, too.

    Args:
        old, new: (n,) the same images, or analyses, in both; at least 5.
        names: Further fields of the `Bridge`.

    Raises:
        InputError: If there are fewer than 5 pairs.

    Example:
        >>> old = np.array([0.30, 0.32, 0.28, 0.31, 0.29])
        >>> found = bridge_study(old, old + np.array([0.020, 0.021, 0.019, 0.019, 0.021]))
        >>> print(found.offset)
        0.0200 +- 0.0012 (95 %, 5 images)

    Reference:
        Bland and Altman, Lancet 327 (1986) 307; Stat. Methods Med. Res. 8 (1999) 135.
    """
    x, y = np.asarray(old, float), np.asarray(new, float)
    n = len(x)
    if n < FEWEST:
        raise InputError(
            f"bridge: needs at least {FEWEST} images measured with both, better 20. Received {n}."
        )
    d, middle = y - x, (x + y) / 2
    centred = middle - middle.mean()
    unit, pairs = names.pop("unit", ""), names.pop("pairs", "image")
    u = float(d.std(ddof=1)) / math.sqrt(n)
    slope, slope_u = 0.0, 0.0
    spread = float(d.std(ddof=1))
    scatter = float(centred @ centred)
    if n >= 8 and scatter > 0:
        b = float(centred @ d) / scatter
        residual = d - d.mean() - b * centred
        s = math.sqrt(float(residual @ residual) / (n - 2))
        if abs(b) > float(stats.t.ppf(0.975, n - 2)) * s / math.sqrt(scatter) and abs(b) < 1:
            # d = b (x + y) / 2 + ... solved for y.
            slope = b / (1 - b / 2)
            slope_u = s / math.sqrt(scatter) / (1 - b / 2) ** 2
            u, spread = s / math.sqrt(n) / (1 - b / 2), s
    half = float(stats.t.ppf(0.975, n - 1)) * u
    value = float(d.mean())
    offset = Estimate(
        value,
        unit=unit,
        ci=(value - half, value + half),
        n=n,
        unit_of_replication=pairs,
        method="mean difference of the same images in two measuring systems",
        reference=REFERENCE,
        components={"between_pairs": u},
    )
    fields = {"quantity": "", "phase": "", "before": "", "after": "", **names}
    equal = not slope and abs(value) <= half
    return Bridge(
        **fields, offset=offset, slope=slope, slope_u=slope_u, middle=float(x.mean()), spread=spread,
        pairs=pairs, equal=equal,
    )  # fmt: skip


def build_bridge(ledger: Ledger, name: str, *, before: str, after: str | None = None) -> Bridge:
    """Evaluate the bridge between two systems from what both measured, and enter it.

    Args:
        ledger: Holds analyses of the same images with both: entered as a second analysis of the same place.
        name: `quantity/phase`.
        before: Beginning of the fingerprint of the old system.
        after: Of the new; default: that of the newest analysis.

    Raises:
        InputError: If too few images were measured with both; it says which would serve best.
    """
    quantity, phase = split_name(name, ledger)
    rows = measurements(ledger, quantity, phase)
    old, new = chosen_system(rows, before), chosen_system(rows, after)
    if old == new:
        raise InputError(f"bridge: must join two measuring systems. Received {old[:8]} twice.")
    unit = str(rows["unit"].iloc[0])
    names = {"quantity": quantity, "phase": phase, "before": old, "after": new, "unit": unit}
    x, y = _image_pairs(ledger, rows, f"{quantity}/{phase}", old, new)
    pairs = "image"
    if len(x) < FEWEST:
        x, y = _place_pairs(rows, old, new)
        pairs = "analysis"
    if len(x) < FEWEST:
        raise InputError(
            f"bridge: {quantity}/{phase} needs {FEWEST} images (or places) measured with both systems, better 20. The "
            f"ledger has {len(x)}. {offer(ledger, rows, old)}"
        )
    found = bridge_study(x, y, pairs=pairs, **names)
    facts = {**vars(found), "offset": found.offset.to_dict()}
    enter_judgement(ledger, KIND, (quantity, phase), system=new, other_system=old, facts=facts)
    return found


def offer(ledger: Ledger, rows: pd.DataFrame, old: str, count: int = 6) -> str:
    """Which analyses to repeat with the new system: spread evenly over the old values."""
    mine = rows[(rows["system"] == old) & rows["value"].notna()].sort_values("value")
    if mine.empty:
        return "Nothing was measured with the old one."
    chosen = mine.iloc[np.unique(np.linspace(0, len(mine) - 1, min(count, len(mine))).round().astype(int))]
    lots = ", ".join(dict.fromkeys(chosen["lot"]))
    return (
        f"Analyse the images of these lots with the new system, which span the old values, and add them to the same "
        f"places: {lots}."
    )


def bridges_to(ledger: Ledger, quantity: str, phase: str, after: str) -> dict[str, Bridge]:
    """Current bridges of a quantity into one system, by the fingerprint of the old one."""
    found = judgements(ledger, KIND, (quantity, phase), system=after)
    bridges = [Bridge(**{**facts, "offset": Estimate.from_dict(facts["offset"])}) for facts in found]
    return {bridge.before: bridge for bridge in bridges}


def system_names(ledger: Ledger, name: str) -> dict[str, tuple[Mapping[str, Any], int]]:
    """Every measuring system of a quantity: fingerprint -> (facts, number of analyses), oldest first."""
    rows = measurements(ledger, *split_name(name, ledger))
    counts = rows.groupby("system", sort=False)["analysis"].count()
    return {mark: (rows.attrs["facts"][mark], int(n)) for mark, n in counts.items()}


def _image_pairs(
    ledger: Ledger, rows: pd.DataFrame, name: str, old: str, new: str
) -> tuple[np.ndarray, np.ndarray]:
    """Values of images that both systems measured: of one lot and section under one name, or of one SHA-256."""
    sides = []
    place_of = {
        row.analysis: (row.lot, row.sheet, row.position_m, row.lane, row.section)
        for row in rows.itertuples(index=False)
    }
    for mark in (old, new):
        numbers = rows.loc[rows["system"] == mark, "analysis"].tolist()
        i = t.images.c
        query = sa.select(i.analysis_id, i.name, i.image_sha256, i.measures).where(i.analysis_id.in_(numbers))
        with ledger.database.reading() as connection:
            found = connection.execute(query).all()
        side = {}
        for row in found:
            value = json.loads(row.measures).get(name)
            if value is not None:
                side[row.image_sha256 or (_known(place_of[row.analysis_id]), row.name)] = float(value)
        sides.append(side)
    both = [key for key in sides[0] if key in sides[1]]
    return np.array([sides[0][key] for key in both]), np.array([sides[1][key] for key in both])


def _known(place: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple("" if part is None or part != part else str(part) for part in place)


def _place_pairs(rows: pd.DataFrame, old: str, new: str) -> tuple[np.ndarray, np.ndarray]:
    keys = ["lot", "sheet", "position_m", "lane", "section"]
    table = rows.assign(**{key: rows[key].fillna("").astype(str) for key in keys})
    sides = [table[table["system"] == mark].groupby(keys)["value"].last() for mark in (old, new)]
    both = pd.concat(sides, axis=1, join="inner").dropna()
    return both.iloc[:, 0].to_numpy(float), both.iloc[:, 1].to_numpy(float)


def difference_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What differs between two systems, for people.

    Example:
        >>> difference_of({"masks": "model a1", "neck_depth": 0.3}, {"masks": "model b2", "neck_depth": 0.3})
        'masks: model a1 -> model b2'
    """
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return "; ".join(f"{key}: {before.get(key)} -> {after.get(key)}" for key in keys)
