"""Messages that a worker holds longer than RabbitMQ allows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.countdowns import COUNTDOWN, countdown_of
from policycompiler.hazards.hazard import Hazard, Makers
from policycompiler.hazards.pace import HOLD_FEWER, hoarding, pace_of
from policycompiler.hazards.queues import type_of
from policycompiler.knowledge.backoff import longest_wait_seconds
from policycompiler.plan import Plan, Scope
from policycompiler.quantities import duration

ARGUMENT = "x-consumer-timeout"
"""An argument of a queue, in milliseconds."""


class _Hold(NamedTuple):
    """A cause that keeps a message unacknowledged, and what to do if it takes too long."""

    seconds: float
    key: str
    what: str
    path: SpecPath
    instead: str


def consumer_timeouts(plan: Plan) -> Iterator[Hazard]:
    """Each cause that holds a message until RabbitMQ closes the worker's channel."""
    if not plan.broker.consumer_timeout:
        return
    has_quorum = any(type_of(plan, queue) == "quorum" for queue in plan.scopes("queue"))
    told = set()
    for task in plan.scopes("task"):
        queue = Scope("queue", plan.text(task, "queue"))
        if plan.value(task, "external") or plan.value(queue, "external"):
            continue
        limit = plan.number(queue, "consumer_timeout_seconds")
        # Celery delays natively if any queue is a quorum queue, but never with a direct exchange.
        delays = has_quorum and plan.value(queue, "exchange_type") != "direct"
        for hold in _holds(plan, task, delays=delays):
            if hold.seconds >= limit:
                message = f"{hold.what} {duration(hold.seconds)}, {_closes(queue.name, limit)}"
                higher = _higher(queue.name, hold.seconds)
                help_text = f"{hold.instead}, or raise the limit of the queue: {higher}"
                settings: Makers = ((task, hold.key), (queue, "consumer_timeout_seconds"), (task, "queue"))
                yield Hazard(
                    "unacked-over-consumer-timeout", settings, message, help_text, hold.path, about=(task,)
                )
                told.add(task)
    for worker in plan.scopes("worker"):
        yield from _reserve(plan, worker, told, fixed=has_quorum)
    for name, limited, rate, path in hoarding(plan):
        message = (
            f"worker {name} prefetches every message, but starts {limited} at {rate.value}: RabbitMQ closes "
            "the channel of a worker that holds a message too long, and the worker exits"
        )
        related = (Related(rate.path, "the rate limit"),)
        help_text = "set a prefetch multiplier above 0, such as 1"
        worker = Scope("worker", name)
        settings = ((worker, "prefetch_multiplier"), (rate.origin.scope, rate.origin.key))
        yield Hazard(
            "unacked-over-consumer-timeout", settings, message, help_text, path, related, about=(worker,)
        )


