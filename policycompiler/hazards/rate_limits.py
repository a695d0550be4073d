"""Rate limits that delay other tasks, and rate limits below the rate of a task."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.hazards.pace import Pace, limit_on, pace_of
from policycompiler.knowledge.rate_limits import SECONDS_OF_UNITS
from policycompiler.plan import APP, Plan, Scope, Value
from policycompiler.quantities import duration

APP_WIDE = "task_default_rate_limit"


def starving(plan: Plan) -> Iterator[Hazard]:
    """Rate-limited tasks whose backlog delays other tasks beyond their latency target."""
    told: set[SpecPath] = set()
    for task in plan.scopes("task"):
        if limit_on(plan, task) is None:
            continue
        # A plan between two other plans may name workers that it does not have.
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
            waits = "as long as the backlog lasts" if seconds is None else f"up to {duration(seconds)}"
            slots = f"{pace.messages} prefetched message{'s' * (pace.messages > 1)}"
            message = (
                f"a burst of {task.name} fills the {slots} of worker {worker}: at {pace.limit.value}, "
                f"{other.name} waits {waits} (latency target {duration(promise)})"
            )
            limit = (pace.limit.origin.scope, pace.limit.origin.key)
            settings = (limit, (task, "queue"), (Scope("worker", worker), "queues"))
            related = (Related(("tasks", other.name), "runs on the same worker"),)
            help_text = f"give {task.name} its own queue: `queue: NAME`"
            yield Hazard(
                "rate-limit-starves",
                settings,
                message,
                help_text,
                pace.limit.path,
                related,
            )
            break


def below_rate(plan: Plan) -> Iterator[Hazard]:
    """Tasks whose rate is above the limit of all their processes together."""
    for task in plan.scopes("task"):
        limit = limit_of(plan, task)
        rate = plan.number_if_any(task, "rate_mean_per_second")
        if limit is None or rate is None or not limit.most:
            continue
        arrivals = rate * SECONDS_OF_UNITS[limit.unit]
        if exceeds(arrivals, limit.most):
            message = (
                f"{task.name} arrives at {arrivals:g}/{limit.unit}, but {limit.together}: its queue grows "
                "without end"
            )
            related = (Related(("tasks", task.name, "rate"), f"{arrivals:g}/{limit.unit}"),)
            help_text = "raise the limit, run more processes, or send less"
            workers = [Scope("worker", name) for name in plan.texts(task, "workers")]
            settings = (
                *(limit.setting, (task, "rate_mean_per_second")),
                *((worker, "replicas") for worker in workers),
            )
            yield Hazard(
                "rate-limit-below-rate", settings, message, help_text, limit.path, related, about=(task,)
            )


class Together(NamedTuple):
    """How many runs the processes of a task may start: `number` each and `most` together, per `unit`."""

    number: float
    most: float
    unit: str
    processes: int
    setting: tuple[Scope, str]
    path: SpecPath

    @property
    def together(self) -> str:
        """All processes, in a sentence."""
        if self.processes == 1:
            return f"its one worker process starts at most {self.most:g}/{self.unit}"
        return f"{self.processes} worker processes together start at most {self.most:g}/{self.unit}"


def limit_of(plan: Plan, task: Scope) -> Together | None:
    """The limit of a task, its own or the app's; None without a limit or without a process."""
    own = plan.find(task, "options.rate_limit") is not None
    setting = (task, "options.rate_limit") if own else (APP, APP_WIDE)
    found = parsed(plan.get(*setting))
    if found is None or not found[0]:
        return None
    workers = [Scope("worker", name) for name in plan.texts(task, "workers")]
    processes = sum(int(plan.number_if_any(worker, "replicas") or 0) for worker in workers)
    if not processes:
        return None
    number, unit = found
    path: SpecPath = ("celery", "settings", APP_WIDE)
    path = ("tasks", task.name, "options", "rate_limit") if own else path
    return Together(number, number * processes, unit, processes, setting, path)


def parsed(value: Value) -> tuple[float, str] | None:
    """The number and its unit, seconds by default; 0 is no limit. None if Celery cannot read it."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/([smh]))?", str(value))
    return (float(match[1]), match[2] or "s") if match else None


def exceeds(arrivals: float, most: float) -> bool:
    """Whether it is more, beyond the rounding of a rate per minute to a rate per second."""
    return arrivals > most and not math.isclose(arrivals, most, rel_tol=1e-4)


def _keeps_up(plan: Plan, task: Scope, apart_seconds: float) -> bool:
    """Whether one process may start as many runs as arrive."""
    rates = (plan.number_if_any(task, key) for key in ("rate_peak_per_second", "rate_mean_per_second"))
    rate = next((each for each in rates if each is not None), None)
    return rate is not None and not plan.get(task, "burst") and not exceeds(rate * apart_seconds, 1)


def _behind(plan: Plan, limited: Scope, pace: Pace) -> tuple[Scope, float | None] | None:
    """Another task of the queue, and how long it waits for a burst; None if no burst is declared."""
    queue = Scope("queue", plan.text(limited, "queue"))
    burst = plan.number_if_any(limited, "burst")
    seconds = None if burst is None else max(burst, pace.messages) * pace.limit.apart
    other = _impatient(plan, queue, limited, seconds)
    return None if other is None else (other, seconds)


def _beside(plan: Plan, worker: Scope, limited: Scope, seconds: float) -> tuple[Scope, float | None] | None:
    """Another task of the worker, which waits until one prefetched message starts."""
    queues = (Scope("queue", name) for name in plan.texts(worker, "queues"))
    others = (_impatient(plan, queue, limited, seconds) for queue in queues)
    return next(((other, seconds) for other in others if other is not None), None)


def _impatient(plan: Plan, queue: Scope, limited: Scope, seconds: float | None) -> Scope | None:
    """Another task of a queue whose latency target is shorter than the wait."""
    promise = plan.number_if_any(queue, "queue_wait_seconds")
    others = [name for name in plan.texts(queue, "tasks") if name != limited.name]
    impatient = others and promise is not None and (seconds is None or promise < seconds)
    return Scope("task", min(others)) if impatient else None
