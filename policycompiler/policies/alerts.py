"""When somebody is told that tasks are late, failing, or not running at all.

Decides:
    The scopes `alert:CeleryExporterDown`, `alert:CeleryBrokerDown`, and for each queue that runs here
    `alert:NAME:QUEUE` of `CeleryQueueNoConsumer`, `CeleryQueueBacklog`, `CeleryQueueStalled`,
    `CeleryWorkersBelowMinimum` and `CeleryTaskFailureRate`. Keys: `alert`, `queue`, `team`, `severity`,
    `for_seconds`, `summary`, `description`, and where its expression has them `threshold`,
    `window_seconds`, `minimum`.

Because:
    A queue's promise says when waiting is trouble: more messages than its workers start within the promise
    will break it; a burst that a task declares is no trouble either. A worker that stops waits for its
    tasks and answers nobody meanwhile, so a restart is not mistaken for a loss; and a slot that the
    longest task holds is not stalled, so the window is longer than that task. A batch queue may thus stall
    for hours before it says so, but its backlog tells sooner. No alert exists where celery-exporter sees
    nothing: it measures queues on Redis and RabbitMQ only, a broadcast queue or another app's has no place
    in its figures, and without task events it knows of no start and no failure.

Example:
    tasks:
      shop.mail.send: {queue: mail, latency: interactive, owner: storefront, runtime: {p50: 300ms, p99: 3s}}
    workers:
      mail: {queues: [mail], concurrency: 18, replicas: 2, stop_timeout: 30s}

    alert:CeleryQueueBacklog:mail/threshold = 74
    alert:CeleryQueueBacklog:mail/team = "storefront"
    alert:CeleryQueueNoConsumer:mail/severity = "critical"
    alert:CeleryQueueNoConsumer:mail/for_seconds = 360
    alert:CeleryWorkersBelowMinimum:mail/minimum = 2

Refuses:
    PC530 alert-missing: watch the broker's own metrics; celery-exporter counts on Redis and RabbitMQ only.
        fires:
            broker: {transport: sqs, url: "${B}"}
            tasks: {shop.a: {}}
        silent: tasks: {shop.a: {}}
    PC532 events-off-monitored: remove the pin, so that workers and producers tell of their tasks.
        fires:
            celery: {settings: {worker_send_task_events: false}}
            tasks: {shop.a: {}}
        silent:
            celery: {settings: {worker_send_task_events: true}}
            tasks: {shop.a: {}}

Parameters:
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, info, warning
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value

NAME = "alerts"

ALERT_MISSING = info("PC530", "alert-missing")
EVENTS_OFF_MONITORED = warning("PC532", "events-off-monitored")

WATCHED_TRANSPORTS = ("redis", "rabbitmq")
"""celery-exporter measures queues and workers on these; elsewhere each alert is silent or false."""
SCRAPE_INTERVAL_SECONDS = 30
"""Each scrape of celery-exporter asks the workers for at least 2 s, so it is scraped no oftener."""
PAGE = "critical"
"""Somebody is called."""
TICKET = "warning"
"""Somebody looks at it in office hours."""
SHORTEST_PATIENCE_SECONDS = 300
"""Ten scrapes: a restart of the exporter, or a burst that the workers swallow, is over by then."""
BROKER_PATIENCE_SECONDS = 60
"""Two scrapes: without a broker nothing runs and nothing can be sent."""
RESTART_SECONDS = 300
"""A worker that starts imports the app, connects, and is seen by one scrape or two."""
LONGEST_SILENCE_SECONDS = 900
"""Of a worker that waits for its last tasks: after this long its queue breaks the most patient promise."""
WORKERS_SEEN_WITHIN_SECONDS = 180
"""A worker that misses the exporter's question is counted again within six scrapes."""
URGENT_WAIT_SECONDS = 60
"""Whoever is promised a start within a minute is waiting for it; other queues can wait for office hours."""
ASSUMED_RUN_SECONDS = 10
"""Of a task that declares no run time, for the backlog alone. Most are shorter: better too early a ticket."""
BACKLOG_FLOOR = 10
"""Fewer messages than this come and go between two scrapes in any queue that is used."""
ASSUMED_LONGEST_RUN_SECONDS = 3600
"""Where neither a task nor the app has a hard limit."""
SHORTEST_WINDOW_SECONDS = 600
"""Twenty scrapes, so that a rate is one even if some fail."""
LONGEST_WINDOW_SECONDS = 21600
"""What failed longer ago than this was another shift's trouble."""
UNKNOWN_RATE_WINDOW_SECONDS = 3600
"""Of a queue whose tasks declare no rate: long enough for a task a few times a minute."""
FAILED_SHARE = 0.05
"""One run in twenty: more than accidents, fewer than an outage."""
LEAST_RUNS = 20
"""One failure among fewer would be above the share by itself."""
NO_TEAM = None
"""Of an alert of a service that names no owner."""

