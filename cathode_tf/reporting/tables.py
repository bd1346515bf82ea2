"""Estimates in, texts and tables for a page out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cathode_tf.reporting.page import Table
from cathode_tf.statistics import Estimate
from cathode_tf.statistics.estimate import MODEL_DOUBT, SAMPLING_ONLY

POWERS = {"": "", "2": "²", "3": "³"}
NOT_ESTIMABLE = "not estimable"


def split_text(estimate: Estimate) -> tuple[str, str]:
    """An Estimate as its number and, apart, what stands in brackets behind it.

    Example:
        >>> split_text(Estimate(0.3123, ci=(0.2941, 0.3305), n=12))
        ('0.312 ± 0.018', '95 %, 12 images')
    """
    text = for_page(str(estimate))
    if estimate.value is None or not text.endswith(")"):
        return text, ""
    number, _, bracket = text[:-1].rpartition(" (")
    return number, bracket


def for_page(text: str) -> str:
    """A sentence in the signs of print: ± and µ.

    Example:
        >>> for_page("x50_3 = 7.5 +- 0.3 um, at most 9 um")
        'x50_3 = 7.5 ± 0.3 µm, at most 9 µm'
    """
    return re.sub(r"\bum([23]?)\b", lambda found: f"µm{POWERS[found[1]]}", text.replace("+-", "±"))


def plain(value: float, digits: int = 4) -> str:
    """A number of so many digits; a large one without an exponent, its thousands apart.

    Example:
        >>> plain(31457.3).replace("\\u00a0", " "), plain(0.6144)
        ('31 460', '0.6144')
    """
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}".replace(",", "\u00a0") if abs(rounded) >= 1e4 else f"{rounded:g}"


def sentence(text: str) -> str:
    """The text with a capital at its beginning.

    Example:
        >>> sentence("one image says nothing")
        'One image says nothing'
    """
    return text[:1].upper() + text[1:]


def intervals_caption(estimates: Mapping[str, Estimate]) -> str:
    """What the bars of a drawing show: intervals, if any of the estimates has one."""
    having = [estimate.ci is not None for estimate in estimates.values() if not estimate.is_refused]
    if not any(having):
        return "No interval can be told."
    return "Bars: 95 % intervals." if all(having) else "Bars: 95 % intervals, where there is one."


def estimates_table(estimates: Mapping[str, Estimate], what: str, caption: str = "") -> Table:
    """A row an Estimate: name, number with interval, what it rests on; below, what flags say of which rows.

    What holds for all rows, what they rest on too, is said once, in the caption. A number that is refused has no row:
    its reason stands below.

    Example:
        >>> one, two = Estimate(1.0, ci=(0.9, 1.1), n=3), Estimate(None, flags={"REFUSED": "no pore"})
        >>> table = estimates_table({"ncm": one, "pore": two}, "phase", "Sizes")
        >>> table.rows, table.caption, table.notes
        ([['ncm', '1.00 ± 0.10']], 'Sizes. Intervals: 95 %, 3 images.', ['Not estimable: pore (no pore).'])
    """
    rows = []
    said: dict[str, list[str]] = {}
    refused: dict[str, list[str]] = {}
    for name, estimate in estimates.items():
        shown = name.replace("|", " | ")
        if estimate.is_refused:
            refused.setdefault(estimate.flags["REFUSED"], []).append(shown)
            continue
        rows.append([shown, *split_text(estimate)])
        # What an interval leaves out, or only believes, stands in its brackets.
        told = (SAMPLING_ONLY, MODEL_DOUBT)
        for reason in dict.fromkeys(r for flag, r in estimate.flags.items() if flag not in told):
            said.setdefault(reason, []).append(shown)
    header, captions = [what, "estimate", "rests on"], [caption.rstrip(".")] if caption else []
    bases = {row[2] for row in rows if row[2]}
    if len(bases) < 2:
        header, rows = header[:2], [row[:2] for row in rows]
        captions += [basis if basis.startswith("no ") else f"Intervals: {basis}" for basis in bases]
    captions += [reason for reason, names in said.items() if len(names) == len(rows)]
    notes = [
        f"{', '.join(names)}: {for_page(reason)}." for reason, names in said.items() if len(names) < len(rows)
    ]
    notes += [f"Not estimable: {', '.join(names)} ({for_page(reason)})." for reason, names in refused.items()]
    return Table(header, rows, for_page(" ".join(f"{sentence(text)}." for text in captions)), notes=notes)
