"""What a task's rate limit adds up to over all processes.

Decides:
    Nothing.

Because:
    Celery's `rate_limit` holds for each worker process by itself; nothing limits them together. A limit that
    all processes together cannot work off the arrivals under makes the queue grow for ever
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

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, info, warning
from policycompiler.model import Workload
from policycompiler.plan import Plan, Scope

NAME = "rate-limits"

RATE_LIMIT_SCOPE = info("PC444", "rate-limit-scope")
RATE_LIMIT_BELOW_RATE = warning("PC445", "rate-limit-below-rate")

SECONDS = {"s": 1, "m": 60, "h": 3600}
"""Celery's units."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each pinned limit, times the processes that keep it."""
    del spec
    for task in plan.scopes("task"):
        limit = plan.get(task, "options.rate_limit")
        workers = [Scope("worker", name) for name in plan.texts(task, "workers")]
        processes = sum(int(plan.number(worker, "replicas")) for worker in workers)
        if not isinstance(limit, str) or not processes:
            continue
        number, _, unit = limit.partition("/")
        most = float(number) * processes
        path: SpecPath = ("tasks", task.name, "options", "rate_limit")
        rate = plan.number_if_any(task, "rate_mean_per_second")
        together = f"{processes} worker processes together start at most {most:g}/{unit}"
        if processes == 1:
            together = f"its one worker process starts at most {most:g}/{unit}"
        if rate is not None and rate * SECONDS[unit] > most:
            arrivals = rate * SECONDS[unit]
            message = f"{arrivals:g}/{unit} of {task.name} arrive, and {together}: its queue grows for ever"
            related = (Related(("tasks", task.name, "rate"), f"{arrivals:g}/{unit}"),)
            help_text = "raise the limit, run more processes, or send less"
            yield RATE_LIMIT_BELOW_RATE.at(path, message, help=help_text, related=related)
        elif processes > 1:
            message = f"{limit} holds for each process by itself: {together} of {task.name}"
            help_text = f"divide it by {processes} if it is a quota, or limit where the calls are made"
            yield RATE_LIMIT_SCOPE.at(path, message, help=help_text)
