"""Values as Python."""

from __future__ import annotations

import math
from collections.abc import Mapping

from policycompiler.emitters.base import Raw


def python_literal(value: object) -> str:
    """A value as Python on one line. Text passes through `repr`; expressions are already `Raw`."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    if isinstance(value, Raw):
        return value
    if isinstance(value, str):
        # Double quotes where repr would choose single ones, as formatters have it.
        text = ascii(value)
        return text if '"' in value or "'" in value else f'"{text[1:-1]}"'
    if isinstance(value, Mapping):
        # Sorted: the order of keys in a workload has no meaning.
        items = sorted(value.items())
        inner = ", ".join(f"{python_literal(key)}: {python_literal(item)}" for key, item in items)
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(python_literal(item) for item in value)}]"
    message = f"{value!r} has no Python literal"
    raise TypeError(message)
