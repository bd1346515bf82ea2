"""The version, on the floor: every room may write it into what it makes."""

__version__ = "0.2.0"
