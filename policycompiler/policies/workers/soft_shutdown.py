"""Stops that do not wait for the longest run: lost runs, and soft shutdown.

Decides:
    Nothing.

Because:
    After TERM a worker waits for its runs. After `stop_timeout` it receives KILL. On Redis and SQS the broker
    redelivers the messages of killed runs only after the visibility timeout, which may be hours.

    From Celery 5.5 a worker can wait for `worker_soft_shutdown_timeout` and then return unfinished messages
    to the broker. It does so after QUIT, and after TERM if its environment has `REMAP_SIGTERM: SIGQUIT`.
    Runs acknowledged early cannot be returned and are lost
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#soft-shutdown).

    The compiler never chooses soft shutdown. If any task runs, a soft shutdown always waits for its whole
    timeout. A run that ends in this time may count as canceled
    (https://github.com/celery/celery/issues/9505).

Example:
    tasks: {shop.a: {queue: q, runtime: 2h, latency: batch, idempotent: true}}
    workers: {q: {stop_timeout: 1m}}

    refuses soft-shutdown-missing

Refuses:
    PC337 soft-shutdown-missing: raise `stop_timeout`, or let the worker return unfinished messages: set
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
    PC339 soft-shutdown-inert: remove the setting, or add `environment: {REMAP_SIGTERM: SIGQUIT}` to a worker.
        fires:
            celery: {settings: {worker_soft_shutdown_timeout: 45.0}}
            tasks: {shop.a: {queue: q}}
        silent:
            celery: {settings: {worker_soft_shutdown_timeout: 45.0}}
            tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}
            workers: {q: {environment: {REMAP_SIGTERM: SIGQUIT}}}
    PC452 soft-shutdown-over-stop: lower the soft shutdown timeout, or raise `stop_timeout`.
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
from policycompiler.quantities import duration

NAME = "soft-shutdown"

SOFT_SHUTDOWN_MISSING = warning("PC337", "soft-shutdown-missing")
COLD_STOP_EARLY_ACK = error("PC338", "cold-stop-early-ack")
SOFT_SHUTDOWN_INERT = info("PC339", "soft-shutdown-inert")
SOFT_SHUTDOWN_OVER_STOP = warning("PC452", "soft-shutdown-over-stop")

ON_IDLE = "worker_enable_soft_shutdown_on_idle"


class _Stop(NamedTuple):
    """How a worker is stopped: whether TERM means QUIT, the soft shutdown and the stop timeout in seconds."""

    is_cold: bool
    soft: float
    timeout: float


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check each worker's stop, then settings that no stop uses."""
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
            lacks = (
                f"`{SOFT_SHUTDOWN}` is not set" if any_cold else "the generated units stop workers with TERM"
            )
            message = f"`{key}` has no effect: it applies only to QUIT, and {lacks}"
            help_text = f"remove `{key}`, or add `environment: {{REMAP_SIGTERM: SIGQUIT}}` to a worker"
            yield SOFT_SHUTDOWN_INERT.at(path, message, help=help_text)


def _over_stop(plan: Plan, worker: Scope, stop: _Stop) -> Iterator[Diagnostic]:
    if not stop.is_cold or not stop.soft or stop.soft + LEAVE_SECONDS <= stop.timeout:
        return
    message = (
        f"the soft shutdown of worker {worker.name} takes {duration(stop.soft)} and KILL follows after "
        f"{duration(stop.timeout)}: no time is left to return unfinished messages"
    )
    help_text = f"lower it to {duration(before_kill(stop.timeout))}, or raise `stop_timeout`"
    path: SpecPath = ("workers", worker.name, "stop_timeout")
    pinned = plan.written(worker, "stop_timeout_seconds")
    related = (Related(path, duration(stop.timeout)),) if pinned else ()
    where = ("celery", "settings", SOFT_SHUTDOWN)
    yield SOFT_SHUTDOWN_OVER_STOP.at(where, message, help=help_text, related=related)