def _reserve(plan: Plan, worker: Scope, told: set[Scope], *, fixed: bool) -> Iterator[Hazard]:
    """Prefetched messages that wait behind a run; with a `fixed` prefetch each queue has its own."""
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks") if _declared(plan, name)]
    consumed = [Scope("queue", name) for name in plan.texts(worker, "queues")]
    queues = [queue for queue in consumed if not plan.value(queue, "external")]
    if not tasks or not queues:
        return
    runs = {task: plan.number(task, "longest_run_seconds") for task in tasks}
    late = [runs[task] for task in tasks if plan.value(task, "options.acks_late")]
    all_late = all(
        plan.value(Scope("task", name), "options.acks_late") for name in plan.texts(worker, "tasks")
    )
    longest = max(tasks, key=lambda task: (runs[task], task))
    taken = plan.number(worker, "prefetch_multiplier") * (len(consumed) if fixed else 1)
    # A late-acknowledged run counts against the prefetch limit.
    behind = taken - (1 if all_late else 0)
    # One run may hang until its limit; that the runs before it hang too is no reason to refuse a queue.
    usual = max(plan.number_if_any(task, "runtime_p99_seconds") or runs[task] for task in tasks)
    held = (behind - 1) * usual + runs[longest] + max(late, default=0)
    limit, queue = min((plan.number(queue, "consumer_timeout_seconds"), queue) for queue in queues)
    if behind <= 0 or held <= limit or longest in told:
        return
    message = (
        f"a message that worker {worker.name} prefetches behind {longest.name} may wait {duration(held)}, "
        f"{_closes(queue.name, limit)}"
    )
    instead = "acknowledge the task late if it is safe to run twice"
    if plan.value(longest, "options.acks_late"):
        instead = "give the task its own queue and worker"
    help_text = f"{instead}, or raise the limit of the queue: {_higher(queue.name, held)}"
    path: SpecPath = ("tasks", longest.name, "runtime")
    settings = (
        (worker, "prefetch_multiplier"),
        (queue, "consumer_timeout_seconds"),
        (longest, "longest_run_seconds"),
        (longest, "options.acks_late"),
        (worker, "queues"),
    )
    yield Hazard("reserve-over-consumer-timeout", settings, message, help_text, path, about=(worker,))


def _declared(plan: Plan, name: str) -> bool:
    """Whether the workload declares how long the task runs; the default limit is no run time."""
    task = Scope("task", name)
    return (
        plan.find(task, "runtime_p99_seconds") is not None
        or (plan.written(task, "options.time_limit") and plan.get(task, "options.time_limit")) is not None
    )


def _holds(plan: Plan, task: Scope, *, delays: bool) -> Iterator[_Hold]:
    """Each time for which a worker may hold a message of this task; `delays` if delays are in the broker."""
    path: SpecPath = ("tasks", task.name)
    run = 0.0
    if plan.get(task, "options.acks_late"):
        run = plan.number(task, "longest_run_seconds")
        what, instead = (
            f"{task.name} is acknowledged late and may run",
            "split the task, or acknowledge it early",
        )
        if not _declared(plan, task.name):
            what = f"{task.name} is acknowledged late, and its latency class allows runs of"
            instead = "declare its `runtime`"
        yield _Hold(run, "longest_run_seconds", what, (*path, "runtime"), instead)
    if pace := pace_of(plan, task, plan.texts(task, "workers")):
        what = pace.waits(task.name)
        if run:
            what = f"{what} {duration(pace.seconds)} and then run {duration(run)}, in total"
        yield _Hold(pace.seconds + run, "options.rate_limit", what, pace.limit.path, HOLD_FEWER)
    if delays:
        return
    if (counted := countdown_of(plan, task)) is not None:
        instead = "use a quorum queue, whose messages wait in the broker"
        yield _Hold(counted.seconds, COUNTDOWN, counted.what, counted.path, instead)
    for key in ("options.retry_backoff_max", "options.default_retry_delay"):
        delay = plan.number_if_any(task, key)
        if delay is not None and key == "options.retry_backoff_max":
            first = plan.number_if_any(task, "options.retry_backoff")
            delay = longest_wait_seconds(delay, first, plan.number_if_any(task, "options.max_retries"))
        if delay is not None:
            instead = "lower the wait, or use a quorum queue, whose messages wait in the broker"
            yield _Hold(delay, key, f"a retry of {task.name} may wait", (*path, "retry"), instead)


def _closes(queue: str, limit: float) -> str:
    return (
        f"but RabbitMQ closes the worker's channel after {duration(limit)} (queue {queue}), and the worker "
        "exits"
    )


def _higher(queue: str, held: float) -> str:
    """The limit for messages that are held for so many seconds, with a minute to spare."""
    milliseconds = math.ceil(held / 60 + 1) * 60_000
    return f"`queues: {{{queue}: {{arguments: {{{ARGUMENT}: {milliseconds}}}}}}}` (RabbitMQ 3.12 and newer)"
