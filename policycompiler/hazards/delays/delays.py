"""How long messages of a task may be delayed, from declared values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.countdowns import COUNTDOWN, countdown_of
from policycompiler.plan import Plan, Scope, Written

SHORTEST_SECONDS = 1
"""The shortest delay in the broker."""


class Delay(NamedTuple):
    """How long a message of a task may be delayed: the words for it, its place in the workload, its key."""

    seconds: float
    what: str
    path: SpecPath
    key: str


def delays_of(plan: Plan, task: Scope) -> Iterator[Delay]:
    """The countdown of a task, and its declared waits before retries."""
    if (counted := countdown_of(plan, task)) is not None:
        yield Delay(counted.seconds, counted.what, counted.path, COUNTDOWN)
    words = {
        "options.retry_backoff_max": f"a retry of {task.name} may wait",
        "options.default_retry_delay": f"a retry of {task.name} may wait",
    }
    for key, what in words.items():
        setting = plan.find(task, key)
        if setting is not None and isinstance(setting.value, int | float):
            written = [origin.path for origin in setting.origins if isinstance(origin, Written)]
            if written:
                yield Delay(setting.value, what, written[0], key)
