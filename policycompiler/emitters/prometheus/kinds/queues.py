"""Alerts on queues: no worker, a backlog, or no starts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from policycompiler.emitters.prometheus.alert import Alert
from policycompiler.emitters.prometheus.courses import (
    NO_LABELS,
    SPAN,
    WHOLE,
    Course,
    Kind,
    growing,
    late,
    rare,
    steady,
    window_steps,
)
from policycompiler.emitters.prometheus.series import (
    Series,
    alive,
    duration,
    glob,
    increased,
    length,
    merge_workers,
    series,
    source,
    up,
)
from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.signals import Signal

_SAYS_MESSAGES = ("Messages in the queue now: {}.", WHOLE)
_SAYS_WORKERS = ("Worker processes now: {}.", WHOLE)


def _no_consumer(alert: Alert) -> str:
    # A queue that the source has never heard of has no series, and must count as one without workers.
    found = f"({merge_workers(alert, str(series(alert, Signal.WORKERS)))} or vector(0))"
    return f"{found} < 1 and on () {alive(alert, Signal.WORKERS)}"


def _no_consumer_courses(alert: Alert, steps: int) -> Iterator[Course]:
    target, one = _target(alert), series(alert, Signal.WORKERS).example(worker="any")
    in_workers = SOURCES[source(alert, Signal.WORKERS)].in_workers
    yield Course("fires when no worker is reported", {target: steady(1, steps)}, NO_LABELS)
    if not in_workers:
        none = {target: steady(1, steps), one: steady(0, steps)}
        yield Course("fires without a worker", none, NO_LABELS)
        yield Course("stays silent when the source is down", {target: steady(0, steps)})
    yield Course("stays silent with one worker", {target: steady(1, steps), one: steady(1, steps)})


def _target(alert: Alert) -> str:
    its = source(alert, Signal.WORKERS)
    return up(alert, its, SOURCES[its].queue_job).example(instance="any:9808")


def _below_minimum(alert: Alert) -> str:
    seen = f"max_over_time({series(alert, Signal.WORKERS)}[{duration(alert.window_seconds)}])"
    found = f"({merge_workers(alert, seen)} or vector(0))"
    return f"{found} < {alert.minimum} and on () {alive(alert, Signal.WORKERS)}"


def _below_minimum_courses(alert: Alert, steps: int) -> Iterator[Course]:
    up_, fewer = {_target(alert): steady(1, steps)}, alert.minimum - 1
    if SOURCES[source(alert, Signal.WORKERS)].in_workers:
        few, enough = (
            {
                series(alert, Signal.WORKERS).example(instance=str(each), worker="any"): steady(1, steps)
                for each in range(most)
            }
            for most in (fewer, alert.minimum)
        )
    else:
        one = series(alert, Signal.WORKERS).example()
        few, enough = {one: steady(fewer, steps)}, {one: steady(alert.minimum, steps)}
        down = {_target(alert): steady(0, steps)}
        yield Course("stays silent when the source is down", down)
    yield Course("fires when one worker is missing", {**up_, **few}, NO_LABELS, str(fewer))
    yield Course("fires when no worker is reported", up_, NO_LABELS, "0")
    yield Course("stays silent with just enough workers", {**up_, **enough})


def _worker_lost(alert: Alert) -> str:
    shown = _nodes(alert)
    seen = f"max by (hostname) (max_over_time({shown}[{duration(alert.window_seconds)}]))"
    return f"{seen} == 1 unless max by (hostname) ({shown}) == 1"


def _nodes(alert: Alert) -> Series:
    shown = series(alert, Signal.WORKER_UP)
    return shown._replace(
        either={"hostname": tuple((glob(each), each.replace("*", "1")) for each in alert.nodes)}
    )


def _worker_lost_courses(alert: Alert, steps: int) -> Iterator[Course]:
    for node in alert.nodes:
        name = node.replace("*", "1")
        one = _nodes(alert).example(hostname=name)
        # The exporter writes 0 first, and then deletes the series.
        gone = {one: f"{steady(1, steps - alert.for_seconds // alert.minute_seconds - 4)} 0 0 _"}
        yield Course(f"fires when {node} has gone", gone, {"hostname": name}, name)
    other = _nodes(alert).example(hostname="another")
    some = {_nodes(alert).example(): steady(1, steps), other: f"{steady(1, steps - 10)} _"}
    yield Course("stays silent when a worker of another service has gone", some)


def _backlog(alert: Alert) -> str:
    return f"{length(alert)} > {alert.threshold!r}"


def _backlog_courses(alert: Alert, steps: int) -> Iterator[Course]:
    held, most = series(alert, Signal.LENGTH).example(), math.floor(alert.threshold)
    over = {held: steady(most + 1, steps)}
    yield Course("fires just above the threshold", over, NO_LABELS, str(most + 1))
    yield Course("stays silent at the threshold", {held: steady(most, steps)})


def _growing(alert: Alert) -> str:
    slope = f"max(deriv({series(alert, Signal.LENGTH)}[{duration(alert.window_seconds)}]))"
    return f"{length(alert)} > {alert.threshold!r} and {slope} > 0"


def _growing_courses(alert: Alert, steps: int) -> Iterator[Course]:
    held, most = series(alert, Signal.LENGTH).example(), math.floor(alert.threshold)
    grows = {held: f"{most + 1}+1x{steps}"}
    yield Course("fires while the queue grows", grows, NO_LABELS, str(most + 1 + steps))
    shrinks = {held: f"{most + 2 * steps + 1}-1x{steps}"}
    yield Course("stays silent while the queue shrinks", shrinks)
    yield Course("stays silent while the queue is short", {held: f"0+{most / (steps + 1):g}x{steps}"})


def _drain(alert: Alert) -> str:
    window = duration(alert.window_seconds)
    starts = f"sum(rate({series(alert, Signal.STARTED)}[{window}]))"
    return f"({length(alert)} >= {alert.minimum}) / ({starts} > 0) > {alert.threshold!r}"


def _drain_courses(alert: Alert, steps: int) -> Iterator[Course]:
    held, started = series(alert, Signal.LENGTH).example(), series(alert, Signal.STARTED).example()
    # Each step starts as many runs as there are seconds in it, so the length is the time in seconds.
    starts = growing(alert.minute_seconds, steps)
    most = max(math.floor(alert.threshold), alert.minimum)
    fires = {held: steady(2 * most, steps), started: starts}
    yield Course("fires when it takes too long", fires, NO_LABELS, span(2 * most))
    yield Course(
        "stays silent just in time", {held: steady(math.floor(alert.threshold), steps), started: starts}
    )
    few = {held: steady(alert.minimum - 1, steps), started: growing(0.001, steps)}
    yield Course("stays silent for a few messages", few)


def span(seconds: int) -> str:
    """Whole seconds as Prometheus' `humanizeDuration` writes them."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = zip((days, hours, minutes, rest), "dhms", strict=True)
    found = [f"{number}{unit}" for number, unit in parts]
    while len(found) > 1 and found[0][0] == "0":
        del found[0]
    return " ".join(found)


