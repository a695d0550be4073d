"""Alerts on workers that are gone: none is left of a queue, or fewer than there should be.

A worker that stops waits for its tasks and answers nobody meanwhile, so both wait for a restart.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge import pools
from policycompiler.plan import Constant, Decision, Derived, Origin, Plan
from policycompiler.policies.watching.alerts.alert import (
    TICKET,
    Choice,
    constant,
    decide,
    minutes,
    severity,
    span,
)
from policycompiler.policies.watching.alerts.first_steps import start
from policycompiler.policies.watching.alerts.queues import Queue, longest_run, own_longest_run
from policycompiler.policies.watching.alerts.tuned import Parameters

RESTART_SECONDS = 300
"""A worker that starts imports the app, connects, and is seen by one scrape or two."""
LONGEST_SILENCE_SECONDS = 900
"""Of a worker that waits for its last tasks: after this long its queue breaks the most patient promise."""
WORKERS_SEEN_WITHIN_SECONDS = 180
"""A worker that misses the exporter's question is counted again within six scrapes."""


def no_consumer(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Decision]:
    """Nobody consumes it."""
    choices = {
        "severity": severity(plan, queue.scope, tuned),
        "for_seconds": _stop_and_restart(plan, queue),
    }
    description = (
        f"No worker has consumed {queue.scope.name} for {span(choices['for_seconds'])}. "
        f"Expected: {', '.join(worker.name for worker in queue.workers)}. {start(plan, queue.workers)}"
    )
    summary = f"Queue {queue.scope.name} has no worker"
    yield from decide(plan, "CeleryQueueNoConsumer", queue.scope, choices, summary, description, tuned)


def below_minimum(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Decision]:
    """Fewer processes consume it than its workers have."""
    origins = tuple(Derived(worker, "replicas") for worker in queue.workers)
    choices = {
        "severity": constant("TICKET", TICKET, "slower, and still running unless another alert says so"),
        "for_seconds": _stop_and_restart(plan, queue),
        "minimum": Choice(queue.replicas, "as many processes as its workers have", origins),
        "window_seconds": constant(
            "WORKERS_SEEN_WITHIN_SECONDS", WORKERS_SEEN_WITHIN_SECONDS, "a worker may miss a question"
        ),
    }
    description = (
        f"Fewer processes than the expected {queue.replicas} have consumed {queue.scope.name} for "
        f"{span(choices['for_seconds'])}. {start(plan, queue.workers)}"
    )
    summary = f"Queue {queue.scope.name} lacks workers"
    yield from decide(plan, "CeleryWorkersBelowMinimum", queue.scope, choices, summary, description, tuned)


def _waits_for_runs(plan: Plan, stop: Derived) -> bool:
    """Whether a stop takes as long as the longest run, known or assumed."""
    origins = plan.setting(stop.scope, stop.key).origins
    return any(isinstance(origin, Derived) and origin.key == "longest_run_seconds" for origin in origins)


def _stop_and_restart(plan: Plan, queue: Queue) -> Choice:
    """For how long a worker may be silent without being lost."""
    stops = [Derived(worker, "stop_timeout_seconds") for worker in queue.workers]
    longest = max(plan.number(stop.scope, stop.key) for stop in stops)
    run, own = own_longest_run(plan, queue)
    if all(_waits_for_runs(plan, stop) for stop in stops):
        longest = min(longest, run)
    silence = min(longest, LONGEST_SILENCE_SECONDS)
    because = f"a worker that stops may be silent for {longest:g} s, of which {silence:g} s are borne"
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
        because = f"a solo worker is silent while it runs a task, for up to {run:g} s"
        origins += (*solo, origin)
    return Choice(minutes(silence + RESTART_SECONDS), because, origins)
