"""A call in, its result out, after as many tries as it takes within reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class ServerAway(Exception):
    """The server did not answer; another try may."""


def with_retries(call: Callable[[], T], retries: int, *, first_wait_s: float = 0.2) -> T:
    """The result of `call`, tried again after 0.2, 0.4, 0.8 ... seconds while it raises `ServerAway`.

    Example:
        >>> answers = iter([1, 2])
        >>> with_retries(lambda: next(answers), 3)
        1
    """
    for attempt in range(retries):
        try:
            return call()
        except ServerAway:
            time.sleep(first_wait_s * 2**attempt)
    return call()
