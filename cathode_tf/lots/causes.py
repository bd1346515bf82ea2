"""A ledger and a quantity in; which settings go with it, by how much, how surely, and what confounds them, out.

What is found in lots that nobody randomised is correlation, and is called so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cathode_tf.errors import InputError
from cathode_tf.lots.calendering import CalenderingFit, fit_calendering
from cathode_tf.lots.design import (
    CARRIED,
    Design,
    Factor,
    association,
    design,
    factors_of,
    joined,
    settings_table,
)
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.mixed import MixedFit, fit_mixed
from cathode_tf.lots.series import Series, read_series
from cathode_tf.statistics import Estimate
from cathode_tf.words import counted, some

FORMS = ("auto", "linear", "quadratic", "exponential")
METHOD = "mixed model, lots random, the points' own variances known"
REFERENCE = "Patterson and Thompson, Biometrika 58 (1971) 545; Knapp and Hartung, Stat. Med. 22 (2003) 2693"
POWER = 0.8
BENT = 0.05
GOES_WITH_TIME = 0.7


@dataclass(frozen=True)
class Effect:
    """What one factor does.

    Attributes:
        factor: Its name.
        form: `"linear"`, `"quadratic"`, `"exponential"` or `"levels"`.
        change: Of the quantity from the lowest to the highest value that occurred, or from the first word to `to`.
        slope: Per unit, of the linear form; None otherwise.
        at: The two values of the factor, with their unit.
        lack_of_fit: Probability of so much bend (or scatter between repeated settings), if the form were right; None:
            cannot be told.
        confounded: Factors that go with this one: name -> correlation, strongest first.
        aliased: Factors that it cannot be told apart from.
        with_drift: The change if the lots also drift steadily in time; None where that cannot be told apart.
        time: Correlation of the factor with the order of the lots.
        more_lots: Lots like these that would make it sure (80 %), if it is as large as it seems; 0: it is sure; None:
            no sensible number.
        law: The exponential law, if that is the form.
    """

    factor: str
    form: str
    change: Estimate
    slope: Estimate | None
    at: tuple[str, str]
    lack_of_fit: float | None = None
    confounded: Mapping[str, float] = field(default_factory=dict)
    aliased: tuple[str, ...] = ()
    with_drift: Estimate | None = None
    time: float = 0.0
    more_lots: int | None = 0
    law: CalenderingFit | None = None

    @property
    def verdict(self) -> str:
        """`"moves"`, `"not shown"` or `"cannot be told apart"`."""
        if self.aliased:
            return "cannot be told apart"
        ci = self.change.ci
        return "moves" if ci is not None and (ci[0] > 0 or ci[1] < 0) else "not shown"

    def sentence(self, quantity: str) -> str:
        """What a process engineer wants to know, in a line or two."""
        way = "rises" if (self.change.value or 0) > 0 else "falls"
        span = f"from {self.at[0]} to {self.at[1]}"
        if self.aliased:
            text = (
                f"{quantity} {way} by {abs_text(self.change)} {span} of {self.factor}, but {self.factor} cannot be "
                "told "
                f"apart from {some(list(self.aliased))}: they changed together in every lot."
            )
        elif self.verdict == "moves":
            text = f"{quantity} {way} by {abs_text(self.change)} {span} of {self.factor}."
        else:
            text = f"No effect of {self.factor} on {quantity} is shown: {self.change} {span}."
            if self.more_lots:
                text += f" About {counted(self.more_lots, 'more lot')} would make one of this size sure."
        return text


def abs_text(change: Estimate) -> str:
    """A change without its sign, which words tell."""
    if change.value is None or change.value >= 0 or change.ci is None:
        return str(change)
    flipped = (-change.ci[1], -change.ci[0])
    return str(Estimate(-change.value, **{**_fields_of(change), "ci": flipped}))


def _fields_of(estimate: Estimate) -> dict[str, Any]:
    return {
        "unit": estimate.unit, "ci": estimate.ci, "n": estimate.n,
        "unit_of_replication": estimate.unit_of_replication,
    }  # fmt: skip


@dataclass(frozen=True)
class Causes:
    """What moved a quantity.

    Attributes:
        series: The points.
        rows: Their settings, a row a point that was used.
        design, fit: The model.
        effects: Those asked for first.
        notes: What a reader must know, the gravest first.
        images: Behind the points.
        used: Labels of the points that were used.
    """

    series: Series
    rows: pd.DataFrame
    design: Design
    fit: MixedFit
    effects: tuple[Effect, ...]
    notes: tuple[str, ...]
    images: int
    used: tuple[str, ...] = ()

    def __getitem__(self, factor: str) -> Effect:
        return next(effect for effect in self.effects if effect.factor == factor)

    def table(self) -> pd.DataFrame:
        """A row a factor."""
        return pd.DataFrame(
            {
                "factor": effect.factor,
                "form": effect.form,
                "from": effect.at[0],
                "to": effect.at[1],
                "change": effect.change.value,
                "lower": effect.change.ci[0] if effect.change.ci else math.nan,
                "upper": effect.change.ci[1] if effect.change.ci else math.nan,
                "unit": effect.change.unit,
                "verdict": effect.verdict,
                "lack_of_fit_p": effect.lack_of_fit,
                "goes_with": ", ".join(f"{name} {r:.2f}" for name, r in effect.confounded.items()),
                "more_lots": effect.more_lots,
            }
            for effect in self.effects
        )


def causes(
    ledger: Ledger,
    name: str,
    *,
    factors: Sequence[str] = (),
    form: str = "auto",
    system: str | None = None,
) -> Causes:
    """Which settings a quantity goes with.

    Args:
        ledger: With analyses and settings of its lots.
        name: `quantity/phase`.
        factors: Whose effects are wanted; default: all that vary and are known for every lot. Thickness and loading are
            carried in any case.
        form: Of the first factor: `"linear"`, `"quadratic"`, `"exponential"`, or `"auto"`: linear unless the
            lots show a bend.
        system: Measuring system; default: that of the newest analysis.

    Raises:
        InputError: If a factor is unknown or the same in every lot, or there are too few lots.
    """
    if form not in FORMS:
        raise InputError(f"form: must be {', '.join(FORMS)}. Received {form!r}.")
    series = read_series(ledger, name, by="sheet", system=system)
    table, units = settings_table(ledger, kind=None)
    _check_known(factors, units)
    settings = joined(series.points, table)
    chosen, notes = _choose(settings, units, factors)
    keep = settings[chosen].notna().all(axis=1).to_numpy() if chosen else np.ones(len(settings), bool)
    if not keep.all():
        missing = series.points.loc[~keep, "label"].tolist()
        notes.append(f"Left out for want of settings: {some(missing, 5)}.")
    points = series.points[keep].reset_index(drop=True)
    found = factors_of(settings[keep].reset_index(drop=True), units, chosen)
    asked = [factor for factor in factors if factor in found] or [c for c in chosen if not _carried(c)]
    if not any(factor.varies for factor in found.values()):
        raise InputError("causes: no setting varies between the lots, so nothing can be learnt. Import some.")
    plan = _fitting(found, asked, points["lot"].nunique(), notes)
    y, u = points["value"].to_numpy(float), points["u"].to_numpy(float)
    fit = fit_mixed(y, plan.matrix, u, points["lot"].to_numpy())
    data = _Data(series, points, y, u, plan, fit)
    effects = []
    for factor in [*[a for a in asked if a in plan.factors], *[f for f in plan.factors if f not in asked]]:
        effects.append(_effect(data, factor, form if factor == asked[0] else "auto"))
    notes = [*_drift_notes(effects, asked), *notes, *_series_notes(series)]
    return Causes(
        series, settings[keep].reset_index(drop=True), plan, fit, tuple(effects), tuple(notes),
        int(points["images"].sum()), tuple(points["label"]),
    )  # fmt: skip


@dataclass(frozen=True)
class _Data:
    series: Series
    points: pd.DataFrame
    y: np.ndarray
    u: np.ndarray
    plan: Design
    fit: MixedFit

    def refit(self, *columns: np.ndarray, without: Sequence[int] = ()) -> MixedFit | None:
        """The model with more columns, or fewer; None where it cannot be fitted."""
        keep = [i for i in range(self.plan.matrix.shape[1]) if i not in without]
        x = np.column_stack([self.plan.matrix[:, keep], *columns])
        scaled = x / np.maximum(np.linalg.norm(x, axis=0), 1e-300)
        if np.linalg.matrix_rank(scaled, tol=1e-6) < x.shape[1]:
            return None
        try:
            return fit_mixed(self.y, x, self.u, self.points["lot"].to_numpy())
        except InputError:
            return None

    def estimate(self, fit: MixedFit, weights: np.ndarray, unit: str) -> Estimate:
        value, u, half = fit.interval(weights)
        return Estimate(
            value, unit=unit, ci=(value - half, value + half), n=fit.lots, unit_of_replication="lot",
            method=METHOD, reference=REFERENCE, components={"between_lots": u},
        )  # fmt: skip


def _check_known(factors: Sequence[str], units: Mapping[str, str]) -> None:
    for factor in factors:
        if factor not in units:
            known = ", ".join(sorted(units)) or "none; import some: cathode-tf lots import LEDGER factors.csv"
            raise InputError(f"--factor: must be a setting of the ledger ({known}). Received {factor!r}.")


def _carried(name: str) -> bool:
    return any(word in name for word in CARRIED)


def _choose(
    settings: pd.DataFrame, units: Mapping[str, str], asked: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Names of the settings that go into the model, and what to say of the others."""
    notes = []
    chosen = list(asked)
    gaps = []
    for column in settings.columns:
        known = settings[column].notna()
        if column in chosen or not known.any():
            continue
        if not known.all():
            gaps.append(column)
        elif not asked or _carried(column) or column in units:
            chosen.append(column)
    lacking = [word for word in CARRIED if not any(word in name for name in chosen)]
    if lacking:
        notes.append(
            f"{' and '.join(lacking)} {'are' if len(lacking) > 1 else 'is'} not known for every lot: where it "
            "varied, the "
            "microstructure may get the blame for it."
        )
    if gaps:
        notes.append(f"Not known for every lot, and left out: {some(gaps, 5)}.")
    return chosen, notes


