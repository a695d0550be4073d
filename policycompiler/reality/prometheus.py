"""Asks a Prometheus server what it knows of tasks: one query for each source of metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlencode, urlsplit, urlunsplit

from policycompiler.knowledge.metric_sources import SOURCES, Source
from policycompiler.knowledge.signals import SIGNALS, Metric, Signal
from policycompiler.plan import APP, Plan
from policycompiler.reality.measured import MeasuredError
from policycompiler.reality.web import got

TIMEOUT_SECONDS = 60
WINDOW_SECONDS = 300
"""A peak is the highest rate of so many seconds."""
_FEWEST_SECONDS = 60
_MOST_POINTS = 2000
_ARRIVALS = (Signal.SENT, Signal.STARTED)
"""A message that nobody saw being sent is seen when it starts; one that never starts is only sent."""
_LARGEST_ERROR = 4096


class Asked(NamedTuple):
    """The sources that have series, and their answers."""

    sources: tuple[str, ...]
    documents: tuple[object, ...]


def sources_of(plan: Plan) -> list[Source]:
    """The sources that measure tasks: first those of the plan, best first, then the others."""
    chosen = plan.texts(APP, "metric_sources") if plan.find(APP, "metric_sources") else []
    every = dict.fromkeys((*chosen, *SOURCES))
    return [SOURCES[name] for name in every if name in SOURCES and Signal.RUN in SIGNALS[name]]


def query(plan: Plan, source: Source, over_seconds: float) -> str:
    """The PromQL for the mean and the highest rate of each task, and its runs by bucket, in one answer."""
    metrics = SIGNALS[source.name]
    own = source.own_labels(plan.text(APP, "service"), _matchers(plan))
    over = f"{over_seconds:.0f}s"
    rates = [
        _labeled(_rate(source, metrics, own, aggregate, over_seconds), "rate", name)
        for name, aggregate in (("mean", "avg_over_time"), ("peak", "max_over_time"))
    ]
    run = metrics[Signal.RUN]
    buckets = f"sum by ({run.task}, le) (increase({_selector(run, own, '_bucket')}[{over}]))"
    return " or ".join([*rates, buckets])


def _rate(
    source: Source,
    metrics: Mapping[Signal, Metric],
    own: Mapping[str, str],
    aggregate: str,
    over_seconds: float,
) -> str:
    """The larger rate of what was sent and what was started, over a time."""
    step = min(max(_FEWEST_SECONDS, over_seconds / _MOST_POINTS), WINDOW_SECONDS)
    parts = []
    for signal in _ARRIVALS:
        if signal in metrics:
            metric = metrics[signal]
            rate = f"rate({_selector(metric, own)}[{WINDOW_SECONDS}s])"
            summed = f"sum by ({metric.task}) ({rate})"
            if not source.in_workers:
                # Each instance of an exporter counts all messages.
                summed = f"max by ({metric.task}) (sum by ({metric.task}, instance) ({rate}))"
            ranged = f"{aggregate}({summed}[{over_seconds:.0f}s:{step:.0f}s])"
            parts.append(_labeled(ranged, "seen", signal.name.lower()))
    return f"max by ({metrics[Signal.RUN].task}) ({' or '.join(parts)})"


def _labeled(expression: str, label: str, value: str) -> str:
    return f'label_replace({expression}, "{label}", "{value}", "", "")'


def _selector(metric: Metric, own: Mapping[str, str], suffix: str = "") -> str:
    """The series of a metric that belong to the service; a fixed label of `metric` has one value."""
    labels = {**own, **{name: values[0] for name, values in metric.labels.items()}}
    inside = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    return f"{metric.name}{suffix}{{{inside}}}"


def _matchers(plan: Plan) -> Mapping[str, Mapping[str, str]]:
    """The labels that select the series of each source, as the alerts of the plan have them."""
    found: dict[str, Mapping[str, str]] = {}
    for alert in plan.scopes("alert"):
        matchers = plan.get(alert, "matchers")
        for name, labels in matchers.items() if isinstance(matchers, dict) else ():
            if isinstance(labels, dict):
                found.setdefault(name, {key: str(value) for key, value in labels.items()})
    return found


def ask(address: str, queries: Mapping[str, str]) -> Asked:
    """The answer of the first query that has one, by the name of its source. Raises `MeasuredError`."""
    base, login, shown = _checked(address)
    for source, text in queries.items():
        document = _answer(base, text, login, shown)
        data = document.get("data")
        if not (isinstance(data, dict) and data.get("result") == []):
            return Asked((source,), (document,))
    message = f"Prometheus at {shown} has no series of tasks of this service from {_listed([*queries])}"
    raise MeasuredError(message)


def _listed(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _checked(address: str) -> tuple[str, tuple[str, str] | None, str]:
    """The address without login, the login, and the address as people may see it."""
    try:
        parts: SplitResult = urlsplit(address)
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        place = host + (f":{parts.port}" if parts.port else "")
    except ValueError:
        place = ""
    if not place or parts.query or parts.fragment:
        raise MeasuredError(
            "the URL is not the address of a Prometheus server, such as http://localhost:9090"
        )
    login = None
    if parts.username is not None:
        login = (unquote(parts.username), unquote(parts.password or ""))
    base = urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))
    return base, login, base


def _answer(base: str, text: str, login: tuple[str, str] | None, shown: str) -> Mapping[str, Any]:
    question = urlencode({"query": text, "timeout": f"{TIMEOUT_SECONDS}s"})
    try:
        body = got(f"{base}/api/v1/query?{question}", login, TIMEOUT_SECONDS)
        found = json.loads(body)
    except HTTPError as problem:
        with problem:
            raise MeasuredError(_refusal(shown, problem)) from None
    except (URLError, HTTPException, OSError) as problem:
        message = f"Prometheus at {shown} does not answer: {getattr(problem, 'reason', None) or problem}"
        raise MeasuredError(message) from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        message = f"the answer of {shown} is not that of Prometheus' API: name the address of its server"
        raise MeasuredError(message)
    return found


def _refusal(shown: str, problem: HTTPError) -> str:
    """What a server says that does not answer a query, with a remedy for what a person can change."""
    told = f"Prometheus at {shown} answers {problem.code} {problem.reason}"
    if problem.code in (401, 403):
        return f"{told}: write a login into the URL, as in https://USER:PASSWORD@HOST"
    if 300 <= problem.code < 400:  # noqa: PLR2004 - a redirect
        return f"{told}: it leads to another address; name that one, if you trust it"
    return told + "".join(f": {each}" for each in _errors(problem))


def _errors(problem: HTTPError) -> Iterator[str]:
    try:
        found = json.loads(problem.read(_LARGEST_ERROR))
    except (ValueError, RecursionError, OSError, HTTPException):
        return
    if isinstance(found, dict) and isinstance(found.get("error"), str):
        yield found["error"]
