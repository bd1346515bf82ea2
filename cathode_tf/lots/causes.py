"""A ledger and a quantity in; which settings go with it, by how much, how surely, and what confounds them, out.

What is found in lots that nobody randomised is correlation, and is called so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cathode_tf.errors import InputError
from cathode_tf.lots.design import (
    CARRIED,
    Design,
    Factor,
    design,
    factors_of,
    is_carried,
    joined,
    settings_table,
)
from cathode_tf.lots.effects import BENT, Effect, LotData, abs_text, effect_of, is_sure, with_unheld
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.mixed import MixedFit, fit_mixed
from cathode_tf.lots.series import Series, read_series
from cathode_tf.words import counted, some

FORMS = ("auto", "linear", "quadratic", "exponential")
GOES_WITH_TIME = 0.7


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

    @property
    def answer(self) -> str:
        """Whether the first factor moved the quantity, and whether it is that factor, in one sentence."""
        effect = self.effects[0]
        others = [name for name in self.design.factors if name != effect.factor and self.design.index(name)]
        held = f", {some(others, 4)} being held" if others else ""
        if effect.unheld is not None and is_sure(effect.unheld) and effect.verdict != "moves":
            way = "higher" if (effect.unheld.value or 0) > 0 else "lower"
            return (
                f"Answer: {way} by {abs_text(effect.unheld)} with {effect.factor}, if {some(list(effect.results))} "
                "came out of it, as after the press; otherwise not shown."
            )
        if effect.aliased:
            return f"Answer: {self.series.name} changed, but whether by {effect.factor} cannot be told from these lots."
        if effect.verdict != "moves":
            more = f"; about {counted(effect.more_lots, 'more lot')} would tell" if effect.more_lots else ""
            return (
                f"Answer: not shown. {self.series.name} may or may not go with {effect.factor}{held}{more}."
            )
        way = "higher" if (effect.change.value or 0) > 0 else "lower"
        doubt = ""
        if effect.time >= GOES_WITH_TIME:
            doubt = ", unless something that is not in the ledger changed at the same time"
        return f"Answer: yes, {way} by {abs_text(effect.change)}. It goes with {effect.factor}{held}{doubt}."

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
    without: Sequence[str] = (),
    form: str = "auto",
    system: str | None = None,
) -> Causes:
    """Which settings a quantity goes with.

    Args:
        ledger: With analyses and settings of its lots.
        name: `quantity/phase`.
        factors: Whose effects are wanted; default: all that vary and are known for every lot. Thickness and loading are
            carried in any case, unless they stand in `without`.
        without: Settings to leave out: what is a result of the factors, and not a setting beside them.
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
    _check_known("--factor", factors, units)
    _check_known("--without", without, units)
    settings = joined(series.points, table.drop(columns=list(without)))
    chosen, notes = _choose(settings, units, factors)
    keep = settings[chosen].notna().all(axis=1).to_numpy() if chosen else np.ones(len(settings), bool)
    if not keep.all():
        missing = series.points.loc[~keep, "label"].tolist()
        notes.append(f"Left out for want of settings: {some(missing, 5)}.")
    points = series.points[keep].reset_index(drop=True)
    found = factors_of(settings[keep].reset_index(drop=True), units, chosen)
    asked = [factor for factor in factors if factor in found] or [c for c in chosen if not is_carried(c)]
    if not any(factor.varies for factor in found.values()):
        raise InputError("causes: no setting varies between the lots, so nothing can be learnt. Import some.")
    plan = _fitting(found, asked, points["lot"].nunique(), notes)
    y, u = points["value"].to_numpy(float), points["u"].to_numpy(float)
    if np.ptp(y) <= 1e-6 * np.abs(y).max():
        raise InputError(f"causes: {name} is the same in every lot, so nothing moved it.")
    fit = fit_mixed(y, plan.matrix, u, points["lot"].to_numpy())
    data = LotData(series, points, y, u, plan, fit)
    effects = []
    for factor in [*[a for a in asked if a in plan.factors], *[f for f in plan.factors if f not in asked]]:
        shape = form if factor == asked[0] else "auto"
        effects.append(with_unheld(data, effect_of(data, factor, shape), shape))
    notes = [*_drift_notes(effects, asked), *notes, *_series_notes(series)]
    return Causes(
        series, settings[keep].reset_index(drop=True), plan, fit, tuple(effects), tuple(notes),
        int(points["images"].sum()), tuple(points["label"]),
    )  # fmt: skip


def _check_known(option: str, factors: Sequence[str], units: Mapping[str, str]) -> None:
    for factor in factors:
        if factor not in units:
            known = ", ".join(sorted(units)) or "none; import some: cathode-tf lots import LEDGER factors.csv"
            raise InputError(f"{option}: must be a setting of the ledger ({known}). Received {factor!r}.")


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
        elif not asked or is_carried(column) or column in units:
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
    order = [*asked, *[name for name in found if name not in asked and is_carried(name)]]
    order += [name for name in found if name not in order]
    while True:
        plan = design({name: found[name] for name in order}, [a for a in asked if a in order])
        if plan.matrix.shape[1] + 3 <= lots or len(order) == 1:
            return plan
        dropped = order.pop()
        notes.insert(0, f"{counted(lots, 'lot')} cannot carry all factors: {dropped} is left out.")
        asked = [a for a in asked if a in order]


def _drift_notes(effects: Sequence[Effect], asked: Sequence[str]) -> list[str]:
    notes = []
    for effect in effects:
        if effect.factor not in asked:
            continue
        if effect.unheld is not None:
            names = some(list(effect.results))
            notes.append(
                f"{names} mostly changed together with {effect.factor}. What is measured after the press comes out of "
                f"it, and held beside it hides what {effect.factor} does: {effect.change} with, {effect.unheld} "
                f"without (--without {' --without '.join(effect.results)})."
            )
        if effect.verdict == "not shown":
            continue
        others = {name: r for name, r in effect.confounded.items() if name not in effect.results}
        if others and not effect.aliased:
            names = ", ".join(f"{name} (r = {r:.2f})" for name, r in others.items())
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
