"""The alert on a backlog: more messages wait than the workers start within the queue's promise."""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.plan import Constant, Decision, Derived, Origin, Plan, Scope
from policycompiler.policies.watching.alerts.alert import TICKET, Choice, constant, decide, minutes, span
from policycompiler.policies.watching.alerts.first_steps import look
from policycompiler.policies.watching.alerts.queues import Queue, positive
from policycompiler.policies.watching.alerts.tuned import Parameters, origin

ASSUMED_RUN_SECONDS = 10
"""Of a task that declares no run time, for the backlog alone. Most are shorter: better too early a ticket."""

_ASSUMED_RUN = Constant("ASSUMED_RUN_SECONDS", ASSUMED_RUN_SECONDS)


def backlog(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Decision]:
    """What waits cannot be started within the promise."""
    promise = plan.number(queue.scope, "queue_wait_seconds")
    slots, slot_origins = _slots(plan, queue)
    threshold = _threshold(plan, queue, slots, slot_origins, tuned)
    choices = {
        "severity": constant("TICKET", TICKET, "late, and still moving"),
        "for_seconds": _patience(plan, queue, tuned),
        "threshold": threshold,
    }
    description = (
        f"More than {threshold.value} messages have waited for {span(choices['for_seconds'])}. "
        f"{slots:g} slots cannot start them within the promised {promise:g} s. {look(plan)}"
    )
    summary = f"Queue {queue.scope.name} is behind its promise"
    yield from decide(plan, "CeleryQueueBacklog", queue.scope, choices, summary, description, tuned)


def _patience(plan: Plan, queue: Queue, tuned: Parameters) -> Choice:
    wait = Derived(queue.scope, "queue_wait_seconds")
    patience = max(minutes(tuned.patience), minutes(plan.number(wait.scope, wait.key)))
    least = origin(tuned, "patience")
    return Choice(patience, "a burst that is gone within the promise is none", (wait, least))


def _threshold(
    plan: Plan, queue: Queue, slots: float, slot_origins: list[Origin], tuned: Parameters
) -> Choice:
    """As many as these slots start within the promise, or as may arrive at once."""
    wait = Derived(queue.scope, "queue_wait_seconds")
    promise = plan.number(wait.scope, wait.key)
    run, run_origins = _mean_run(plan, queue)
    drained = _two_digits_up(slots / run * promise)
    bursts = [Derived(task, "burst") for task in queue.tasks if plan.find(task, "burst")]
    burst = max((int(plan.number(each.scope, each.key)) for each in bursts), default=0)
    floor = tuned.backlog_floor
    threshold = max(floor, drained, burst)
    because = f"{slots:g} slots with runs of {run:g} s start about {drained} in the promised {promise:g} s"
    if drained < floor:
        because += f", and fewer than {floor} come and go anyway"
    if threshold == burst > drained:
        because += f", and {burst} may arrive at once"
    origins = (wait, *slot_origins, *run_origins, *bursts, origin(tuned, "backlog_floor"))
    return Choice(threshold, because, origins)


def _slots(plan: Plan, queue: Queue) -> tuple[float, list[Origin]]:
    """Runs at a time that this queue gets: a worker serves its queues in turn, and scales up if it can."""
    slots, origins = 0.0, list[Origin]()
    for worker in queue.workers:
        key = "autoscale" if plan.find(worker, "autoscale") else "concurrency"
        width = plan.value(worker, key)
        most = width["max"] if isinstance(width, dict) else width
        assert isinstance(most, int), f"{worker}/{key} is {width!r}"
        share = most / len(plan.texts(worker, "queues"))
        slots += share * plan.number(worker, "replicas")
        origins += (Derived(worker, key), Derived(worker, "replicas"), Derived(worker, "queues"))
    return slots, origins


def _mean_run(plan: Plan, queue: Queue) -> tuple[float, list[Origin]]:
    """Seconds of a run: the tasks' means, each as often as it is sent if all of them say how often."""
    weighted = all(positive(plan, task, "rate_mean_per_second") for task in queue.tasks)
    seconds, weights, origins = 0.0, 0.0, dict[Origin, None]()
    for task in queue.tasks:
        run, said = _run(plan, task)
        weight = positive(plan, task, "rate_mean_per_second") if weighted else 1
        seconds, weights = seconds + weight * run, weights + weight
        origins[said] = None
        if weighted:
            origins[Derived(task, "rate_mean_per_second")] = None
    if not weights:
        return ASSUMED_RUN_SECONDS, [_ASSUMED_RUN]
    return seconds / weights, list(origins)


def _run(plan: Plan, task: Scope) -> tuple[float, Origin]:
    if seconds := positive(plan, task, "runtime_mean_seconds"):
        return seconds, Derived(task, "runtime_mean_seconds")
    return ASSUMED_RUN_SECONDS, _ASSUMED_RUN


def _two_digits_up(number: float) -> int:
    """1234.5 as 1300: a threshold that does not pretend to more than it knows."""
    whole = math.ceil(round(number, 6))
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return math.ceil(whole / step) * step
