"""Selectors of series, and the PromQL that rules share.

Two exporters may watch one broker, so `max` merges copies of a gauge. All results are without labels, unless
a rule says otherwise: the rule has its own labels, and series of different sources then match.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from policycompiler.emitters.prometheus.alert import Alert
from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.signals import SIGNALS, Metric, Signal, source_of

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_MOST_PLAIN_DIGITS = 6
TASK_NAME = "name"
"""The label with the name of a task in the results of rules."""


class Series(NamedTuple):
    """One metric with labels that have a value, and labels that have one of several values.

    A value in `either` is a regular expression and a text that it matches. `without` has regular expressions
    of values that do not count.
    """

    metric: str
    equal: Mapping[str, str]
    either: Mapping[str, tuple[tuple[str, str], ...]]
    without: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        """The selector."""
        found = [f"{name}={promql_string(value)}" for name, value in self.equal.items()]
        for name, values in self.either.items():
            found.append(f"{name}=~{promql_string('|'.join(regex for regex, _ in values))}")
        for name, regexes in self.without.items():
            found.append(f"{name}!~{promql_string('|'.join(regexes))}")
        return f"{self.metric}{{{', '.join(found)}}}" if found else self.metric

    def example(self, **more: str) -> str:
        """One series that the selector selects, with some labels replaced or added."""
        first = {name: values[0][1] for name, values in self.either.items()}
        return labeled(self.metric, {**self.equal, **first, **more})

    def suffixed(self, suffix: str, **more: str) -> Series:
        """The same series of another metric of a histogram."""
        return self._replace(metric=f"{self.metric}{suffix}", equal={**self.equal, **more})


def promql_string(text: str) -> str:
    """A text as a PromQL string; PromQL's escapes include all that JSON writes."""
    return json.dumps(text, ensure_ascii=False)


def duration(seconds: float) -> str:
    """Seconds as Prometheus writes them, in the largest unit that leaves no rest: `90m`."""
    whole = math.ceil(seconds)
    return next(f"{whole // size}{unit}" for unit, size in _UNITS if whole % size == 0)


def labeled(metric: str, labels: Mapping[str, str]) -> str:
    """A metric with its labels, as a series is written."""
    return f"{metric}{{{', '.join(f'{name}={promql_string(value)}' for name, value in labels.items())}}}"


def source(alert: Alert, signal: Signal) -> str:
    """The source whose metric shows a signal; a policy decides only alerts that have one."""
    found = source_of(signal, alert.sources)
    assert found is not None, f"{alert.name} reads {signal}, which none of {alert.sources} has"
    return found


def metric(alert: Alert, signal: Signal) -> Metric:
    """The metric that shows a signal."""
    return SIGNALS[source(alert, signal)][signal]


def series(alert: Alert, signal: Signal, names: Sequence[str] = ()) -> Series:
    """The series of the service, and of the queue or the tasks of the alert, as far as labels name them.

    With `names` of tasks or patterns, these tasks count, whatever their queue.
    """
    shown, its = metric(alert, signal), source(alert, signal)
    own = SOURCES[its].own_labels(alert.service, alert.matchers, of_queue=bool(shown.queue))
    if alert.task and not names:
        names = (alert.task, *alert.earlier_names)
    patterns: tuple[tuple[str, str], ...] = ()
    label, without = shown.queue, dict[str, tuple[str, ...]]()
    if shown.lists:
        patterns = tuple((re.escape(each), each) for each in alert.lists)
    elif shown.queue and alert.queue and (not names or not shown.task):
        patterns = ((re.escape(alert.queue), alert.queue),)
    elif shown.task and shown.task not in shown.labels:
        label = shown.task
        patterns = tuple((glob(name), name.replace("*", "any")) for name in names or alert.tasks)
        if alert.other_tasks and patterns:
            without[label] = tuple(map(glob, alert.other_tasks))
    fixed = {name: tuple((re.escape(each), each) for each in values) for name, values in shown.labels.items()}
    chosen = {**fixed, **({label: patterns} if patterns else {})}
    exact = {name: texts for name, texts in chosen.items() if len(texts) == 1 and _is_plain(*texts[0])}
    equal = {**own, **{name: texts[0][1] for name, texts in exact.items()}}
    return Series(shown.name, equal, {n: texts for n, texts in chosen.items() if n not in exact}, without)


def _is_plain(regex: str, text: str) -> bool:
    """Whether a regular expression matches one text alone."""
    return regex == re.escape(text)


def up(alert: Alert, its: str, job: str = "") -> Series:
    """Whether Prometheus scrapes a source; a matcher may replace its default job."""
    labels = {"job": job or SOURCES[its].job, **alert.matchers.get(its, {})}
    return Series("up", labels, {}, {})


def alive(alert: Alert, signal: Signal) -> str:
    """A condition: the source of a signal answers, so a missing series proves something.

    A source that runs in every worker process is alive if Prometheus has a target.
    """
    its = source(alert, signal)
    scraped = up(alert, its, SOURCES[its].queue_job)
    return f"count({scraped}) > 0" if SOURCES[its].in_workers else f"max({scraped}) == 1"


def merge_workers(alert: Alert, seen: str) -> str:
    """The number of worker processes in a selector or a window of it."""
    return f"{'count' if SOURCES[source(alert, Signal.WORKERS)].in_workers else 'max'}({seen})"


def length(alert: Alert) -> str:
    """The number of messages in the queue."""
    held, shown = series(alert, Signal.LENGTH), metric(alert, Signal.LENGTH)
    return f"sum(max by ({shown.queue}) ({held}))" if len(held.either) else f"max({held})"


def increased(counters: object, seconds: int, by: str = "") -> str:
    """A condition: a counter has counted something within a window, or appeared in it."""
    # A counter that appears with its first event shows no increase, so its appearance counts as an event.
    window, merge = duration(seconds), f"sum by ({by}) " if by else "sum"
    born = f"{merge}({counters} > 0 unless {counters} offset {window})"
    return f"{merge}(increase({counters}[{window}])) > 0 or {born}"


def increase(counters: object, seconds: int) -> str:
    """How much counters have counted within a window, in total."""
    return f"sum(increase({counters}[{duration(seconds)}]))"


def named(condition: str, label: str) -> str:
    """A condition of tasks, with the label `name`: a rule may have a label `task` of its own."""
    if label == TASK_NAME:
        return condition
    return f'max by ({TASK_NAME}) (label_replace({condition}, "{TASK_NAME}", "$1", "{label}", "(.*)"))'


def bucket(seconds: float) -> str:
    """The label `le` of a bucket, as prometheus_client writes it."""
    text = repr(float(seconds))
    digits = text.find(".")
    if seconds > 0 and digits > _MOST_PLAIN_DIGITS:
        mantissa = f"{text[0]}.{text[1:digits]}{text[digits + 1 :]}".rstrip("0.")
        return f"{mantissa}e+0{digits - 1}"
    return text


def glob(pattern: str) -> str:
    """A regular expression for a pattern with `*`."""
    return ".*".join(map(re.escape, pattern.split("*")))
