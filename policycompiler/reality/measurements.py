"""Arrivals and run times of tasks, from answers of Prometheus' API and of Flower's.

A series of Prometheus has the name of a task in one of `TASK_LABELS`. With the label `le`, its value is a
number of runs up to this bound. Else it is a rate per second: the label `rate` says which one (`mean` or
`peak`). Without the label, the lower of two rates of a task is the mean. A matrix has the values of one rate
over time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import inf, isfinite
from typing import Any, NamedTuple

from policycompiler.knowledge.signals import SIGNALS, Signal
from policycompiler.reality.measured import MeasuredError, is_flower
from policycompiler.sizing import Histogram, histogram

TASK_LABELS = tuple(
    sorted({metrics[Signal.RUN].task for metrics in SIGNALS.values() if Signal.RUN in metrics})
)
"""The labels in which a source has the name of a task."""
_MEAN, _PEAK = "mean", "peak"
_KNOWN = frozenset({_MEAN, _PEAK, ""})
_LONGEST_SECONDS = 1e12
_MOST_PER_SECOND, _MOST_RUNS = 1e12, 1e18
"""What no source measures, and what would overflow in computations."""


class Measured(NamedTuple):
    """What was measured of a task: messages per second in the mean and at peak, and its runs."""

    mean: float | None
    peak: float | None
    runs: Histogram | None


class _Sample(NamedTuple):
    """A value: a number of runs up to `bound`, or a rate of one of `_KNOWN`."""

    task: str
    rate: str
    bound: float | None
    value: float


def measurements(documents: Iterable[object]) -> dict[str, Measured]:
    """What several answers say, by the name of the task. Raises `MeasuredError`, whose text says why."""
    rates: defaultdict[str, dict[str, float]] = defaultdict(dict)
    plain: defaultdict[str, list[float]] = defaultdict(list)
    runs: defaultdict[str, dict[float, float]] = defaultdict(dict)
    for document in documents:
        of_document: defaultdict[tuple[str, str], float] = defaultdict(float)
        for sample in _samples(document):
            if sample.bound is not None:
                counts = runs[sample.task]
                counts[sample.bound] = counts.get(sample.bound, 0.0) + sample.value
            else:
                of_document[sample.task, sample.rate] += sample.value
        for (task, rate), value in of_document.items():
            if rate:
                rates[task][rate] = max(value, rates[task].get(rate, 0.0))
            else:
                plain[task].append(value)
    for task, values in plain.items():
        found = rates[task]
        found.setdefault(_MEAN, min(values))
        if len(values) > 1:
            found.setdefault(_PEAK, max(values))
    return {
        task: Measured(
            rates[task].get(_MEAN),
            rates[task].get(_PEAK),
            histogram(runs[task].items()) if task in runs else None,
        )
        for task in sorted({*rates, *runs})
    }


def _samples(document: object) -> Iterator[_Sample]:
    if isinstance(document, dict) and document.get("status") == "error":
        message = f"Prometheus answered: {document.get('errorType')}: {document.get('error')}"
        raise MeasuredError(message)
    data = document.get("data") if isinstance(document, dict) else None
    if isinstance(data, dict) and "resultType" in data:
        return _of_prometheus(data)
    if is_flower(document) and document:
        assert isinstance(document, dict)
        return _of_flower(document)
    message = "neither an answer of Prometheus' API nor of Flower's `/api/tasks`"
    raise MeasuredError(message)


def _of_prometheus(data: Mapping[str, Any]) -> Iterator[_Sample]:
    kind, result = data["resultType"], data.get("result")
    if kind not in ("vector", "matrix") or not isinstance(result, list):
        message = f"the answer is a {kind}, not a vector or a matrix: ask for the series of tasks"
        raise MeasuredError(message)
    for each in result:
        labels = each.get("metric") if isinstance(each, dict) else None
        if not isinstance(labels, dict):
            raise MeasuredError("a series has no labels: this is not an answer of Prometheus")
        task = next((str(labels[key]) for key in TASK_LABELS if key in labels), None)
        if task is None:
            message = f"a series has no label {' or '.join(TASK_LABELS)} with the name of a task: {labels}"
            raise MeasuredError(message)
        if "__name__" in labels:
            message = f"{labels['__name__']} is a counter since the start of a process: ask for rates"
            raise MeasuredError(message)
        yield from _of_series(task, labels, _values(each, kind, task))


def _values(each: Mapping[str, Any], kind: str, task: str) -> list[float]:
    """The usable values of a series: not those that are infinite or no number, as a division by 0 gives."""
    found: Any = [each.get("value")] if kind == "vector" else each.get("values")
    try:
        values = [float(pair[1]) for pair in found or ()]
    except (IndexError, KeyError, TypeError, ValueError):
        message = f"a value of {task} is not a number"
        raise MeasuredError(message) from None
    return [value for value in values if isfinite(value) and value >= 0]


def _of_series(task: str, labels: Mapping[str, Any], values: list[float]) -> Iterator[_Sample]:
    if not values:
        return
    if "le" in labels:
        try:
            bound = float(labels["le"])
        except (TypeError, ValueError):
            bound = 0.0
        if not bound > 0:
            message = f"the bound le={labels['le']!r} of {task} is not a number of seconds"
            raise MeasuredError(message)
        _refuse_over(
            0.0 if bound == inf else bound, _LONGEST_SECONDS, f"seconds as the bound of runs of {task}"
        )
        _refuse_over(max(values), _MOST_RUNS, f"runs of {task} in a bucket")
        if len(values) > 1:
            message = f"the buckets of {task} have several values: ask for their increase over the whole time"
            raise MeasuredError(message)
        yield _Sample(task, "", bound, values[0])
        return
    rate = str(labels.get("rate", ""))
    if rate not in _KNOWN:
        message = f"the label rate={rate!r} of {task} is neither `mean` nor `peak`"
        raise MeasuredError(message)
    _refuse_over(max(values), _MOST_PER_SECOND, f"messages of {task} a second")
    if len(values) == 1:
        yield _Sample(task, rate, None, values[0])
    else:
        yield _Sample(task, _MEAN, None, sum(values) / len(values))
        yield _Sample(task, _PEAK, None, max(values))


def _refuse_over(value: float, most: float, what: str) -> None:
    if value > most:
        message = f"{value:g} {what} are too many: nothing measures more than {most:g}"
        raise MeasuredError(message)


def _of_flower(document: Mapping[str, Any]) -> Iterator[_Sample]:
    """Single runs: each run time is a bound."""
    runs: defaultdict[str, list[float]] = defaultdict(list)
    for each in document.values():
        seconds = each.get("runtime")
        if type(seconds) in (int, float) and 0 < seconds < _LONGEST_SECONDS:
            runs[str(each["name"])].append(float(seconds))
    for task, found in runs.items():
        counts = {bound: number for number, bound in enumerate(sorted(found), 1)}
        yield from (_Sample(task, "", bound, number) for bound, number in {**counts, inf: len(found)}.items())
