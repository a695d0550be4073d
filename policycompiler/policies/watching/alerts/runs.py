"""Alerts that count runs: a queue has stalled, its runs fail, are killed, or are retried too often."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge.signals import Signal
from policycompiler.plan import APP, Constant, Derived, Origin, Plan, Scope
from policycompiler.policies.watching.alerts.alert import (
    PAGE,
    SCRAPE_INTERVAL_SECONDS,
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
from policycompiler.policies.watching.alerts.first_steps import read_log, restart
from policycompiler.policies.watching.alerts.queues import Queue, longest_run, positive
from policycompiler.policies.watching.alerts.tuned import Parameters, origin
from policycompiler.quantities import duration, share

SHORTEST_WINDOW_SECONDS = 600
"""Twenty scrapes, so that a rate exists even if some scrapes fail."""
LONGEST_WINDOW_SECONDS = 21600
"""Older failures belong to an earlier shift."""
SEEN_SECONDS = 900
"""How long an alert fires after an event: people see it, and it ends before the next shift."""
UNLIMITED = 1000
"""Retries of a task without a limit, in a share."""
UNKNOWN_RATE_WINDOW_SECONDS = 3600
"""For a queue whose tasks declare no rate: long enough if a task runs a few times a minute."""


def stalled(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """The queue holds messages, but no run starts."""
    choices = {
        "severity": severity(plan, queue.scope, tuned),
        "for_seconds": patience(tuned, "a message that has just arrived has not stalled"),
        "window_seconds": _starts_window(plan, queue),
    }
    description = (
        f"Queue {queue.scope.name} holds messages, but no task has started for "
        f"{span(choices['window_seconds'])}, longer than any run may take. "
        f"Its workers hang, or send no task events. {restart(plan, queue.workers)}"
    )
    summary = f"Queue {queue.scope.name} has stalled"
    about, signals = About(queue.scope), (Signal.LENGTH, Signal.STARTED)
    yield from decide(plan, "CeleryQueueStalled", about, signals, choices, (summary, description), tuned)


def failure_rate(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """More runs fail than a few accidents explain."""
    choices = {
        "severity": constant("TICKET", TICKET, "the other runs still succeed"),
        "for_seconds": patience(tuned, "a short outage of a dependency is over by then"),
        "threshold": Choice(
            tuned.failed_share, "a smaller share of runs fails by accident", (origin(tuned, "failed_share"),)
        ),
        "minimum": Choice(
            tuned.least_runs, "a failure rate of fewer runs is not meaningful", (origin(tuned, "least_runs"),)
        ),
        "window_seconds": failures_window(plan, queue, tuned),
    }
    description = (
        f"More than {share(tuned.failed_share)} of the runs of queue {queue.scope.name} failed within "
        f"{span(choices['window_seconds'])} (at least {tuned.least_runs} runs). "
        f"{read_log(plan, queue.workers)}"
    )
    summary = f"Runs of queue {queue.scope.name} fail"
    about, signals = About(queue.scope), (Signal.FAILED, Signal.SUCCEEDED)
    yield from decide(plan, "CeleryTaskFailureRate", about, signals, choices, (summary, description), tuned)


def killed(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """A run was killed at its hard limit, or its process was lost."""
    choices = {
        "severity": constant("TICKET", TICKET, "the other runs go on"),
        "for_seconds": at_once("a killed run does not come back by waiting"),
        "window_seconds": constant("SEEN_SECONDS", SEEN_SECONDS, "people have 15 min to see the alert"),
    }
    name = queue.scope.name
    description = (
        f"A run of queue {name} was killed within the last {span(choices['window_seconds'])}: it reached its "
        f"hard time limit, or its process was lost. {read_log(plan, queue.workers)}"
    )
    summary = f"A run of queue {name} was killed"
    about, signals = About(queue.scope), (Signal.KILLED,)
    yield from decide(plan, "CeleryTaskKilled", about, signals, choices, (summary, description), tuned)


def retry_storm(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """Most runs of the queue are retries: something that its tasks call is down."""
    retrying = [task for task in queue.tasks if _retries(plan, task)]
    if not retrying:
        return
    most = max(_retries(plan, task) for task in retrying)
    # With all runs failing, the share of retries tends to this.
    highest = most / (most + 1)
    threshold = min(tuned.retried_share, round(0.8 * highest, 3))
    because = f"tasks with up to {most:g} retries that always fail show a share of {highest:.2g}"
    origins = (*(Derived(task, "options.max_retries") for task in retrying), origin(tuned, "retried_share"))
    choices = {
        "severity": constant("TICKET", TICKET, "the tasks still wait for their next run"),
        "for_seconds": patience(tuned, "a short outage of a dependency is over by then"),
        "threshold": Choice(threshold, because, origins),
        "minimum": tuned_choice(tuned, "least_runs", "a share of fewer runs is not meaningful"),
        "window_seconds": failures_window(plan, queue, tuned),
    }
    signals: tuple[Signal, ...] = (Signal.RETRIED, Signal.STARTED)
    if parking := [task for task in queue.tasks if may_park(plan, task)]:
        keys = [
            Derived(task, key)
            for task in parking
            for key in ("calls", "idempotency_key")
            if plan.find(task, key)
        ]
        because = "a run that is parked has not failed, and will not use a retry"
        choices["parks"] = Choice(value=True, because=because, origins=tuple(keys))
        signals = (*signals, Signal.PARKED)
    name = queue.scope.name
    description = (
        f"More than {share(threshold)} of the runs of queue {name} are retries. "
        f"Something that its tasks call is down or slow. {read_log(plan, queue.workers)}"
    )
    summary = f"Most runs of queue {name} are retries"
    texts = (summary, description)
    yield from decide(plan, "CeleryTaskRetryStorm", About(queue.scope), signals, choices, texts, tuned)


def may_park(plan: Plan, task: Scope) -> bool:
    """Whether guards may send a message of the task again for later."""
    return bool(plan.get(task, "calls") or plan.get(task, "idempotency_key"))


def _retries(plan: Plan, task: Scope) -> float:
    """The retries of a task that retries by itself; null, without a limit, counts as many."""
    if not plan.find(task, "options.autoretry_for") or not plan.find(task, "options.max_retries"):
        return 0
    most = plan.value(task, "options.max_retries")
    return UNLIMITED if most is None else plan.number(task, "options.max_retries")


def payload_too_large(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """A message was larger than its task declares."""
    declared = [task for task in queue.tasks if plan.find(task, "payload_bytes")]
    if not declared:
        return
    choices = {
        "severity": constant("TICKET", TICKET, "the message was delivered"),
        "for_seconds": at_once("the message is already there"),
        "window_seconds": constant("SEEN_SECONDS", SEEN_SECONDS, "people have 15 min to see the alert"),
    }
    name = queue.scope.name
    description = (
        f"A message of queue {name} was larger than its task declares. The memory of the broker is sized for "
        "the declared size. First: find the task in the metric policycompiler_payload_over_bound_total, "
        "then send a reference instead of the data, or correct `payload` in the workload."
    )
    summary = f"A message of queue {name} is too large"
    about, signals = About(queue.scope), (Signal.PAYLOAD,)
    yield from decide(plan, "CeleryPayloadTooLarge", about, signals, choices, (summary, description), tuned)


def unregistered(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    """A worker received a task that it does not know, and discarded it."""
    if not plan.scopes("worker"):
        return
    choices = {
        "severity": constant("PAGE", PAGE, "the worker discards each such message"),
        "for_seconds": at_once("each such message is lost"),
        "window_seconds": constant("SEEN_SECONDS", SEEN_SECONDS, "people have 15 min to see the alert"),
    }
    service = plan.text(APP, "service")
    description = (
        "A worker received a task that its code does not register, and discarded the message. "
        "A publisher is newer than the workers, or a module is not imported. "
        "First: policycompiler verify --live, then deploy the workers before the publishers."
    )
    summary = f"{service}: a worker received an unknown task"
    signals = (Signal.UNREGISTERED,)
    yield from decide(
        plan, "CeleryTaskUnregistered", About(), signals, choices, (summary, description), tuned
    )


def _starts_window(plan: Plan, queue: Queue) -> Choice:
    """Longer than any run, because the next run starts after it."""
    longest, limit = longest_run(plan, queue)
    window = max(SHORTEST_WINDOW_SECONDS, minutes(longest + 2 * SCRAPE_INTERVAL_SECONDS))
    origins = (
        limit,
        Constant("SCRAPE_INTERVAL_SECONDS", SCRAPE_INTERVAL_SECONDS),
        Constant("SHORTEST_WINDOW_SECONDS", SHORTEST_WINDOW_SECONDS),
    )
    because = f"a run may hold a slot for {duration(longest)}, and the next run starts after that"
    return Choice(window, because, origins)


def failures_window(plan: Plan, queue: Queue, tuned: Parameters) -> Choice:
    """Long enough for so many runs that a failure rate is meaningful."""
    declared = [task for task in queue.tasks if positive(plan, task, "rate_mean_per_second")]
    if not declared:
        because = "the tasks of this queue declare no rate"
        return constant("UNKNOWN_RATE_WINDOW_SECONDS", UNKNOWN_RATE_WINDOW_SECONDS, because)
    rate = sum(positive(plan, task, "rate_mean_per_second") for task in declared)
    window = min(LONGEST_WINDOW_SECONDS, max(SHORTEST_WINDOW_SECONDS, minutes(2 * tuned.least_runs / rate)))
    origins: tuple[Origin, ...] = (
        *(Derived(task, "rate_mean_per_second") for task in declared),
        origin(tuned, "least_runs"),
        Constant("SHORTEST_WINDOW_SECONDS", SHORTEST_WINDOW_SECONDS),
        Constant("LONGEST_WINDOW_SECONDS", LONGEST_WINDOW_SECONDS),
    )
    because = (
        f"{tuned.least_runs} runs arrive in about {duration(float(f'{tuned.least_runs / rate:.2g}'))}, and "
        f"the window is twice that, but at least {duration(SHORTEST_WINDOW_SECONDS)} and at most "
        f"{duration(LONGEST_WINDOW_SECONDS)}"
    )
    return Choice(window, because, origins)
