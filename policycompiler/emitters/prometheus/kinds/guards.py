"""Alerts on guards: open breakers, parked tasks, lost claims, poisoned tasks, and the store."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from policycompiler.emitters.prometheus.alert import Alert
from policycompiler.emitters.prometheus.courses import (
    NO_LABELS,
    SHARE,
    TASK,
    WHOLE,
    Course,
    Kind,
    growing,
    late,
    steady,
)
from policycompiler.emitters.prometheus.kinds.runs import (
    event_of_task,
    events_of_task,
    example,
    few_runs,
    many_runs,
)
from policycompiler.emitters.prometheus.series import Series, duration, increase, series
from policycompiler.knowledge.signals import Signal

_PROBED = "1 0 1 0 1 0 1"


def breaker(alert: Alert) -> Series:
    """The series that are 1 while the breaker of the alert is open."""
    found = series(alert, Signal.BREAKER)
    return found._replace(equal={**found.equal, "dependency": alert.dependency})


def _open(alert: Alert) -> str:
    # A probe that fails opens it again; until then it is half open.
    return f"max(max_over_time({breaker(alert)}[{duration(alert.window_seconds)}])) == 1"


def _open_courses(alert: Alert, steps: int) -> Iterator[Course]:
    one = example(breaker(alert))
    yield Course("fires while it is open", {one: steady(1, steps)}, NO_LABELS)
    # Rules may be evaluated every second sample; seven have no such rhythm.
    probed = " ".join([_PROBED] * (steps // len(_PROBED.split()) + 1))
    yield Course("fires while its probes fail", {one: probed}, NO_LABELS)
    waited = max(1, math.ceil(alert.for_seconds / alert.minute_seconds) - 2)
    yield Course("stays silent when it has just opened", {one: late(1, steps, waited)})
    bridge = math.ceil(alert.window_seconds / alert.minute_seconds) + 2
    closed = {one: f"{steady(1, steps - bridge - 1)} {steady(0, bridge)}"}
    yield Course("stays silent when it is closed again", closed)
    other = example(breaker(alert), dependency="another dependency")
    yield Course("stays silent while another one is open", {other: steady(1, steps), one: steady(0, steps)})


def _held(alert: Alert) -> str:
    held, started = (
        increase(series(alert, each), alert.window_seconds) for each in (Signal.HELD, Signal.STARTED)
    )
    return f"{held} / ({started} >= {alert.minimum}) > {alert.threshold!r}"


def _held_courses(alert: Alert, steps: int) -> Iterator[Course]:
    held, started = (example(series(alert, each)) for each in (Signal.HELD, Signal.STARTED))
    many = many_runs(alert)
    runs = growing(many, steps)
    most = math.ceil((1 + alert.threshold) / 2 * many)
    share = f"{100 * most / many:.4g}%"
    yield Course("fires when most are parked", {started: runs, held: growing(most, steps)}, NO_LABELS, share)
    few = growing(math.floor(alert.threshold / 2 * many), steps)
    yield Course("stays silent when few are parked", {started: runs, held: few})
    breakers = {started: runs, example(series(alert, Signal.HELD), reason="breaker"): runs}
    yield Course("stays silent when breakers park them", breakers)
    yield Course("stays silent without parks", {started: runs, held: steady(0, steps)})
    recent = max(2, alert.window_seconds // alert.minute_seconds // 2)
    jump = f"{steady(0, steps - recent - 1)} {steady(few_runs(alert), recent)}"
    yield Course("stays silent when all of a few are parked", {started: jump, held: jump})


def _store_down(alert: Alert) -> str:
    return f"count({series(alert, Signal.STORE_UP)} == 0)"


def _store_down_courses(alert: Alert, steps: int) -> Iterator[Course]:
    up = series(alert, Signal.STORE_UP)
    one, another = (up.example(instance=f"any:{number}") for number in (1, 2))
    yield Course("fires without it", {one: steady(0, steps), another: steady(0, steps)}, NO_LABELS, "2")
    yield Course("fires in one process", {one: steady(0, steps), another: steady(1, steps)}, NO_LABELS, "1")
    yield Course("stays silent while it answers", {one: steady(1, steps), another: steady(1, steps)})
    # The rule is evaluated at least twice while it answers again.
    last = max(2, steps // 4)
    back = {one: f"{steady(0, steps - last - 1)} {steady(1, last)}"}
    yield Course("stays silent when it is back", back)


_EFFECTS = {
    "CeleryGuardClaimLost": (Signal.LOST_CLAIM, "lost claim"),
    "CeleryGuardPoisoned": (Signal.POISONED, "poisoned task"),
}
"""Alerts at each event of a task."""

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        # Where one queue calls the dependency, its backlog has this cause.
        "CeleryBreakerOpen": Kind("guards", _open, _open_courses, inhibits="queue"),
        "CeleryGuardStoreDown": Kind(
            "guards", _store_down, _store_down_courses, ("Processes without it: {}.", WHOLE)
        ),
        "CeleryGuardParkRateHigh": Kind(
            "guards",
            _held,
            _held_courses,
            ("Share of parks: {}.", SHARE),
            inhibited_by=("service",),
        ),
        **{
            name: Kind("guards", event_of_task(signal), events_of_task(signal, what), ("Task: {}.", TASK))
            for name, (signal, what) in _EFFECTS.items()
        },
    }
)