_ASSUMED_RUN = Constant("ASSUMED_RUN_SECONDS", ASSUMED_RUN_SECONDS)


class _Queue(NamedTuple):
    """A queue with workers that run. `tasks` are its own, `neighbours` all that these workers run."""

    scope: Scope
    workers: list[Scope]
    tasks: list[Scope]
    neighbours: list[Scope]
    replicas: int


class _Choice(NamedTuple):
    """One decided value with its reason."""

    value: Value
    because: str
    origins: tuple[Origin, ...]


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Watch the exporter, the broker, and each queue that runs here."""
    del spec
    transport = plan.text(APP, "broker_transport")
    if transport not in WATCHED_TRANSPORTS:
        message = f"no queue has an alert: celery-exporter measures nothing on {transport}"
        help_text = "watch the broker's own metrics, such as the age of its oldest message"
        yield ALERT_MISSING.at(("broker", "transport"), message, help=help_text)
        return
    yield from _exporter_down(plan)
    yield from _broker_down(plan)
    queues = list(_queues(plan))
    if queues:
        yield from _events_off(plan)
    for queue in queues:
        yield from _no_consumer(plan, queue)
        yield from _backlog(plan, queue)
        yield from _below_minimum(plan, queue)
        if _tells_of_tasks(plan, queue):
            yield from _stalled(plan, queue)
            yield from _failure_rate(plan, queue)


def _events_off(plan: Plan) -> Iterator[Diagnostic]:
    for key, whose in (
        ("worker_send_task_events", "workers tell of no start and no failure"),
        ("task_send_sent_event", "nobody tells which queue a task was sent to"),
    ):
        pin = plan.find(APP, key)
        if pin is not None and pin.policy == "as-written" and not pin.value:
            message = f"{whose}: no alert says that tasks stand still or fail"
            path = ("celery", "settings", key)
            yield EVENTS_OFF_MONITORED.at(path, message, help="remove it", at_key=True)
    for task in plan.scopes("task"):
        if plan.get(task, "options.send_events") is False and plan.texts(task, "workers"):
            message = f"nothing is told of {task.name}: no alert counts its starts and failures"
            where = ("tasks", task.name, "options", "send_events")
            yield EVENTS_OFF_MONITORED.at(where, message, help="remove it", at_key=True)


def _queues(plan: Plan) -> Iterator[_Queue]:
    tasks_of: dict[str, list[Scope]] = {}
    for task in plan.scopes("task"):
        tasks_of.setdefault(plan.text(task, "queue"), []).append(task)
    for scope in plan.scopes("queue"):
        if plan.value(scope, "external") or plan.value(scope, "broadcast"):
            continue
        consumers = [Scope("worker", name) for name in plan.texts(scope, "workers")]
        workers = [worker for worker in consumers if plan.number(worker, "replicas") > 0]
        if workers:
            replicas = sum(int(plan.number(worker, "replicas")) for worker in workers)
            names = sorted({name for worker in workers for name in plan.texts(worker, "queues")})
            neighbours = [task for name in names for task in tasks_of.get(name, [])]
            yield _Queue(scope, workers, tasks_of.get(scope.name, []), neighbours, replicas)


def _tells_of_tasks(plan: Plan, queue: _Queue) -> bool:
    """Whether events tell of each start and end, and of the queue, which only the sender's event names."""
    heard = all(plan.value(worker, "task_events") for worker in queue.workers)
    return heard and plan.value(APP, "task_send_sent_event") is True


def _exporter_down(plan: Plan) -> Iterator[Decision]:
    choices = {
        "severity": _constant("PAGE", PAGE, "no other Celery alert can fire meanwhile"),
        "for_seconds": _constant(
            "SHORTEST_PATIENCE_SECONDS", SHORTEST_PATIENCE_SECONDS, "longer than a restart of the exporter"
        ),
    }
    description = (
        "celery-exporter cannot be scraped, or nobody scrapes it: no other Celery alert can fire. "
        "It also answers with an error while the broker is down."
    )
    summary = f"{plan.text(APP, 'service')}: nobody watches Celery"
    yield from _decide(plan, "CeleryExporterDown", None, choices, summary, description)


