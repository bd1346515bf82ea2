"""A table of repeated measurements in, gauge repeatability and reproducibility (R&R) with intervals out.

Part: the section or image. Appraiser: the annotator, the model, the microscope. Trial: the repetition. Images can be
analysed again by everybody (crossed); where each appraiser has parts of their own, the design is nested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from cathode_tf.errors import InputError
from cathode_tf.statistics.estimate import LEVEL, Estimate

DESIGNS = ("crossed", "nested")
COLUMNS = ("part", "appraiser", "trial", "value")
REFERENCE = "AIAG, Measurement Systems Analysis, 4th ed.; Burdick, Borror and Montgomery, SIAM 2005"
DRAWS = 10_000
ACCEPTABLE, MARGINAL = 10.0, 30.0
FEWEST_CATEGORIES = 5.0


def gauge_rr(
    table: pd.DataFrame, *, design: str = "crossed", unit: str = "", seed: int = 0
) -> dict[str, Estimate]:
    """Variance of a measurement that comes from the measuring, by analysis of variance.

    With p parts, a appraisers, r trials and mean squares MS: repeatability^2 = MS_E; crossed: interaction^2 =
    (MS_PA - MS_E) / r, appraiser^2 = (MS_A - MS_PA) / (p r), part^2 = (MS_P - MS_PA) / (a r); nested (parts within
    appraisers): part^2 = (MS_P(A) - MS_E) / r, appraiser^2 = (MS_A - MS_P(A)) / (p r). Negative variances count as 0.
    %GRR = 100 sd_R&R / sd_total; ndc = 1.41 sd_part / sd_R&R.

    Intervals: generalised, from `MS dof / chi2(dof)` for each mean square [2].

    Args:
        table: Columns `part`, `appraiser`, `trial`, `value`: each appraiser measured each part (nested: each of
            its parts) equally often.
        design: `"crossed"` or `"nested"`.
        unit: Of the values.
        seed: Of the draws for the intervals.

    Returns:
        `repeatability`, `reproducibility`, `grr`, `part_variation` (standard deviations), `grr_percent` and
        `distinct_categories`, the last two flagged `VERDICT` with what AIAG says of them.

    Raises:
        InputError: If a column or a cell is missing, a row occurs twice, a value is no number, the table is not
            balanced, or there are fewer than 2 parts, appraisers or trials.

    Example:
        >>> rows = [(p, a, t, 10.0 * p + a + 0.5 * t) for p in range(5) for a in range(2) for t in range(2)]
        >>> found = gauge_rr(pd.DataFrame(rows, columns=["part", "appraiser", "trial", "value"]))
        >>> round(found["repeatability"].value ** 2, 3)  # two trials 0.5 apart: variance 0.125
        0.125

    Reference:
        [1] AIAG, Measurement Systems Analysis, 4th ed. [2] Burdick, Borror and Montgomery, Design and Analysis of
        Gauge R&R Studies, SIAM 2005.
    """
    if design not in DESIGNS:
        raise InputError(f"design: must be {' or '.join(DESIGNS)}. Received {design!r}.")
    values = _cells(table, nested=design == "nested")
    squares, dof, variances = (_nested if design == "nested" else _crossed)(values)
    random = np.random.default_rng(seed)
    drawn = squares * dof / random.chisquare(dof, (DRAWS, len(dof)))
    p, a = values.shape[:2]
    fields: dict[str, Any] = {
        "n": p if design == "crossed" else p * a,
        "unit_of_replication": "part",
        "reference": REFERENCE,
    }
    estimates = {}
    for name, (of, its_unit, text) in _RESULTS.items():
        fields["method"] = f"{text}, {design} analysis of variance"
        fields["unit"] = unit if its_unit is None else its_unit
        estimates[name] = _with_interval(of, variances(squares[None]), variances(drawn), name, fields)
    return estimates


def _cells(table: pd.DataFrame, *, nested: bool) -> np.ndarray:
    """Values as (parts, appraisers, trials)."""
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError(f"gauge table: must have the columns {', '.join(COLUMNS)}. {missing[0]} is missing.")
    _check_keys(table)
    numbers = pd.to_numeric(table["value"], errors="coerce")
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise InputError(
            f"gauge table: each value must be a number. Row {row + 1} holds {table['value'].iloc[row]!r}."
        )
    table = table.assign(value=numbers)
    if nested:
        # Each appraiser's parts are numbered from 0 on.
        number = table.groupby("appraiser", sort=False)["part"].transform(
            lambda parts: pd.factorize(parts)[0]
        )
        table = table.assign(part=number)
    counts = table.groupby(["part", "appraiser"])["value"].count().unstack()
    p, a = counts.shape
    if counts.isna().any(axis=None) or counts.nunique().max() > 1 or counts.iloc[0].nunique() > 1:
        raise InputError("gauge table: each appraiser must have measured each part equally often.")
    r = int(counts.iloc[0, 0])
    if min(p, a, r) < 2:
        raise InputError(
            f"gauge table: needs at least 2 parts, 2 appraisers and 2 trials. Received {p}, {a} and {r}."
        )
    return table.sort_values(["part", "appraiser"], kind="stable")["value"].to_numpy(float).reshape(p, a, r)


def _check_keys(table: pd.DataFrame) -> None:
    """Refuse a row that does not say what was measured by whom and when, or says what another row says."""
    keys = table[["part", "appraiser", "trial"]]
    for name in keys:
        blank = keys[name].isna() | (keys[name].astype(str).str.strip() == "")
        if blank.any():
            row = int(np.flatnonzero(blank)[0]) + 1
            raise InputError(f"gauge table: each row must name its {name}. Row {row} does not.")
    twice = keys.duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        part, appraiser, trial = keys.iloc[row]
        raise InputError(
            "gauge table: each trial of an appraiser on a part must occur once. Row "
            f"{row + 1} repeats part {part}, appraiser {appraiser}, trial {trial}."
        )


Variances = Callable[[np.ndarray], dict[str, np.ndarray]]


def _crossed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, Variances]:
    p, a, r = values.shape
    mean, parts, appraisers, cells = values.mean(), values.mean((1, 2)), values.mean((0, 2)), values.mean(2)
    dof = np.array([p - 1, a - 1, (p - 1) * (a - 1), p * a * (r - 1)], float)
    both = cells - parts[:, None] - appraisers + mean
    sums = np.array(
        [
            a * r * ((parts - mean) ** 2).sum(),
            p * r * ((appraisers - mean) ** 2).sum(),
            r * (both**2).sum(),
            ((values - cells[..., None]) ** 2).sum(),
        ]
    )

    def variances(ms: np.ndarray) -> dict[str, np.ndarray]:
        part, appraiser, both, rest = ms.T
        return {
            "repeat": rest,
            "reproduce": np.maximum((appraiser - both) / (p * r), 0) + np.maximum((both - rest) / r, 0),
            "part": np.maximum((part - both) / (a * r), 0),
        }

    return sums / dof, dof, variances


def _nested(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, Variances]:
    p, a, r = values.shape
    mean, appraisers, cells = values.mean(), values.mean((0, 2)), values.mean(2)
    dof = np.array([a - 1, a * (p - 1), p * a * (r - 1)], float)
    sums = np.array(
        [
            p * r * ((appraisers - mean) ** 2).sum(),
            r * ((cells - appraisers) ** 2).sum(),
            ((values - cells[..., None]) ** 2).sum(),
        ]
    )

    def variances(ms: np.ndarray) -> dict[str, np.ndarray]:
        appraiser, part, rest = ms.T
        return {
            "repeat": rest,
            "reproduce": np.maximum((appraiser - part) / (p * r), 0),
            "part": np.maximum((part - rest) / r, 0),
        }

    return sums / dof, dof, variances


def _grr(v: dict[str, np.ndarray]) -> np.ndarray:
    return v["repeat"] + v["reproduce"]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.sqrt(np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0))


_RESULTS: dict[str, tuple[Callable[[dict[str, np.ndarray]], np.ndarray], str | None, str]] = {
    "repeatability": (lambda v: np.sqrt(v["repeat"]), None, "standard deviation of one appraiser's trials"),
    "reproducibility": (lambda v: np.sqrt(v["reproduce"]), None, "standard deviation between appraisers"),
    "grr": (
        lambda v: np.sqrt(_grr(v)),
        None,
        "standard deviation of measuring, repeatability and reproducibility",
    ),
    "part_variation": (lambda v: np.sqrt(v["part"]), None, "standard deviation between parts"),
    "grr_percent": (
        lambda v: 100 * _ratio(_grr(v), _grr(v) + v["part"]),
        "%",
        "measuring over all variation",
    ),
    "distinct_categories": (
        lambda v: 1.41 * _ratio(v["part"], _grr(v)),
        "",
        "categories that the measurement tells apart, ndc",
    ),
}


def _with_interval(
    of: Callable[[dict[str, np.ndarray]], np.ndarray],
    found: dict[str, np.ndarray],
    drawn: dict[str, np.ndarray],
    name: str,
    fields: dict[str, Any],
) -> Estimate:
    value, draws = float(of(found)[0]), of(drawn)
    if not np.isfinite(value):
        return Estimate.refused("all values are equal, so nothing varies", **fields)
    low, high = np.nanquantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    flags = {}
    if name == "grr_percent":
        word = (
            "acceptable"
            if value < ACCEPTABLE
            else "perhaps acceptable"
            if value < MARGINAL
            else "not acceptable"
        )
        flags["VERDICT"] = f"{word} (below {ACCEPTABLE:g} % is, above {MARGINAL:g} % is not)"
    elif name == "distinct_categories":
        enough = "enough" if value >= FEWEST_CATEGORIES else "too few"
        flags["VERDICT"] = f"{enough} (at least {FEWEST_CATEGORIES:g} are asked for)"
    return Estimate(value, ci=(float(min(low, value)), float(max(high, value))), flags=flags, **fields)
