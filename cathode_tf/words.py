"""Counts and lists as people write them."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """The number with its noun.

    Example:
        >>> counted(1, "picture"), counted(2, "picture"), counted(0, "mask or picture", "masks or pictures")
        ('1 picture', '2 pictures', '0 masks or pictures')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are.

    Example:
        >>> some(["a", "b"]), some(["a", "b", "c", "d", "e"])
        ('a, b', 'a, b, c and 2 more')
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