def _broker_down(plan: Plan) -> Iterator[Decision]:
    choices = {
        "severity": _constant("PAGE", PAGE, "without a broker nothing is sent and nothing runs"),
        "for_seconds": _constant(
            "BROKER_PATIENCE_SECONDS", BROKER_PATIENCE_SECONDS, "one failed scrape is no outage"
        ),
    }
    transport = plan.text(APP, "broker_transport")
    description = f"{transport} or its metrics cannot be reached. Tasks are neither sent nor run."
    summary = f"{plan.text(APP, 'service')}: the broker is down"
    yield from _decide(plan, "CeleryBrokerDown", None, choices, summary, description)


def _no_consumer(plan: Plan, queue: _Queue) -> Iterator[Decision]:
    choices = {
        "severity": _severity(plan, queue),
        "for_seconds": _stop_and_restart(plan, queue),
    }
    description = (
        f"No worker has consumed {queue.scope.name} for {_span(choices['for_seconds'])}. "
        f"Expected: {', '.join(worker.name for worker in queue.workers)}."
    )
    summary = f"Queue {queue.scope.name} has no worker"
    yield from _decide(plan, "CeleryQueueNoConsumer", queue.scope, choices, summary, description)


def _backlog(plan: Plan, queue: _Queue) -> Iterator[Decision]:
    promise = plan.number(queue.scope, "queue_wait_seconds")
    slots, slot_origins = _slots(plan, queue)
    run, run_origins = _mean_run(plan, queue)
    drained = _two_digits_up(slots / run * promise)
    bursts = [Derived(task, "burst") for task in queue.tasks if plan.find(task, "burst")]
    burst = max((int(plan.number(each.scope, each.key)) for each in bursts), default=0)
    threshold = max(BACKLOG_FLOOR, drained, burst)
    wait = Derived(queue.scope, "queue_wait_seconds")
    because = f"{slots:g} slots with runs of {run:g} s start about {drained} in the promised {promise:g} s"
    if drained < BACKLOG_FLOOR:
        because += f", and fewer than {BACKLOG_FLOOR} come and go anyway"
    if threshold == burst > drained:
        because += f", and {burst} may arrive at once"
    origins = (wait, *slot_origins, *run_origins, *bursts, Constant("BACKLOG_FLOOR", BACKLOG_FLOOR))
    patience = max(SHORTEST_PATIENCE_SECONDS, _minutes(promise))
    least = Constant("SHORTEST_PATIENCE_SECONDS", SHORTEST_PATIENCE_SECONDS)
    choices = {
        "severity": _constant("TICKET", TICKET, "late, and still moving"),
        "for_seconds": _Choice(patience, "a burst that is gone within the promise is none", (wait, least)),
        "threshold": _Choice(threshold, because, origins),
    }
    description = (
        f"More than {threshold} messages have waited for {_span(choices['for_seconds'])}. "
        f"{slots:g} slots cannot start them within the promised {promise:g} s."
    )
    summary = f"Queue {queue.scope.name} is behind its promise"
    yield from _decide(plan, "CeleryQueueBacklog", queue.scope, choices, summary, description)


def _below_minimum(plan: Plan, queue: _Queue) -> Iterator[Decision]:
    origins = tuple(Derived(worker, "replicas") for worker in queue.workers)
    choices = {
        "severity": _constant("TICKET", TICKET, "slower, and still running unless another alert says so"),
        "for_seconds": _stop_and_restart(plan, queue),
        "minimum": _Choice(queue.replicas, "as many processes as its workers have", origins),
        "window_seconds": _constant(
            "WORKERS_SEEN_WITHIN_SECONDS", WORKERS_SEEN_WITHIN_SECONDS, "a worker may miss a question"
        ),
    }
    description = (
        f"Fewer processes than the expected {queue.replicas} have consumed {queue.scope.name} for "
        f"{_span(choices['for_seconds'])}."
    )
    summary = f"Queue {queue.scope.name} lacks workers"
    yield from _decide(plan, "CeleryWorkersBelowMinimum", queue.scope, choices, summary, description)


