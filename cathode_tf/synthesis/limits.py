"""Numbers of a dataclass with the range they may have, the range they are drawn from, and what they mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Any

from cathode_tf.errors import InputError


def number(
    default: float,
    low: float,
    high: float,
    drawn: tuple[float, float],
    about: str,
    *,
    bse: tuple[float, float] | None = None,
    ct: tuple[float, float] | None = None,
) -> Any:
    """A field with its allowed range, what domain randomisation draws (`bse`, `ct`: if others), its meaning."""
    ranges = {"se": drawn, "bse": bse or drawn, "nano-ct": ct or drawn}
    return field(default=default, metadata={"limits": (low, high), "drawn": ranges, "about": about})


def numbers_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Name and metadata of the numbers of a dataclass."""
    return ((f.name, f.metadata) for f in dataclasses.fields(kind) if "limits" in f.metadata)


def check_numbers(settings: Any) -> None:
    """Refuse a dataclass whose numbers are out of their limits."""
    for name, meta in numbers_of(type(settings)):
        low, high = meta["limits"]
        value = getattr(settings, name)
        if not low <= value <= high:
            raise InputError(f"synthesis: {name} must be {low:g} to {high:g}. Received {value}.")


def parse_numbers(changes: Iterable[str], known: list[str]) -> dict[str, float]:
    """Numbers by name from texts such as `"fragmentation=0.4"`; names must be among `known`."""
    parsed = {}
    for change in changes:
        name, _, value = change.partition("=")
        if name not in known:
            raise InputError(
                f"synthesis: a parameter must be one of {', '.join(known)}. Received {change!r}."
            )
        try:
            parsed[name] = float(value)
        except ValueError as error:
            raise InputError(f"synthesis: {name} must be a number. Received {change!r}.") from error
    return parsed
