"""The rate limits of tasks, and their sum over all worker processes.

Decides:
    Nothing.

Because:
    Celery applies `rate_limit` to each worker separately; nothing limits all workers together. If the sum of
    their limits is below the rate of a task, its queue grows without end. Messages that wait for their rate
    limit count as prefetched. If all prefetched messages wait, the worker takes no other message, and other
    tasks wait although slots are free.

    A peak above the limits is no finding: its messages wait until it is over, as a limit is meant to make
    them. `size` says so.

    `task_default_rate_limit` applies separately to each task without its own limit. Celery reads its unit
    when a worker starts. With an unknown unit the worker fails to start with a KeyError
    (https://docs.celeryq.dev/en/stable/userguide/tasks.html#Task.rate_limit).

Example:
    tasks: {shop.a: {queue: q, options: {rate_limit: 10/m}}}
    workers: {q: {replicas: 3}}

    refuses rate-limit-scope

Refuses:
    PC444 rate-limit-scope: divide the limit by the number of processes, or limit the calls in the task.
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
    PC551 rate-limit-starves: give the task its own queue.
        fires:
            tasks:
              shop.a: {latency: standard, options: {rate_limit: 1/m}}
              shop.b: {latency: standard}
        silent:
            tasks:
              shop.a: {latency: standard, queue: slow, options: {rate_limit: 1/m}}
              shop.b: {latency: standard}
    PC260 rate-limit-unit: write a number per `s`, `m` or `h`, such as `10/s`.
        fires: celery: {settings: {task_default_rate_limit: 100/d}}
        silent: celery: {settings: {task_default_rate_limit: 4/h}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error, info, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.rate_limits import APP_WIDE, below_rate, limit_of, parsed, starving
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan

NAME = "rate-limits"

RATE_LIMIT_SCOPE = info("PC444", "rate-limit-scope")
RATE_LIMIT_BELOW_RATE = warning("PC445", "rate-limit-below-rate")
RATE_LIMIT_STARVES = warning("PC551", "rate-limit-starves")
RATE_LIMIT_UNIT = error("PC260", "rate-limit-unit")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each pinned limit, times the processes that apply it."""
    del spec
    app_wide, app_path = plan.get(APP, APP_WIDE), ("celery", "settings", APP_WIDE)
    if app_wide and parsed(app_wide) is None:
        message = f"Celery cannot read the rate limit `{app_wide}`: no worker can start"
        yield RATE_LIMIT_UNIT.at(app_path, message, help="write it like `10/s`, `100/m` or `5/h`")
    yield from as_findings(starving(plan), RATE_LIMIT_STARVES)
    slow = list(below_rate(plan))
    yield from as_findings(slow, RATE_LIMIT_BELOW_RATE)
    told = {scope for hazard in slow for scope in hazard.about}
    for task in plan.scopes("task"):
        limit = limit_of(plan, task)
        if limit is None or limit.processes == 1 or task in told or limit.setting[0] in told:
            continue
        told.add(limit.setting[0])
        message = (
            f"each process applies {limit.number:g}/{limit.unit} separately: {limit.together} of {task.name}"
        )
        help_text = f"divide the limit by {limit.processes} if it is a quota, or limit the calls in the task"
        yield RATE_LIMIT_SCOPE.at(limit.path, message, help=help_text)
