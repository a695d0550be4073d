"""The mathematics of waiting lines: how many slots a queue needs, and how long its messages wait.

Pure: no file, clock or configuration.
"""

from __future__ import annotations

from policycompiler.sizing.budgets import Need, Share, allocate
from policycompiler.sizing.erlang import erlang_b, erlang_c
from policycompiler.sizing.histogram import Histogram, Quantile, histogram, mixed
from policycompiler.sizing.line import CELERY_SECONDS, TURNAROUND_SECONDS, Line
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
    slots_for_burst,
    smallest_slots,
)

__all__ = [
    "CAUTION",
    "CELERY_SECONDS",
    "SHARE_CAUTION",
    "TURNAROUND_SECONDS",
    "Held",
    "Histogram",
    "Line",
    "Need",
    "Promise",
    "Quantile",
    "Service",
    "Share",
    "allocate",
    "constant",
    "drain_seconds",
    "erlang_b",
    "erlang_c",
    "exponential",
    "held_by",
    "histogram",
    "largest_rate",
    "last_start_seconds",
    "lognormal",
    "mixed",
    "mixture",
    "slots_for_burst",
    "smallest_slots",
]