def _fitting(found: Mapping[str, Factor], asked: Sequence[str], lots: int, notes: list[str]) -> Design:
    """The design of as many factors as the lots can carry: those asked for, those always carried, then the rest."""
    order = [*asked, *[name for name in found if name not in asked and _carried(name)]]
    order += [name for name in found if name not in order]
    while True:
        plan = design({name: found[name] for name in order}, [a for a in asked if a in order])
        if plan.matrix.shape[1] + 3 <= lots or len(order) == 1:
            return plan
        dropped = order.pop()
        notes.insert(0, f"{counted(lots, 'lot')} cannot carry all factors: {dropped} is left out.")
        asked = [a for a in asked if a in order]


def _effect(data: _Data, name: str, form: str) -> Effect:
    factor, plan = data.plan.factors[name], data.plan
    others = {other: f for other, f in plan.factors.items() if other != name}
    together = {other: association(factor, f) for other, f in others.items()}
    confounded = {o: r for o, r in sorted(together.items(), key=lambda item: -item[1]) if r >= 0.7}
    aliased = _aliases(plan, name)
    order = data.points["label"].index.to_numpy(float)
    time = association(factor, Factor("order", "", order)) if len(order) > 2 else 0.0
    fields: dict[str, Any] = {"confounded": confounded, "aliased": aliased, "time": time}
    if not plan.index(name):
        # Others determine it: its own effect is what they and it do together.
        return _alone(data, factor, fields)
    if factor.levels:
        return _levels(data, factor, fields)
    return _numeric(data, factor, form, fields)


