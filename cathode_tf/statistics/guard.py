"""Estimators that may fail in; their numbers, or "not estimable" with the reason, out: each fails for itself alone.

A batch is measured once, perhaps for hours. What one estimator cannot do with an odd batch, an equation without a
root, a fit of nothing, must not cost the numbers of all others, nor show its reader a stack of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from cathode_tf.errors import InputError
from cathode_tf.statistics.estimate import Estimate

FAILED = "FAILED"
"""Flag: the estimator failed; its text names the fault, for a report of it."""


def guarded(make: Callable[[], Estimate]) -> Estimate:
    """The estimate, or a refused one that says what went wrong.

    Args:
        make: May raise; an `InputError` passes, for it tells the user what to give instead.

    Example:
        >>> print(guarded(lambda: Estimate(1 / 0)))
        not estimable: its estimator failed (ZeroDivisionError: division by zero)
    """
    return attempt(lambda: {"": make()}, ("",))[""]


def attempt(make: Callable[[], Mapping[str, Estimate]], names: Iterable[str]) -> dict[str, Estimate]:
    """Estimates that one estimator makes together, or a refused one for each of `names`.

    Args:
        make: May raise; an `InputError` passes.
        names: Of the estimates, should it fail.
    """
    try:
        return dict(make())
    except (InputError, MemoryError):
        raise
    except Exception as error:
        refused = failed(error)
        return dict.fromkeys(names, refused)


def failed(error: Exception) -> Estimate:
    """The refused estimate of an estimator that raised this."""
    return refusal(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def refusal(fault: str) -> Estimate:
    """The refused estimate of an estimator with this fault."""
    return Estimate.refused(f"its estimator failed ({fault})", flags={FAILED: fault})
