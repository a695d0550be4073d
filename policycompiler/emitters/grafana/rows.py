"""The rows of a dashboard. A panel is there if the plan has the alert that reads the same series.

So no panel stays empty because no source measures it, and its lines are the thresholds of the alerts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policycompiler.emitters.grafana import queries
from policycompiler.emitters.grafana.panel import WIDTH, Panel, Query, Row
from policycompiler.emitters.grafana.queries import alerts, expression, legend, named, of_each
from policycompiler.emitters.prometheus.alert import Alert
from policycompiler.emitters.prometheus.kinds.guards import breaker
from policycompiler.emitters.prometheus.series import Series, length, promql_string, series
from policycompiler.knowledge.signals import Signal, source_of
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration

MOST_SERIES = 12
"""In one panel; more queues have another panel."""
_SEVERITIES = ("critical", "warning", "info")
_STAT_WIDTH = 8


def rows(plan: Plan) -> list[Row]:
    """All rows that have a panel."""
    found = (
        Row("Alerts that fire now", _firing(plan)),
        Row("Promises", [*_waits(plan), *_backlogs(plan)]),
        Row("Backlog", [*_lengths(plan), *_drains(plan)]),
        Row("Throughput", [*_throughput(plan)]),
        Row("Failures by task", [*_failures(plan)]),
        Row("Worker processes", [*_workers(plan)]),
        Row("Schedules", [*_beat(plan), *_sent(plan), *_succeeded(plan)]),
        Row("Guards", [*_breakers(plan), *_parks(plan), *_store(plan)]),
        Row("Broker", [*_memory(plan), *_evicted(plan), *_alarms(plan)]),
    )
    return [row for row in found if row.panels]


def _panels(
    title: str,
    says: str,
    unit: str,
    given: Sequence[Query],
    lines: Sequence[float] = (),
    kind: str = "timeseries",
) -> Iterator[Panel]:
    """Panels with a few series each."""
    for start in range(0, len(given), MOST_SERIES):
        part = f" ({start // MOST_SERIES + 1})" if len(given) > MOST_SERIES else ""
        yield Panel(kind, f"{title}{part}", says, unit, given[start : start + MOST_SERIES], lines)


def _measured_by(found: Sequence[tuple[Scope, Alert]]) -> str:
    sources = sorted({source for _, alert in found for source in alert.sources})
    return f"Measured by {', '.join(sources)}."


def _firing(plan: Plan) -> list[Panel]:
    own = f'app={promql_string(plan.text(APP, "service"))}, alertstate="firing"'
    counts = [
        Query(f'count(ALERTS{{{own}, severity="{severity}"}}) or vector(0)', severity)
        for severity in _SEVERITIES
    ]
    says = "Alerts of this service in Prometheus. Alertmanager may inhibit or silence some of them."
    labels = "alertname, severity, team, queue, task, schedule"
    every = [Query(f"count by ({labels}) (ALERTS{{{own}}})", "{{alertname}}")]
    return [
        Panel("stat", "Alerts by severity", says, "none", counts, (1,), width=_STAT_WIDTH),
        Panel("table", "Each alert", says, "none", every, width=WIDTH - _STAT_WIDTH),
    ]


def _waits(plan: Plan) -> Iterator[Panel]:
    """For each latency class the measured wait of its queues, with the promise as a line."""
    classes: dict[tuple[str, float], list[tuple[Scope, Alert]]] = {}
    for scope, alert in alerts(plan, "CeleryQueueWaitHigh"):
        queue = Scope("queue", alert.queue)
        promise = plan.number(queue, "queue_wait_seconds")
        classes.setdefault((plan.text(queue, "latency"), promise), []).append((scope, alert))
    for (name, promise), found in sorted(classes.items()):
        says = (
            f"99% of the runs of class {name} must start within {duration(promise)}. "
            f"The line is this promise. {_measured_by(found)}"
        )
        title = f"Wait in the queue, class {name}: 99th percentile"
        yield from _panels(title, says, "s", [*of_each(found, queries.wait)], (promise,))


def _backlogs(plan: Plan) -> Iterator[Panel]:
    found = alerts(plan, "CeleryQueueBacklog")
    shares = [
        Query(expression(f"{length(alert)} / {plan.number(scope, 'threshold')!r}"), legend(alert.queue))
        for scope, alert in found
    ]
    says = f"Messages as a share of the threshold of each queue's backlog alert. {_measured_by(found)}"
    yield from _panels("Backlog against its threshold", says, "percentunit", shares, (1,))


def _lengths(plan: Plan) -> Iterator[Panel]:
    found = alerts(plan, "CeleryQueueBacklog")
    says = f"Messages that wait in each queue, without those that workers hold. {_measured_by(found)}"
    yield from _panels("Messages in the queue", says, "short", [*of_each(found, length)])


def _drains(plan: Plan) -> Iterator[Panel]:
    found = alerts(plan, "CeleryQueueDrainTime")
    says = (
        f"Time until the last waiting message starts, at the present rate of starts. {_measured_by(found)} "
        "The alerts fire above: "
    )
    limits = (f"{alert.queue} {duration(plan.number(scope, 'threshold'))}" for scope, alert in found)
    yield from _panels(
        "Time to drain", f"{says}{legend(', '.join(limits))}.", "s", [*of_each(found, queries.drain)]
    )


_RATES = (
    ("Started runs", "CeleryQueueStalled", Signal.STARTED),
    ("Runs that succeeded", "CeleryTaskFailureRate", Signal.SUCCEEDED),
    ("Runs that failed", "CeleryTaskFailureRate", Signal.FAILED),
    ("Runs that are retried", "CeleryTaskRetryStorm", Signal.RETRIED),
)


def _throughput(plan: Plan) -> Iterator[Panel]:
    for title, name, signal in _RATES:
        found = alerts(plan, name)
        says = f"Events per second. {_measured_by(found)}"
        yield from _panels(title, says, "ops", [*of_each(found, queries.rate(signal))])


def _failures(plan: Plan) -> Iterator[Panel]:
    found = alerts(plan, "CeleryTaskFailureRate")
    says = f"Failed runs per second of each task that fails. {_measured_by(found)}"
    every = [queries.by_task(alert, Signal.FAILED) for _, alert in found]
    yield from _panels("Failed runs", says, "ops", every)


def _workers(plan: Plan) -> Iterator[Panel]:
    found = alerts(plan, "CeleryWorkersBelowMinimum")
    counts, shares = [], []
    for scope, alert in found:
        least = plan.number(scope, "minimum")
        counts.append(Query(expression(queries.workers(alert)), legend(alert.queue)))
        of = expression(f"({queries.workers(alert)}) / {least!r}")
        shares.append(Query(of, legend(f"{alert.queue} (of {least:g})")))
    says = f"Worker processes as a share of the expected number. {_measured_by(found)}"
    title = "Worker processes of each queue, of those expected"
    for panel in _panels(title, says, "percentunit", shares, (1,), "stat"):
        yield panel._replace(rising=True)
    says = f"Worker processes that consume each queue. {_measured_by(found)}"
    yield from _panels("Worker processes of each queue", says, "short", counts)


def _beat(plan: Plan) -> Iterator[Panel]:
    """How long beat has been silent, or the tasks that it sends if no source measures beat itself."""
    for scope, alert in alerts(plan, "CeleryBeatDown", ("tasks",)):
        by = _measured_by([(scope, alert)])
        if source_of(Signal.TICK, alert.sources) is None:
            sent = queries.by_task(alert, Signal.SENT, alert.tasks)
            says = f"Sent tasks per second of the tasks that have schedules. {by}"
            yield Panel("timeseries", "Sent tasks with schedules", says, "ops", [sent])
        else:
            ticks = expression(queries.age(series(alert, Signal.TICK)))
            limit = plan.number(scope, "window_seconds")
            says = f"Time since beat last looked at its schedules. {by}"
            yield Panel("stat", "Last tick of beat", says, "s", [Query(ticks, "beat")], (limit,))


def _sent(plan: Plan) -> Iterator[Panel]:
    found = alerts(plan, "CeleryScheduleNotSent", ("schedule",))
    selectors = []
    for _, alert in found:
        sent = series(alert, Signal.DISPATCH)
        selectors.append(sent._replace(equal={**sent.equal, "schedule": alert.schedule}))
    limits = [plan.number(scope, "window_seconds") for scope, _ in found]
    yield from _ages("Last send of each schedule", found, selectors, limits)


def _succeeded(plan: Plan) -> Iterator[Panel]:
    every = alerts(plan, "CeleryScheduleUnsuccessful", ("schedule", "task"))
    found = [each for each in every if source_of(Signal.LAST_SUCCESS, each[1].sources) is not None]
    selectors = [series(alert, Signal.LAST_SUCCESS) for _, alert in found]
    limits = [plan.number(scope, "for_seconds") for scope, _ in found]
    yield from _ages("Last success of each schedule", found, selectors, limits)
    others = [alert for _, alert in every if source_of(Signal.LAST_SUCCESS, alert.sources) is None]
    counts = [
        Query(
            expression(f"sum(increase({series(alert, Signal.SUCCEEDED)}[1d])) or vector(0)"),
            legend(alert.schedule),
        )
        for alert in others
    ]
    says = f"Runs of the task of each schedule that succeeded within a day. {_measured_by(every)}"
    yield from _panels("Successes of each schedule in a day", says, "short", counts, kind="stat")


def _ages(
    title: str, found: Sequence[tuple[Scope, Alert]], selectors: Sequence[Series], limits: Sequence[float]
) -> Iterator[Panel]:
    """How long ago something happened, and the same as a share of what the alert allows."""
    ages, shares = [], []
    for (_, alert), selector, limit in zip(found, selectors, limits, strict=True):
        ages.append(Query(expression(queries.age(selector)), legend(alert.schedule)))
        text = legend(f"{alert.schedule} (of {duration(limit)})")
        shares.append(Query(expression(f"({queries.age(selector)}) / {limit!r}"), text))
    says = f"Time since then as a share of what the alert allows. {_measured_by(found)}"
    yield from _panels(f"{title}, of the time allowed", says, "percentunit", shares, (1,), "stat")
    yield from _panels(title, f"Time since then. {_measured_by(found)}", "s", ages)


def _breakers(plan: Plan) -> Iterator[Panel]:
    found = alerts(plan, "CeleryBreakerOpen", ("dependency",))
    states = [Query(expression(f"max({breaker(alert)})"), legend(alert.dependency)) for _, alert in found]
    says = f"1 while nobody calls the dependency. {_measured_by(found)}"
    yield from _panels("Open breakers", says, "none", states, (1,))


def _parks(plan: Plan) -> Iterator[Panel]:
    found = alerts(plan, "CeleryGuardParkRateHigh")
    says = f"Parks per second, for a rate or for a key that another run has. {_measured_by(found)}"
    yield from _panels("Parked tasks", says, "ops", [*of_each(found, queries.rate(Signal.HELD))])


def _store(plan: Plan) -> Iterator[Panel]:
    for _, alert in (found := alerts(plan, "CeleryGuardStoreDown", ())):
        missing = expression(f"count({series(alert, Signal.STORE_UP)} == 0) or vector(0)")
        says = f"Worker processes that do not reach the store of guards. {_measured_by(found)}"
        query = Query(missing, "without the store")
        yield Panel("timeseries", "Store of guards", says, "short", [query], (1,))


def _memory(plan: Plan) -> Iterator[Panel]:
    for name, worse in (("RedisBrokerMemoryHigh", "RedisBrokerMemoryCritical"), ("RabbitMQMemoryHigh", "")):
        for scope, alert in alerts(plan, name, ()):
            used, most = (series(alert, each) for each in (Signal.MEMORY, Signal.MEMORY_LIMIT))
            share = expression(f"max({used} / ({most} > 0))")
            lines = [plan.number(scope, "threshold")]
            lines += [plan.number(each, "threshold") for each in named(plan, worse)]
            says = (
                f"Share of its memory limit. Without a limit, there is none. {_measured_by([(scope, alert)])}"
            )
            yield Panel(
                "timeseries", "Memory of the broker", says, "percentunit", [Query(share, "memory")], lines
            )


def _evicted(plan: Plan) -> Iterator[Panel]:
    for _, alert in (found := alerts(plan, "RedisBrokerEvicting", ())):
        deleted = expression(queries.rate(Signal.EVICTED)(alert))
        says = f"Keys per second that the broker deleted. Queues are such keys. {_measured_by(found)}"
        yield Panel("timeseries", "Deleted keys", says, "ops", [Query(deleted, "deleted keys")])


def _alarms(plan: Plan) -> Iterator[Panel]:
    on = [
        Query(expression(f"max({series(alert, signal)})"), label)
        for name, signal, label in (
            ("RabbitMQMemoryAlarm", Signal.MEMORY_ALARM, "memory"),
            ("RabbitMQDiskAlarm", Signal.DISK_ALARM, "disk"),
        )
        for _, alert in alerts(plan, name, ())
    ]
    says = "1 while the broker blocks all publishers. Measured by its Prometheus plugin."
    yield from _panels("Alarms of the broker", says, "none", on, (1,), "stat")
