"""Two analyses (or their `summary.json`) in, a `Comparison` out: what differs, by how much, how surely."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from scipy import stats

from cathode_tf.analysis.batch import Analysis
from cathode_tf.analysis.worth import WITH_THE_MASKS, worth_of
from cathode_tf.errors import InputError, InputWarning
from cathode_tf.files import read_json, write_json
from cathode_tf.statistics.estimate import LEVEL, NO_INTERVAL, Estimate

MOVER = "Zou and Donner, Stat. Med. 27 (2008) 1693 (difference from two intervals)"
TOST = "Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657 (two one-sided tests)"
HEDGES = "Hedges, J. Educ. Stat. 6 (1981) 107"
DIFFERENT, EQUIVALENT, UNDECIDED, NOT_COMPARABLE = "different", "equivalent", "undecided", "not comparable"
UNCHECKED = "no verdict (unchecked masks)"
SMALL_BUT_SURE = "different, within the margin"


@dataclass(frozen=True)
class Difference:
    """One quantity in two batches.

    Attributes:
        quantity, phase: As in `Analysis.summary`.
        a, b: The two estimates.
        difference: b - a with its interval.
        ratio: b / a with its interval; refused where a is not surely above 0.
        effect_size: Hedges' g, the difference in standard deviations between images; refused without them.
        margin: What still counts as the same, in the unit; None: no margin was given.
        verdict: `"different"`, `"equivalent"` (surely within the margin), `"different, within the margin"`,
            `"undecided"`, `"not comparable"` or `"no verdict (unchecked masks)"`.
    """

    quantity: str
    phase: str
    a: Estimate
    b: Estimate
    difference: Estimate
    ratio: Estimate
    effect_size: Estimate
    margin: float | None
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        content = {
            name: value.to_dict() if isinstance(value, Estimate) else value
            for name, value in vars(self).items()
        }
        content["sentence"] = self.sentence
        return content

    @property
    def sentence(self) -> str:
        """What a reader wants to know, in one line."""
        name = f"{self.quantity} {self.phase}".strip()
        if self.verdict == NOT_COMPARABLE:
            return f"{name}: {self.difference}"
        relative = f", {self.ratio.value - 1:+.1%}" if self.ratio.value is not None else ""
        return f"{name}: {self.verdict}; difference {self.difference}{relative}"


@dataclass(frozen=True)
class Comparison:
    """Everything two batches have in common, quantity by quantity."""

    differences: tuple[Difference, ...]
    name_a: str = "A"
    name_b: str = "B"
    masks_a: str = ""
    masks_b: str = ""

    def __iter__(self) -> Iterator[Difference]:
        return iter(self.differences)

    def __getitem__(self, key: tuple[str, str]) -> Difference:
        for difference in self.differences:
            if (difference.quantity, difference.phase) == key:
                return difference
        raise KeyError(key)

    def table(self) -> pd.DataFrame:
        """A row a quantity: both values, difference with its interval, effect size, verdict."""
        rows = []
        for item in self.differences:
            ci = item.difference.ci or (math.nan, math.nan)
            rows.append(
                {
                    "quantity": item.quantity,
                    "phase": item.phase,
                    "unit": item.a.unit,
                    self.name_a: item.a.value,
                    self.name_b: item.b.value,
                    "difference": item.difference.value,
                    "lower": ci[0],
                    "upper": ci[1],
                    "ratio": item.ratio.value,
                    "effect_size": item.effect_size.value,
                    "margin": item.margin,
                    "verdict": item.verdict,
                }
            )
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "masks": {"a": self.masks_a, "b": self.masks_b},
            "a": self.name_a,
            "b": self.name_b,
            "differences": [difference.to_dict() for difference in self.differences],
            "note": self.note,
        }

    @property
    def note(self) -> str:
        """How many differences chance alone would bring."""
        tested = sum(difference.verdict not in (NOT_COMPARABLE, UNCHECKED) for difference in self.differences)
        return (
            f"{tested} quantities were compared at {100 * LEVEL:g} %: between equal batches about "
            f"{tested * (1 - LEVEL):.1f} of them differ by chance."
        )

    def write(self, path: str | Path, *, force: bool = False) -> Path:
        """Write `comparison.json`."""
        return write_json(path, self.to_dict(), force=force)


def compare(
    a: Analysis | Mapping[str, Any] | str | Path,
    b: Analysis | Mapping[str, Any] | str | Path,
    *,
    margins: Mapping[str, float] | None = None,
    names: tuple[str, str] = ("A", "B"),
    unchecked: bool = False,
) -> Comparison:
    """Compare every quantity that two batches have in common.

    "Not significantly different" does not mean equal: two batches are called equivalent only if the
    difference surely lies within a margin that was given [2].

    Args:
        a: The reference: an `Analysis`, or the folder or `summary.json` that it was written to.
        b: What is compared with it.
        margins: Largest difference that still counts as the same, in the unit of the quantity, by
            `quantity/phase` or `quantity`: `{"fraction/pore": 0.01}`.
        names: What to call the batches.
        unchecked: Tell what differs by masks that nobody, and no test of their kind, vouches for; else such
            quantities have no verdict.

    Raises:
        InputError: If a file is no summary, the phases or length units differ, or a margin is not above 0 or
            names nothing that was compared.

    Reference:
        [1] Zou and Donner, Stat. Med. 27 (2008) 1693. [2] Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987)
        657.
    """
    first, second = _content(a), _content(b)
    for field, what, advice in (
        ("length_unit", "length unit", " Analyse the one in px again with its pixel size (--pixel-size-nm)."),
        ("phase_names", "phases", ""),
    ):
        if first[field] != second[field]:
            received = f"Received {first[field]} and {second[field]}."
            raise InputError(f"compare: both batches must have the same {what}. {received}{advice}")
    if first["pixel_size_nm"] != second["pixel_size_nm"]:
        warnings.warn(
            f"compare: the pixel sizes differ ({first['pixel_size_nm']} and {second['pixel_size_nm']} nm). What is "
            "as fine as a pixel (cracks, thin films, boundary lengths) is seen differently.",
            InputWarning,
            stacklevel=2,
        )
    if first["crack_evidence"] != second["crack_evidence"]:
        warnings.warn(
            f"compare: cracks were looked for in the {first['crack_evidence']} of one batch and in the "
            f"{second['crack_evidence']} of the other: their crack lengths differ for that alone.",
            InputWarning,
            stacklevel=2,
        )
    known = (first["checked"], second["checked"])
    margins = dict(margins or {})
    used: set[str] = set()
    differences = []
    for quantity, estimates in first["summary"].items():
        for phase, estimate in estimates.items():
            other = second["summary"].get(quantity, {}).get(phase)
            if other is None or estimate.unit != other.unit:
                continue
            key = next((k for k in (f"{quantity}/{phase}", quantity) if k in margins), None)
            used |= {key} if key else set()
            item = difference(quantity, phase, estimate, other, margin=margins[key] if key else None)
            doubtful = not all(known) and quantity not in WITH_THE_MASKS
            if doubtful and not unchecked and item.verdict != NOT_COMPARABLE:
                item = replace(item, verdict=UNCHECKED)
            differences.append(item)
    for name, margin in margins.items():
        if not 0 < margin < math.inf:
            raise InputError(f"margin {name}: must be above 0, and finite. Received {margin}.")
        if name not in used:
            named = ", ".join(dict.fromkeys(item.quantity for item in differences))
            raise InputError(
                f"margin {name}: must name a quantity of both batches ({named}), or quantity/phase."
            )
    return Comparison(tuple(differences), *names, first["masks"], second["masks"])


def _content(source: Analysis | Mapping[str, Any] | str | Path) -> dict[str, Any]:
    """Summary of Estimates, and what must be alike in two batches."""
    if isinstance(source, Analysis):
        return {
            "masks": source.worth.sentence,
            "checked": source.worth.checked,
            "summary": source.summary,
            "length_unit": source.unit,
            "phase_names": ", ".join(source.phases.names),
            "pixel_size_nm": source.pixel_size_nm,
            "crack_evidence": source.settings.crack_evidence,
        }
    where = "summary"
    if isinstance(source, (str, Path)):
        where = str(source)
        path = Path(source)
        source = read_json(path / "summary.json" if path.is_dir() else path)
    if not isinstance(source, Mapping) or not {"summary", "length_unit", "phases"} <= set(source):
        raise InputError(f"{where}: must be the summary.json that analyze wrote. Keys are missing.")
    try:
        summary = {
            quantity: {phase: Estimate.from_dict(content) for phase, content in estimates.items()}
            for quantity, estimates in source["summary"].items()
        }
        names = ", ".join(phase["name"] for phase in source["phases"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: must be the summary.json that analyze wrote ({error}).") from error
    masks, checked = worth_of(source)
    return {
        "masks": masks,
        "checked": checked,
        "summary": summary,
        "length_unit": source["length_unit"],
        "phase_names": names,
        "pixel_size_nm": source.get("pixel_size_nm", source.get("voxel_size_nm")),
        "crack_evidence": source.get("settings", {}).get("crack_evidence", "mask"),
    }


def difference(
    quantity: str, phase: str, a: Estimate, b: Estimate, *, margin: float | None = None
) -> Difference:
    """b - a: with l, u the ends of both intervals, d - sqrt((b - l_b)^2 + (u_a - a)^2) and likewise above.

    Args:
        quantity, phase: Names.
        a, b: Independent estimates in the same unit.
        margin: Largest difference that counts as the same.

    Example:
        >>> a = Estimate(0.30, ci=(0.27, 0.33), n=9, components={"between_images": 0.013})
        >>> b = Estimate(0.40, ci=(0.36, 0.44), n=9, components={"between_images": 0.017})
        >>> print(difference("fraction", "pore", a, b).sentence)
        fraction pore: different; difference 0.100 +- 0.050 (95 %, 18 images), +33.3%
    """
    n = a.n + b.n
    fields: dict[str, Any] = {
        "unit": a.unit,
        "n": n,
        "unit_of_replication": a.unit_of_replication,
        "method": "difference of two batches",
        "reference": MOVER,
    }
    missing = [name for name, estimate in (("A", a), ("B", b)) if estimate.value is None]
    if missing:
        reason = f"{' and '.join(missing)} not estimable: {(a if missing[0] == 'A' else b).flags['REFUSED']}"
        refused = Estimate.refused(reason, **fields)
        return Difference(quantity, phase, a, b, refused, refused, refused, margin, NOT_COMPARABLE)
    assert a.value is not None and b.value is not None
    shift = b.value - a.value
    ratio_fields = fields | {"unit": "", "method": "ratio of two batches"}
    if a.ci is None or b.ci is None:
        which = "A" if a.ci is None else "B"
        reason = (
            f"{which} has no interval: {next(iter((a if a.ci is None else b).flags.values()), 'unknown')}"
        )
        plain = Estimate(shift, flags={NO_INTERVAL: reason}, **fields)
        return Difference(
            quantity, phase, a, b, plain, _ratio(a, b, ratio_fields), _effect_size(a, b), margin, UNDECIDED
        )
    low = shift - math.hypot(b.value - b.ci[0], a.ci[1] - a.value)
    high = shift + math.hypot(b.ci[1] - b.value, a.value - a.ci[0])
    found = Estimate(shift, ci=(low, high), **fields)
    return Difference(
        quantity,
        phase,
        a,
        b,
        found,
        _ratio(a, b, ratio_fields),
        _effect_size(a, b),
        margin,
        _verdict(found, margin),
    )


def _verdict(found: Estimate, margin: float | None) -> str:
    assert found.value is not None and found.ci is not None
    # The interval of 90 % is that of both one-sided tests at 5 %.
    narrow = float(stats.norm.ppf(0.95) / stats.norm.ppf(0.5 + LEVEL / 2))
    low = found.value - narrow * (found.value - found.ci[0])
    high = found.value + narrow * (found.ci[1] - found.value)
    differs = found.ci[0] > 0 or found.ci[1] < 0
    if margin is not None and -margin < low and high < margin:
        return SMALL_BUT_SURE if differs else EQUIVALENT
    return DIFFERENT if differs else UNDECIDED


def _ratio(a: Estimate, b: Estimate, fields: dict[str, Any]) -> Estimate:
    """b / a, with the interval of Fieller's kind for two intervals (MOVER-R)."""
    assert a.value is not None and b.value is not None
    if a.value <= 0:
        return Estimate.refused("the reference is 0, so nothing can be its multiple", **fields)
    value = b.value / a.value
    if a.ci is None or b.ci is None:
        return Estimate(value, flags={NO_INTERVAL: "one of the batches has no interval"}, **fields)
    if a.ci[0] <= 0:
        return Estimate(value, flags={NO_INTERVAL: "the reference may be 0"}, **fields)
    # On logarithms, where ratios are differences and stay above 0.
    down = math.hypot(_log(b.value, b.ci[0]), _log(a.ci[1], a.value))
    up = math.hypot(_log(b.ci[1], b.value), _log(a.value, a.ci[0]))
    if not math.isfinite(down) or value <= 0:
        high = b.ci[1] / a.ci[0]
        return Estimate(value, ci=(0.0, max(high, value)), **fields)
    return Estimate(value, ci=(value * math.exp(-down), value * math.exp(up)), **fields)


