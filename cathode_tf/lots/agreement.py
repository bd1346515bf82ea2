"""A quantity of images and a property measured otherwise (mercury, mass and thickness) in; how far they agree out.

The property is held against the images, and never fed back into them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cathode_tf.errors import InputError
from cathode_tf.lots.design import joined, settings_table
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.series import read_series
from cathode_tf.lots.units import convert
from cathode_tf.statistics import Estimate

REFERENCE = "Bland and Altman, Stat. Methods Med. Res. 8 (1999) 135"
METHOD = "differences of two methods, lot by lot"


@dataclass(frozen=True)
class Agreement:
    """Two methods on the same lots.

    Attributes:
        name, other: Of the quantity and the property.
        lots: Their names.
        ours, theirs: (n,) values in one unit.
        bias: Ours minus theirs.
        lower, upper: Limits of agreement: 95 % of single differences lie between.
        slope: Change of the difference with the value.
        own_share: Share of the differences' variance that our own intervals explain, 0-1.
    """

    name: str
    other: str
    lots: tuple[str, ...]
    ours: np.ndarray
    theirs: np.ndarray
    bias: Estimate
    lower: Estimate
    upper: Estimate
    slope: Estimate
    own_share: float

    @property
    def sentences(self) -> list[str]:
        """For the report."""
        ci = self.bias.ci
        differ = ci is not None and (ci[0] > 0 or ci[1] < 0)
        text = [
            f"{self.name} is {self.bias} {'above' if (self.bias.value or 0) >= 0 else 'beside'} {self.other}: "
            f"{'a bias' if differ else 'no bias is shown'}.",
            f"A single lot's difference lies between {self.lower} and {self.upper}.",
            f"{self.own_share:.0%} of the differences' variance is that of the images' own intervals.",
        ]
        slope = self.slope.ci
        if slope is not None and (slope[0] > 0 or slope[1] < 0):
            text.append(f"The difference changes with the value: {self.slope} a unit.")
        return text


def bland_altman(
    ours: np.ndarray, theirs: np.ndarray, *, unit: str = ""
) -> tuple[Estimate, Estimate, Estimate, Estimate]:
    """Bias, lower and upper limit of agreement, slope, each with its interval.

    With d = ours - theirs, n differences of mean m and standard deviation s: bias m +- t s / sqrt(n); limits m -+
    1.96 s, each +- t s sqrt(1 / n + 1.96^2 / (2 (n - 1))).

    Raises:
        InputError: If there are fewer than 5 pairs.

    Example:
        >>> bias, low, high, slope = bland_altman(np.array([2.0, 3, 4, 5, 6]), np.array([1.0, 2, 4, 4, 5]))
        >>> round(bias.value, 2), round(high.value - low.value, 3)  # d = 1, 1, 0, 1, 1: s = 0.447
        (0.8, 1.753)

    Reference:
        Bland and Altman, Stat. Methods Med. Res. 8 (1999) 135.
    """
    d = np.asarray(ours, float) - np.asarray(theirs, float)
    n = len(d)
    if n < 5:
        raise InputError(f"agreement: needs at least 5 lots measured both ways. Received {n}.")
    m, s, t = float(d.mean()), float(d.std(ddof=1)), float(stats.t.ppf(0.975, n - 1))
    fields: dict[str, Any] = {
        "unit": unit, "n": n, "unit_of_replication": "lot", "method": METHOD, "reference": REFERENCE,
    }  # fmt: skip
    near, far = t * s / math.sqrt(n), t * s * math.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))

    def within(value: float, half: float) -> Estimate:
        return Estimate(value, ci=(value - half, value + half) if half else None, **fields)

    middle = (np.asarray(ours, float) + np.asarray(theirs, float)) / 2
    found = stats.linregress(middle, d) if np.ptp(middle) > 0 else None
    half = float(stats.t.ppf(0.975, n - 2)) * float(found.stderr) if found else 0.0
    slope = Estimate(
        float(found.slope) if found else 0.0,
        ci=(found.slope - half, found.slope + half) if found and half else None,
        n=n,
        unit_of_replication="lot",
        method="difference against mean",
        reference=REFERENCE,
    )
    return within(m, near), within(m - 1.96 * s, far), within(m + 1.96 * s, far), slope


def agree(ledger: Ledger, name: str, other: str, *, system: str | None = None) -> Agreement:
    """Hold a quantity against a property of the ledger, lot by lot.

    Args:
        ledger: With both; `lots import --as property` enters the property.
        name: `quantity/phase`.
        other: Name of the property.
        system: Measuring system of the quantity.

    Raises:
        InputError: If the property is unknown, no number, or in a unit that is not that of the quantity.
    """
    series = read_series(ledger, name, system=system)
    table, units = settings_table(ledger, kind=None)
    if other not in table.columns:
        known = ", ".join(map(str, table.columns)) or "none"
        raise InputError(f"--with: must be a property of the ledger ({known}). Received {other!r}.")
    theirs = pd.to_numeric(joined(series.points, table)[other], errors="coerce").to_numpy(float)
    unit = units.get(other, "")
    factor = convert(1.0, unit, series.unit)
    if factor is None:
        raise InputError(
            f"{other}: must be in the unit of {name} ({series.unit or 'a share of 1'}). Received {unit}."
        )
    both = np.isfinite(theirs)
    theirs = np.array([convert(value, unit, series.unit) or 0.0 for value in theirs[both]])
    ours = series.values[both]
    bias, lower, upper, slope = bland_altman(ours, theirs, unit=series.unit)
    spread = float(np.var(ours - theirs, ddof=1))
    share = min(float((series.u[both] ** 2).mean()) / spread, 1.0) if spread else 0.0
    lots = tuple(np.array(series.labels)[both])
    return Agreement(series.name, other, lots, ours, theirs, bias, lower, upper, slope, share)
