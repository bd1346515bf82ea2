"""What labelled points near borders say in; a band for whatever hangs on where borders run, out. Never a correction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from cathode_tf.phases import Phases
from cathode_tf.statistics.budget import widened
from cathode_tf.statistics.estimate import SAMPLING_ONLY, Estimate
from cathode_tf.statistics.summaries import Summary
from cathode_tf.statistics.verification import BORDER_PX, Verification

BORDER = "border_points"
"""Component: half the band over sqrt(3), as nothing tells where within it the truth lies."""
RELATIVE = ("surface_density", "boundary_density", "triple_point_density", "crack_length_density")
SIZES = ("x10_", "x50_", "x90_", "mean_D43")


def with_borders(
    summary: Summary, found: Verification, phases: Phases, pixel_size_nm: float | None
) -> Summary:
    """The summary, with the band of the border points in every interval that hangs on borders.

    With w the share of the zone within 3 px of borders that is wrong, an outline is off by up to d = 6 w px: surfaces,
    contacts and cracks get the band 1 +- w, diameters +- 2 d. A coverage c by phase X gets c (1 - w_X) to
    c + (1 - c) w_rest, what its border points lose and the others' win.

    Args:
        summary: Quantity -> phase -> Estimate.
        found: Of the same masks.
        phases: Roles, for coverage.
        pixel_size_nm: None = unknown, diameters are then in px.
    """
    wrong = found.border_wrong
    if "" not in wrong:
        return summary
    um = 1.0 if pixel_size_nm is None else pixel_size_nm / 1000
    result: Summary = {}
    for quantity, estimates in summary.items():
        result[quantity] = {}
        for name, estimate in estimates.items():
            band = None
            if estimate.value is not None:
                if quantity in RELATIVE:
                    share = wrong.get(name, wrong[""])
                    band = estimate.value * (1 - share), estimate.value * (1 + share)
                elif quantity.startswith(SIZES):
                    d = 2 * 2 * BORDER_PX * wrong.get(name, wrong[""]) * um
                    band = max(estimate.value - 2 * d, 0.0), estimate.value + 2 * d
                elif quantity in ("coverage", "contact_fraction"):
                    band = _contact(estimate.value, name.partition("|")[2], wrong, phases)
            result[quantity][name] = estimate if band is None else _banded(estimate, *band)
    return result


def _contact(value: float, other: str, wrong: Mapping[str, float], phases: Phases) -> tuple[float, float]:
    names = [n for part in other.split("+") for n in (phases.with_role(part) or (part,))]
    lost = max((wrong.get(name, wrong[""]) for name in names), default=wrong[""])
    won = max((share for name, share in wrong.items() if name and name not in names), default=wrong[""])
    return value * (1 - lost), value + (1 - value) * won


def _banded(estimate: Estimate, low: float, high: float) -> Estimate:
    text = f"{low:.3g} to {high:.3g} if borders are as wrong as the labelled points near them"
    told = widened(estimate, BORDER, (high - low) / 2 / math.sqrt(3)).with_flag("BORDER_BAND", text)
    if told.ci is not None:
        told = replace(told, ci=(min(told.ci[0], low), max(told.ci[1], high)))
    flags = {flag: reason for flag, reason in told.flags.items() if flag != SAMPLING_ONLY}
    return replace(told, flags=flags)
