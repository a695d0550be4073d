"""Alerts on lost workers: a queue has no worker, or fewer worker processes than expected.

A worker that stops waits for its runs and does not answer celery-exporter, so both alerts wait for a restart.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge import pools
from policycompiler.knowledge.signals import Signal
from policycompiler.plan import Constant, Derived, Origin, Plan
from policycompiler.plan.processes import fewest
from policycompiler.policies.watching.alerts.alert import (
    TICKET,
    About,
    Choice,
    Found,
    constant,
    decide,
    minutes,
    severity,
    span,
)
from policycompiler.policies.watching.alerts.first_steps import start
from policycompiler.policies.watching.alerts.queues import Queue, longest_run, own_longest_run
from policycompiler.policies.watching.alerts.tuned import Parameters
from policycompiler.quantities import duration

RESTART_SECONDS = 300
"""A starting worker imports the app, connects, and answers one or two scrapes."""
LONGEST_SILENCE_SECONDS = 900
"""For a worker that waits for its last runs: after this, its queue misses even the longest latency target."""
WORKERS_SEEN_WITHIN_SECONDS = 180
"""A worker that misses one query of celery-exporter is counted again within six scrapes."""


def no_consumer(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """No worker consumes the queue, although one should without load."""
    if not queue.replicas:
        return
    choices = {
        "severity": severity(plan, queue.scope, tuned),
        "for_seconds": _stop_and_restart(plan, queue),
    }
    description = (
        f"No worker has consumed queue {queue.scope.name} for {span(choices['for_seconds'])}. "
        f"Expected workers: {', '.join(worker.name for worker in queue.workers)}. "
        f"{start(plan, queue.workers)}"
    )
    summary = f"No worker consumes queue {queue.scope.name}"
    about, signals = About(queue.scope), (Signal.WORKERS,)
    yield from decide(plan, "CeleryQueueNoConsumer", about, signals, choices, (summary, description), tuned)


def below_minimum(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """Fewer worker processes consume the queue than its workers have replicas, at least."""
    if not queue.replicas:
        return
    origins = tuple(Derived(worker, fewest(plan, worker)[1]) for worker in queue.workers)
    choices = {
        "severity": constant("TICKET", TICKET, "the remaining worker processes still start runs"),
        "for_seconds": _stop_and_restart(plan, queue),
        "minimum": Choice(queue.replicas, "the queue's workers have this many replicas in total", origins),
        "window_seconds": constant(
            "WORKERS_SEEN_WITHIN_SECONDS",
            WORKERS_SEEN_WITHIN_SECONDS,
            "a worker may miss one query of celery-exporter",
        ),
    }
    description = (
        f"Queue {queue.scope.name} has had fewer worker processes than the expected {queue.replicas} for "
        f"{span(choices['for_seconds'])}. {start(plan, queue.workers)}"
    )
    summary = f"Queue {queue.scope.name} has too few worker processes"
    about, signals = About(queue.scope), (Signal.WORKERS,)
    yield from decide(
        plan, "CeleryWorkersBelowMinimum", about, signals, choices, (summary, description), tuned
    )


def _waits_for_runs(plan: Plan, stop: Derived) -> bool:
    """Whether a stop takes as long as the longest run, known or assumed."""
    origins = plan.setting(stop.scope, stop.key).origins
    return any(isinstance(origin, Derived) and origin.key == "longest_run_seconds" for origin in origins)


def _stop_and_restart(plan: Plan, queue: Queue) -> Choice:
    """How long a worker may be silent before it counts as lost."""
    stops = [Derived(worker, "stop_timeout_seconds") for worker in queue.workers]
    longest = max(plan.number(stop.scope, stop.key) for stop in stops)
    run, own = own_longest_run(plan, queue)
    if all(_waits_for_runs(plan, stop) for stop in stops):
        longest = min(longest, run)
    silence = min(longest, LONGEST_SILENCE_SECONDS)
    waited = f", the alert waits {duration(silence)} of that" if silence < longest else ""
    because = (
        f"a stopping worker may be silent for {duration(longest)}{waited}, "
        f"and a restart takes {duration(RESTART_SECONDS)}"
    )
    origins: tuple[Origin, ...] = (
        *stops,
        *own,
        Constant("LONGEST_SILENCE_SECONDS", LONGEST_SILENCE_SECONDS),
        Constant("RESTART_SECONDS", RESTART_SECONDS),
    )
    solo = [
        Derived(worker, "pool")
        for worker in queue.workers
        if not pools.pool(plan.text(worker, "pool")).answers
    ]
    if solo:
        run, origin = longest_run(plan, queue)
        silence = max(silence, run)
        because = f"a solo worker is silent while it runs a task, for up to {duration(run)}"
        origins += (*solo, origin)
    return Choice(minutes(silence + RESTART_SECONDS), because, origins)
