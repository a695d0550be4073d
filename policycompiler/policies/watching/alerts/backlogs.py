"""The backlog alert: a queue holds more messages than its workers start within its latency target."""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.knowledge.signals import Signal
from policycompiler.plan import Constant, Derived, Origin, Plan, Scope
from policycompiler.policies.watching.alerts.alert import (
    TICKET,
    About,
    Choice,
    Found,
    at_once,
    constant,
    decide,
    minutes,
    patience,
    severity,
    span,
    tuned_choice,
)
from policycompiler.policies.watching.alerts.first_steps import look
from policycompiler.policies.watching.alerts.queues import Queue, positive
from policycompiler.policies.watching.alerts.tuned import Parameters, origin
from policycompiler.quantities import counted, duration

ASSUMED_RUN_SECONDS = 10
"""For tasks without a declared run time, in this alert only. Most runs are shorter: tickets come early."""

GROWTH_WINDOW_SECONDS = 900
"""Thirty scrapes: a slope over fewer is noise."""
RATE_WINDOW_SECONDS = 300
"""Ten scrapes."""
DRAIN_FACTOR = 2
"""Twice the latency target: the next message is late, too."""
DRAIN_FACTOR_CRITICAL = 8
"""Four times as late as the ticket."""
LEAST_DRAIN_SECONDS = 60
"""Two scrapes: a shorter time cannot be measured."""
UNACKED_FACTOR = 1.5
"""Messages that have just been acknowledged are still counted."""
SEEN_SECONDS = 900
"""How long an alert fires after an event: people see it, and it ends before the next shift."""

_ASSUMED_RUN = Constant("ASSUMED_RUN_SECONDS", ASSUMED_RUN_SECONDS)


def backlog(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
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
        f"{span(choices['for_seconds'])}. Its {counted(round(slots, 2), 'slot')} cannot start "
        f"them within the latency target of {duration(promise)}. {look(plan)}"
    )
    summary = f"Queue {queue.scope.name} misses its latency target"
    signals = (Signal.LENGTH,)
    about = About(queue.scope)
    yield from decide(plan, "CeleryQueueBacklog", about, signals, choices, (summary, description), tuned)
    yield from _growing(plan, queue, threshold, tuned)


