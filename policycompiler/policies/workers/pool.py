"""What kind of pool runs a worker's tasks.

Decides:
    `worker:NAME/pool`.

Because:
    Only prefork keeps both time limits, survives a task that kills its process, and can recycle
    processes. The others ignore limits in silence, but for gevent, which keeps the hard limit of a task
    that waits (https://docs.celeryq.dev/en/stable/userguide/concurrency/index.html). Slots that wait are
    cheaper there: who needs hundreds of them pins such a pool and gives each call a timeout of its own.
    Gevent has to patch the standard library before anything is imported, which a setting is read too late
    for: Celery warns at every start where it finds one, also beside the generated `--pool`.
    Eventlet's own authors ask that nothing new be built on it (https://github.com/eventlet/eventlet), and
    the extra `celery[eventlet]` installs nothing on Python 3.10 and later.

Example:
    tasks: {shop.mail.send: {latency: interactive}}

    worker:shop.interactive.io/pool = "prefork"

Refuses:
    PC303 pool-time-limit-inert: use prefork, or remove the pinned limit and use client timeouts.
        fires:
            tasks: {shop.a: {queue: q, options: {time_limit: 9}}}
            workers: {q: {pool: threads}}
        silent:
            tasks: {shop.a: {queue: q, options: {time_limit: 9}}}
            workers: {q: {pool: gevent}}
    PC304 pool-time-limit-unkept: use prefork, or give the task's calls timeouts of their own.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {q: {pool: threads}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {q: {pool: gevent}}
    PC318 pool-gevent-soft: use prefork, or remove the soft limit and end the waiting call by its own timeout.
        fires:
            tasks: {shop.a: {queue: q, options: {soft_time_limit: 9}}}
            workers: {q: {pool: gevent}}
        silent:
            tasks: {shop.a: {queue: q, options: {soft_time_limit: 9}}}
            workers: {q: {pool: prefork}}
    PC319 pool-eventlet: use gevent or threads.
        fires:
            queues: {q: {}}
            workers: {q: {pool: eventlet}}
        silent:
            queues: {q: {}}
            workers: {q: {pool: gevent}}
    PC320 pool-in-config: give each worker its `pool:` instead.
        fires:
            celery: {settings: {worker_pool: gevent}}
            tasks: {shop.a: {queue: q}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {q: {pool: gevent}}
    PC405 pool-cpu-green: use prefork for tasks that compute.
        fires:
            tasks: {shop.a: {queue: q, work: cpu}}
            workers: {q: {pool: gevent}}
        silent:
            tasks: {shop.a: {queue: q, work: io}}
            workers: {q: {pool: gevent}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath, error, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.pools import computing, unkept_limits
from policycompiler.knowledge import pools
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Plan

NAME = "pool"

POOL_TIME_LIMIT_INERT = error("PC303", "pool-time-limit-inert")
POOL_TIME_LIMIT_UNKEPT = warning("PC304", "pool-time-limit-unkept")
POOL_GEVENT_SOFT = warning("PC318", "pool-gevent-soft")
POOL_EVENTLET = warning("PC319", "pool-eventlet")
POOL_IN_CONFIG = warning("PC320", "pool-in-config")
POOL_CPU_GREEN = error("PC405", "pool-cpu-green")

POOL = "prefork"
"""The only pool that keeps time limits."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Prefork, unless pinned; objections to pins that break what was declared."""
    pinned = plan.get(APP, "worker_pool")
    if isinstance(pinned, str) and pools.pool(pinned).green and pools.pool(pinned).maintained:
        message = f"a setting is read too late for the pool {pinned}: it patches what is imported before"
        path: SpecPath = ("celery", "settings", "worker_pool")
        yield POOL_IN_CONFIG.at(path, message, help=f"give each worker `pool: {pinned}` instead")
    del spec
    unmaintained: set[SpecPath] = set()
    for scope in plan.scopes("worker"):
        if plan.find(scope, "pool") is None:
            because = "the only pool that keeps time limits and survives a task that kills its process"
            yield Decision(scope, "pool", POOL, because, (Constant("POOL", POOL),))
            continue
        pool = plan.text(scope, "pool")
        where = plan.written(scope, "pool") or ("workers", scope.name)
        if not pools.pool(pool).maintained and where not in unmaintained:
            unmaintained.add(where)
            message = f"{pool} is no longer developed, and `celery[{pool}]` does not install it"
            yield POOL_EVENTLET.at(where, message, help="use `pool: gevent`, or `pool: threads`")
    yield from as_findings(
        unkept_limits(plan), POOL_TIME_LIMIT_INERT, POOL_TIME_LIMIT_UNKEPT, POOL_GEVENT_SOFT
    )
    yield from as_findings(computing(plan), POOL_CPU_GREEN)