def _stalled(plan: Plan, queue: _Queue) -> Iterator[Decision]:
    longest, origin = _longest_run(plan, queue)
    window = max(SHORTEST_WINDOW_SECONDS, _minutes(longest + 2 * SCRAPE_INTERVAL_SECONDS))
    origins = (
        origin,
        Constant("SCRAPE_INTERVAL_SECONDS", SCRAPE_INTERVAL_SECONDS),
        Constant("SHORTEST_WINDOW_SECONDS", SHORTEST_WINDOW_SECONDS),
    )
    choices = {
        "severity": _severity(plan, queue),
        "for_seconds": _constant(
            "SHORTEST_PATIENCE_SECONDS", SHORTEST_PATIENCE_SECONDS, "what has just arrived is not stalled"
        ),
        "window_seconds": _Choice(
            window, f"a slot may be busy for {longest:g} s, and is free again after that", origins
        ),
    }
    description = (
        f"Messages wait, but no task of {queue.scope.name} has started for "
        f"{_span(choices['window_seconds'])}, longer than any run may take. "
        "Its workers hang, or run without their events."
    )
    summary = f"Queue {queue.scope.name} stands still"
    yield from _decide(plan, "CeleryQueueStalled", queue.scope, choices, summary, description)


def _failure_rate(plan: Plan, queue: _Queue) -> Iterator[Decision]:
    choices = {
        "severity": _constant("TICKET", TICKET, "the rest still succeeds"),
        "for_seconds": _constant(
            "SHORTEST_PATIENCE_SECONDS", SHORTEST_PATIENCE_SECONDS, "a hiccup of a dependency is none"
        ),
        "threshold": _constant("FAILED_SHARE", FAILED_SHARE, "more than accidents"),
        "minimum": _constant("LEAST_RUNS", LEAST_RUNS, "a share of a few runs says nothing"),
        "window_seconds": _runs_window(plan, queue),
    }
    description = (
        f"More than {FAILED_SHARE:.0%} of the runs of {queue.scope.name} failed, "
        f"of at least {LEAST_RUNS} within {_span(choices['window_seconds'])}."
    )
    summary = f"Tasks of queue {queue.scope.name} fail"
    yield from _decide(plan, "CeleryTaskFailureRate", queue.scope, choices, summary, description)


def _severity(plan: Plan, queue: _Queue) -> _Choice:
    promise = plan.number(queue.scope, "queue_wait_seconds")
    origins = (
        Derived(queue.scope, "queue_wait_seconds"),
        Constant("URGENT_WAIT_SECONDS", URGENT_WAIT_SECONDS),
    )
    if promise <= URGENT_WAIT_SECONDS:
        return _Choice(PAGE, f"somebody waits who was promised a start within {promise:g} s", origins)
    return _Choice(TICKET, f"a start was promised within {promise:g} s only", origins)


def _stop_and_restart(plan: Plan, queue: _Queue) -> _Choice:
    stops = [Derived(worker, "stop_timeout_seconds") for worker in queue.workers]
    longest = max(plan.number(stop.scope, stop.key) for stop in stops)
    silence = min(longest, LONGEST_SILENCE_SECONDS)
    because = f"a worker that stops may be silent for {longest:g} s, of which {silence:g} s are borne"
    origins: tuple[Origin, ...] = (
        *stops,
        Constant("LONGEST_SILENCE_SECONDS", LONGEST_SILENCE_SECONDS),
        Constant("RESTART_SECONDS", RESTART_SECONDS),
    )
    solo = [Derived(worker, "pool") for worker in queue.workers if plan.value(worker, "pool") == "solo"]
    if solo:
        run, origin = _longest_run(plan, queue)
        silence = max(silence, run)
        because = f"a solo worker is silent while it runs a task, for up to {run:g} s"
        origins += (*solo, origin)
    return _Choice(_minutes(silence + RESTART_SECONDS), because, origins)


def _slots(plan: Plan, queue: _Queue) -> tuple[float, list[Origin]]:
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


def _mean_run(plan: Plan, queue: _Queue) -> tuple[float, list[Origin]]:
    """Seconds of a run: the tasks' means, each as often as it is sent if all of them say how often."""
    weighted = all(_positive(plan, task, "rate_mean_per_second") for task in queue.tasks)
    seconds, weights, origins = 0.0, 0.0, dict[Origin, None]()
    for task in queue.tasks:
        run, origin = _run(plan, task)
        weight = _positive(plan, task, "rate_mean_per_second") if weighted else 1
        seconds, weights = seconds + weight * run, weights + weight
        origins[origin] = None
        if weighted:
            origins[Derived(task, "rate_mean_per_second")] = None
    if not weights:
        return ASSUMED_RUN_SECONDS, [_ASSUMED_RUN]
    return seconds / weights, list(origins)


