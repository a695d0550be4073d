"""Measured run times and rates: what Prometheus and Flower know of tasks, read from files.

Prometheus: the answer of its API (`/api/v1/query`) to one of two queries, with celery-exporter:

- `sum by (name, le) (increase(celery_task_runtime_bucket[7d]))` gives run times;
- `sum by (name) (rate(celery_task_received_total[7d]))` gives mean rates, and
  `max_over_time(sum by (name) (rate(celery_task_received_total[5m]))[7d:5m])` gives peaks.

Flower: the answer of `/api/tasks`, which has single runs.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import ceil, inf, isfinite, isnan
from pathlib import Path
from typing import Any

from policycompiler.plan import Scope, Setting
from policycompiler.reality.observed import observed

MEASURED = "measurement"
_MEDIAN, _HIGH = 0.5, 0.99
_FEWEST_RUNS = 20
"""Fewer runs say nothing about the slowest of a hundred."""
_LONGEST = 1e12
"""Seconds that no run takes."""


class MeasuredError(Exception):
    """A file that is neither an answer of Prometheus nor one of Flower; the text says why."""


def settings(paths: Iterable[Path]) -> Iterator[Setting]:
    """Run times and rates of tasks, from several files. Raises `MeasuredError`."""
    rates: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for path in sorted(paths):
        document = _document(path)
        if _is_prometheus(document):
            series = document["data"]["result"]
            yield from _run_times(_buckets(series), path.name)
            for name, value in _plain(series):
                rates[name].append((value, path.name))
        elif is_flower(document):
            yield from _of_runs(document, path.name)
        else:
            message = f"{path}: neither an answer of Prometheus' API nor of Flower's `/api/tasks`"
            raise MeasuredError(message)
    for name, found in sorted(rates.items()):
        # Of two rates of one task, the higher one is the peak.
        (mean, place), *_ = sorted(found)
        yield _seen(name, "rate_mean_per_second", mean, place)
        if len(found) > 1:
            peak, where = max(found)
            yield _seen(name, "rate_peak_per_second", peak, where)


def _document(path: Path) -> Any:  # noqa: ANN401 - any JSON
    if path.exists() and not path.is_file():
        message = f"{path}: not a regular file"
        raise MeasuredError(message)
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        message = f"{path}: {getattr(problem, 'strerror', None) or problem}"
        raise MeasuredError(message) from None


def _is_prometheus(document: object) -> bool:
    data = document.get("data") if isinstance(document, dict) else None
    return (
        isinstance(data, dict) and data.get("resultType") == "vector" and isinstance(data.get("result"), list)
    )


def is_flower(document: object) -> bool:
    """Whether this is an answer of Flower's `/api/tasks`."""
    return isinstance(document, dict) and all(
        isinstance(each, dict) and "name" in each for each in document.values()
    )


def _seen(task: str, key: str, value: float, place: str) -> Setting:
    return observed(Scope("task", task), key, value, source=MEASURED, place=place)


def _samples(series: Iterable[Any]) -> Iterator[tuple[Mapping[str, str], float]]:
    for each in series:
        try:
            labels, value = each["metric"], float(each["value"][1])
            bound = float(labels.get("le", 0))
        except (AttributeError, KeyError, IndexError, OverflowError, TypeError, ValueError):
            continue
        if isinstance(labels.get("name"), str) and isfinite(value) and not isnan(bound):
            yield labels, value


def _buckets(series: Iterable[Any]) -> dict[str, list[tuple[float, float]]]:
    """By task, the runs up to each bound."""
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for labels, value in _samples(series):
        if "le" in labels:
            found[labels["name"]].append((float(labels["le"]), value))
    return {name: sorted(bounds) for name, bounds in sorted(found.items())}


def _plain(series: Iterable[Any]) -> Iterator[tuple[str, float]]:
    return ((labels["name"], value) for labels, value in _samples(series) if "le" not in labels and value > 0)


def _run_times(buckets: Mapping[str, list[tuple[float, float]]], place: str) -> Iterator[Setting]:
    for name, bounds in buckets.items():
        if bounds[-1][1] >= _FEWEST_RUNS:
            for share, key in ((_MEDIAN, "p50"), (_HIGH, "p99")):
                if (seconds := _bound(bounds, share)) is not None:
                    yield _seen(name, f"runtime_{key}_seconds", seconds, place)


def _bound(bounds: list[tuple[float, float]], share: float) -> float | None:
    """The bound of the bucket in which a share of the runs is reached; None above the last bound.

    Not interpolated: a limit must not be below what was measured.
    """
    total = bounds[-1][1]
    reached = next(bound for bound, runs in bounds if runs >= share * total)
    return None if reached == inf else reached


def _of_runs(document: Mapping[str, Any], place: str) -> Iterator[Setting]:
    runs: defaultdict[str, list[float]] = defaultdict(list)
    for each in document.values():
        seconds = each.get("runtime")
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < _LONGEST:
            runs[str(each["name"])].append(float(seconds))
    for name, found in sorted(runs.items()):
        if len(found) >= _FEWEST_RUNS:
            found.sort()
            for share, key in ((_MEDIAN, "p50"), (_HIGH, "p99")):
                yield _seen(name, f"runtime_{key}_seconds", found[ceil(share * len(found)) - 1], place)
