"""The one error a user's input can raise, and the one warning it can cause."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave is wrong; the message says what was expected, what came, and what to do.

    The command line prints the message as one sentence and exits with 1. Everything else that is
    raised is a defect of this package.
    """


class InputWarning(UserWarning):
    """Something the user gave is doubtful, but the work can go on."""
