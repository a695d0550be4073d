"""Exceptions, by their names in a workload."""

from __future__ import annotations

import builtins

BUILT_IN = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)
BROAD = frozenset({"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})
"""The base classes of all errors, including errors that retries cannot fix."""


def never_found(name: str) -> str:
    """Why no process can find an exception of this name; empty if it may exist."""
    first, _, rest = name.partition(".")
    if not rest:
        return "" if first in BUILT_IN else f"`{name}` is not a built-in exception"
    if first == "builtins":
        return "" if rest in BUILT_IN else f"`{name}` is not a built-in exception"
    if first == "__main__":
        return f"`{name}` is in the main script, which differs between workers and producers"
    return f"`{first}` is a built-in exception, not a module" if first in BUILT_IN else ""
