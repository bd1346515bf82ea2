"""Points with their uncertainties and limits of a specification in; Cp and Cpk with intervals out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

from cathode_tf.errors import InputError
from cathode_tf.lots.phase_one import phase_one
from cathode_tf.statistics import Estimate

NIST = "NIST/SEMATECH e-Handbook, process capability; Bissell, Appl. Stat. 39 (1990) 331 (interval of Cpk)"


def capability(
    values: np.ndarray,
    u: np.ndarray,
    *,
    lower: float | None = None,
    upper: float | None = None,
) -> dict[str, Estimate]:
    """How well a process keeps to limits, with and without what the measurement adds.

    Cp = (upper - lower) / (6 s); Cpk = min(upper - mean, mean - lower) / (3 s). `cp`, `cpk`: s of the process, each
    point's own variance taken off; `cp_observed`, `cpk_observed`: s of the points as they are. Interval of Cp: from
    that of s; of Cpk: +- z sqrt(1 / (9 n) + Cpk^2 / (2 (n - 1))), widened as that of s is.

    Args:
        values, u: (n,) points and standard uncertainties, at least 5.
        lower, upper: Limits; Cp needs both.

    Returns:
        `cp`, `cpk`, `cp_observed`, `cpk_observed`, and `measurement_share`: 2 U / tolerance (or the share of the
        variance, with one limit), U = 1.96 u.

    Raises:
        InputError: If no limit is given, or the lower is not below the upper.

    Example:
        >>> x = 16 + 2 * np.array([-1.5, -0.5, 0.5, 1.5, 0, 0]) / np.std([-1.5, -0.5, 0.5, 1.5, 0, 0], ddof=1)
        >>> found = capability(x, np.zeros(6), lower=8, upper=20)  # NIST: mean 16, s 2: Cp 1.0, Cpk 0.667
        >>> round(found["cp_observed"].value, 3), round(found["cpk_observed"].value, 3)
        (1.0, 0.667)

    Reference:
        NIST/SEMATECH e-Handbook; Bissell, Appl. Stat. 39 (1990) 331; ISO 22514-7 (share of the measurement).
    """
    if lower is None and upper is None:
        raise InputError("capability: needs --lower, --upper or both. Received none.")
    if lower is not None and upper is not None and not lower < upper:
        raise InputError(
            f"capability: the lower limit must be below the upper. Received {lower} and {upper}."
        )
    x, u = np.asarray(values, float), np.asarray(u, float)
    found = phase_one(x, u, spread="all")
    n, mean = len(x), float(x.mean())
    observed = float(x.std(ddof=1))
    chi = [math.sqrt((n - 1) / float(stats.chi2.ppf(p, n - 1))) for p in (0.975, 0.025)]
    seen = (observed, (observed * chi[0], observed * chi[1]))
    pure = (found.sd, found.process_sd.ci or (found.sd, found.sd))
    result = {}
    for suffix, (s, ends), centre in (("", pure, found.mean), ("_observed", seen, mean)):
        result[f"cp{suffix}"] = _cp(s, ends, lower, upper, n, suffix)
        result[f"cpk{suffix}"] = _cpk(s, ends, centre, (lower, upper), n, suffix)
    result["measurement_share"] = _share(u, observed, lower, upper, n)
    return result


def _fields(n: int, suffix: str) -> dict[str, Any]:
    whose = "the points as measured" if suffix else "the process, the measurement's variance taken off"
    return {"n": n, "unit_of_replication": "lot", "method": f"capability of {whose}", "reference": NIST}


def _cp(
    s: float, ends: tuple[float, float], lower: float | None, upper: float | None, n: int, suffix: str
) -> Estimate:
    fields = _fields(n, suffix)
    if lower is None or upper is None:
        return Estimate.refused("Cp needs both limits", **fields)
    if not s:
        return Estimate.refused("the measurement's own spread explains that between the lots", **fields)
    width = (upper - lower) / 6
    high = width / ends[0] if ends[0] > 0 else math.inf
    if not math.isfinite(high):
        return Estimate(
            width / s,
            flags={
                "NO_INTERVAL": f"at least {width / ends[1]:.2f}; the process may vary less than can be told"
            },
            **fields,
        )
    return Estimate(width / s, ci=(width / ends[1], high), **fields)


def _cpk(
    s: float,
    ends: tuple[float, float],
    mean: float,
    limits: tuple[float | None, float | None],
    n: int,
    suffix: str,
) -> Estimate:
    fields = _fields(n, suffix)
    if not s:
        return Estimate.refused("the measurement's own spread explains that between the lots", **fields)
    lower, upper = limits
    margin = min(
        [*([upper - mean] if upper is not None else []), *([mean - lower] if lower is not None else [])]
    )
    value = margin / (3 * s)
    # The relative uncertainty of s is that of n - 1 degrees of freedom, or more where the measurement was taken off.
    z = float(stats.norm.ppf(0.975))
    rel = max(1 / math.sqrt(2 * (n - 1)), (ends[1] - ends[0]) / (2 * z * s))
    half = z * math.sqrt(1 / (9 * n) + (value * rel) ** 2)
    return Estimate(value, ci=(value - half, value + half), **fields)


def _share(u: np.ndarray, observed: float, lower: float | None, upper: float | None, n: int) -> Estimate:
    typical = math.sqrt(float((u**2).mean()))
    fields: dict[str, Any] = {"n": n, "unit_of_replication": "lot", "reference": "ISO 22514-7"}
    if lower is not None and upper is not None:
        share = 2 * 1.96 * typical / (upper - lower)
        text = "twice the expanded uncertainty of a usual point, over the tolerance"
    else:
        share = typical**2 / observed**2 if observed else 0.0
        text = "variance of a usual point's own uncertainty, over that of all points"
    return Estimate(share, method=text, flags={"NO_INTERVAL": "a plain ratio"}, **fields)
