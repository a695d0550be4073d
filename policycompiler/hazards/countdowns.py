"""How long a message of a task may have a countdown: from its caller, or from a guard that parks it."""

from __future__ import annotations

from typing import NamedTuple

from policycompiler.diagnostics import SpecPath
from policycompiler.plan import APP, Plan, Scope

COUNTDOWN = "max_countdown_seconds"


class Countdown(NamedTuple):
    """The longest countdown of a task: the words for it, and its place in the workload."""

    seconds: float
    what: str
    path: SpecPath


def countdown_of(plan: Plan, task: Scope) -> Countdown | None:
    """The longest countdown of a task; None without one."""
    seconds = plan.number_if_any(task, COUNTDOWN)
    if not seconds:
        return None
    if written := plan.written(task, COUNTDOWN):
        return Countdown(seconds, f"{task.name} may be sent with a countdown of", written)
    if plan.get(APP, "parking") is None:
        # A plan of another source than a workload.
        return Countdown(
            seconds, f"{task.name} may be sent with a countdown of", ("tasks", task.name, "max_countdown")
        )
    guard = "idempotency_key" if plan.find(task, "idempotency_key") else "calls"
    return Countdown(seconds, f"a guard may park {task.name} for", ("tasks", task.name, guard))
