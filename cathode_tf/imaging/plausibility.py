"""A micrograph and its mask in; phases that cannot be what they are called, by their grey or their share, out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cathode_tf.phases import Phases

FEWEST_PX = 200
ENOUGH_PX = 1_000_000
"""Of a larger image every so many-th row and column say the same."""
SURFACE_SENSITIVE = ("se", "inlens", "in-lens", "etd", "tld", "sesi")
"""Detectors whose grey hangs on topography and coating: there a dark particle is a hint only."""
ODD_SHARES = {"pore": (0.02, 0.75), "particle": (0.1, 0.97), "binder": (0.0, 0.6), "additive": (0.0, 0.6)}


def grey_order(
    pixels: np.ndarray, mask: np.ndarray, phases: Phases, acquisition: Mapping[str, Any] | None = None
) -> str:
    """A sentence where pores are brighter than particles, as swapped phases would be; empty where all is well.

    In back-scattered electrons and absorption contrast a pore is darker than the oxide; pores that metal fills,
    secondary electrons and phase contrast are the exceptions, which the sentence names. The medians must lie outside of
    the middle half of each other: phases that hardly differ say nothing.

    Args:
        pixels: Micrograph (height, width).
        mask: uint8 (height, width) of phase ids.
        phases: Names, ids and roles.
        acquisition: `Micrograph.acquisition`, for the detector.

    Example:
        >>> mask = np.repeat(np.array([[0, 1]], np.uint8), 300, 1).repeat(2, 0)
        >>> pixels = 200 - 150 * mask
        >>> pixels[0, 0] = 255  # where white is saturated, metal may fill the pores
        >>> swapped = grey_order(pixels, mask, Phases.default())
        >>> swapped.startswith("pore is brighter than ncm (median grey 200 and 50)")
        True
    """
    step = max(1, int((pixels.size / ENOUGH_PX) ** 0.5))
    pixels, mask = pixels[::step, ::step], mask[::step, ::step]
    quartiles: dict[str, list[tuple[str, np.ndarray]]] = {"pore": [], "particle": []}
    for phase in phases:
        here = pixels[mask == phase.id] if phase.role in quartiles else pixels[:0]
        if here.size >= FEWEST_PX:
            quartiles[str(phase.role)].append((phase.name, np.percentile(here, (25, 50, 75))))
    wrong = [
        (pore, bright[1], particle, dark[1])
        for pore, bright in quartiles["pore"]
        for particle, dark in quartiles["particle"]
        if bright[1] > dark[2] and bright[0] > dark[1] and bright[1] < float(pixels.max())
    ]
    if not wrong:
        return ""
    pore, bright, particle, dark = wrong[0]
    detector = str((acquisition or {}).get("detector") or "").lower()
    told = f"{pore} is brighter than {particle} (median grey {bright:.0f} and {dark:.0f})"
    if any(word in detector for word in SURFACE_SENSITIVE):
        return f"{told}, which secondary electrons may show; make sure that the two are not swapped"
    secondary = "" if detector else "in secondary electrons, "
    return (
        f"{told}: are the two swapped in phases.toml? It is right only where metal fills the pores, {secondary}and in "
        "phase contrast"
    )


def odd_shares(shares: Mapping[str, float], phases: Phases) -> list[str]:
    """Sentences on shares that no cathode has, and on phases that no image shows.

    Args:
        shares: Fraction (0-1) by phase name, over all images.
        phases: Names and roles.

    Example:
        >>> odd_shares({"pore": 0.9, "ncm": 0.1, "additive": 0.0, "binder": 0.0}, Phases.default())[0]
        'pore covers 90 % of the area, where 2 to 75 % are usual'
    """
    told = []
    for role, (low, high) in ODD_SHARES.items():
        names = phases.with_role(role)
        share = sum(shares.get(name, 0.0) for name in names)
        if names and share and not low <= share <= high:
            told.append(
                f"{' + '.join(names)} covers {100 * share:.0f} % of the area, where {100 * low:.0f} to "
                f"{100 * high:.0f} % are usual"
            )
    absent = [name for name in phases.names if not shares.get(name)]
    if absent:
        told.append(f"no image shows {' or '.join(absent)}")
    return told