def _stalled(alert: Alert) -> str:
    starts = increased(series(alert, Signal.STARTED), alert.window_seconds)
    return f"{length(alert)} > 0 unless on () ({starts})"


def _stalled_courses(alert: Alert, steps: int) -> Iterator[Course]:
    held, started = series(alert, Signal.LENGTH).example(), series(alert, Signal.STARTED).example()
    waiting, window = steady(3, steps), window_steps(alert)
    ceased = {held: waiting, started: f"4 {steady(5, steps - 1)}"}
    yield Course("fires when no more tasks start", ceased, NO_LABELS, "3")
    yield Course("fires when no task ever started", {held: waiting}, NO_LABELS, "3")
    seldom = {held: waiting, started: rare(steps, window)}
    yield Course("stays silent while the longest tasks run", seldom)
    first = {held: late(3, steps, window), started: late(4, steps, window)}
    yield Course("stays silent when the first tasks have just started", first)
    empty = {held: steady(0, steps), started: steady(5, steps)}
    yield Course("stays silent when the queue is empty", empty)


def _metric_missing(alert: Alert) -> str:
    return f"absent({series(alert, Signal.LENGTH)}) and on () {alive(alert, Signal.LENGTH)}"


def _metric_missing_courses(alert: Alert, steps: int) -> Iterator[Course]:
    its, held = source(alert, Signal.LENGTH), series(alert, Signal.LENGTH)
    target = up(alert, its, SOURCES[its].queue_job).example(instance="any:9808")
    answers = {target: steady(1, steps)}
    yield Course("fires when the source does not know the queue", answers, dict(held.equal))
    yield Course("stays silent while it knows the queue", {**answers, held.example(): steady(0, steps)})
    yield Course("stays silent when the source is down", {target: steady(0, steps)})


