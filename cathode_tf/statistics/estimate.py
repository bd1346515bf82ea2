"""The one type of every number that leaves the analysis: value, unit, interval, n, method, flags.

Per-unit numerators and denominators (an image's pixels of a phase, and all its pixels) come in; `Estimate`s
go out. The unit is the image, or the group of images, and never the pixel: neighbouring pixels say the same
thing twice.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import special

from cathode_tf.errors import InputError

LEVEL = 0.95
REFUSED = "REFUSED"
"""Flag: the data cannot carry the number; `value` is None and the flag's text says why."""
NO_INTERVAL = "NO_INTERVAL"
"""Flag: there is a value, but nothing to tell its uncertainty from."""

SAMPLING_ONLY = "SAMPLING_ONLY"
"""Flag: the interval does not count in what the masks get wrong, and nobody knows how much that is."""

MODEL_DOUBT = "MODEL_DOUBT"
"""Flag: what the masks get wrong is in the interval as far as their model doubts itself; nobody checked that here."""

COCHRAN = "Cochran, Sampling Techniques, 3rd ed., Wiley 1977, ch. 6 (ratio estimator)"


@dataclass(frozen=True)
class Estimate:
    """A number that knows how sure it is.

    Attributes:
        value: The number, or None if it was refused (then `flags["REFUSED"]` says why).
        unit: `""` for a share of one, `"um"`, `"px"`, `"1/um"` ...
        ci: Lower and upper end of the confidence interval, or None (then a flag says why).
        level: Confidence level of `ci`.
        n: How many units of replication the interval rests on.
        unit_of_replication: `"image"`, `"group"`, `"particle"`, `"volume"`.
        method: How it was estimated, in words.
        reference: Where the method is described.
        components: Standard uncertainties by source, in `unit`.
        flags: What a reader must know: flag -> reason.

    Example:
        >>> print(Estimate(0.3123, ci=(0.2941, 0.3305), n=12))
        0.312 +- 0.018 (95 %, 12 images)
        >>> print(Estimate.refused("two particles are too few for a percentile", unit="um", n=2))
        not estimable: two particles are too few for a percentile
    """

    value: float | None
    unit: str = ""
    ci: tuple[float, float] | None = None
    level: float = LEVEL
    n: int = 0
    unit_of_replication: str = "image"
    method: str = ""
    reference: str = ""
    components: Mapping[str, float] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Whoever computes hands a float in; a NaN that slipped through would be silent, so it stops here.
        if self.value is None:
            if REFUSED not in self.flags:
                raise ValueError("an Estimate without a value must carry the flag REFUSED with its reason")
        elif not math.isfinite(self.value):
            raise ValueError(
                f"an Estimate's value must be finite, or refused with a reason. Received {self.value}"
            )
        if self.ci is not None and not all(math.isfinite(end) for end in self.ci):
            raise ValueError(f"an Estimate's interval must be finite. Received {self.ci}")

    @classmethod
    def refused(cls, reason: str, **fields: Any) -> Estimate:
        """An estimate that the data cannot carry, with the reason."""
        flags = {**fields.pop("flags", {}), REFUSED: reason}
        return cls(None, flags=flags, **fields)

    @property
    def is_refused(self) -> bool:
        """Whether there is no value at all."""
        return self.value is None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, or None without one."""
        return None if self.ci is None else (self.ci[1] - self.ci[0]) / 2

    @property
    def standard_uncertainty(self) -> float | None:
        """The wider side of the interval over the normal quantile: what a budget or a decision rule takes.

        The wider side, for the other may have been cut off at what the quantity can be.
        """
        if self.ci is None or self.value is None:
            return None
        wider = max(self.ci[1] - self.value, self.value - self.ci[0])
        return wider / float(special.ndtri(0.5 + self.level / 2))

    def with_flag(self, flag: str, reason: str) -> Estimate:
        """The same estimate with one more flag."""
        return replace(self, flags={**self.flags, flag: reason})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `text` is what `str()` gives."""
        return {
            "value": self.value,
            "unit": self.unit,
            "ci": None if self.ci is None else list(self.ci),
            "level": self.level,
            "n": self.n,
            "unit_of_replication": self.unit_of_replication,
            "method": self.method,
            "reference": self.reference,
            "components": dict(self.components),
            "flags": dict(self.flags),
            "text": str(self),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Estimate:
        """The estimate that `to_dict` described."""
        fields = {key: value for key, value in content.items() if key != "text"}
        fields["ci"] = None if fields.get("ci") is None else tuple(fields["ci"])
        return cls(**fields)

    def __str__(self) -> str:
        if self.value is None:
            return f"not estimable: {self.flags[REFUSED]}"
        count = f"{self.n} {self.unit_of_replication}{'' if self.n == 1 else 's'}"
        unit = f" {self.unit}" if self.unit else ""
        if self.ci is None:
            return f"{_digits(self.value, abs(self.value) / 100)}{unit} (no interval, {count})"
        low, high = self.ci[0], self.ci[1]
        half = (high - low) / 2
        only = ", sampling only" if SAMPLING_ONLY in self.flags else ""
        only = ", masks unchecked" if MODEL_DOUBT in self.flags else only
        level = f"{100 * self.level:g} %{only}"
        if abs((high - self.value) - (self.value - low)) <= 0.1 * (high - low):
            text = f"{_digits(self.value, half)} +- {_digits(half, half)}"
        else:
            text = f"{_digits(self.value, half)} [{_digits(low, half)}, {_digits(high, half)}]"
        return f"{text}{unit} ({level}, {count})"


def _digits(value: float, uncertainty: float) -> str:
    """`value` rounded to two digits of its uncertainty."""
    if not uncertainty:
        return f"{value:.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    places = 1 - math.floor(math.log10(uncertainty))
    return f"{value:.{min(places, 9)}f}" if places > 0 else f"{round(value, places):.0f}"


def quantity(
    value: float,
    half_width: float | None,
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    **fields: Any,
) -> Estimate:
    """An estimate with a symmetric interval, cut off at what the quantity can be (`bounds`)."""
    if half_width is None:
        return Estimate(value, **fields)
    low, high = max(bounds[0], value - half_width), min(bounds[1], value + half_width)
    return Estimate(value, ci=(low, high), **fields)


def ratio_estimate(
    numerators: np.ndarray,
    denominators: np.ndarray,
    *,
    unit: str = "",
    bounds: tuple[float, float] = (0.0, math.inf),
    unit_of_replication: str = "image",
    method: str = "",
    reference: str = COCHRAN,
    what: str = "the quantity",
) -> Estimate:
    """Ratio of two sums over images (or groups), with the interval between them.

    R = sum(y) / sum(x); u^2 = n/(n-1) sum((y - R x)^2) / sum(x)^2; the interval is R +- t(n-1) u. For images
    of equal size this is ASTM E562's mean of field fractions +- t s/sqrt(n); larger images count for more
    [1].

    Args:
        numerators: One value an image: its pixels of a phase, its boundary length ...
        denominators: What it is a share of, same shape, not negative. Units with 0 say nothing and are left
            out.
        unit: Unit of the ratio.
        bounds: What the ratio can be; the interval is cut there.
        unit_of_replication: What a row is.
        method: For the report.
        reference: For the report.
        what: Name of the quantity, for the reasons in flags.

    Returns:
        The estimate; refused if all denominators are 0; without an interval, and flagged, if there is one
        unit only or all units give exactly the same ratio.

    Example:
        >>> print(ratio_estimate(np.array([28, 32, 33.0]), np.array([100, 100, 100.0])))
        0.310 +- 0.066 (95 %, 3 images)

    Reference:
        [1] Cochran, Sampling Techniques, 3rd ed., Wiley 1977, ch. 6; ASTM E562.
    """
    y, x = np.asarray(numerators, float), np.asarray(denominators, float)
    used = x > 0
    y, x = y[used], x[used]
    n = int(used.sum())
    fields: dict[str, Any] = {
        "unit": unit,
        "n": n,
        "unit_of_replication": unit_of_replication,
        "method": method or f"ratio of sums over {unit_of_replication}s, interval between them",
        "reference": reference,
    }
    if n == 0:
        return Estimate.refused(
            f"no {unit_of_replication} shows anything that {what} could refer to", **fields
        )
    ratio = float(y.sum() / x.sum())
    if n == 1:
        reason = f"one {unit_of_replication} says nothing about the spread between {unit_of_replication}s"
        return Estimate(ratio, flags={NO_INTERVAL: reason}, **fields)
    residual = y - ratio * x
    u = math.sqrt(n / (n - 1) * float(residual @ residual)) / float(x.sum())
    if u <= 1e-12 * max(abs(ratio), 1e-300):
        reason = (
            f"all {n} {unit_of_replication}s give exactly {ratio:.4g}, so their spread tells no uncertainty"
        )
        return Estimate(ratio, flags={NO_INTERVAL: reason}, **fields)
    half = float(special.stdtrit(n - 1, 0.5 + LEVEL / 2)) * u
    return quantity(ratio, half, bounds=bounds, components={f"between_{unit_of_replication}s": u}, **fields)


LEAST_NM = 0.001
"""Smaller pixel sizes were given in another unit."""


def common_pixel_size(sizes: Mapping[str, float | None]) -> float | None:
    """The one pixel size of a batch's images, or an `InputError` that names two which differ.

    Example:
        >>> common_pixel_size({"a": 25.0, "b": 25.0})
        25.0
    """
    names = list(sizes)
    first = sizes[names[0]] if names else None
    for name in names:
        size = sizes[name]
        check_pixel_size(size)
        same = size == first if size is None or first is None else math.isclose(size, first, rel_tol=1e-3)
        if not same:
            words = ["unknown" if each is None else f"{each:g} nm" for each in (first, size)]
            raise InputError(
                f"{name}: must have the pixel size of the batch ({names[0]}: {words[0]}). Received {words[1]}. "
                "Analyse magnifications separately."
            )
    return first


def check_pixel_size(pixel_size_nm: float | None) -> None:
    """Raise `InputError` unless the pixel size is None (unknown) or a number of nanometres that can be one."""
    if pixel_size_nm is None:
        return
    if not isinstance(pixel_size_nm, numbers.Real) or isinstance(pixel_size_nm, bool):
        raise InputError(
            "pixel size: must be one number of nanometres, or be left out if it is unknown. "
            f"Received {pixel_size_nm!r}."
        )
    if not (math.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise InputError(
            f"pixel size: must be above 0 nm, or be left out if it is unknown. Received {pixel_size_nm}."
        )
    if pixel_size_nm < LEAST_NM:
        raise InputError(
            f"pixel size: must be at least {LEAST_NM} nm; atoms are larger. Received {pixel_size_nm} nm. Was it in "
            "metres or micrometres?"
        )
