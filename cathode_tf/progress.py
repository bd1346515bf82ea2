"""Progress of long work, on standard error: a live bar in a terminal, plain lines elsewhere.

Who shows it in another way, a page say, listens: `listening(...)` around the work.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Listener(Protocol):
    """Hears how far work got, and may ask it to end early."""

    def heard(self, label: str, done: float, total: float | None, **facts: Any) -> None:
        """So much of it is done; `facts` are what else is known, `left_s` say. What it raises ends the work."""

    def stop_asked(self) -> bool:
        """Whether the work shall end where it can keep what it has."""


_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` of all progress in the block, in this thread."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(label: str, done: float, total: float | None, **facts: Any) -> None:
    """Tell whoever listens, if anyone does."""
    listener = _LISTENER.get()
    if listener is not None:
        listener.heard(label, done, total, **facts)


def stop_asked() -> bool:
    """Whether whoever listens wants the work to end where it can keep what it has."""
    listener = _LISTENER.get()
    return listener is not None and listener.stop_asked()


def track(items: Iterable[T], label: str, *, total: int | None = None, every_s: float = 5.0) -> Iterator[T]:
    """The same items, while a bar (or, without a terminal, a line every few seconds) tells how far it got.

    Args:
        items: What to go through.
        label: What is being done, for people: `"Converting images"`.
        total: How many there are; default: `len(items)` where it has one.
        every_s: Seconds between two lines when standard error is not a terminal.

    Example:
        >>> list(track([1, 2], "Counting"))
        [1, 2]
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    if _LISTENER.get() is not None:
        items = _told(items, label, total)
    if sys.stderr.isatty():
        yield from _bar(items, label, total)
    else:
        yield from _lines(items, label, total, every_s)


def _told(items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
    tell(label, 0, total)
    for count, item in enumerate(items, start=1):
        yield item
        tell(label, count, total)


def _bar(items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total)
        for item in items:
            yield item
            progress.advance(task)


def _lines(items: Iterable[T], label: str, total: int | None, every_s: float) -> Iterator[T]:
    start = last = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= every_s:
            last = now
            of = f"/{total}" if total else ""
            print(f"{label}: {count}{of} ({count / (now - start):.1f} per s)", file=sys.stderr, flush=True)
