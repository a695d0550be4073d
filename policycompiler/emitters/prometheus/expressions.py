"""PromQL of each alert, over the metrics of celery-exporter, redis_exporter and RabbitMQ's own plugin.

All metrics of a queue come from celery-exporter, with the label `queue_name`. It must know the queues by
name (its option `-Q`). Its counters have the right queue only if publishers send task-sent events. Two
exporters may watch one broker, so `max` merges copies of a gauge.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from policycompiler.knowledge.brokers import Metrics, broker

EXPORTER_JOB = "celery-exporter"
HEARD_SHARE = 0.95
"""The share of a window for which the exporter must answer; else a missing event proves nothing."""

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


class Alert(NamedTuple):
    """An alert in the plan. An unused number is 0. `transport` is the transport of the broker.

    `task` is a name or a pattern. The pattern does not include `other_tasks`, but runs with `earlier_names`
    count. `tasks` are the tasks that beat sends. `matchers` are labels that select the series of this
    service; a `job` among them replaces the default job.
    """

    name: str
    queue: str
    labels: Mapping[str, str]
    for_seconds: int
    threshold: float
    window_seconds: int
    minimum: int
    summary: str
    description: str
    transport: str
    task: str = ""
    other_tasks: tuple[str, ...] = ()
    earlier_names: tuple[str, ...] = ()
    runbook: str = ""
    tasks: tuple[str, ...] = ()
    matchers: Mapping[str, str] = MappingProxyType({})


def promql_string(text: str) -> str:
    """A text as a PromQL string; PromQL's escapes include all that JSON writes."""
    return json.dumps(text, ensure_ascii=False)


def duration(seconds: float) -> str:
    """Seconds as Prometheus writes them, in the largest unit that leaves no rest: `90m`."""
    whole = math.ceil(seconds)
    return next(f"{whole // size}{unit}" for unit, size in _UNITS if whole % size == 0)


def expression(alert: Alert) -> str:
    """The condition under which the alert is pending."""
    return _EXPRESSIONS[alert.name](alert)


def labeled(metric: str, labels: Mapping[str, str]) -> str:
    """A metric with its labels, as a selector and as a series are written."""
    return f"{metric}{{{', '.join(f'{name}={promql_string(value)}' for name, value in labels.items())}}}"


def selector(alert: Alert, metric: str) -> str:
    """One metric of the alert's queue: `celery_queue_length{queue_name="mail"}`."""
    return labeled(metric, {**alert.matchers, "queue_name": alert.queue})


def exporter(alert: Alert) -> str:
    """Whether the exporter answers; a matcher may replace its default job."""
    return labeled("up", {"job": EXPORTER_JOB, **alert.matchers})


def _exporter_down(alert: Alert) -> str:
    return f"{exporter(alert)} == 0 or absent({exporter(alert)})"


def _broker_down(alert: Alert) -> str:
    metrics = metrics_of(alert)
    labels = {"job": metrics.job, **alert.matchers}
    scraped = f"{labeled('up', labels)} == 0"
    return scraped if metrics.up is None else f"{labeled(metrics.up, labels)} == 0 or {scraped}"


def metrics_of(alert: Alert) -> Metrics:
    """The metrics of the broker; only a broker with metrics has alerts."""
    metrics = broker(alert.transport).metrics
    assert metrics is not None, alert.transport
    return metrics


def _no_consumer(alert: Alert) -> str:
    return f"max by (queue_name) ({selector(alert, 'celery_active_worker_count')}) == 0"


def _backlog(alert: Alert) -> str:
    return f"{_length(alert)} > {alert.threshold!r}"


def _stalled(alert: Alert) -> str:
    # A counter that appears with its first starts shows no increase, so its appearance counts as a start.
    started, window = selector(alert, "celery_task_started_total"), duration(alert.window_seconds)
    counted = f"sum by (queue_name) (increase({started}[{window}])) > 0"
    born = f"sum by (queue_name) ({started} > 0 unless {started} offset {window})"
    return f"{_length(alert)} > 0 unless on (queue_name) ({counted} or {born})"


