"""The backlog alert: a queue holds more messages than its workers start within its latency target."""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.plan import Constant, Decision, Derived, Origin, Plan, Scope
from policycompiler.policies.watching.alerts.alert import TICKET, Choice, constant, decide, minutes, span
from policycompiler.policies.watching.alerts.first_steps import look
from policycompiler.policies.watching.alerts.queues import Queue, positive
from policycompiler.policies.watching.alerts.tuned import Parameters, origin
from policycompiler.quantities import duration

ASSUMED_RUN_SECONDS = 10
"""For tasks without a declared run time, in this alert only. Most runs are shorter: tickets come early."""

_ASSUMED_RUN = Constant("ASSUMED_RUN_SECONDS", ASSUMED_RUN_SECONDS)


def backlog(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Decision]:
    """The workers cannot start the waiting messages within the latency target."""
    promise = plan.number(queue.scope, "queue_wait_seconds")
    slots, slot_origins = _slots(plan, queue)
    threshold = _threshold(plan, queue, slots, slot_origins, tuned)
    choices = {
        "severity": constant("TICKET", TICKET, "the queue is late, but its workers still start runs"),
        "for_seconds": _patience(plan, queue, tuned),
        "threshold": threshold,
    }
    description = (
        f"Queue {queue.scope.name} has held more than {threshold.value} messages for "
        f"{span(choices['for_seconds'])}. Its {slots:.3g} slots cannot start them within the latency target "
        f"of {duration(promise)}. {look(plan)}"
    )
    summary = f"Queue {queue.scope.name} misses its latency target"
    yield from decide(plan, "CeleryQueueBacklog", queue.scope, choices, summary, description, tuned)


def _patience(plan: Plan, queue: Queue, tuned: Parameters) -> Choice:
    wait = Derived(queue.scope, "queue_wait_seconds")
    patience = max(minutes(tuned.patience), minutes(plan.number(wait.scope, wait.key)))
    least = origin(tuned, "patience")
    return Choice(patience, "a burst that ends within the latency target is no backlog", (wait, least))


def _threshold(
    plan: Plan, queue: Queue, slots: float, slot_origins: list[Origin], tuned: Parameters
) -> Choice:
    """The number of messages that the slots start within the latency target, or a larger burst."""
    wait = Derived(queue.scope, "queue_wait_seconds")
    promise = plan.number(wait.scope, wait.key)
    run, run_origins = _mean_run(plan, queue)
    drained = _two_digits_up(slots / run * promise)
    bursts = [Derived(task, "burst") for task in queue.tasks if plan.find(task, "burst")]
    burst = max((int(plan.number(each.scope, each.key)) for each in bursts), default=0)
    floor = tuned.backlog_floor
    threshold = max(floor, drained, burst)
    because = (
        f"{slots:.3g} slots with runs of about {duration(float(f'{run:.2g}'))} start {drained} messages "
        f"within the latency target of {duration(promise)}"
    )
    if drained < floor:
        because += f"; fewer than {floor} messages are no backlog"
    if threshold == burst > drained:
        because += f"; a declared burst is {burst} messages"
    origins = (wait, *slot_origins, *run_origins, *bursts, origin(tuned, "backlog_floor"))
    return Choice(threshold, because, origins)


def _slots(plan: Plan, queue: Queue) -> tuple[float, list[Origin]]:
    """Slots of this queue: each worker divides its slots among its queues; `max` of an autoscale counts."""
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
    """Mean seconds of a run, weighted by rate if all tasks declare one."""
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
    """1234.5 as 1300: the threshold is an estimate, so two digits are enough."""
    whole = math.ceil(round(number, 6))
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return math.ceil(whole / step) * step
