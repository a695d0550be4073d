"""Guards of tasks: an effect once, calls within limits, messages within bounds.

Shipped by policycompiler beside celeryconfig.py, which says what to guard. Do not edit.

`current_key` gives a task its idempotency key. Give it to the provider that the task
calls. That alone helps when a process is killed between the effect and its record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import (
    KeyMissing,
    OtherArguments,
    Parked,
    PayloadTooLarge,
    Poisoned,
    QueueFull,
)
from .guarded import Guarded
from .running import current_key
from .told import told_of

__all__ = (
    "Guarded",
    "KeyMissing",
    "OtherArguments",
    "Parked",
    "PayloadTooLarge",
    "Poisoned",
    "QueueFull",
    "current_key",
    "guard",
)


def guard(declared: Mapping[str, Any]) -> Guarded:
    """What celeryconfig.py puts into the settings; connects the signals it needs."""
    return Guarded(told_of(declared))
