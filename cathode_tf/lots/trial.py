"""A target and what moved the quantities in; the settings that would meet it, and the run that would teach most,
out."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cathode_tf.errors import InputError
from cathode_tf.lots.causes import Causes, causes
from cathode_tf.lots.design import Design, Factor
from cathode_tf.lots.ledger import Ledger
from cathode_tf.statistics import Estimate
from cathode_tf.statistics.decision import conformity

STEPS = 21
MOST = 20_000
_NUMBER = r"[+-]?[\d.,]+(?:[eE][+-]?\d+)?"
_TARGET = re.compile(
    rf"(?P<name>[^=<>]+?)\s*(?:(?P<sign>[<>])=?|=)\s*(?P<number>{_NUMBER})\s*(?P<percent>%?)"
    rf"(?:\s*(?:\+-|±)\s*(?P<tolerance>{_NUMBER})\s*%?)?"
)


@dataclass(frozen=True)
class Target:
    """What a quantity is to be: between two limits, of which one may be open."""

    name: str
    lower: float | None
    upper: float | None

    @classmethod
    def parse(cls, text: str) -> Target:
        """From `fraction/pore=0.30+-0.01`, `fraction/pore=30%+-1`, or `crack_length_density<0.05`.

        Raises:
            InputError: If it does not look like that.

        Example:
            >>> Target.parse("fraction/pore=30%+-1")
            Target(name='fraction/pore', lower=0.29, upper=0.31)
        """
        found = _TARGET.fullmatch(text.strip())
        try:
            assert found is not None
            scale = 0.01 if found["percent"] else 1.0
            number = float(found["number"].replace(",", ".")) * scale
            tolerance = float(found["tolerance"].replace(",", ".")) * scale if found["tolerance"] else None
            if (tolerance is None) == (found["sign"] is None):
                raise ValueError
        except (AssertionError, ValueError):
            raise InputError(
                f"--target: must look like fraction/pore=0.30+-0.01 or crack_length_density<0.05. Received {text!r}."
            ) from None
        name = found["name"].strip()
        if tolerance is not None:
            return cls(name, round(number - tolerance, 12), round(number + tolerance, 12))
        return cls(name, None, number) if found["sign"] == "<" else cls(name, number, None)

    @property
    def text(self) -> str:
        """For people."""
        if self.lower is None:
            return f"{self.name} below {self.upper:g}"
        return f"{self.name} {f'above {self.lower:g}' if self.upper is None else f'{self.lower:g} to {self.upper:g}'}"


@dataclass(frozen=True)
class Trial:
    """What to run next.

    Attributes:
        settings: Factor -> value with unit, as text: most likely to meet the targets.
        predictions: Quantity -> mean of lots made so.
        probability: That a lot made so meets all targets.
        teach: Factor -> value with unit: the run that would narrow the intervals most.
        narrower: Quantity -> (half interval now, after that run) at `settings`.
        notes: What a reader must know.
    """

    settings: Mapping[str, str]
    predictions: Mapping[str, Estimate]
    probability: float
    teach: Mapping[str, str]
    narrower: Mapping[str, tuple[float, float]]
    notes: tuple[str, ...]


def next_trial(
    ledger: Ledger,
    targets: Sequence[Target],
    *,
    factors: Sequence[str] = (),
    vary: Sequence[str] = (),
) -> Trial:
    """Settings within what was tried before that would meet the targets, and the run that would teach most.

    Args:
        ledger: With lots, settings and analyses.
        targets: At least one.
        factors: Of the models; default as in `causes`.
        vary: Which of them can be set; the others stay at their mean. Default: those asked for, or all but thickness
            and loading.

    Raises:
        InputError: If there is no target, or nothing that can be varied.
    """
    if not targets:
        raise InputError("next: needs at least one --target.")
    models = {target.name: causes(ledger, target.name, factors=factors) for target in targets}
    first = next(iter(models.values()))
    settable = _settable(first, factors, vary)
    grid = _grid(first.design, settable)
    chances = np.ones(len(grid[next(iter(grid))]))
    predicted = {}
    for target in targets:
        model = models[target.name]
        mean, u = predict(model, grid)
        lot_sd = _process_sd(model)
        predicted[target.name] = (mean, u)
        chances *= np.array(
            [
                conformity(m, math.hypot(s, lot_sd), target.lower, target.upper)
                for m, s in zip(mean, u, strict=True)
            ]
        )
    best = int(chances.argmax())
    predictions = {}
    for name, (mean, u) in predicted.items():
        half = _t(models[name]) * u[best]
        predictions[name] = Estimate(
            float(mean[best]), unit=models[name].series.unit, ci=(float(mean[best] - half), float(mean[best] + half)),
            n=models[name].fit.lots, unit_of_replication="lot", method="prediction of the mean of lots made so",
        )  # fmt: skip
    teach = int(_leverage(first, grid).argmax())
    narrower = {
        name: (_t(model) * float(predicted[name][1][best]), _t(model) * _after(model, grid, best, teach))
        for name, model in models.items()
    }
    notes = ["The settings lie within what was tried before; beyond that the model says nothing."]
    if chances[best] < 0.5:
        notes.insert(0, "No setting within what was tried is likely to meet the targets; this comes nearest.")
    return Trial(
        _spoken(first.design, grid, settable, best),
        predictions,
        float(chances[best]),
        _spoken(first.design, grid, settable, teach),
        narrower,
        tuple(notes),
    )


def _settable(model: Causes, factors: Sequence[str], vary: Sequence[str]) -> list[str]:
    known = [name for name in model.design.factors if model.design.index(name)]
    wanted = list(vary) or list(factors) or [n for n in known if "thickness" not in n and "loading" not in n]
    found = [name for name in wanted if name in known]
    if not found:
        raise InputError(f"--vary: must name a factor of the model ({', '.join(known)}).")
    return found


def _grid(plan: Design, settable: Sequence[str]) -> dict[str, np.ndarray]:
    """Values of every factor over all candidates: of those that can be set all combinations, else the mean."""
    from scipy.stats import qmc

    choices = []
    for name in settable:
        factor = plan.factors[name]
        values = np.array(factor.levels) if factor.levels else np.linspace(*_range(factor), STEPS)
        choices.append(values)
    if math.prod(len(each) for each in choices) <= MOST:
        rows = list(itertools.product(*choices))
        columns = {name: np.array([row[i] for row in rows]) for i, name in enumerate(settable)}
    else:
        places = qmc.LatinHypercube(len(settable), seed=0).random(MOST)
        columns = {
            name: choices[i][np.minimum((places[:, i] * len(choices[i])).astype(int), len(choices[i]) - 1)]
            for i, name in enumerate(settable)
        }
    n = len(next(iter(columns.values())))
    for name, factor in plan.factors.items():
        if name not in columns:
            common = (
                max(factor.levels, key=lambda level: int((factor.values == level).sum()))
                if factor.levels
                else None
            )
            columns[name] = np.full(n, factor.middle if common is None else common)
    return columns


def _range(factor: Factor) -> tuple[float, float]:
    return float(np.min(factor.values)), float(np.max(factor.values))


def _matrix(plan: Design, grid: Mapping[str, np.ndarray]) -> np.ndarray:
    n = len(next(iter(grid.values())))
    columns = [np.ones(n)]
    for name in plan.names[1:]:
        factor = plan.factors[plan.of[name]]
        values = grid[factor.name]
        if factor.levels:
            columns.append((values == name.removeprefix(f"{factor.name}: ")).astype(float))
        else:
            columns.append(values.astype(float) - factor.middle)
    return np.column_stack(columns)


def predict(model: Causes, grid: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean of lots made with each row of settings, and its standard uncertainty; a bent first factor is followed.

    Args:
        model: Of `causes`.
        grid: Values of every factor of the model, (n,) each.
    """
    x = _matrix(model.design, grid)
    mean = x @ model.fit.beta
    u = np.sqrt(np.einsum("ij,jk,ik->i", x, model.fit.covariance, x))
    bent = next((effect for effect in model.effects if effect.law is not None), None)
    if bent is not None and bent.law is not None:
        load = grid[bent.factor].astype(float)
        curve, half = bent.law.curve(load)
        others = np.delete(x, [0, model.design.index(bent.factor)[0]], axis=1)
        return curve + others @ bent.law.coefficients[2:], np.maximum(half / 1.96, 0)
    return mean, u


