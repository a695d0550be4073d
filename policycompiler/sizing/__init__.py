"""The mathematics of waiting lines: how many slots a queue needs, and how long its messages wait.

Pure: no file, clock or configuration.
"""

from __future__ import annotations

from policycompiler.sizing.erlang import erlang_b, erlang_c
from policycompiler.sizing.line import CELERY_SECONDS, Line
from policycompiler.sizing.services import Service, constant, exponential, lognormal, mixture
from policycompiler.sizing.sizes import (
    CAUTION,
    SHARE_CAUTION,
    Held,
    Promise,
    drain_seconds,
    held_by,
    largest_rate,
    last_start_seconds,
    smallest_slots,
)

__all__ = [
    "CAUTION",
    "CELERY_SECONDS",
    "SHARE_CAUTION",
    "Held",
    "Line",
    "Promise",
    "Service",
    "constant",
    "drain_seconds",
    "erlang_b",
    "erlang_c",
    "exponential",
    "held_by",
    "largest_rate",
    "last_start_seconds",
    "lognormal",
    "mixture",
    "smallest_slots",
]
