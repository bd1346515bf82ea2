"""A fitted model of lots in; what each factor does, how surely, and what confounds it, out."""

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
from cathode_tf.lots.design import CONFOUNDED, Design, Factor, association, design, is_carried
from cathode_tf.lots.mixed import MixedFit, fit_mixed
from cathode_tf.lots.series import Series
from cathode_tf.statistics import Estimate
from cathode_tf.words import counted, some

METHOD = "mixed model, lots random, the points' own variances known"
REFERENCE = "Patterson and Thompson, Biometrika 58 (1971) 545; Knapp and Hartung, Stat. Med. 22 (2003) 2693"
POWER = 0.8
BENT = 0.05


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
        results: Thickness or loading that go with the factor, and may be what it did, as thickness after the press is.
        unheld: The change if these are not held; None where there are none.
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
    results: tuple[str, ...] = ()
    unheld: Estimate | None = None

    @property
    def verdict(self) -> str:
        """`"moves"`, `"not shown"` or `"cannot be told apart"`."""
        if self.aliased:
            return "cannot be told apart"
        return "moves" if is_sure(self.change) else "not shown"

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


def is_sure(change: Estimate | None) -> bool:
    """Whether the interval of a change excludes none."""
    return change is not None and change.ci is not None and (change.ci[0] > 0 or change.ci[1] < 0)


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
class LotData:
    """Points, their model, and how to fit it with more columns."""

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


def effect_of(data: LotData, name: str, form: str) -> Effect:
    factor, plan = data.plan.factors[name], data.plan
    others = {other: f for other, f in plan.factors.items() if other != name}
    together = {other: association(factor, f) for other, f in others.items()}
    confounded = {o: r for o, r in sorted(together.items(), key=lambda item: -item[1]) if r >= CONFOUNDED}
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


def with_unheld(data: LotData, effect: Effect, form: str) -> Effect:
    """The effect, and what it would be were what may be a result of its factor not held beside it."""
    together = {*effect.confounded, *effect.aliased}
    results = tuple(name for name in data.plan.factors if name in together and is_carried(name))
    if not results or is_carried(effect.factor):
        return effect
    kept = {name: factor for name, factor in data.plan.factors.items() if name not in results}
    found = effect_of(_replaced(data, design(kept, [effect.factor])), effect.factor, form)
    return replace(effect, results=results, unheld=None if found.aliased else found.change)


def _aliases(plan: Design, name: str) -> tuple[str, ...]:
    if name in plan.aliased:
        return plan.aliased[name] or ("the other factors",)
    return tuple(other for other, mine in plan.aliased.items() if name in mine)


def _alone(data: LotData, factor: Factor, fields: Mapping[str, Any]) -> Effect:
    alone = design({factor.name: factor}, [factor.name])
    return replace(effect_of(_replaced(data, alone), factor.name, "linear"), **fields)


def _levels(data: LotData, factor: Factor, fields: Mapping[str, Any]) -> Effect:
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


def _numeric(data: LotData, factor: Factor, form: str, fields: Mapping[str, Any]) -> Effect:
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


def _law(data: LotData, factor: Factor, column: int, *, strict: bool) -> CalenderingFit | None:
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


def _law_better(data: LotData, law: CalenderingFit, bent: MixedFit, factor: Factor) -> bool:
    """Whether the law leaves less than a parabola of as many coefficients, weights alike, and has a limit."""
    squares = float((bent.residuals**2 / data.fit.variances).sum())
    n = len(data.y)
    return "NO_LIMIT" not in law.limit.flags and law.deviance <= n * math.log(max(squares / n, 1e-300))


def _law_change(data: LotData, law: CalenderingFit, low: float, high: float, unit: str) -> Estimate:
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


def _lack_of_fit(data: LotData, p_bend: float | None) -> float | None:
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


def _with_drift(data: LotData, weights: np.ndarray) -> Estimate | None:
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


def _replaced(data: LotData, plan: Design) -> LotData:
    fit = fit_mixed(data.y, plan.matrix, data.u, data.points["lot"].to_numpy())
    return LotData(data.series, data.points, data.y, data.u, plan, fit)
