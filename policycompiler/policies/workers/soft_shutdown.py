"""Stops that do not wait for the longest run: what they lose, and what makes them hand it back.

Decides:
    Nothing.

Because:
    TERM makes a worker wait for its runs, and KILL follows after `stop_timeout`. On Redis and SQS what was
    killed is given to another worker only after the visibility timeout, which may be hours. Celery 5.5 can
    wait for `worker_soft_shutdown_timeout` and then put back what still runs: it does so at QUIT, and at TERM
    where the environment of the process says `REMAP_SIGTERM: SIGQUIT`. What is acknowledged early cannot be
    put back, and is lost
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#soft-shutdown). The compiler does not choose it
    by itself: a soft shutdown sleeps through its whole timeout as soon as one task runs, and a run that ends
    meanwhile may count as cancelled (https://github.com/celery/celery/issues/9505).

Example:
    tasks: {shop.a: {queue: q, runtime: 2h, latency: batch, idempotent: true}}
    workers: {q: {stop_timeout: 1m}}

    refuses soft-shutdown-missing

Refuses:
    PC337 soft-shutdown-missing: wait longer, or let the worker put back what it cannot finish, by
        `environment: {REMAP_SIGTERM: SIGQUIT}` and `worker_soft_shutdown_timeout`.
        fires:
            tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}
            workers: {q: {stop_timeout: 1m}}
        silent:
            celery: {settings: {worker_soft_shutdown_timeout: 45.0}}
            tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}
            workers: {q: {stop_timeout: 1m, environment: {REMAP_SIGTERM: SIGQUIT}}}
    PC338 cold-stop-early-ack: remove REMAP_SIGTERM, or raise `worker_soft_shutdown_timeout`.
        fires:
            tasks: {shop.a: {queue: q, runtime: 100s}}
            workers: {q: {environment: {REMAP_SIGTERM: SIGQUIT}}}
        silent:
            celery: {settings: {worker_soft_shutdown_timeout: 200.0}}
            tasks: {shop.a: {queue: q, runtime: 100s}}
            workers: {q: {environment: {REMAP_SIGTERM: SIGQUIT}}}
    PC339 soft-shutdown-inert: remove it, or add `environment: {REMAP_SIGTERM: SIGQUIT}` to a worker.
        fires:
            celery: {settings: {worker_soft_shutdown_timeout: 45.0}}
            tasks: {shop.a: {queue: q}}
        silent:
            celery: {settings: {worker_soft_shutdown_timeout: 45.0}}
            tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}
            workers: {q: {environment: {REMAP_SIGTERM: SIGQUIT}}}
    PC452 soft-shutdown-over-stop: lower it, or raise `stop_timeout`.
        fires:
            celery: {settings: {worker_soft_shutdown_timeout: 60.0}}
            tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}
            workers: {q: {stop_timeout: 1m, environment: {REMAP_SIGTERM: SIGQUIT}}}
        silent:
            celery: {settings: {worker_soft_shutdown_timeout: 45.0}}
            tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}
            workers: {q: {stop_timeout: 1m, environment: {REMAP_SIGTERM: SIGQUIT}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, info, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.stops import (
    FIRST_CELERY_WITH_SOFT_SHUTDOWN,
    LEAVE_SECONDS,
    SOFT_SHUTDOWN,
    before_kill,
    cold_stops,
    is_cold,
    late_redeliveries,
    soft_seconds,
)
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan, Scope

NAME = "soft-shutdown"

SOFT_SHUTDOWN_MISSING = warning("PC337", "soft-shutdown-missing")
COLD_STOP_EARLY_ACK = error("PC338", "cold-stop-early-ack")
SOFT_SHUTDOWN_INERT = info("PC339", "soft-shutdown-inert")
SOFT_SHUTDOWN_OVER_STOP = warning("PC452", "soft-shutdown-over-stop")

ON_IDLE = "worker_enable_soft_shutdown_on_idle"


class _Stop(NamedTuple):
    """How a worker is stopped: whether TERM means QUIT, and what it waits for then, in seconds."""

    is_cold: bool
    soft: float
    timeout: float


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Look at each worker's stop, then at settings that no stop comes to."""
    del spec
    knows = plan.version(APP, "celery_version") >= FIRST_CELERY_WITH_SOFT_SHUTDOWN
    soft = soft_seconds(plan)
    workers = plan.scopes("worker")
    stops = {
        worker: _Stop(is_cold(plan, worker), soft, plan.number(worker, "stop_timeout_seconds"))
        for worker in workers
    }
    yield from as_findings(cold_stops(plan), COLD_STOP_EARLY_ACK)
    yield from as_findings(late_redeliveries(plan), SOFT_SHUTDOWN_MISSING)
    for worker, stop in stops.items():
        yield from _over_stop(plan, worker, stop)
    any_cold = any(stop.is_cold for stop in stops.values())
    for key in (SOFT_SHUTDOWN, ON_IDLE):
        path: SpecPath = ("celery", "settings", key)
        if plan.get(APP, key) and knows and not (any_cold and soft):
            lacks = "no timeout says how long" if any_cold else "the generated units stop workers with TERM"
            message = f"`{key}` changes what QUIT does, and {lacks}: nothing follows from it"
            help_text = "remove it, or add `environment: {REMAP_SIGTERM: SIGQUIT}` to a worker"
            yield SOFT_SHUTDOWN_INERT.at(path, message, help=help_text)


def _over_stop(plan: Plan, worker: Scope, stop: _Stop) -> Iterator[Diagnostic]:
    if not stop.is_cold or not stop.soft or stop.soft + LEAVE_SECONDS <= stop.timeout:
        return
    message = (
        f"a stop of {worker.name} lets tasks run for {stop.soft:g} s and KILL comes after "
        f"{stop.timeout:g} s: no time is left to put back what still runs"
    )
    help_text = f"lower it to {before_kill(stop.timeout):g} s, or raise `stop_timeout`"
    path: SpecPath = ("workers", worker.name, "stop_timeout")
    pinned = plan.written(worker, "stop_timeout_seconds")
    related = (Related(path, f"{stop.timeout:g} s"),) if pinned else ()
    where = ("celery", "settings", SOFT_SHUTDOWN)
    yield SOFT_SHUTDOWN_OVER_STOP.at(where, message, help=help_text, related=related)
