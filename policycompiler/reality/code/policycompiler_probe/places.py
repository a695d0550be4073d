"""Places in the code, by paths that are the same on every machine."""

from __future__ import annotations

import os
import re
from typing import Any


def is_below(path: str) -> bool:
    """Whether a file is a part of the application in the current folder."""
    found = os.path.relpath(path)
    return not found.startswith("..") and "site-packages" not in found


def relative(path: str) -> str:
    """A path below the current folder, or the part of a path that no machine knows better."""
    if is_below(path):
        return os.path.relpath(path)
    return re.sub(r"^.*(site-packages|lib/python[\d.]+)/", "", path)


def place_of(task: Any) -> str:
    """The first line of the function of a task, or the module of its class."""
    function = getattr(task, "_orig_run", None) or task.run
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    if code is None:
        code = getattr(getattr(function, "__func__", None), "__code__", None)
    return f"{relative(code.co_filename)}:{code.co_firstlineno}" if code else type(task).__module__
