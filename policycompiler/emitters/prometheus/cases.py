"""Made-up courses of events for promtool: in each, every alert of one name fires, or none does.

promtool evaluates all rules for each course, so one course shows all queues at once; with a course for each
queue the time would grow with the square of their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from policycompiler.emitters.prometheus.expressions import EXPORTER_JOB, Alert, labelled, metrics_of, selector

STEP_SECONDS = 60
"""Between two samples: coarser than scraping, and well within the five minutes that Prometheus looks back."""
MOST_EVALUATIONS = 120
"""In one course, about: with a window of hours, rules are evaluated less often so that tests take seconds."""


class Course(NamedTuple):
    """Series by selector and, where the alert fires at the end, its labels beside the rule's own.

    `fires` is None where it stays silent; `value` is what the alert's value sentence says then.
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
    """Samples until each of these has seen a whole window and then the trouble, evaluated `every` so many."""
    # The trouble is noticed up to one evaluation late, and found old enough up to one more.
    return math.ceil(_longest(alerts) / every + 2) * every


def _longest(alerts: Sequence[Alert]) -> int:
    window = max(alert.window_seconds for alert in alerts)
    return math.ceil((window + max(alert.for_seconds for alert in alerts)) / STEP_SECONDS)


def _exporter_down(alert: Alert, steps: int) -> Iterator[Course]:
    of = {"job": EXPORTER_JOB, **alert.matchers}
    up = _up(alert)
    yield Course("fires when it cannot be scraped", {up: _steady(0, steps)}, {"instance": _EXPORTER, **of})
    yield Course("fires when nobody scrapes it", {}, of)
    if alert.matchers:
        other = labelled("up", {"instance": _EXPORTER, "job": "another"})
        yield Course(
            "stays silent when another service's is down", {up: _steady(1, steps), other: _steady(0, steps)}
        )
    yield Course("stays silent while it answers", {up: _steady(1, steps)})


def _broker_down(alert: Alert, steps: int) -> Iterator[Course]:
    metrics = metrics_of(alert)
    target = {"instance": "broker:9121", "job": metrics.job, **alert.matchers}
    up, down = _steady(1, steps), _steady(0, steps)
    healthy = {labelled("up", target): up}
    if metrics.up is not None:
        healthy[labelled(metrics.up, target)] = up
        lost = {**healthy, labelled(metrics.up, target): down}
        yield Course("fires when the exporter cannot reach it", lost, target, "broker:9121")
    yield Course("fires when it cannot be scraped", {labelled("up", target): down}, target, "broker:9121")
    yield Course("stays silent while it answers", healthy)


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
    # Two samples short of the window: Prometheus 3 leaves out the one on its far edge.
    window = max(1, alert.window_seconds // STEP_SECONDS - 2)
    fires = _queue(alert)
    ceased = {length: waiting, started: f"4 {_steady(5, steps - 1)}"}
    yield Course("fires when starts have ceased", ceased, fires, "3")
    yield Course("fires when nothing ever started", {length: waiting}, fires, "3")
    rare = {length: waiting, started: _rare_starts(steps, window)}
    yield Course("stays silent while the longest tasks run", rare)
    late = steps - window
    first = {length: f"_x{late} {_steady(3, window)}", started: f"_x{late} {_steady(4, window)}"}
    yield Course("stays silent when the first tasks have just started", first)
    yield Course("stays silent when nothing waits", {length: _steady(0, steps), started: _steady(5, steps)})


def _below_minimum(alert: Alert, steps: int) -> Iterator[Course]:
    workers = selector(alert, "celery_active_worker_count")
    up = _up(alert)
    answers = {up: _steady(1, steps)}
    fires, fewer = _queue(alert), alert.minimum - 1
    missing = {**answers, workers: _steady(fewer, steps)}
    yield Course("fires when one worker is missing", missing, fires, str(fewer))
    yield Course("fires when the exporter knows no worker", answers, fires, "0")
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
    yield Course("fires when twice the share fails", often, fires, share)
    yield Course("fires when nothing has ever succeeded", failing, fires, "100%")
    successes = math.ceil(2 / alert.threshold) - 1
    seldom = {**failing, succeeded: _growing(successes * enough, steps)}
    yield Course("stays silent when half the share fails", seldom)
    recent = window // 2
    few = {failed: f"{_steady(0, steps - recent - 1)} {_steady(alert.minimum // 2, recent)}"}
    yield Course("stays silent when all of a few fail", few)


def _new_failure(alert: Alert, steps: int) -> Iterator[Course]:
    name = alert.task.replace("*", "any")
    failed = _counter(alert, "celery_task_failed_total", name=name, exception="ValueError")
    fires = {"name": name}
    again = {failed: f"{_steady(1, steps - 3)} {_steady(2, 2)}"}
    yield Course("fires when it has failed once more", again, fires, name)
    first = {failed: f"_x{steps - 2} {_steady(1, 2)}"}
    yield Course("fires when it has failed for the first time", first, fires, name)
    for earlier in alert.earlier_names:
        failed_so = _counter(alert, "celery_task_failed_total", name=earlier, exception="ValueError")
        late = {failed_so: f"{_steady(1, steps - 3)} {_steady(2, 2)}"}
        yield Course("fires when it has failed under an earlier name", late, {"name": earlier}, earlier)
    # Prometheus 2 counts the sample on the far edge of a window as within it, and the failure is before that.
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
    """Counters that stand still for a window, that never were, and of which one counts within each window."""
    heard = {_up(alert): _steady(1, steps)}
    window = max(1, alert.window_seconds // STEP_SECONDS - 2)
    ceased = {**heard, **dict.fromkeys(counters, f"4 {_steady(5, steps - 1)}")}
    yield Course("fires when nothing is counted any more", ceased, {})
    yield Course("fires when nothing was ever counted", heard, {})
    yield Course(
        "stays silent while one comes in time", {**ceased, counters[-1]: _rare_starts(steps, window)}
    )
    first = {**heard, counters[0]: f"_x{steps - window} {_steady(1, window)}"}
    yield Course("stays silent when it has come for the first time", first)
    yield Course("stays silent when the exporter is down", {_up(alert): _steady(0, steps)})


def _queue(alert: Alert) -> dict[str, str]:
    return {"queue_name": alert.queue}


def _counter(alert: Alert, metric: str, **more: str) -> str:
    labels = {"queue_name": alert.queue, "hostname": "worker", "name": "some.task", **more}
    return labelled(metric, {**alert.matchers, **labels})


_EXPORTER = "exporter:9808"


def _up(alert: Alert) -> str:
    return labelled("up", {"instance": _EXPORTER, "job": EXPORTER_JOB, **alert.matchers})


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
