"""A quantity's `Estimate` and a `Spec` in, a `Decision` out: pass, fail, or not enough data, by an agreed rule.

There is no hidden simple acceptance: which rule decides stands in the `Spec`, and the chance of being wrong
stands in the `Decision`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scipy import stats

from cathode_tf.errors import InputError
from cathode_tf.statistics.estimate import Estimate
from cathode_tf.statistics.planning import required_images

PASS, CONDITIONAL_PASS = "PASS", "CONDITIONAL_PASS"
CONDITIONAL_FAIL, FAIL, INSUFFICIENT = "CONDITIONAL_FAIL", "FAIL", "INSUFFICIENT"

RULES = {
    "guarded_acceptance": "pass only if non-conformity is less likely than max_pfa (JCGM 106, ILAC-G8)",
    "simple_acceptance": "pass if the value lies within the limits, whatever its uncertainty (JCGM 106)",
    "guarded_rejection": "fail only if conformity is less likely than max_pfa (JCGM 106)",
}
REFERENCE = "JCGM 106:2012; ILAC-G8:09/2019; ISO 14253-1"
LARGEST_SHARE = 1 / 3
"""An expanded uncertainty above this share of the tolerance cannot tell good from bad."""


@dataclass(frozen=True)
class Spec:
    """What a batch must keep to.

    Args:
        name: The quantity, as in `summary`: `"fraction/pore"`, `"x50_3/ncm"`.
        lower: Smallest tolerated value; None: no limit.
        upper: Largest tolerated value; None: no limit.
        unit: Of the limits; must be the estimate's.
        rule: One of `RULES`.
        max_pfa: Tolerated probability that a batch that passes does not conform (and the other way round).
        method: How the limit was established, `"image"` or another (`"laser_diffraction"`), which an
            image cannot be compared with unless `bias` says by how much they differ.
        bias: Image value minus the other method's value, in `unit`.

    Raises:
        InputError: If there is no limit, they are in the wrong order, or the rule is unknown.
    """

    name: str
    lower: float | None = None
    upper: float | None = None
    unit: str = ""
    rule: str = "guarded_acceptance"
    max_pfa: float = 0.025
    method: str = "image"
    bias: float | None = None

    def __post_init__(self) -> None:
        limits = [limit for limit in (self.lower, self.upper) if limit is not None]
        if not limits or not all(math.isfinite(limit) for limit in limits):
            raise InputError(
                f"spec {self.name}: must have a lower or an upper limit, finite. Received {limits}."
            )
        if self.bias is not None and not math.isfinite(self.bias):
            raise InputError(f"spec {self.name}: bias must be finite. Received {self.bias}.")
        if len(limits) == 2 and limits[0] >= limits[1]:
            raise InputError(
                f"spec {self.name}: lower must be below upper. Received {self.lower} and {self.upper}."
            )
        if self.rule not in RULES:
            raise InputError(
                f"spec {self.name}: rule must be one of {', '.join(RULES)}. Received {self.rule!r}."
            )
        if not 0 < self.max_pfa < 0.5:
            raise InputError(f"spec {self.name}: max_pfa must be between 0 and 0.5. Received {self.max_pfa}.")
        if self.method != "image" and self.bias is None:
            raise InputError(
                f"spec {self.name}: a limit for {self.method} cannot be held against an image. Give bias (image "
                f"minus {self.method}), or a limit for images."
            )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Spec:
        """A spec from a table of a specification file.

        Raises:
            InputError: If a key is unknown or the name is missing.
        """
        unknown = sorted(set(content) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise InputError(f"spec: may hold {known}. Received {unknown[0]!r}.")
        if "name" not in content:
            raise InputError("spec: must have a name, such as fraction/pore. Received none.")
        return cls(**content)

    @property
    def text(self) -> str:
        """The limits for people: `0.25 to 0.35`, `at least 9 um`."""
        unit = f" {self.unit}" if self.unit else ""
        if self.lower is None:
            return f"at most {self.upper:g}{unit}"
        if self.upper is None:
            return f"at least {self.lower:g}{unit}"
        return f"{self.lower:g} to {self.upper:g}{unit}"


@dataclass(frozen=True)
class Decision:
    """What a spec says about a batch.

    Attributes:
        verdict: PASS, CONDITIONAL_PASS (within the limits, but not surely), CONDITIONAL_FAIL (outside, but
            not surely), FAIL or INSUFFICIENT.
        p_conform: Probability that the true value keeps to the limits; None if nothing is known.
        guard_band: Width of the guard band, in the spec's unit; None if nothing is known.
        sentence: For the report.
        spec: What was asked.
        estimate: What was measured.
    """

    verdict: str
    p_conform: float | None
    guard_band: float | None
    sentence: str
    spec: Spec
    estimate: Estimate

    @property
    def accepted(self) -> bool:
        """Whether the batch may go on."""
        return self.verdict in (PASS, CONDITIONAL_PASS)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "verdict": self.verdict,
            "accepted": self.accepted,
            "p_conform": self.p_conform,
            "guard_band": self.guard_band,
            "sentence": self.sentence,
            "spec": vars(self.spec),
            "estimate": self.estimate.to_dict(),
        }


def conformity(value: float, u: float, lower: float | None = None, upper: float | None = None) -> float:
    """Probability that the true value lies within the limits: Phi((upper - y)/u) - Phi((lower - y)/u).

    Example:
        >>> round(conformity(13.6, 1.8, 12.5, 16.3), 4)
        0.6626

    Reference:
        JCGM 106:2012, clause on two-sided tolerance intervals.
    """
    if u == 0:
        return float((lower is None or value >= lower) and (upper is None or value <= upper))
    above = 1.0 if upper is None else float(stats.norm.cdf((upper - value) / u))
    below = 0.0 if lower is None else float(stats.norm.cdf((lower - value) / u))
    return above - below


def decide(estimate: Estimate, spec: Spec) -> Decision:
    """Decide whether a quantity keeps to its limits.

    With the guarded rules a value counts as surely within if it is at least g = z(1 - max_pfa) u from each
    limit, and as surely outside if it is at least g beyond one; between these the verdict is conditional.

    Args:
        estimate: What was measured.
        spec: Limits and rule.

    Returns:
        The decision; INSUFFICIENT if there is no interval, or if its half width is more than a third of the
        tolerance (of two-sided limits) and the value is neither surely within nor surely outside.

    Raises:
        InputError: If the units differ.

    Reference:
        JCGM 106:2012; ILAC-G8:09/2019 (guard bands, non-binary statements); ISO 14253-1.
    """
    if estimate.unit != spec.unit:
        raise InputError(
            f"spec {spec.name}: the unit must be that of the measurement ({estimate.unit or 'none'}). "
            f"Received {spec.unit or 'none'}."
        )
    if estimate.value is None:
        return _undecided(estimate, spec, f"{spec.name} is {estimate}")
    u = estimate.standard_uncertainty
    if u is None:
        reason = next(iter(estimate.flags.values()), "it has no interval")
        return _undecided(estimate, spec, f"{spec.name} has no interval: {reason}")
    value = estimate.value - (spec.bias or 0.0)
    p = conformity(value, u, spec.lower, spec.upper)
    guard = float(stats.norm.ppf(1 - spec.max_pfa)) * u
    margin = min(
        [
            *([value - spec.lower] if spec.lower is not None else []),
            *([spec.upper - value] if spec.upper is not None else []),
        ]
    )
    verdict = _verdict(margin, guard, spec.rule)
    if (
        spec.rule != "simple_acceptance"
        and verdict != FAIL
        and spec.lower is not None
        and spec.upper is not None
    ):
        tolerance, half = spec.upper - spec.lower, float(estimate.half_width or 0)
        if half > LARGEST_SHARE * tolerance and verdict != PASS:
            n = required_images(estimate, LARGEST_SHARE * tolerance)
            more = f"; {n - estimate.n} more {estimate.unit_of_replication}s are needed" if n else ""
            sentence = f"{spec.name} = {estimate} is too uncertain for {spec.text}{more}"
            return Decision(INSUFFICIENT, p, guard, sentence, spec, estimate)
    words = {
        PASS: "keeps to",
        CONDITIONAL_PASS: "lies within, but not surely,",
        CONDITIONAL_FAIL: "lies outside, but not surely,",
        FAIL: "violates",
    }
    sentence = (
        f"{spec.name} = {estimate} {words[verdict]} {spec.text}: {100 * p:.1f} % probability of conformity, "
        f"guard band {guard:.3g}{' ' + spec.unit if spec.unit else ''}, rule {spec.rule.replace('_', ' ')}"
    )
    return Decision(verdict, p, guard, sentence, spec, estimate)


def _verdict(margin: float, guard: float, rule: str) -> str:
    """From the distance to the nearer limit (negative: outside)."""
    if rule == "simple_acceptance":
        return PASS if margin >= 0 else FAIL
    if margin >= guard:
        return PASS
    if margin <= -guard:
        return FAIL
    if rule == "guarded_rejection":
        return CONDITIONAL_PASS
    return CONDITIONAL_PASS if margin >= 0 else CONDITIONAL_FAIL


def _undecided(estimate: Estimate, spec: Spec, sentence: str) -> Decision:
    return Decision(INSUFFICIENT, None, None, sentence, spec, estimate)
