"""Exceptions by the names that a workload gives them."""

from __future__ import annotations

import builtins

BUILT_IN = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)
BROAD = frozenset({"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})
"""Every error there is, with those that no wait cures."""


def never_found(name: str) -> str:
    """Why no process can find an exception of this name; empty where one may."""
    first, _, rest = name.partition(".")
    if not rest:
        return "" if first in BUILT_IN else f"`{name}` is no built-in exception"
    if first == "builtins":
        return "" if rest in BUILT_IN else f"`{name}` is no built-in exception"
    if first == "__main__":
        return f"`{name}` is in the script that runs, which is another one in a worker than in a producer"
    return f"`{first}` is a built-in exception and no module" if first in BUILT_IN else ""
