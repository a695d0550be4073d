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
    SOFT_SHUTDOWN,
    cold_stops,
    is_cold,
    longest_run,
    soft_seconds,
)
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan, Scope

NAME = "soft-shutdown"

SOFT_SHUTDOWN_MISSING = warning("PC337", "soft-shutdown-missing")
COLD_STOP_EARLY_ACK = error("PC338", "cold-stop-early-ack")
SOFT_SHUTDOWN_INERT = info("PC339", "soft-shutdown-inert")
SOFT_SHUTDOWN_OVER_STOP = warning("PC452", "soft-shutdown-over-stop")

LEAVE_SECONDS = 10
"""To put everything back, close connections and leave, before KILL comes."""
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
    for worker, stop in stops.items():
        yield from _objections(plan, worker, stop, knows=knows)
    any_cold = any(stop.is_cold for stop in stops.values())
    for key in (SOFT_SHUTDOWN, ON_IDLE):
        path: SpecPath = ("celery", "settings", key)
        if plan.get(APP, key) and knows and not (any_cold and soft):
            lacks = "no timeout says how long" if any_cold else "the generated units stop workers with TERM"
            message = f"`{key}` changes what QUIT does, and {lacks}: nothing follows from it"
            help_text = "remove it, or add `environment: {REMAP_SIGTERM: SIGQUIT}` to a worker"
            yield SOFT_SHUTDOWN_INERT.at(path, message, help=help_text)


def _objections(plan: Plan, worker: Scope, stop: _Stop, *, knows: bool) -> Iterator[Diagnostic]:
    early, late = longest_run(plan, worker, late=False), longest_run(plan, worker, late=True)
    path: SpecPath = ("workers", worker.name, "stop_timeout")
    if stop.is_cold:
        if stop.soft and stop.soft + LEAVE_SECONDS > stop.timeout:
            message = (
                f"a stop of {worker.name} lets tasks run for {stop.soft:g} s and KILL comes after "
                f"{stop.timeout:g} s: no time is left to put back what still runs"
            )
            help_text = f"lower it to {_before(stop):g} s, or raise `stop_timeout`"
            related = (
                (Related(path, f"{stop.timeout:g} s"),)
                if plan.written(worker, "stop_timeout_seconds")
                else ()
            )
            where = ("celery", "settings", SOFT_SHUTDOWN)
            yield SOFT_SHUTDOWN_OVER_STOP.at(where, message, help=help_text, related=related)
        return
    # What is killed and lost for good is worse, and is told by whoever decides the timeout.
    loses = early is not None and early[0] + LEAVE_SECONDS > stop.timeout
    transport = plan.text(APP, "broker_transport")
    pinned = plan.written(worker, "stop_timeout_seconds")
    if pinned and plan.broker.redelivery and not loses and late and late[0] > stop.timeout:
        after = plan.number(APP, "visibility_timeout_seconds")
        message = (
            f"a stop of {worker.name} kills it after {stop.timeout:g} s, but {late[1]} may run {late[0]:g} "
            f"s: {transport} gives it to another worker only {after:g} s after it was taken"
        )
        instead = f"set `environment: {{REMAP_SIGTERM: SIGQUIT}}` and `{SOFT_SHUTDOWN}: {_before(stop):g}`"
        first = "" if knows else "move to Celery 5.5 and "
        help_text = f"wait at least {late[0] + LEAVE_SECONDS:g} s, or {first}{instead}"
        yield SOFT_SHUTDOWN_MISSING.at(path, message, help=help_text)


def _before(stop: _Stop) -> float:
    """The longest soft shutdown that leaves time to leave."""
    return max(1, stop.timeout - LEAVE_SECONDS)
