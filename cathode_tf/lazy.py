"""Public names that load their module on first use, so that importing a room costs nothing."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def loader(
    package: str, module_of: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """A module-level `__getattr__` (PEP 562) that imports `package.module_of[name]` when `name` is asked for.

    Args:
        package: The `__name__` of the package that the names belong to.
        module_of: Module, relative to the package, of each public name.
        moved: Package in which a name lives now, of names that this one had before; they still come, with a
            `DeprecationWarning`.

    Example:
        >>> load = loader("cathode_tf", {"Phases": "phases"})
        >>> load("Phases").__name__
        'Phases'
    """

    def __getattr__(name: str) -> Any:
        if moved and name in moved:
            text = f"{package}.{name} has moved: import it from {moved[name]}."
            warnings.warn(DeprecationWarning(text), stacklevel=2)
            return getattr(importlib.import_module(moved[name]), name)
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__
