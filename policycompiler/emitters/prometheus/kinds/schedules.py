"""Alerts on beat and on each schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from policycompiler.emitters.prometheus.alert import Alert
from policycompiler.emitters.prometheus.courses import (
    NO_LABELS,
    Course,
    Kind,
    growing,
    late,
    rare,
    steady,
    window_steps,
)
from policycompiler.emitters.prometheus.series import Series, duration, increased, series, source, up
from policycompiler.knowledge.signals import Signal, source_of

HEARD_SHARE = 0.95
"""The share of a window for which the source must answer; else a missing event proves nothing."""


def _ticks(alert: Alert) -> bool:
    """Whether a source measures beat itself; else only the tasks that it sends."""
    return source_of(Signal.TICK, alert.sources) is not None


def _beat_down(alert: Alert) -> str:
    if not _ticks(alert):
        return _silent(alert, Signal.SENT, alert.tasks)
    tick = series(alert, Signal.TICK)
    return f"time() - max({tick}) > {alert.window_seconds} or absent({tick})"


def _beat_down_courses(alert: Alert, steps: int) -> Iterator[Course]:
    if not _ticks(alert):
        yield from _no_event(alert, Signal.SENT, alert.tasks, steps)
        return
    tick, step = series(alert, Signal.TICK), alert.minute_seconds
    yield Course("fires when beat no longer ticks", {tick.example(): steady(0, steps)}, NO_LABELS)
    yield Course("fires when beat is not scraped", {}, dict(tick.equal))
    yield Course("stays silent while beat ticks", {tick.example(): growing(step, steps)})


def _missed(alert: Alert) -> str:
    return _silent(alert, Signal.STARTED)


def _missed_courses(alert: Alert, steps: int) -> Iterator[Course]:
    yield from _no_event(alert, Signal.STARTED, (), steps)


def _silent(alert: Alert, signal: Signal, names: Sequence[str] = ()) -> str:
    """No event was counted within the window, although the source answered."""
    happened = increased(series(alert, signal, names), alert.window_seconds)
    # One failed scrape must not disable the alert for a week.
    scraped = up(alert, source(alert, signal))
    heard = f"max(avg_over_time({scraped}[{duration(alert.window_seconds)}])) > {HEARD_SHARE!r}"
    return f"vector(0) unless on () ({happened}) and on () {heard}"


def _no_event(alert: Alert, signal: Signal, names: Sequence[str], steps: int) -> Iterator[Course]:
    """Courses in which a counter stops for a window, never exists, or counts in each window."""
    scraped = up(alert, source(alert, signal)).example(instance="any:9808")
    each: list[Sequence[str]] = [[name] for name in names] or [[]]
    counters, window = [_counter(series(alert, signal, name)) for name in each], window_steps(alert)
    heard = {scraped: steady(1, steps)}
    ceased = {**heard, **dict.fromkeys(counters, f"4 {steady(5, steps - 1)}")}
    yield Course("fires when events stop", ceased, NO_LABELS)
    yield Course("fires when no event was ever counted", heard, NO_LABELS)
    yield Course("stays silent while events come in time", {**ceased, counters[-1]: rare(steps, window)})
    first = {**heard, counters[0]: late(1, steps, window)}
    yield Course("stays silent when the first event has just come", first)
    yield Course("stays silent when the source is down", {scraped: steady(0, steps)})


def _counter(found: Series) -> str:
    return found.example(instance="any:1")


def _not_sent(alert: Alert) -> str:
    sent = series(alert, Signal.DISPATCH)
    one = sent._replace(equal={**sent.equal, "schedule": alert.schedule})
    limit = f"> {alert.window_seconds}"
    started = f"time() - max({series(alert, Signal.BEAT_START)}) {limit}"
    return f"time() - max({one}) {limit} or ({started} unless on () {one})"


def _not_sent_courses(alert: Alert, steps: int) -> Iterator[Course]:
    sent, start = series(alert, Signal.DISPATCH), series(alert, Signal.BEAT_START).example()
    one, runs = sent.example(schedule=alert.schedule), {start: steady(0, steps)}
    yield Course("fires when the schedule is no longer sent", {**runs, one: steady(0, steps)}, NO_LABELS)
    yield Course("fires when the schedule was never sent", runs, NO_LABELS)
    recent = {**runs, one: growing(alert.minute_seconds, steps)}
    yield Course("stays silent while the schedule is sent", recent)
    fresh = {start: growing(alert.minute_seconds, steps)}
    yield Course("stays silent when beat has just started", fresh)


def _unsuccessful(alert: Alert) -> str:
    return _silent(alert, Signal.SUCCEEDED)


def _unsuccessful_courses(alert: Alert, steps: int) -> Iterator[Course]:
    yield from _no_event(alert, Signal.SUCCEEDED, (), steps)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "CeleryBeatDown": Kind(
            "schedules",
            _beat_down,
            _beat_down_courses,
            inhibits="schedule",
            # A broker without memory makes beat wait in the middle of a tick, or refuses what it sends.
            inhibited_by=("service", "memory"),
        ),
        "CeleryScheduleNotSent": Kind(
            "schedules",
            _not_sent,
            _not_sent_courses,
            inhibits="unsent",
            inhibited_by=("service", "memory", "schedule"),
        ),
        "CeleryScheduleMissed": Kind(
            "schedules",
            _missed,
            _missed_courses,
            inhibits="missed",
            inhibited_by=("service", "memory", "worker", "schedule", "unsent"),
        ),
        "CeleryScheduleUnsuccessful": Kind(
            "schedules",
            _unsuccessful,
            _unsuccessful_courses,
            inhibited_by=("service", "memory", "worker", "schedule", "unsent", "missed", "failures"),
        ),
    }
)
