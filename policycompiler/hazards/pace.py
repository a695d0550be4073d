"""How long prefetched messages wait for their rate limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import SpecPath
from policycompiler.knowledge.rate_limits import seconds_apart
from policycompiler.plan import APP, Derived, Plan, Scope, Value

HOLD_FEWER = "lower the worker's concurrency or prefetch multiplier"


class Limit(NamedTuple):
    """A rate limit, and the seconds between two starts in one process."""

    value: Value
    apart: float
    origin: Derived
    path: SpecPath


class Pace(NamedTuple):
    """How long the last message of a worker waits if all its prefetched messages are of one limited task."""

    limit: Limit
    messages: int
    seconds: float

    def waits(self, task: str) -> str:
        """What a user reads before the seconds."""
        prefetched = f"{self.messages} prefetched messages" if self.messages != 1 else "1 prefetched message"
        return f"at {self.limit.value} and with {prefetched}, a message of {task} may wait"


def pace_of(plan: Plan, task: Scope, workers: list[str]) -> Pace | None:
    """The pace of a task in any of these workers; for the app, of an undeclared task.

    It assumes that every prefetched message is of this task, and that a run started just before the first.
    """
    limit = limit_on(plan, task)
    if limit is None:
        return None
    messages = max((most_held(plan, Scope("worker", name)) for name in workers), default=0)
    return Pace(limit, messages, messages * limit.apart) if messages else None


def hoarding(plan: Plan) -> Iterator[tuple[str, str, Limit, SpecPath]]:
    """Workers with unlimited prefetch, a rate-limited task of each, and the place of the pin; each once."""
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
    """The task's own limit or the app's; None without a limit that Celery can read."""
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


def most_held(plan: Plan, worker: Scope) -> int:
    """Messages of one process, also if prefetch is disabled; 0 if their number is unlimited."""
    bounds = plan.get(worker, "autoscale")
    slots = bounds["max"] if isinstance(bounds, dict) else plan.value(worker, "concurrency")
    return int(str(slots)) * int(plan.number(worker, "prefetch_multiplier"))
