"""Rate limits that keep a worker from its other tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Effect, Hazard
from policycompiler.hazards.pace import Pace, pace_of
from policycompiler.plan import Plan, Scope
from policycompiler.quantities import duration


def starving(plan: Plan) -> Iterator[Hazard]:
    """Limited tasks whose backlog keeps a worker from others for longer than these are promised."""
    told: set[SpecPath] = set()
    for task in plan.scopes("task"):
        # A plan between two others may name workers that are not in it.
        for worker in (name for name in plan.texts(task, "workers") if plan.keys(Scope("worker", name))):
            pace = pace_of(plan, task, [worker])
            if pace is None or pace.limit.path in told or _keeps_up(plan, task, pace.limit.apart):
                continue
            found = _behind(plan, task, pace) or _beside(plan, Scope("worker", worker), task, pace.seconds)
            if found is None:
                continue
            told.add(pace.limit.path)
            other, seconds = found
            promise = plan.number(Scope("queue", plan.text(other, "queue")), "queue_wait_seconds")
            waits = "as long as there is a backlog" if seconds is None else f"up to {duration(seconds)}"
            message = (
                f"a burst of {task.name} fills the {pace.messages} messages that worker {worker} prefetches: "
                f"at {pace.limit.value}, {other.name} waits {waits} behind it (promise: {duration(promise)})"
            )
            limit = (pace.limit.origin.scope, pace.limit.origin.key)
            settings = (limit, (task, "queue"), (Scope("worker", worker), "queues"))
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


def _behind(plan: Plan, limited: Scope, pace: Pace) -> tuple[Scope, float | None] | None:
    """Another task of the queue, and how long it waits for a burst; None where nobody says how large."""
    queue = Scope("queue", plan.text(limited, "queue"))
    burst = plan.number_if_any(limited, "burst")
    seconds = None if burst is None else max(burst, pace.messages) * pace.limit.apart
    other = _impatient(plan, queue, limited, seconds)
    return None if other is None else (other, seconds)


def _beside(plan: Plan, worker: Scope, limited: Scope, seconds: float) -> tuple[Scope, float | None] | None:
    """Another task of the worker, which waits until one of the messages it has prefetched makes room."""
    queues = (Scope("queue", name) for name in plan.texts(worker, "queues"))
    others = (_impatient(plan, queue, limited, seconds) for queue in queues)
    return next(((other, seconds) for other in others if other is not None), None)


def _impatient(plan: Plan, queue: Scope, limited: Scope, seconds: float | None) -> Scope | None:
    """Another task of a queue that is promised a shorter wait."""
    promise = plan.number_if_any(queue, "queue_wait_seconds")
    others = [name for name in plan.texts(queue, "tasks") if name != limited.name]
    impatient = others and promise is not None and (seconds is None or promise < seconds)
    return Scope("task", min(others)) if impatient else None