def _aliases(plan: Design, name: str) -> tuple[str, ...]:
    if name in plan.aliased:
        return plan.aliased[name] or ("the other factors",)
    return tuple(other for other, mine in plan.aliased.items() if name in mine)


def _alone(data: _Data, factor: Factor, fields: Mapping[str, Any]) -> Effect:
    alone = design({factor.name: factor}, [factor.name])
    return replace(_effect(_replaced(data, alone), factor.name, "linear"), **fields)


def _levels(data: _Data, factor: Factor, fields: Mapping[str, Any]) -> Effect:
    """The level that differs most from the first."""
    columns = data.plan.index(factor.name)
    unit = data.series.unit
    weights = np.eye(len(data.plan.names))
    candidates = [data.estimate(data.fit, weights[c], unit) for c in columns]
    best = max(range(len(columns)), key=lambda i: abs(candidates[i].value or 0) / _u(candidates[i]))
    change = candidates[best]
    if len(columns) > 1:
        change = change.with_flag(
            "LEVELS", f"the most different of {len(columns)} compared with {factor.levels[0]}"
        )
    drift = _with_drift(data, weights[columns[best]])
    return Effect(
        factor.name, "levels", change, None, (factor.levels[0], factor.levels[best + 1]), None,
        with_drift=drift, more_lots=_more(change, data.fit), **fields,
    )  # fmt: skip