def _growing(plan: Plan, queue: Queue, backlog: Choice, tuned: Parameters) -> Iterator[Found]:
    """The queue grows towards its backlog."""
    assert isinstance(backlog.value, int)
    half = max(1, backlog.value // 2)
    because = f"half of its backlog of {backlog.value} messages is early enough"
    choices = {
        "severity": constant("TICKET", TICKET, "the queue is not late yet"),
        "for_seconds": _patience(plan, queue, tuned),
        "window_seconds": constant(
            "GROWTH_WINDOW_SECONDS", GROWTH_WINDOW_SECONDS, "a burst of a few minutes is no trend"
        ),
        "threshold": Choice(half, because, backlog.origins),
    }
    name = queue.scope.name
    description = (
        f"Queue {name} holds more than {half} messages and has grown for {span(choices['for_seconds'])}. "
        f"At {backlog.value} it misses its latency target. {look(plan)}"
    )
    summary = f"Queue {name} grows"
    about = About(queue.scope)
    yield from decide(
        plan, "CeleryQueueGrowing", about, (Signal.LENGTH,), choices, (summary, description), tuned
    )


def drain_time(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """At the present rate of starts, the last message starts much later than promised."""
    for alert, factor, urgent in (
        ("CeleryQueueDrainTime", DRAIN_FACTOR, False),
        ("CeleryQueueDrainTimeCritical", DRAIN_FACTOR_CRITICAL, True),
    ):
        wait = Derived(queue.scope, "queue_wait_seconds")
        promise = plan.number(wait.scope, wait.key)
        factors = Constant("DRAIN_FACTOR_CRITICAL" if urgent else "DRAIN_FACTOR", factor)
        because = (
            f"{factor} times the latency target of {duration(promise)}, "
            f"at least {duration(LEAST_DRAIN_SECONDS)}"
        )
        limit = max(LEAST_DRAIN_SECONDS, factor * promise)
        least = Constant("LEAST_DRAIN_SECONDS", LEAST_DRAIN_SECONDS)
        choices = {
            "severity": severity(plan, queue.scope, tuned)
            if urgent
            else constant("TICKET", TICKET, "the workers still start runs"),
            "for_seconds": patience(tuned, "a burst that ends by then needs no help"),
            "threshold": Choice(limit, because, (wait, factors, least)),
            "minimum": tuned_choice(tuned, "backlog_floor", "fewer messages are no backlog"),
            "window_seconds": constant(
                "RATE_WINDOW_SECONDS", RATE_WINDOW_SECONDS, "a window of ten scrapes shows the present rate"
            ),
        }
        name = queue.scope.name
        description = (
            f"At the present rate, the workers of queue {name} need more than {duration(limit)} to start the "
            f"messages that it holds. Its latency target is {duration(promise)}. {look(plan)}"
        )
        summary = f"Queue {name} drains too slowly"
        signals = (Signal.LENGTH, Signal.STARTED)
        yield from decide(plan, alert, About(queue.scope), signals, choices, (summary, description), tuned)


def metric_missing(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """No source knows the queue, so its other alerts cannot fire."""
    choices = {
        "severity": constant("TICKET", TICKET, "the queue itself may be well"),
        "for_seconds": patience(tuned, "a source that has just started knows no queue yet"),
    }
    name = queue.scope.name
    description = (
        f"No metric shows the length of queue {name}, so its backlog alert cannot fire. "
        f"First: compare the queues that the exporter names with routing.json (celery-exporter: `-Q`)."
    )
    summary = f"Queue {name} is not measured"
    signals = (Signal.LENGTH,)
    about = About(queue.scope)
    yield from decide(
        plan, "CeleryQueueMetricMissing", about, signals, choices, (summary, description), tuned
    )


def unacked(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """Workers hold more messages than they can have prefetched; with a countdown they may hold any number."""
    waits = any(positive(plan, task, "max_countdown_seconds") for task in queue.tasks)
    held, origins = 0.0, list[Origin]()
    for worker in queue.workers:
        slots, multiplier = Derived(worker, "concurrency"), plan.get(worker, "prefetch_multiplier")
        width = plan.get(worker, "concurrency")
        if not isinstance(width, int) or not isinstance(multiplier, int) or multiplier < 1:
            return
        held += width * multiplier * plan.number(worker, "replicas")
        origins += (slots, Derived(worker, "prefetch_multiplier"), Derived(worker, "replicas"))
    if waits or not held:
        return
    threshold = math.ceil(UNACKED_FACTOR * held)
    because = f"the workers reserve {counted(round(held), 'message')} at most"
    choices = {
        "severity": constant("TICKET", TICKET, "the workers still start runs"),
        "for_seconds": Choice(
            minutes(3 * tuned.patience), "three times as long as other problems", (origin(tuned, "patience"),)
        ),
        "threshold": Choice(threshold, because, (*origins, Constant("UNACKED_FACTOR", UNACKED_FACTOR))),
    }
    name = queue.scope.name
    description = (
        f"Workers hold more than {threshold} messages of queue {name}, but reserve {held:.0f} at most. "
        f"Tasks with a countdown, or processes that hang, hold the others. {look(plan)}"
    )
    summary = f"Workers hold too many messages of queue {name}"
    about = About(queue.scope)
    yield from decide(
        plan, "CeleryUnackedHigh", about, (Signal.UNACKED,), choices, (summary, description), tuned
    )


def dead_letters(plan: Plan, queue: Scope, tuned: Parameters) -> Iterator[Found]:
    """The dead-letter queue of a queue has got more messages."""
    dead = plan.text(queue, "dead_letter_queue")
    choices = {
        "severity": constant("TICKET", TICKET, "a dead letter is kept until somebody looks at it"),
        "for_seconds": at_once("a dead letter does not go away by waiting"),
        "window_seconds": constant("SEEN_SECONDS", SEEN_SECONDS, "people have 15 min to see the alert"),
    }
    description = (
        f"Dead-letter queue {dead} has more messages than {span(choices['window_seconds'])} ago. "
        "Their tasks failed for good, and nothing runs them again. "
        "First: policycompiler dead-letters list. Then: replay or drop."
    )
    summary = f"Queue {queue.name} has new dead letters"
    about = About(queue, suffix=dead, shown=dead)
    yield from decide(
        plan, "CeleryDeadLetterGrowth", about, (Signal.LENGTH,), choices, (summary, description), tuned
    )


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
        f"{counted(round(slots, 2), 'slot')} with runs of about {duration(float(f'{run:.2g}'))} start "
        f"{counted(drained, 'message')} within the latency target of {duration(promise)}"
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
