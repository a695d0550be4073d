"""Rate limits that keep a worker from its other tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.diagnostics import Related
from policycompiler.hazards.hazard import Effect, Hazard
from policycompiler.pace import pace_of
from policycompiler.plan import Plan, Scope
from policycompiler.quantities import duration

LIMIT = "options.rate_limit"


def starving(plan: Plan) -> Iterator[Hazard]:
    """Limited tasks whose backlog keeps a worker from others for longer than these are promised."""
    for task in plan.scopes("task"):
        if plan.find(task, LIMIT) is None:
            continue
        for worker in plan.texts(task, "workers"):
            pace = pace_of(plan, task, [worker])
            if pace is None or _keeps_up(plan, task, pace.limit.apart):
                continue
            other = _impatient(plan, Scope("worker", worker), task, pace.seconds)
            if other is None:
                continue
            promise = plan.number(Scope("queue", plan.text(other, "queue")), "queue_wait_seconds")
            message = (
                f"a burst of {task.name} fills the {pace.messages} messages that worker {worker} prefetches: "
                f"at {pace.limit.value}, {other.name} waits up to {duration(pace.seconds)} behind it "
                f"(promise: {duration(promise)})"
            )
            settings = ((task, LIMIT), (task, "queue"), (Scope("worker", worker), "queues"))
            related = (Related(("tasks", other.name), "runs on the same worker"),)
            help_text = f"give {task.name} a queue of its own: `queue: NAME`"
            yield Hazard(
                "rate-limit-starves",
                Effect.STALLED,
                settings,
                message,
                help_text,
                pace.limit.path,
                related,
            )
            break


def exceeds(arrivals: float, most: float) -> bool:
    """More, and not by the rounding of one a minute to so many a second."""
    return arrivals > most and not math.isclose(arrivals, most, rel_tol=1e-4)


def _keeps_up(plan: Plan, task: Scope, apart_seconds: float) -> bool:
    """Whether no more arrive at a time than one process may start."""
    rates = (plan.number_if_any(task, key) for key in ("rate_peak_per_second", "rate_mean_per_second"))
    rate = next((each for each in rates if each is not None), None)
    return rate is not None and not plan.get(task, "burst") and not exceeds(rate * apart_seconds, 1)


def _impatient(plan: Plan, worker: Scope, limited: Scope, seconds: float) -> Scope | None:
    """Another task of the worker that is promised a shorter wait."""
    for queue in (Scope("queue", name) for name in plan.texts(worker, "queues")):
        promise = plan.number_if_any(queue, "queue_wait_seconds")
        others = [name for name in plan.texts(queue, "tasks") if name != limited.name]
        if others and promise is not None and promise < seconds:
            return Scope("task", min(others))
    return None