def _log(high: float, low: float) -> float:
    return math.log(high / low) if low > 0 and high > 0 else math.inf


def _effect_size(a: Estimate, b: Estimate) -> Estimate:
    """Hedges' g, (b - a) / s, with s from the standard uncertainties between units, u = s / sqrt(n).

    Its variance is (n_a + n_b) / (n_a n_b) + g^2 / (2 (n_a + n_b)), normal.
    """
    fields: dict[str, Any] = {
        "n": a.n + b.n,
        "unit_of_replication": a.unit_of_replication,
        "method": "Hedges' g, difference in standard deviations between units",
        "reference": HEDGES,
    }
    spreads = []
    for estimate in (a, b):
        u = estimate.components.get(f"between_{estimate.unit_of_replication}s")
        if u is None or estimate.n < 2 or estimate.value is None:
            return Estimate.refused("one of the batches tells no spread between its units", **fields)
        spreads.append((estimate.n, u**2 * estimate.n))
    dof = sum(n - 1 for n, _ in spreads)
    pooled = math.sqrt(sum((n - 1) * variance for n, variance in spreads) / dof)
    if not pooled:
        return Estimate.refused("nothing varies between the units", **fields)
    assert a.value is not None and b.value is not None
    g = (1 - 3 / (4 * dof - 1)) * (b.value - a.value) / pooled
    u = math.sqrt((a.n + b.n) / (a.n * b.n) + g**2 / (2 * (a.n + b.n)))
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * u
    return Estimate(g, ci=(g - half, g + half), components={"sampling": u}, **fields)