def _run(plan: Plan, task: Scope) -> tuple[float, Origin]:
    if seconds := _positive(plan, task, "runtime_mean_seconds"):
        return seconds, Derived(task, "runtime_mean_seconds")
    return ASSUMED_RUN_SECONDS, _ASSUMED_RUN


def _longest_run(plan: Plan, queue: _Queue) -> tuple[float, Origin]:
    """Seconds for which a slot of its workers may be busy, with whatever else they consume."""
    limits = [Derived(task, "options.time_limit") for task in queue.neighbours]
    # A task that nobody declared may come to any queue.
    limits.append(Derived(APP, "task_time_limit"))
    longest = max(limits, key=lambda limit: _positive(plan, limit.scope, limit.key))
    if seconds := _positive(plan, longest.scope, longest.key):
        return seconds, longest
    assumed = ASSUMED_LONGEST_RUN_SECONDS
    return assumed, Constant("ASSUMED_LONGEST_RUN_SECONDS", assumed)


def _runs_window(plan: Plan, queue: _Queue) -> _Choice:
    declared = [task for task in queue.tasks if _positive(plan, task, "rate_mean_per_second")]
    if not declared:
        return _constant("UNKNOWN_RATE_WINDOW_SECONDS", UNKNOWN_RATE_WINDOW_SECONDS, "no rate is declared")
    rate = sum(_positive(plan, task, "rate_mean_per_second") for task in declared)
    window = min(LONGEST_WINDOW_SECONDS, max(SHORTEST_WINDOW_SECONDS, _minutes(2 * LEAST_RUNS / rate)))
    origins: tuple[Origin, ...] = (
        *(Derived(task, "rate_mean_per_second") for task in declared),
        Constant("LEAST_RUNS", LEAST_RUNS),
        Constant("SHORTEST_WINDOW_SECONDS", SHORTEST_WINDOW_SECONDS),
        Constant("LONGEST_WINDOW_SECONDS", LONGEST_WINDOW_SECONDS),
    )
    return _Choice(window, f"twice as long as {LEAST_RUNS} runs take at {rate:g} a second", origins)


def _decide(
    plan: Plan,
    alert: str,
    queue: Scope | None,
    choices: Mapping[str, _Choice],
    summary: str,
    description: str,
) -> Iterator[Decision]:
    """One alert, whole."""
    if queue is None:
        scope, cause = Scope("alert", alert), Derived(APP, "broker_transport")
        because = "it can be watched on this transport"
    else:
        scope, cause = Scope("alert", f"{alert}:{queue.name}"), Derived(queue, "workers")
        because = "it runs here"
    team, whose, of_team = _team(plan, queue)
    numbers = tuple(Derived(scope, key) for key in choices)
    yield Decision(scope, "alert", alert, because, (cause,))
    yield Decision(scope, "queue", queue.name if queue else None, because, (cause,))
    yield Decision(scope, "team", team, whose, of_team)
    for key, (value, why, origins) in choices.items():
        yield Decision(scope, key, value, why, origins)
    yield Decision(scope, "summary", summary, "says what is wrong", (cause,))
    yield Decision(scope, "description", description, "says by how much, from the alert's numbers", numbers)


def _team(plan: Plan, queue: Scope | None) -> tuple[Value, str, tuple[Origin, ...]]:
    """Who is told: the queue's owner, else the service's."""
    if queue is not None and plan.find(queue, "owner"):
        return plan.value(queue, "owner"), "the queue's owner", (Derived(queue, "owner"),)
    if plan.find(APP, "owner"):
        return plan.value(APP, "owner"), "no single owner, so the service's", (Derived(APP, "owner"),)
    return NO_TEAM, "nobody is declared its owner", (Constant("NO_TEAM", NO_TEAM),)


def _constant(name: str, value: Value, because: str) -> _Choice:
    return _Choice(value, because, (Constant(name, value),))


def _positive(plan: Plan, scope: Scope, key: str) -> float:
    """A number, or 0 when it is null or undecided."""
    return plan.number_if_any(scope, key) or 0


def _minutes(seconds: float) -> int:
    """Whole minutes that hold these seconds, in seconds."""
    return math.ceil(seconds / 60) * 60


def _span(choice: _Choice) -> str:
    assert isinstance(choice.value, int)
    return f"{choice.value // 60} min"


def _two_digits_up(number: float) -> int:
    """1234.5 as 1300: a threshold that does not pretend to more than it knows."""
    whole = math.ceil(round(number, 6))
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return math.ceil(whole / step) * step
