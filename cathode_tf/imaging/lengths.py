"""Lengths as files write them in, nanometres out."""

from __future__ import annotations

import difflib
import re
import warnings
from typing import Any

from cathode_tf.errors import InputWarning

NM_PER = {
    "m": 1e9, "cm": 1e7, "mm": 1e6, "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3,
    "micrometer": 1e3, "micrometre": 1e3, "\\u00b5m": 1e3, "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0,
    "pm": 1e-3, "fm": 1e-6, "å": 0.1, "a": 0.1, "angstrom": 0.1, "ångström": 0.1, "µ": 1e3, "μ": 1e3,
    "millimeter": 1e6, "millimetre": 1e6, "centimeter": 1e7, "centimetre": 1e7, "meter": 1e9, "metre": 1e9,
    "picometer": 1e-3, "picometre": 1e-3,
}  # fmt: skip

_WORDS = [word + end for word in NM_PER if len(word) > 4 and word.isalpha() for end in ("", "s")]


_NUMBER = r"([-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?)"


def number_of(text: Any) -> float | None:
    """The number a field begins with, its decimals behind a point or a comma.

    Example:
        >>> number_of("8500 um"), number_of("10,50 K X"), number_of("6.400,5"), number_of("6,400.5")
        (8500.0, 10.5, 6400.5, 6400.5)
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return float(text)
    match = re.match(rf"\s*=?\s*{_NUMBER}", str(text))
    return _as_number(match[1]) if match else None


def _as_number(text: str) -> float | None:
    """Where both marks stand, or one of them twice, the last of two kinds is the decimal one."""
    marks = re.findall(r"[.,]", text)
    if len(set(marks)) == 2:
        grouping = next(mark for mark in marks if mark != marks[-1])
        if marks.count(marks[-1]) > 1:
            return None
        text = text.replace(grouping, "")
    elif len(marks) > 1:
        text = text.replace(marks[0], "")
    return float(text.replace(",", "."))


def nanometres(text: str) -> float | None:
    """A length with its unit, in nm: `"100um"` gives 100000.0; None without a known unit."""
    match = re.fullmatch(rf"\s*{_NUMBER}\s*([^\d\s]+)\s*", str(text))
    factor = nm_per(match[2]) if match else None
    number = _as_number(match[1]) if match else None
    return number * factor if number is not None and factor else None


def nm_per(unit: str, source: str = "") -> float | None:
    """Nanometres in a unit of length; None for any other.

    The micro sign comes in many encodings, and is the only sign before an m that is no letter of ASCII. People write
    plurals and slips of the pen, too: these are read with a warning, if `source` is given to name the file in it.

    Example:
        >>> nm_per("µm") == nm_per("\\\\u00B5m") == nm_per("Âµm") == nm_per("Microns") == 1000.0
        True
        >>> nm_per("nanometers"), nm_per("seconds"), nm_per("inch")
        (1.0, None, None)
    """
    unit = unit.strip().strip("\0").rstrip(".").lower()
    if re.fullmatch(r"[^\x00-\x7f]+m", unit):
        return 1e3
    if unit in NM_PER:
        return NM_PER[unit]
    if unit.removesuffix("s") in NM_PER and len(unit) > 3:
        return NM_PER[unit.removesuffix("s")]
    near = difflib.get_close_matches(unit, _WORDS, n=2, cutoff=0.84) if len(unit) > 5 else []
    if not near or len({NM_PER[word.removesuffix("s")] for word in near}) > 1:
        return None
    if source:
        warnings.warn(
            f"{source}: its unit {unit!r} is read as {near[0]}. If that is wrong, give --pixel-size-nm.",
            InputWarning,
            stacklevel=2,
        )
    return NM_PER[near[0].removesuffix("s")]
