"""Places in the code, by paths that are the same on every machine."""

from __future__ import annotations

import os
import re
from typing import Any

_HERE = os.getcwd()
"""The folder of the application, which may change the current one."""


def is_below(path: str) -> bool:
    """Whether a file is a part of the application."""
    found = os.path.relpath(path, _HERE)
    return not found.startswith("..") and "site-packages" not in found


def relative(path: str) -> str:
    """A path below the folder of the application, or the part of a path that no machine knows better."""
    if is_below(path):
        return os.path.relpath(path, _HERE)
    return re.sub(r"^.*(site-packages|lib/python[\d.]+)/", "", path)


def place_of(task: Any) -> str:
    """The first line of the function of a task, or the module of its class."""
    function = getattr(task, "_orig_run", None) or task.run
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    if code is None:
        code = getattr(getattr(function, "__func__", None), "__code__", None)
    return f"{relative(code.co_filename)}:{code.co_firstlineno}" if code else type(task).__module__
