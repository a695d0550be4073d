"""What a task's rate limit adds up to over all processes.

Decides:
    Nothing.

Because:
    Celery's `rate_limit` holds for each worker process by itself; nothing limits them together. A limit that
    all processes together cannot work off the arrivals under makes the queue grow for ever. A worker keeps
    what waits for its rate limit among the messages that it has prefetched: once these are all of limited
    tasks, it takes nothing else, and other tasks wait although slots are free.
    `task_default_rate_limit` is one for each task by itself that has none of its own. Celery reads its unit
    when a worker starts, and one that it does not know ends the start with a KeyError
    (https://docs.celeryq.dev/en/stable/userguide/tasks.html#Task.rate_limit).

Example:
    tasks: {shop.a: {queue: q, options: {rate_limit: 10/m}}}
    workers: {q: {replicas: 3}}

    refuses rate-limit-scope

Refuses:
    PC444 rate-limit-scope: divide the limit by the processes, or limit where the calls are made.
        fires:
            tasks: {shop.a: {queue: q, options: {rate_limit: 10/m}}}
            workers: {q: {replicas: 3}}
        silent:
            tasks: {shop.a: {queue: q, options: {rate_limit: 10/m}}}
            workers: {q: {replicas: 1}}
    PC445 rate-limit-below-rate: raise the limit, run more processes, or send less.
        fires:
            tasks: {shop.a: {queue: q, rate: 20/m, options: {rate_limit: 10/m}}}
        silent:
            tasks: {shop.a: {queue: q, rate: 20/m, options: {rate_limit: 30/m}}}
    PC551 rate-limit-starves: give the task a queue of its own.
        fires:
            tasks:
              shop.a: {latency: standard, options: {rate_limit: 1/m}}
              shop.b: {latency: standard}
        silent:
            tasks:
              shop.a: {latency: standard, queue: slow, options: {rate_limit: 1/m}}
              shop.b: {latency: standard}
    PC260 rate-limit-unit: write a number by `s`, `m` or `h`.
        fires: celery: {settings: {task_default_rate_limit: 100/d}}
        silent: celery: {settings: {task_default_rate_limit: 4/h}}

Parameters:
    None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, info, warning
from policycompiler.hazards.rate_limits import exceeds, starving
from policycompiler.knowledge.rate_limits import SECONDS_OF_UNITS
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan, Scope, Value

NAME = "rate-limits"

RATE_LIMIT_SCOPE = info("PC444", "rate-limit-scope")
RATE_LIMIT_BELOW_RATE = warning("PC445", "rate-limit-below-rate")
RATE_LIMIT_STARVES = warning("PC551", "rate-limit-starves")
RATE_LIMIT_UNIT = error("PC260", "rate-limit-unit")

APP_WIDE = "task_default_rate_limit"


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each pinned limit, times the processes that keep it."""
    del spec
    app_wide, app_path = plan.get(APP, APP_WIDE), ("celery", "settings", APP_WIDE)
    if app_wide and _limit(app_wide) is None:
        message = f"`{app_wide}` is no rate limit to Celery: every worker ends as it starts"
        yield RATE_LIMIT_UNIT.at(app_path, message, help="write it as 10/s, 100/m or 5/h")
    yield from (hazard.as_finding(RATE_LIMIT_STARVES) for hazard in starving(plan))
    told = False
    for task in plan.scopes("task"):
        own = plan.find(task, "options.rate_limit") is not None
        found = _limit(plan.get(task, "options.rate_limit") if own else app_wide)
        workers = [Scope("worker", name) for name in plan.texts(task, "workers")]
        processes = sum(int(plan.number(worker, "replicas")) for worker in workers)
        if found is None or not found[0] or not processes:
            continue
        number, unit = found
        most = number * processes
        path: SpecPath = ("tasks", task.name, "options", "rate_limit") if own else app_path
        rate = plan.number_if_any(task, "rate_mean_per_second")
        together = f"{processes} worker processes together start at most {most:g}/{unit}"
        if processes == 1:
            together = f"its one worker process starts at most {most:g}/{unit}"
        if rate is not None and exceeds(rate * SECONDS_OF_UNITS[unit], most):
            arrivals = rate * SECONDS_OF_UNITS[unit]
            message = f"{arrivals:g}/{unit} of {task.name} arrive, and {together}: its queue grows for ever"
            related = (Related(("tasks", task.name, "rate"), f"{arrivals:g}/{unit}"),)
            help_text = "raise the limit, run more processes, or send less"
            yield RATE_LIMIT_BELOW_RATE.at(path, message, help=help_text, related=related)
        elif processes > 1 and (own or not told):
            told = told or not own
            message = f"{number:g}/{unit} holds for each process by itself: {together} of {task.name}"
            help_text = f"divide it by {processes} if it is a quota, or limit where the calls are made"
            yield RATE_LIMIT_SCOPE.at(path, message, help=help_text)


def _limit(value: Value) -> tuple[float, str] | None:
    """How many in which unit, seconds without one; 0 is no limit. None where Celery cannot read it."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/([smh]))?", str(value))
    return (float(match[1]), match[2] or "s") if match else None
