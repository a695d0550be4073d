"""Artificial courses of events for promtool: in each, all alerts of one name fire, or none does.

promtool evaluates all rules for each course, so one course shows all queues at once; with a course for each
queue the time would grow with the square of their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from policycompiler.emitters.prometheus.alert import Alert

MOST_EVALUATIONS = 24
"""In one course, about: with a window of hours, rules are evaluated less often so that tests take seconds."""
NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Course(NamedTuple):
    """Series by selector and, if the alert fires at the end, its labels besides those of the rule.

    `fires` is None if the alert stays silent; `value` is the value in the alert's value sentence.
    """

    name: str
    series: Mapping[str, str]
    fires: Mapping[str, str] | None = None
    value: str = ""


Courses: TypeAlias = Callable[[Alert, int], Iterator[Course]]
"""The courses of one alert, each so many samples long; the same names for all alerts of one name."""


class Kind(NamedTuple):
    """A kind of alert: its expression, the courses that prove it, and what it follows from.

    `inhibits` is the cause that it names, and `inhibited_by` are the causes that explain it. `says` is a
    sentence with the value, and the Go template of the value.
    """

    topic: str
    expression: Callable[[Alert], str]
    courses: Courses
    says: tuple[str, str] = ("", "")
    inhibits: str = ""
    inhibited_by: tuple[str, ...] = ()


CAUSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "service": ("app",),
        "metrics": ("app", "source"),
        "worker": ("app", "worker"),
        "queue": ("app", "queue"),
        "waits": ("app", "queue"),
        "drain": ("app", "queue"),
        "failures": ("app", "queue"),
        "schedule": ("app",),
        "unsent": ("app", "schedule"),
        "missed": ("app", "schedule"),
        "memory": ("app",),
    }
)
"""What one alert explains of others, and the labels that both then share."""
WHOLE = '{{ printf "%.0f" $value }}'
SHARE = "{{ $value | humanizePercentage }}"
SPAN = "{{ $value | humanizeDuration }}"
TASK = "{{ $labels.name }}"


def steps_between_evaluations(alerts: Sequence[Alert]) -> int:
    """How many samples apart promtool evaluates the rules, which is the same in all courses."""
    return math.ceil(_longest(alerts) / MOST_EVALUATIONS)


def steps_until_all_fire(alerts: Sequence[Alert], every: int) -> int:
    """Samples until each alert has seen a whole window, then the problem; rules run `every` few samples."""
    # An evaluation may see the problem one step late, and its age one more step late.
    return math.ceil(_longest(alerts) / every + 2) * every


def _longest(alerts: Sequence[Alert]) -> int:
    window = max(alert.window_seconds for alert in alerts)
    patience = max(alert.for_seconds for alert in alerts)
    return math.ceil((window + patience) / alerts[0].minute_seconds)


def steady(value: float, steps: int) -> str:
    """A series with one value; a sample is one minute of alerts."""
    return f"{value!r}+0x{steps}"


def growing(each: float, steps: int) -> str:
    """A counter that counts so many events in each step."""
    return f"0+{each!r}x{steps}"


def late(value: int, steps: int, last: int) -> str:
    """A series that appears with a value in the last few samples."""
    return f"_x{steps - last} {steady(value, last)}"


def more_at_the_end(value: int, steps: int, last: int = 2) -> str:
    """A counter that counts one event shortly before the end."""
    return f"{steady(value, steps - last - 1)} {steady(value + 1, last)}"


def window_steps(alert: Alert) -> int:
    """Two samples less than the window: Prometheus 3 excludes the sample on its far edge."""
    return max(1, alert.window_seconds // alert.minute_seconds - 2)


def rare(steps: int, apart: int) -> str:
    """A counter of events, the last of them `apart` samples before the end and the others as far apart."""
    lengths = [apart + 1, *[apart] * ((steps - apart) // apart), (steps - apart) % apart]
    plateaus = enumerate((length for length in reversed(lengths) if length), start=1)
    return " ".join(steady(count, length - 1) for count, length in plateaus)


def counted(
    counter: str, steps: int, what: str, fires: Mapping[str, str] = NO_LABELS, value: str = ""
) -> Iterator[Course]:
    """Courses of a counter whose next event fires an alert at once."""
    yield Course(f"fires at the next {what}", {counter: more_at_the_end(1, steps)}, fires, value)
    yield Course(f"fires at the first {what}", {counter: late(1, steps, 2)}, fires, value)
    # Prometheus 2 includes the sample on the far edge of a window; the event is before that sample.
    long_ago = {counter: f"{steady(0, 0)} {steady(1, steps - 1)}"}
    yield Course(f"stays silent long after a {what}", long_ago)