def _numeric(data: _Data, factor: Factor, form: str, fields: Mapping[str, Any]) -> Effect:
    column = data.plan.index(factor.name)[0]
    x = factor.values.astype(float)
    low, high = float(x.min()), float(x.max())
    unit, suffix = data.series.unit, f" {factor.unit}" if factor.unit else ""
    at = (f"{low:g}{suffix}", f"{high:g}{suffix}")
    bent = data.refit((x - factor.middle) ** 2) if len(np.unique(x)) > 2 else None
    p_bend = None
    if bent is not None:
        w = np.eye(len(bent.beta))[-1]
        value, u, _ = bent.interval(w)
        p_bend = float(2 * stats.t.sf(abs(value) / max(u, 1e-300), bent.dof[-1]))
    lack = _lack_of_fit(data, p_bend)
    law = None
    if form == "exponential" or (form == "auto" and p_bend is not None and p_bend < BENT and low >= 0):
        law = _law(data, factor, column, strict=form == "exponential")
    if form == "auto":
        form = "linear"
        if p_bend is not None and p_bend < BENT and bent is not None:
            form = "exponential" if law is not None and _law_better(data, law, bent, factor) else "quadratic"
    weights = np.eye(len(data.plan.names))[column]
    slope = data.estimate(data.fit, weights, f"{unit}/({factor.unit})" if factor.unit else unit)
    change = data.estimate(data.fit, weights * (high - low), unit)
    drift = _with_drift(data, weights * (high - low))
    if form == "quadratic" and bent is not None:
        w = np.zeros(len(bent.beta))
        w[column] = high - low
        w[-1] = (high - factor.middle) ** 2 - (low - factor.middle) ** 2
        change, slope_or_none, drift = data.estimate(bent, w, unit), None, None
        lack = None
    elif form == "exponential" and law is not None:
        ends, slope_or_none = _law_change(data, law, low, high, unit), None
        change, drift, lack = ends, None, None
    else:
        form, slope_or_none = "linear", slope
    return Effect(
        factor.name, form, change, slope_or_none, at, lack, with_drift=drift,
        more_lots=_more(change, data.fit), law=law if form == "exponential" else None, **fields,
    )  # fmt: skip


def _law(data: _Data, factor: Factor, column: int, *, strict: bool) -> CalenderingFit | None:
    others = np.delete(data.plan.matrix, [0, column], axis=1)
    try:
        return fit_calendering(
            factor.values.astype(float), data.y, data.fit.variances, others=others, unit=data.series.unit,
            load_unit=factor.unit,
        )  # fmt: skip
    except InputError:
        if strict:
            raise
        return None


def _law_better(data: _Data, law: CalenderingFit, bent: MixedFit, factor: Factor) -> bool:
    """Whether the law leaves less than a parabola of as many coefficients, weights alike, and has a limit."""
    squares = float((bent.residuals**2 / data.fit.variances).sum())
    n = len(data.y)
    return "NO_LIMIT" not in law.limit.flags and law.deviance <= n * math.log(max(squares / n, 1e-300))


def _law_change(data: _Data, law: CalenderingFit, low: float, high: float, unit: str) -> Estimate:
    gamma, way = float(law.gamma.value or 1), law.coefficients[1]
    g = np.zeros(len(law.covariance))
    a, b = math.exp(-low / gamma), math.exp(-high / gamma)
    g[1] = b - a
    g[-1] = way * (b * high - a * low) / gamma**2
    u = math.sqrt(max(float(g @ law.covariance @ g), 0.0))
    half = float(stats.t.ppf(0.975, max(len(data.y) - len(g), 1))) * u
    value = way * (b - a)
    return Estimate(
        value, unit=unit, ci=(value - half, value + half), n=data.fit.lots, unit_of_replication="lot",
        method=law.limit.method, reference=law.limit.reference, components={"between_lots": u},
    )  # fmt: skip


