"""Artificial courses of events for promtool: in each, all alerts of one name fire, or none does.

promtool evaluates all rules for each course, so one course shows all queues at once; with a course for each
queue the time would grow with the square of their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from policycompiler.emitters.prometheus.expressions import EXPORTER_JOB, Alert, labeled, metrics_of, selector

STEP_SECONDS = 60
"""Between two samples: coarser than scraping, and well within the five minutes that Prometheus looks back."""
MOST_EVALUATIONS = 120
"""In one course, about: with a window of hours, rules are evaluated less often so that tests take seconds."""


class Course(NamedTuple):
    """Series by selector and, if the alert fires at the end, its labels besides those of the rule.

    `fires` is None if the alert stays silent; `value` is the value in the alert's value sentence.
    """

    name: str
    series: Mapping[str, str]
    fires: Mapping[str, str] | None = None
    value: str = ""


def courses(alert: Alert, steps: int) -> Iterator[Course]:
    """The courses of one alert, each `steps` samples long; the same names for all alerts of one name."""
    return _COURSES[alert.name](alert, steps)


def steps_between_evaluations(alerts: Sequence[Alert]) -> int:
    """How many samples apart promtool evaluates the rules, which is the same in all courses."""
    return math.ceil(_longest(alerts) / MOST_EVALUATIONS)


def steps_until_all_fire(alerts: Sequence[Alert], every: int) -> int:
    """Samples until each alert has seen a whole window, then the problem; rules run `every` few samples."""
    # An evaluation may see the problem one step late, and its age one more step late.
    return math.ceil(_longest(alerts) / every + 2) * every


def _longest(alerts: Sequence[Alert]) -> int:
    window = max(alert.window_seconds for alert in alerts)
    return math.ceil((window + max(alert.for_seconds for alert in alerts)) / STEP_SECONDS)


def _exporter_down(alert: Alert, steps: int) -> Iterator[Course]:
    of = {"job": EXPORTER_JOB, **alert.matchers}
    up = _up(alert)
    yield Course(
        "fires when celery-exporter cannot be scraped", {up: _steady(0, steps)}, {"instance": _EXPORTER, **of}
    )
    yield Course("fires when Prometheus has no target for it", {}, of)
    if alert.matchers:
        other = labeled("up", {"instance": _EXPORTER, "job": "another"})
        yield Course(
            "stays silent when the exporter of another service is down",
            {up: _steady(1, steps), other: _steady(0, steps)},
        )
    yield Course("stays silent while the target answers", {up: _steady(1, steps)})


def _broker_down(alert: Alert, steps: int) -> Iterator[Course]:
    metrics = metrics_of(alert)
    target = {"instance": "broker:9121", "job": metrics.job, **alert.matchers}
    up, down = _steady(1, steps), _steady(0, steps)
    healthy = {labeled("up", target): up}
    if metrics.up is not None:
        healthy[labeled(metrics.up, target)] = up
        lost = {**healthy, labeled(metrics.up, target): down}
        yield Course("fires when the exporter cannot reach the broker", lost, target, "broker:9121")
    yield Course(
        "fires when the target cannot be scraped", {labeled("up", target): down}, target, "broker:9121"
    )
    yield Course("stays silent while the target answers", healthy)


def _no_consumer(alert: Alert, steps: int) -> Iterator[Course]:
    workers = selector(alert, "celery_active_worker_count")
    yield Course("fires without a worker", {workers: _steady(0, steps)}, _queue(alert))
    yield Course("stays silent with one worker", {workers: _steady(1, steps)})


def _backlog(alert: Alert, steps: int) -> Iterator[Course]:
    length = selector(alert, "celery_queue_length")
    most = math.floor(alert.threshold)
    over = {length: _steady(most + 1, steps)}
    yield Course("fires just above the threshold", over, _queue(alert), str(most + 1))
    yield Course("stays silent at the threshold", {length: _steady(most, steps)})


def _stalled(alert: Alert, steps: int) -> Iterator[Course]:
    length = selector(alert, "celery_queue_length")
    started = _counter(alert, "celery_task_started_total")
    waiting = _steady(3, steps)
    # Two samples less than the window: Prometheus 3 excludes the sample on its far edge.
    window = max(1, alert.window_seconds // STEP_SECONDS - 2)
    fires = _queue(alert)
    ceased = {length: waiting, started: f"4 {_steady(5, steps - 1)}"}
    yield Course("fires when no more tasks start", ceased, fires, "3")
    yield Course("fires when no task ever started", {length: waiting}, fires, "3")
    rare = {length: waiting, started: _rare_starts(steps, window)}
    yield Course("stays silent while the longest tasks run", rare)
    late = steps - window
    first = {length: f"_x{late} {_steady(3, window)}", started: f"_x{late} {_steady(4, window)}"}
    yield Course("stays silent when the first tasks have just started", first)
    yield Course(
        "stays silent when the queue is empty", {length: _steady(0, steps), started: _steady(5, steps)}
    )


def _below_minimum(alert: Alert, steps: int) -> Iterator[Course]:
    workers = selector(alert, "celery_active_worker_count")
    up = _up(alert)
    answers = {up: _steady(1, steps)}
    fires, fewer = _queue(alert), alert.minimum - 1
    missing = {**answers, workers: _steady(fewer, steps)}
    yield Course("fires when one worker is missing", missing, fires, str(fewer))
    yield Course("fires when the exporter reports no worker", answers, fires, "0")
    yield Course("stays silent with just enough workers", {**answers, workers: _steady(alert.minimum, steps)})
    yield Course("stays silent when the exporter is down", {up: _steady(0, steps)})


def _failure_rate(alert: Alert, steps: int) -> Iterator[Course]:
    failed = _counter(alert, "celery_task_failed_total", exception="ValueError")
    succeeded = _counter(alert, "celery_task_succeeded_total")
    window = alert.window_seconds // STEP_SECONDS
    enough = math.ceil(2 * alert.minimum / window)
    successes = max(0, math.floor(1 / (2 * alert.threshold)) - 1)
    fires = _queue(alert)
    failing = {failed: _growing(enough, steps)}
    often = {**failing, succeeded: _growing(successes * enough, steps)}
    share = f"{100 / (1 + successes):.4g}%"
    yield Course("fires at twice the failure rate", often, fires, share)
    yield Course("fires when no run ever succeeded", failing, fires, "100%")
    successes = math.ceil(2 / alert.threshold) - 1
    seldom = {**failing, succeeded: _growing(successes * enough, steps)}
    yield Course("stays silent at half the failure rate", seldom)
    recent = window // 2
    few = {failed: f"{_steady(0, steps - recent - 1)} {_steady(alert.minimum // 2, recent)}"}
    yield Course("stays silent when all of a few runs fail", few)


def _new_failure(alert: Alert, steps: int) -> Iterator[Course]:
    name = alert.task.replace("*", "any")
    failed = _counter(alert, "celery_task_failed_total", name=name, exception="ValueError")
    fires = {"name": name}
    again = {failed: f"{_steady(1, steps - 3)} {_steady(2, 2)}"}
    yield Course("fires when the task fails again", again, fires, name)
    first = {failed: f"_x{steps - 2} {_steady(1, 2)}"}
    yield Course("fires when the task fails for the first time", first, fires, name)
    for earlier in alert.earlier_names:
        failed_so = _counter(alert, "celery_task_failed_total", name=earlier, exception="ValueError")
        late = {failed_so: f"{_steady(1, steps - 3)} {_steady(2, 2)}"}
        yield Course("fires when the task fails with an earlier name", late, {"name": earlier}, earlier)
    # Prometheus 2 includes the sample on the far edge of a window; the failure is before that sample.
    long_ago = {failed: f"{_steady(0, 0)} {_steady(1, steps - 1)}"}
    yield Course("stays silent long after a failure", long_ago)


def _beat_down(alert: Alert, steps: int) -> Iterator[Course]:
    names = [name.replace("*", "any") for name in alert.tasks]
    yield from _no_event(
        alert, [_counter(alert, "celery_task_sent_total", name=name) for name in names], steps
    )


def _schedule_missed(alert: Alert, steps: int) -> Iterator[Course]:
    name = alert.task.replace("*", "any")
    yield from _no_event(alert, [_counter(alert, "celery_task_started_total", name=name)], steps)


def _no_event(alert: Alert, counters: Sequence[str], steps: int) -> Iterator[Course]:
    """Courses in which counters stop for a window, never exist, or one of them counts in each window."""
    heard = {_up(alert): _steady(1, steps)}
    window = max(1, alert.window_seconds // STEP_SECONDS - 2)
    ceased = {**heard, **dict.fromkeys(counters, f"4 {_steady(5, steps - 1)}")}
    yield Course("fires when events stop", ceased, {})
    yield Course("fires when no event was ever counted", heard, {})
    yield Course(
        "stays silent while events come in time", {**ceased, counters[-1]: _rare_starts(steps, window)}
    )
    first = {**heard, counters[0]: f"_x{steps - window} {_steady(1, window)}"}
    yield Course("stays silent when the first event has just come", first)
    yield Course("stays silent when the exporter is down", {_up(alert): _steady(0, steps)})


def _queue(alert: Alert) -> dict[str, str]:
    return {"queue_name": alert.queue}


def _counter(alert: Alert, metric: str, **more: str) -> str:
    labels = {"queue_name": alert.queue, "hostname": "worker", "name": "some.task", **more}
    return labeled(metric, {**alert.matchers, **labels})


_EXPORTER = "exporter:9808"


def _up(alert: Alert) -> str:
    return labeled("up", {"instance": _EXPORTER, "job": EXPORTER_JOB, **alert.matchers})


def _steady(value: int, steps: int) -> str:
    return f"{value}+0x{steps}"


def _growing(each: int, steps: int) -> str:
    return f"0+{each}x{steps}"


def _rare_starts(steps: int, apart: int) -> str:
    """A counter of starts, the last of them `apart` samples before the end and the others as far apart."""
    lengths = [apart + 1, *[apart] * ((steps - apart) // apart), (steps - apart) % apart]
    plateaus = enumerate((length for length in reversed(lengths) if length), start=1)
    return " ".join(_steady(count, length - 1) for count, length in plateaus)


_COURSES: Mapping[str, Callable[[Alert, int], Iterator[Course]]] = MappingProxyType(
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
