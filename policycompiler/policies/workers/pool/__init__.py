"""The pool of each worker.

Decides:
    `worker:NAME/pool`.

Because:
    Only prefork enforces both time limits, survives a task that kills its process, and can replace child
    processes. The other pools silently ignore time limits. The exception is gevent: it enforces the hard
    time limit while a task waits (https://docs.celeryq.dev/en/stable/userguide/concurrency/index.html).
    Slots for waiting tasks cost less in those pools: a tenth of a megabyte instead of 20 MB and more. If the
    policy file allows it, tasks that declare `work: io` get the cheapest pool that keeps what they rely on:
    time limits, and what they list in `needs`. The reason says what the choice gives up.

    Gevent must patch the standard library before any other import. Celery reads settings too late for that.
    It warns at every start if a setting names a green pool, even next to the generated `--pool`. The
    authors of eventlet advise against new uses (https://github.com/eventlet/eventlet). The extra
    `celery[eventlet]` installs nothing on Python 3.10 and later.

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
    PC304 pool-time-limit-unkept: use prefork, or give each call in the task a timeout.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {q: {pool: threads}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {q: {pool: gevent}}
    PC318 pool-gevent-soft: use prefork, or remove the soft time limit and give each call a timeout.
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
    PC320 pool-in-config: remove the setting, and give each worker a `pool:`.
        fires:
            celery: {settings: {worker_pool: gevent}}
            tasks: {shop.a: {queue: q}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {q: {pool: gevent}}
    PC996 pool-need-unmet: use a pool that provides it, such as prefork, or remove the need.
        fires:
            tasks: {shop.a: {queue: q, needs: [no_patching]}}
            workers: {q: {pool: gevent}}
        silent:
            tasks: {shop.a: {queue: q, needs: [no_patching]}}
            workers: {q: {pool: prefork}}
    PC405 pool-cpu-green: use prefork for tasks that compute.
        fires:
            tasks: {shop.a: {queue: q, work: cpu}}
            workers: {q: {pool: gevent}}
        silent:
            tasks: {shop.a: {queue: q, work: io}}
            workers: {q: {pool: gevent}}

Parameters:
    `up_to`: the pools that the policy may choose: `prefork`, also `threads`, or also `gevent`; "prefork".
    `keep_limits`: the time limits that a chosen pool must enforce: `all`, or only `pinned` ones; "all".
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.pools import computing, unkept_limits
from policycompiler.knowledge import pools
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Plan, Scope
from policycompiler.policies.workers.pool.choice import NAME, PREFORK, Parameters, chosen, unmet

__all__ = ["NAME", "Parameters", "apply"]

POOL_TIME_LIMIT_INERT = error("PC303", "pool-time-limit-inert")
POOL_TIME_LIMIT_UNKEPT = warning("PC304", "pool-time-limit-unkept")
POOL_GEVENT_SOFT = warning("PC318", "pool-gevent-soft")
POOL_EVENTLET = warning("PC319", "pool-eventlet")
POOL_IN_CONFIG = warning("PC320", "pool-in-config")
POOL_NEED_UNMET = warning("PC996", "pool-need-unmet")
POOL_CPU_GREEN = error("PC405", "pool-cpu-green")


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Choose a pool unless one is pinned; object to pins that break declared facts."""
    pinned = plan.get(APP, "worker_pool")
    if isinstance(pinned, str) and pools.pool(pinned).green and pools.pool(pinned).maintained:
        message = (
            f"Celery reads `worker_pool` too late for the {pinned} pool, "
            "which must patch the standard library before other imports"
        )
        path: SpecPath = ("celery", "settings", "worker_pool")
        yield POOL_IN_CONFIG.at(path, message, help=f"remove it, and give each worker `pool: {pinned}`")
    unmaintained: set[SpecPath] = set()
    for scope in plan.scopes("worker"):
        if plan.find(scope, "pool") is None:
            choice = None if plan.as_is(APP) else chosen(spec, plan, scope, tuned)
            if choice is not None:
                yield Decision(scope, "pool", *choice)
                continue
            because = "only prefork enforces both time limits and survives a task that kills its process"
            yield Decision(scope, "pool", PREFORK, because, (Constant("PREFORK", PREFORK),))
            continue
        pool = plan.text(scope, "pool")
        where = plan.written(scope, "pool") or ("workers", scope.name)
        if not pools.pool(pool).maintained and where not in unmaintained:
            unmaintained.add(where)
            message = f"{pool} is no longer developed, and `celery[{pool}]` no longer installs it"
            yield POOL_EVENTLET.at(where, message, help="use `pool: gevent`, or `pool: threads`")
        yield from _unmet(plan, scope, pool, where)
    # The platform has accepted what a chosen pool gives up.
    pinned_pools = {scope for scope in plan.scopes("worker") if plan.written(scope, "pool")}
    unkept = (hazard for hazard in unkept_limits(plan) if hazard.settings[0][0] in pinned_pools)
    yield from as_findings(unkept, POOL_TIME_LIMIT_INERT, POOL_TIME_LIMIT_UNKEPT, POOL_GEVENT_SOFT)
    yield from as_findings(computing(plan), POOL_CPU_GREEN)


def _unmet(plan: Plan, worker: Scope, pool: str, where: SpecPath) -> Iterator[Diagnostic]:
    """What tasks declare to need, and a pinned pool does not provide."""
    for name, number, need in unmet(plan, worker, pool):
        message = f"{name} needs `{need}`, which pool {pool} of worker {worker.name} does not provide"
        related = (Related(where, f"worker {worker.name} uses pool {pool}"),)
        help_text = "use `pool: prefork`, give the task another worker, or remove the need"
        path: SpecPath = ("tasks", name, "needs", number)
        yield POOL_NEED_UNMET.at(path, message, help=help_text, related=related)
