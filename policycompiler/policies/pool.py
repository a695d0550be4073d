"""What kind of pool runs a worker's tasks.

Decides:
    `worker:NAME/pool`.

Because:
    Only prefork keeps both time limits, survives a task that kills its process, and can recycle
    processes. The others ignore limits in silence, but for gevent, which keeps the hard limit of a task
    that waits (https://docs.celeryq.dev/en/stable/userguide/concurrency/index.html). Slots that wait are
    cheaper there: who needs hundreds of them pins such a pool and gives each call a timeout of its own.

Example:
    tasks: {shop.mail.send: {latency: interactive}}

    worker:shop.interactive.io/pool = "prefork"

Refuses:
    PC303 pool-time-limit-inert: use prefork, or remove the pinned limit and use client timeouts.
    PC304 pool-time-limit-unkept: use prefork, or give the task's calls timeouts of their own.
    PC405 pool-cpu-green: use prefork for tasks that compute.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.model import Workload
from policycompiler.plan import Constant, Decision, Plan, Scope

NAME = "pool"

POOL_TIME_LIMIT_INERT = error("PC303", "pool-time-limit-inert")
POOL_TIME_LIMIT_UNKEPT = warning("PC304", "pool-time-limit-unkept")
POOL_CPU_GREEN = error("PC405", "pool-cpu-green")

POOL = "prefork"
"""The only pool that keeps time limits."""
SHARES_ONE_PROCESS = frozenset({"threads", "gevent", "eventlet"})
"""Pools in which a task that computes stops all others."""
LIMITS = ("time_limit", "soft_time_limit")


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Prefork, unless pinned; objections to pins that break what was declared."""
    for scope in plan.scopes("worker"):
        if plan.find(scope, "pool") is None:
            because = "the only pool that keeps time limits and survives a task that kills its process"
            yield Decision(scope, "pool", POOL, because, (Constant("POOL", POOL),))
            continue
        pool = plan.text(scope, "pool")
        if pool != POOL:
            yield from _objections(spec, scope, pool, plan.texts(scope, "tasks"))


def _objections(spec: Workload, scope: Scope, pool: str, tasks: list[str]) -> Iterator[Diagnostic]:
    where: SpecPath = ("workers", scope.name, "pool")
    here = (Related(where, f"worker {scope.name} runs it on {pool}"),)
    unkept = []
    for name in tasks:
        task = spec.tasks[name]
        pinned = [limit for limit in LIMITS if task.options and getattr(task.options, limit) is not None]
        for limit in pinned:
            message = f"{name} pins {limit}, which the pool {pool} does not keep"
            help_text = "use `pool: prefork`, or remove the limit and give the task's calls timeouts"
            path = ("tasks", name, "options", limit)
            yield POOL_TIME_LIMIT_INERT.at(path, message, help=help_text, related=here)
        if not pinned:
            unkept.append(name)
        if task.work == "cpu" and pool in SHARES_ONE_PROCESS:
            message = f"{name} computes, and the pool {pool} runs all tasks in one process"
            help_text = "use `pool: prefork`, or another worker for this task"
            yield POOL_CPU_GREEN.at(("tasks", name, "work"), message, help=help_text, related=here)
    if unkept:
        others = f" (or one of {len(unkept) - 1} more)" if len(unkept) > 1 else ""
        message = f"the pool {pool} keeps no time limit: a stuck {unkept[0]}{others} holds its slot for ever"
        help_text = "use `pool: prefork`, or give the calls inside the task timeouts of their own"
        yield POOL_TIME_LIMIT_UNKEPT.at(where, message, help=help_text)