def _lack_of_fit(data: _Data, p_bend: float | None) -> float | None:
    """Smallest probability: of the bend, and of lots with equal settings scattering less than the model leaves."""
    keys = pd.DataFrame(data.plan.matrix).round(9).apply(tuple, axis=1)
    w = 1 / data.fit.variances
    groups = keys.groupby(keys).indices.values()
    pure, pure_dof = 0.0, 0
    for rows in groups:
        if len(rows) > 1:
            centre = float((w[rows] * data.y[rows]).sum() / w[rows].sum())
            pure += float((w[rows] * (data.y[rows] - centre) ** 2).sum())
            pure_dof += len(rows) - 1
    residual = float((w * data.fit.residuals**2).sum())
    dof = len(data.y) - data.plan.matrix.shape[1] - pure_dof
    found = [] if p_bend is None else [p_bend]
    if pure_dof >= 3 and dof >= 1 and pure > 0:
        found.append(float(stats.f.sf((residual - pure) / dof / (pure / pure_dof), dof, pure_dof)))
    return min(found) * len(found) if found else None


def _with_drift(data: _Data, weights: np.ndarray) -> Estimate | None:
    order = np.arange(len(data.y), dtype=float)
    drifting = data.refit(order - order.mean())
    if drifting is None:
        return None
    return data.estimate(drifting, np.append(weights, 0.0), data.series.unit)


def _more(change: Estimate, fit: MixedFit) -> int | None:
    """Lots like these that are wanting for a sure effect (80 %), if it is as large as it seems."""
    if change.value is None or change.ci is None or not (change.ci[0] <= 0 <= change.ci[1]):
        return 0
    if not change.value:
        return None
    needed = fit.lots * ((1.96 + float(stats.norm.ppf(POWER))) * _u(change) / change.value) ** 2
    more = max(1, math.ceil(needed - fit.lots))
    return more if more <= 10 * fit.lots else None


def _u(estimate: Estimate) -> float:
    return max(estimate.components.get("between_lots", 0.0), 1e-300)


def _replaced(data: _Data, plan: Design) -> _Data:
    fit = fit_mixed(data.y, plan.matrix, data.u, data.points["lot"].to_numpy())
    return _Data(data.series, data.points, data.y, data.u, plan, fit)


def _drift_notes(effects: Sequence[Effect], asked: Sequence[str]) -> list[str]:
    notes = []
    for effect in effects:
        if effect.factor not in asked or effect.verdict == "not shown":
            continue
        if effect.confounded and not effect.aliased:
            names = ", ".join(f"{name} (r = {r:.2f})" for name, r in effect.confounded.items())
            notes.append(
                f"{effect.factor} mostly changed together with {names}; the model parts them as far as the lots do, "
                "and "
                "the interval shows how far that is."
            )
        if effect.time >= GOES_WITH_TIME:
            text = (
                f"{effect.factor} goes with time (r = {effect.time:.2f}): whatever else changed then, and is not in "
                "the "
                "ledger, is in this effect."
            )
            if effect.with_drift is not None and effect.with_drift.ci is not None:
                ci = effect.with_drift.ci
                holds = "It stays" if ci[0] > 0 or ci[1] < 0 else "It is no longer sure"
                text += f" {holds} if the lots also drift steadily: {effect.with_drift}."
            text += f" Two lots with the former {effect.factor}, made now, would tell."
            notes.append(text)
        if effect.lack_of_fit is not None and effect.lack_of_fit < BENT:
            notes.append(
                f"{effect.factor}: the {effect.form} form does not fit (p = {effect.lack_of_fit:.3f}); try --form "
                "quadratic "
                "or exponential."
            )
    return notes


def _series_notes(series: Series) -> list[str]:
    notes = list(series.notes)
    if series.left_out:
        count = sum(len(labels) for _, labels in series.left_out.values())
        notes.append(
            f"{counted(count, 'lot')} measured with another system {'is' if count == 1 else 'are'} left out; `lots "
            "bridge` "
            "would bring them in."
        )
    if series.points["bridged"].any():
        notes.append(f"{counted(int(series.points['bridged'].sum()), 'lot')} carried over by a bridge.")
    notes.append("Lots are made as a plant needs them, not at random: this is correlation.")
    return notes
