"""Estimates in, texts and tables for a page out."""

from __future__ import annotations

from collections.abc import Mapping

from cathode_tf.analysis import Estimate
from cathode_tf.reporting.page import Table


def split_text(estimate: Estimate) -> tuple[str, str]:
    """An Estimate as its number and, apart, what stands in brackets behind it.

    Example:
        >>> split_text(Estimate(0.3123, ci=(0.2941, 0.3305), n=12))
        ('0.312 ± 0.018', '95 %, 12 images')
    """
    text = str(estimate).replace("+-", "±")
    if estimate.value is None or not text.endswith(")"):
        return text, ""
    number, _, bracket = text[:-1].rpartition(" (")
    return number.replace("um2", "µm²").replace("um3", "µm³").replace("um", "µm"), bracket


def estimates_table(estimates: Mapping[str, Estimate], what: str, caption: str = "") -> Table:
    """A row an Estimate: name, number with interval, what it rests on, flags."""
    rows = []
    for name, estimate in estimates.items():
        number, bracket = split_text(estimate)
        reasons = "; ".join(reason for flag, reason in estimate.flags.items() if flag != "REFUSED")
        rows.append([name.replace("|", " | "), number, bracket, reasons])
    header = [what, "estimate", "rests on", "note"]
    said = {row[-1] for row in rows}
    if len(said) == 1:
        # What holds for all rows is said once.
        header, rows = header[:-1], [row[:-1] for row in rows]
        caption = ". ".join(filter(None, [caption, *said]))
    return Table(header, rows, caption)
