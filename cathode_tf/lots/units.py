"""Numbers with units as people write them in; numbers in the ledger's unit out.

Only units that a coating or calendering sheet has; what is not here is taken as it is, and never converted.
"""

from __future__ import annotations

import re

from cathode_tf.errors import InputError

# Unit -> (kind, factor, offset): value * factor + offset is in the kind's first unit.
_UNITS: dict[str, tuple[str, float, float]] = {
    "m": ("length", 1, 0), "cm": ("length", 1e-2, 0), "mm": ("length", 1e-3, 0), "um": ("length", 1e-6, 0),
    "nm": ("length", 1e-9, 0),
    "": ("share", 1, 0), "1": ("share", 1, 0), "%": ("share", 1e-2, 0), "-": ("share", 1, 0),
    "n/mm": ("line load", 1, 0), "kn/m": ("line load", 1, 0), "n/m": ("line load", 1e-3, 0),
    "n/cm": ("line load", 0.1, 0),
    "c": ("temperature", 1, 0), "degc": ("temperature", 1, 0), "k": ("temperature", 1, -273.15),
    "f": ("temperature", 5 / 9, -160 / 9),
    "m/min": ("speed", 1, 0), "m/s": ("speed", 60, 0), "mm/s": ("speed", 0.06, 0), "cm/s": ("speed", 0.6, 0),
    "g/m2": ("loading", 1, 0), "gsm": ("loading", 1, 0), "mg/cm2": ("loading", 10, 0), "kg/m2": ("loading", 1e3, 0),
    "s": ("time", 1, 0), "min": ("time", 60, 0), "h": ("time", 3600, 0),
    "pa": ("pressure", 1e-6, 0), "kpa": ("pressure", 1e-3, 0), "mpa": ("pressure", 1, 0), "bar": ("pressure", 0.1, 0),
    "rpm": ("turns", 1, 0), "1/min": ("turns", 1, 0),
    "ah": ("charge", 1, 0), "mah": ("charge", 1e-3, 0), "mah/g": ("specific charge", 1, 0),
    "ah/kg": ("specific charge", 1, 0),
    "ohm": ("resistance", 1, 0), "mohm": ("resistance", 1e-3, 0), "ohm cm2": ("area resistance", 1, 0),
}  # fmt: skip
_SAME = str.maketrans(
    {"µ": "u", "μ": "u", "°": "", "²": "2", "³": "3", "\u2126": "Ohm", "\u03a9": "Ohm", "·": " ", "^": ""}
)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?")
_HEADER = re.compile(r"\s*(?P<name>.*?)\s*(?:\[(?P<a>[^\]]*)\]|\((?P<b>[^)]*)\)|\s/\s(?P<c>[^/].*))?\s*$")


def same_unit(text: str) -> str:
    """A unit in the letters that the ledger keeps.

    Example:
        >>> same_unit("µm"), same_unit("°C"), same_unit(" g/m² "), same_unit("kN/m")
        ('um', 'C', 'g/m2', 'kN/m')
    """
    return text.translate(_SAME).strip()


def convert(value: float, unit: str, to: str) -> float | None:
    """The number in another unit; None where one is not known to be the other.

    Example:
        >>> convert(20, "mg/cm2", "g/m2"), round(convert(35, "%", ""), 9), convert(1, "N/mm", "bar") is None
        (200.0, 0.35, True)
    """
    unit, to = same_unit(unit), same_unit(to)
    if unit == to:
        return float(value)
    have, want = _UNITS.get(unit.lower()), _UNITS.get(to.lower())
    if have is None or want is None or have[0] != want[0]:
        return None
    return (value * have[1] + have[2] - want[2]) / want[1]


def number_of(text: str) -> float | None:
    """A number with a point or a comma for decimals; None if it is none.

    A comma is taken for decimals: thousands are not parted in a table of settings.

    Example:
        >>> number_of("0,31"), number_of("1e-3"), number_of("new"), number_of("1,234,567") is None
        (0.31, 0.001, None, True)
    """
    text = text.strip()
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def quantity_of(text: str) -> tuple[float | None, str]:
    """What was typed as number and unit; a word has no number.

    Example:
        >>> quantity_of("120C"), quantity_of("200 N/mm"), quantity_of("4,2m"), quantity_of("new")
        ((120.0, 'C'), (200.0, 'N/mm'), (4.2, 'm'), (None, ''))
    """
    found = _NUMBER.match(text.strip())
    if found is None:
        return None, ""
    rest = text.strip()[found.end() :]
    unit = same_unit(rest)
    # "3b" is a name, not three of a unit called b.
    if unit and unit.lower() not in _UNITS and "/" not in unit and not rest.startswith(" "):
        return None, ""
    return float(found[0].replace(",", ".")), unit


def header_of(text: str) -> tuple[str, str]:
    """Name and unit from the head of a column.

    Example:
        >>> header_of("line load [N/mm]"), header_of("Discharging Capacity / Ah"), header_of("calender")
        (('line_load', 'N/mm'), ('discharging_capacity', 'Ah'), ('calender', ''))
    """
    found = _HEADER.match(text.replace("\ufeff", ""))
    assert found is not None  # the pattern matches anything
    unit = next((found[key] for key in "abc" if found[key] is not None), "")
    return name_of(found["name"]), same_unit(unit)


def name_of(text: str) -> str:
    """A name as the ledger keeps it: small letters, words joined by `_`.

    Example:
        >>> name_of(" Line Load ")
        'line_load'
    """
    return re.sub(r"[\s_-]+", "_", text.strip().lower()).strip("_")


def setting_of(text: str) -> tuple[str, str]:
    """Name and value of `NAME=VALUE`.

    Raises:
        InputError: If it does not look like that.
    """
    name, equals, value = text.partition("=")
    if not equals or not name_of(name) or not value.strip():
        raise InputError(f"--set: must look like line_load=200 or drying=120C. Received {text!r}.")
    return name_of(name), value.strip()


def length_m(text: str, what: str) -> float:
    """Metres from `4.2m`, `35 cm` or `4.2`.

    Raises:
        InputError: If it is no length.
    """
    value, unit = quantity_of(text)
    metres = None if value is None else convert(value, unit or "m", "m")
    if metres is None:
        raise InputError(f"{what}: must be a length such as 4.2m. Received {text!r}.")
    return metres