def _below_minimum(alert: Alert) -> str:
    # A queue that the exporter has never heard of has no series, and must count as one without workers.
    seen = f"{selector(alert, 'celery_active_worker_count')}[{duration(alert.window_seconds)}]"
    # label_replace expands `$1` in its replacement.
    queue = promql_string(alert.queue.replace("$", "$$"))
    none = f'label_replace(vector(0), "queue_name", {queue}, "", "")'
    workers = f"(max by (queue_name) (max_over_time({seen})) or {none})"
    return f"{workers} < {alert.minimum} and on () max({exporter(alert)}) == 1"


def _failure_rate(alert: Alert) -> str:
    window = duration(alert.window_seconds)
    failed, succeeded = (
        f"sum by (queue_name) (increase({selector(alert, metric)}[{window}]))"
        for metric in ("celery_task_failed_total", "celery_task_succeeded_total")
    )
    # If no run ever succeeded, there is no series of successes, and a plain sum would be empty.
    runs = f"{failed} + ({succeeded} or 0 * {failed})"
    return f"{failed} / ({runs} >= {alert.minimum}) > {alert.threshold!r}"


def _new_failure(alert: Alert) -> str:
    # A counter that appears with its first failure shows no increase, so its appearance counts as a failure.
    failed, window = (
        f"celery_task_failed_total{{{_others(alert)}{_named(alert)}}}",
        duration(alert.window_seconds),
    )
    born = f"sum by (name) ({failed} > 0 unless {failed} offset {window})"
    return f"sum by (name) (increase({failed}[{window}])) > 0 or {born}"


def _beat_down(alert: Alert) -> str:
    names = promql_string("|".join(map(_regex, alert.tasks)))
    return _silent(alert, f"celery_task_sent_total{{{_others(alert)}name=~{names}}}")


def _schedule_missed(alert: Alert) -> str:
    return _silent(alert, f"celery_task_started_total{{{_others(alert)}{_named(alert)}}}")


def _silent(alert: Alert, counter: str) -> str:
    """No event was counted within the window, although the exporter answered."""
    # A counter that appears with its first event shows no increase, so its appearance counts as an event.
    window = duration(alert.window_seconds)
    counted = f"sum(increase({counter}[{window}])) > 0"
    born = f"sum({counter} > 0 unless {counter} offset {window})"
    # One failed scrape must not disable the alert for a week.
    heard = f"avg_over_time({exporter(alert)}[{window}])"
    return f"vector(0) unless on () ({counted} or {born}) and on () max({heard}) > {HEARD_SHARE!r}"


def _others(alert: Alert) -> str:
    """The matchers of the service, before a matcher of the task."""
    return "".join(f"{name}={promql_string(value)}, " for name, value in alert.matchers.items())


def _named(alert: Alert) -> str:
    """The tasks of the alert, as matchers of the label `name`."""
    if alert.earlier_names:
        return f"name=~{promql_string('|'.join(map(_regex, (alert.task, *alert.earlier_names))))}"
    if "*" not in alert.task:
        return f"name={promql_string(alert.task)}"
    others = f", name!~{promql_string('|'.join(map(_regex, alert.other_tasks)))}" if alert.other_tasks else ""
    return f"name=~{promql_string(_regex(alert.task))}{others}"


def _regex(glob: str) -> str:
    return ".*".join(map(re.escape, glob.split("*")))


def _length(alert: Alert) -> str:
    return f"max by (queue_name) ({selector(alert, 'celery_queue_length')})"


_EXPRESSIONS: Mapping[str, Callable[[Alert], str]] = MappingProxyType(
    {
        "CeleryExporterDown": _exporter_down,
        "CeleryBrokerDown": _broker_down,
        "CeleryQueueNoConsumer": _no_consumer,
        "CeleryQueueBacklog": _backlog,
        "CeleryQueueStalled": _stalled,
        "CeleryWorkersBelowMinimum": _below_minimum,
        "CeleryTaskFailureRate": _failure_rate,
        "CeleryTaskNewFailure": _new_failure,
        "CeleryBeatDown": _beat_down,
        "CeleryScheduleMissed": _schedule_missed,
    }
)
