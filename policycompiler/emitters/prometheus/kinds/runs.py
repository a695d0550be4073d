"""Alerts on runs: late, failed, killed, retried too often, or too slow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from policycompiler.emitters.prometheus.alert import Alert
from policycompiler.emitters.prometheus.courses import (
    NO_LABELS,
    SHARE,
    TASK,
    Course,
    Courses,
    Kind,
    counted,
    growing,
    steady,
)
from policycompiler.emitters.prometheus.series import (
    TASK_NAME,
    Series,
    bucket,
    duration,
    increase,
    increased,
    metric,
    named,
    series,
    source,
)
from policycompiler.knowledge.signals import Signal

_MANY = 1000
"""More runs in each step than most alerts need."""


def _late_share(alert: Alert, seconds: int) -> str:
    waits = series(alert, Signal.WAIT)
    in_time = waits.suffixed("_bucket", le=bucket(alert.bound_seconds))
    return f"1 - {increase(in_time, seconds)} / {increase(waits.suffixed('_count'), seconds)}"


def _enough(alert: Alert, runs: str) -> str:
    return f"{runs} >= {alert.minimum}"


def _wait_high(alert: Alert) -> str:
    waits = series(alert, Signal.WAIT).suffixed("_count")
    guard = _enough(alert, increase(waits, alert.window_seconds))
    return f"{_late_share(alert, alert.window_seconds)} > {alert.threshold!r} and on () {guard}"


def _wait_budget(alert: Alert) -> str:
    waits = series(alert, Signal.WAIT).suffixed("_count")
    guard = _enough(alert, increase(waits, alert.window_seconds))
    long, short = (
        f"{_late_share(alert, seconds)} > {alert.threshold!r}"
        for seconds in (alert.window_seconds, alert.short_window_seconds)
    )
    return f"({long}) and on () ({short}) and on () {guard}"


def _wait_courses(alert: Alert, steps: int) -> Iterator[Course]:
    waits = series(alert, Signal.WAIT)
    all_, in_time = (
        example(waits.suffixed("_count")),
        example(waits.suffixed("_bucket", le=bucket(alert.bound_seconds))),
    )
    yield from _share_courses(alert, steps, all_, in_time, "late")


def many_runs(alert: Alert) -> int:
    """Runs in each step: as many as the alert needs, and enough that twice its share of them is above it."""
    return max(_MANY, alert.minimum, math.ceil(2 / alert.threshold))


def few_runs(alert: Alert) -> int:
    """Runs in a window, too few for the alert, although `increase` sees up to twice as many."""
    return alert.minimum // 2


def _share_courses(alert: Alert, steps: int, all_: str, good: str, what: str) -> Iterator[Course]:
    """Courses of a share of bad runs: twice the threshold or all of them, half of it, and of few runs."""
    many = many_runs(alert)
    bad = math.floor(min(2 * alert.threshold, 1) * many)
    often = {all_: growing(many, steps), good: growing(many - bad, steps)}
    yield Course(f"fires when many are {what}", often, NO_LABELS, f"{100 * bad / many:.4g}%")
    some = math.floor(alert.threshold * many / 2)
    seldom = {all_: growing(many, steps), good: growing(many - some, steps)}
    yield Course(f"stays silent when few are {what}", seldom)
    if alert.short_window_seconds:
        just = {all_: _ended(alert, many, steps), good: steady(0, steps)}
        yield Course(f"stays silent when {what} starts have just ended", just)
    recent = max(2, alert.window_seconds // alert.minute_seconds // 2)
    few = {
        all_: f"{steady(0, steps - recent - 1)} {steady(few_runs(alert), recent)}",
        good: steady(0, steps),
    }
    yield Course(f"stays silent when all of a few runs are {what}", few)
    ended = {
        all_: f"{growing(many, 1)} {steady(2 * many, steps - 2)}",
        good: steady(0, steps),
    }
    yield Course(f"stays silent when they were {what} long ago", ended)


def _ended(alert: Alert, each: int, steps: int) -> str:
    """A counter that no longer counts since a little more than the short window."""
    clean = math.ceil(alert.short_window_seconds / alert.minute_seconds) + 3
    return f"{growing(each, steps - clean)} {steady(each * (steps - clean), clean - 1)}"


def example(found: Series, **more: str) -> str:
    """A series of one task in one process."""
    return found.example(**{"instance": "any:1", **more})


def _failed_share(alert: Alert, seconds: int) -> tuple[str, str]:
    """The share of failed runs, and the number of runs."""
    failed, succeeded = (
        increase(series(alert, signal), seconds) for signal in (Signal.FAILED, Signal.SUCCEEDED)
    )
    # If no run ever succeeded, there is no series of successes, and a plain sum would be empty.
    return failed, f"{failed} + ({succeeded} or 0 * {failed})"


def _failure_rate(alert: Alert) -> str:
    failed, runs = _failed_share(alert, alert.window_seconds)
    return f"{failed} / ({runs} >= {alert.minimum}) > {alert.threshold!r}"


def _error_budget(alert: Alert) -> str:
    long, runs = _failed_share(alert, alert.window_seconds)
    short, recent = _failed_share(alert, alert.short_window_seconds)
    over = f"> {alert.threshold!r}"
    return f"({long} / ({runs} >= {alert.minimum}) {over}) and on () ({short} / ({recent}) {over})"


def _failure_courses(alert: Alert, steps: int) -> Iterator[Course]:
    failed = example(series(alert, Signal.FAILED))
    succeeded = example(series(alert, Signal.SUCCEEDED))
    window = alert.window_seconds // alert.minute_seconds
    enough = math.ceil(2 * alert.minimum / window)
    successes = max(0, math.floor(1 / (2 * alert.threshold)) - 1)
    failing = {failed: growing(enough, steps)}
    often = {**failing, succeeded: growing(successes * enough, steps)}
    share = f"{100 / (1 + successes):.4g}%"
    yield Course("fires at twice the failure rate", often, NO_LABELS, share)
    yield Course("fires when no run ever succeeded", failing, NO_LABELS, "100%")
    successes = math.ceil(2 / alert.threshold) - 1
    seldom = {**failing, succeeded: growing(successes * enough, steps)}
    yield Course("stays silent at half the failure rate", seldom)
    if alert.short_window_seconds:
        # The long window still has them, and the short one is clean.
        yield Course("stays silent when failures have just ended", {failed: _ended(alert, enough, steps)})
    recent = max(2, window // 2)
    few = {failed: f"{steady(0, steps - recent - 1)} {steady(few_runs(alert), recent)}"}
    yield Course("stays silent when all of a few runs fail", few)


def event_of_task(signal: Signal) -> Callable[[Alert], str]:
    """A condition: something has happened to a task of the alert."""

    def expression(alert: Alert) -> str:
        label = metric(alert, signal).task
        return named(increased(series(alert, signal), alert.window_seconds, by=label), label)

    return expression


def events_of_task(signal: Signal, what: str) -> Courses:
    """Courses in which it happens."""

    def courses(alert: Alert, steps: int) -> Iterator[Course]:
        counter, label = series(alert, signal), metric(alert, signal).task
        name = alert.task.replace("*", "any")
        yield from counted(example(counter, **{label: name}), steps, what, {TASK_NAME: name}, name)

    return courses


def _new_failure_courses(alert: Alert, steps: int) -> Iterator[Course]:
    yield from events_of_task(Signal.FAILED, "failure")(alert, steps)
    failed, label = series(alert, Signal.FAILED), metric(alert, Signal.FAILED).task
    for earlier in alert.earlier_names:
        again = {example(failed, **{label: earlier}): f"{steady(1, steps - 3)} {steady(2, 2)}"}
        yield Course("fires when the task fails with an earlier name", again, {TASK_NAME: earlier}, earlier)


def _killed(alert: Alert) -> str:
    return increased(series(alert, Signal.KILLED), alert.window_seconds)


def _killed_courses(alert: Alert, steps: int) -> Iterator[Course]:
    yield from counted(example(series(alert, Signal.KILLED)), steps, "killed run")


def _unregistered(alert: Alert) -> str:
    return increased(series(alert, Signal.UNREGISTERED), alert.window_seconds)


def _unregistered_courses(alert: Alert, steps: int) -> Iterator[Course]:
    yield from counted(example(series(alert, Signal.UNREGISTERED)), steps, "unknown task")


def _payload(alert: Alert) -> str:
    return increased(series(alert, Signal.PAYLOAD), alert.window_seconds)


def _payload_courses(alert: Alert, steps: int) -> Iterator[Course]:
    yield from counted(example(series(alert, Signal.PAYLOAD)), steps, "message above its size")


def _retries(alert: Alert) -> str:
    retried, started = (
        increase(series(alert, signal), alert.window_seconds) for signal in (Signal.RETRIED, Signal.STARTED)
    )
    if alert.parks:
        parked = f"({increase(series(alert, Signal.PARKED), alert.window_seconds)} or 0 * {started})"
        started = f"({started} - {parked})"
        # Task events do not tell a park from a retry.
        retried = f"({retried} - {parked})" if _parks_are_retries(alert) else retried
    return f"{retried} / ({started} >= {alert.minimum}) > {alert.threshold!r}"


def _parks_are_retries(alert: Alert) -> bool:
    return source(alert, Signal.RETRIED) != source(alert, Signal.PARKED)


def _retries_courses(alert: Alert, steps: int) -> Iterator[Course]:
    retried, started = (example(series(alert, each)) for each in (Signal.RETRIED, Signal.STARTED))
    many = many_runs(alert)
    runs = growing(many, steps)
    again = math.ceil((1 + alert.threshold) / 2 * many)
    most = {started: runs, retried: growing(again, steps)}
    yield Course("fires when most runs are retries", most, NO_LABELS, f"{100 * again / many:.4g}%")
    few = {started: runs, retried: growing(math.floor(alert.threshold / 2 * many), steps)}
    yield Course("stays silent when few runs are retries", few)
    yield Course("stays silent without retries", {started: runs})
    recent = max(2, alert.window_seconds // alert.minute_seconds // 2)
    jump = f"{steady(0, steps - recent - 1)} {steady(few_runs(alert), recent)}"
    yield Course("stays silent when all of a few runs are retries", {started: jump, retried: jump})
    if alert.parks:
        parked = example(series(alert, Signal.PARKED))
        also = many if _parks_are_retries(alert) else 0
        twice = {started: growing(2 * many, steps), parked: runs, retried: growing(again + also, steps)}
        share = f"{100 * again / many:.4g}%"
        yield Course("fires when most of the others are retries", twice, NO_LABELS, share)
        only = {started: runs, parked: runs, retried: growing(also, steps)}
        yield Course("stays silent when all runs are parked", only)


def _slow(alert: Alert) -> str:
    runs, label = series(alert, Signal.RUN, alert.tasks), metric(alert, Signal.RUN).task
    in_time, all_ = (
        f"sum by ({label}) (increase({each}[{duration(alert.window_seconds)}]))"
        for each in (runs.suffixed("_bucket", le=bucket(alert.bound_seconds)), runs.suffixed("_count"))
    )
    return named(f"1 - {in_time} / ({all_} >= {alert.minimum}) > {alert.threshold!r}", label)


def _slow_courses(alert: Alert, steps: int) -> Iterator[Course]:
    runs, label = series(alert, Signal.RUN, alert.tasks), metric(alert, Signal.RUN).task
    name = alert.tasks[0].replace("*", "any")
    all_, in_time = (
        example(each, **{label: name})
        for each in (runs.suffixed("_count"), runs.suffixed("_bucket", le=bucket(alert.bound_seconds)))
    )
    for course in _share_courses(alert, steps, all_, in_time, "slow"):
        of = {TASK_NAME: name}
        yield course if course.fires is None else course._replace(fires=of, value=name)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "CeleryQueueWaitHigh": Kind(
            "waits",
            _wait_high,
            _wait_courses,
            ("Share of late starts now: {}.", SHARE),
            inhibited_by=("service", "worker", "queue", "waits"),
        ),
        "CeleryQueueWaitBudgetFast": Kind(
            "objectives",
            _wait_budget,
            _wait_courses,
            ("Share of late starts: {}.", SHARE),
            inhibits="waits",
            inhibited_by=("service", "worker", "queue"),
        ),
        "CeleryQueueWaitBudgetSlow": Kind(
            "objectives",
            _wait_budget,
            _wait_courses,
            ("Share of late starts: {}.", SHARE),
            inhibited_by=("service", "worker", "queue", "waits"),
        ),
        "CeleryTaskFailureRate": Kind(
            "tasks",
            _failure_rate,
            _failure_courses,
            ("Failure rate now: {}.", SHARE),
            inhibited_by=("service", "failures"),
        ),
        "CeleryTaskErrorBudgetFast": Kind(
            "objectives",
            _error_budget,
            _failure_courses,
            ("Failure rate: {}.", SHARE),
            inhibits="failures",
            inhibited_by=("service",),
        ),
        "CeleryTaskErrorBudgetSlow": Kind(
            "objectives",
            _error_budget,
            _failure_courses,
            ("Failure rate: {}.", SHARE),
            inhibited_by=("service", "failures"),
        ),
        "CeleryTaskNewFailure": Kind(
            "tasks", event_of_task(Signal.FAILED), _new_failure_courses, ("Failed task: {}.", TASK)
        ),
        "CeleryTaskUnregistered": Kind("tasks", _unregistered, _unregistered_courses),
        "CeleryTaskKilled": Kind("tasks", _killed, _killed_courses, inhibited_by=("service",)),
        "CeleryTaskRetryStorm": Kind(
            "tasks",
            _retries,
            _retries_courses,
            ("Share of retries: {}.", SHARE),
            inhibited_by=("service", "failures"),
        ),
        "CeleryTaskRuntimeHigh": Kind(
            "tasks", _slow, _slow_courses, ("Task: {}.", TASK), inhibited_by=("service", "failures")
        ),
        "CeleryPayloadTooLarge": Kind("tasks", _payload, _payload_courses),
    }
)