def _unacked(alert: Alert) -> str:
    return f"sum({series(alert, Signal.UNACKED)}) > {alert.threshold!r}"


def _unacked_courses(alert: Alert, steps: int) -> Iterator[Course]:
    held, most = series(alert, Signal.UNACKED).example(), math.floor(alert.threshold)
    over = {held: steady(most + 1, steps)}
    yield Course("fires just above the threshold", over, NO_LABELS, str(most + 1))
    yield Course("stays silent at the threshold", {held: steady(most, steps)})


def _dead_letters(alert: Alert) -> str:
    held = series(alert, Signal.LENGTH)
    earlier = f"max({held} offset {duration(alert.window_seconds)})"
    return f"{length(alert)} > 0 unless on () {length(alert)} <= {earlier}"


def _dead_letters_courses(alert: Alert, steps: int) -> Iterator[Course]:
    held = series(alert, Signal.LENGTH).example()
    yield Course("fires at the next one", {held: f"{steady(1, steps - 3)} {steady(2, 2)}"}, NO_LABELS, "2")
    yield Course("fires at the first one", {held: late(1, steps, 2)}, NO_LABELS, "1")
    yield Course("stays silent long after it", {held: steady(1, steps)})
    yield Course("stays silent without any", {held: steady(0, steps)})


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "CeleryQueueNoConsumer": Kind(
            "queues", _no_consumer, _no_consumer_courses, inhibits="worker", inhibited_by=("service",)
        ),
        "CeleryQueueStalled": Kind(
            "queues",
            _stalled,
            _stalled_courses,
            _SAYS_MESSAGES,
            inhibits="queue",
            inhibited_by=("service", "memory", "worker"),
        ),
        "CeleryQueueBacklog": Kind(
            "queues",
            _backlog,
            _backlog_courses,
            _SAYS_MESSAGES,
            inhibited_by=("service", "worker", "queue", "waits", "drain"),
        ),
        "CeleryQueueGrowing": Kind(
            "queues",
            _growing,
            _growing_courses,
            _SAYS_MESSAGES,
            inhibited_by=("service", "worker", "queue", "waits", "drain"),
        ),
        "CeleryQueueDrainTime": Kind(
            "queues",
            _drain,
            _drain_courses,
            ("Time to start all of them: {}.", SPAN),
            inhibited_by=("service", "worker", "queue", "waits", "drain"),
        ),
        "CeleryQueueDrainTimeCritical": Kind(
            "queues",
            _drain,
            _drain_courses,
            ("Time to start all of them: {}.", SPAN),
            inhibits="drain",
            inhibited_by=("service", "worker", "queue", "waits"),
        ),
        "CeleryQueueMetricMissing": Kind(
            "queues", _metric_missing, _metric_missing_courses, inhibited_by=("service", "metrics")
        ),
        "CeleryUnackedHigh": Kind(
            "queues",
            _unacked,
            _unacked_courses,
            ("Messages that workers hold now: {}.", WHOLE),
            inhibited_by=("service", "worker"),
        ),
        "CeleryDeadLetterGrowth": Kind(
            "queues",
            _dead_letters,
            _dead_letters_courses,
            ("Dead letters now: {}.", WHOLE),
            inhibited_by=("service",),
        ),
        "CeleryWorkerLost": Kind(
            "workers",
            _worker_lost,
            _worker_lost_courses,
            ("Worker: {}.", "{{ $labels.hostname }}"),
            inhibited_by=("service", "worker"),
        ),
        "CeleryWorkersBelowMinimum": Kind(
            "workers",
            _below_minimum,
            _below_minimum_courses,
            _SAYS_WORKERS,
            inhibited_by=("service", "worker"),
        ),
    }
)