def _process_sd(model: Causes) -> float:
    lot = 0.0 if math.isnan(model.fit.lot_sd) else model.fit.lot_sd
    return math.hypot(lot, model.fit.row_sd)


def _t(model: Causes) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.975, float(model.fit.dof.min())))


def _leverage(model: Causes, grid: Mapping[str, np.ndarray]) -> np.ndarray:
    """Variance of each candidate's prediction: the run there shrinks the determinant of the covariance most."""
    x = _matrix(model.design, grid)
    return np.einsum("ij,jk,ik->i", x, model.fit.covariance, x)


def _after(model: Causes, grid: Mapping[str, np.ndarray], at: int, run: int) -> float:
    """Standard uncertainty at one candidate after one more lot at another (Sherman and Morrison)."""
    x = _matrix(model.design, grid)
    c = model.fit.covariance
    noise = float(np.median(model.fit.variances))
    new = c @ x[run]
    after = c - np.outer(new, new) / (noise + float(x[run] @ new))
    return math.sqrt(max(float(x[at] @ after @ x[at]), 0.0))


def _spoken(
    plan: Design, grid: Mapping[str, np.ndarray], settable: Sequence[str], row: int
) -> dict[str, str]:
    told = {}
    for name in settable:
        factor = plan.factors[name]
        value = grid[name][row]
        told[name] = (
            str(value) if factor.levels else f"{float(value):.4g}{f' {factor.unit}' if factor.unit else ''}"
        )
    return told
