"""The one error a user's input can raise, and the one warning it can cause."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave is wrong; the message says what was expected, what came, and what to do.

    The command line prints the message as one sentence and exits with 1. Everything else that is
    raised is a defect of this package.
    """


class InputWarning(UserWarning):
    """Something the user gave is doubtful, but the work can go on."""


def reason_of(error: Exception, length: int = 200) -> str:
    """What a library's error says, in one line for a message of ours.

    Example:
        >>> reason_of(FileNotFoundError(2, "No such file or directory", "a.csv")), reason_of(ValueError("a\\n b"))
        ('No such file or directory', 'a b')
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:length] or type(error).__name__
