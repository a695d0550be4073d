"""How long a rate limit holds the messages that a worker took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import SpecPath
from policycompiler.knowledge.rate_limits import seconds_apart
from policycompiler.plan import APP, Derived, Plan, Scope, Value

HOLD_FEWER = "lower the worker's slots or prefetch multiplier"


class Limit(NamedTuple):
    """A rate limit, and the seconds between two starts in one process."""

    value: Value
    apart: float
    origin: Derived
    path: SpecPath


class Pace(NamedTuple):
    """How long a task's rate limit holds the last message of a worker that is full of them."""

    limit: Limit
    messages: int
    seconds: float

    def waits(self, task: str) -> str:
        """What a user reads before the seconds."""
        held = f"with {self.messages} held by a worker"
        return f"by its rate limit of {self.limit.value}, {held}, a message of {task} may wait"


def pace_of(plan: Plan, task: Scope, workers: list[str]) -> Pace | None:
    """Of a task in any of these workers; of the app, of a task that nobody declared.

    Every message that a process may hold is one of the task, and the limit was used just before the first.
    """
    limit = limit_on(plan, task)
    if limit is None:
        return None
    messages = max((_most_held(plan, Scope("worker", name)) for name in workers), default=0)
    return Pace(limit, messages, messages * limit.apart) if messages else None


def hoarding(plan: Plan) -> Iterator[tuple[str, str, Limit, SpecPath]]:
    """Workers that hold messages without end, a rate-limited task of each, and what says so; each once."""
    told: set[SpecPath] = set()
    for worker in plan.scopes("worker"):
        path = plan.written(worker, "prefetch_multiplier")
        if path is None or path in told or plan.number(worker, "prefetch_multiplier"):
            continue
        for task in plan.texts(worker, "tasks"):
            if limit := limit_on(plan, Scope("task", task)):
                told.add(path)
                yield worker.name, task, limit, path
                break


def limit_on(plan: Plan, task: Scope) -> Limit | None:
    """The task's own or the one of the app; None where nothing is limited, or by what Celery cannot read."""
    origin = Derived(task, "options.rate_limit")
    path: SpecPath = ("tasks", task.name, "options", "rate_limit")
    if plan.find(*origin) is None:
        origin = Derived(APP, "task_default_rate_limit")
        path = ("celery", "settings", origin.key)
    value = plan.get(*origin)
    apart = seconds_apart(value)
    if apart is None or plan.get(APP, "worker_disable_rate_limits"):
        return None
    return Limit(value, apart, origin, path)


def _most_held(plan: Plan, worker: Scope) -> int:
    """Messages of one process, also where prefetch is disabled; 0 where there is no end of them."""
    bounds = plan.get(worker, "autoscale")
    slots = bounds["max"] if isinstance(bounds, dict) else plan.value(worker, "concurrency")
    return int(str(slots)) * int(plan.number(worker, "prefetch_multiplier"))
