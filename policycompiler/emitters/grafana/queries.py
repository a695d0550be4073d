"""Queries of a dashboard: the selectors are those of the alert rules of the plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from policycompiler.emitters.grafana.panel import Query
from policycompiler.emitters.prometheus.alert import Alert, selected
from policycompiler.emitters.prometheus.series import length, merge_workers, metric, series
from policycompiler.knowledge.signals import Signal
from policycompiler.plan import Plan, Scope

RATE = "$__rate_interval"
"""Grafana replaces it with a window that holds four scrapes at least."""
_RATE_HOLE = "[1s]"


OF_QUEUES = ("queue", "lists", "tasks", "other_tasks")
"""The keys of alerts on queues that select their series."""


def alerts(plan: Plan, name: str, keys: Collection[str] = OF_QUEUES) -> list[tuple[Scope, Alert]]:
    """The alerts with a name, as far as the selectors of their series need them."""
    return [(scope, selected(plan, scope, keys)) for scope in named(plan, name)]


def named(plan: Plan, name: str) -> list[Scope]:
    """The alerts with a name. That of a scope begins with it; to read all of them would claim too much."""
    scopes = (scope for scope in plan.scopes("alert") if scope.name.partition(":")[0] == name)
    return [scope for scope in scopes if plan.text(scope, "alert") == name]


def expression(text: str) -> str:
    """A query with the window of Grafana; a `$` in a name of the plan stays one to Grafana and PromQL."""
    return text.replace("$", "\\u0024").replace(_RATE_HOLE, f"[{RATE}]")


def legend(text: str) -> str:
    """The name of a series; Grafana would replace a variable or a label in it."""
    return text.replace("$", "\N{FULLWIDTH DOLLAR SIGN}").replace("{{", "{ {")


def of_each(found: list[tuple[Scope, Alert]], write: Callable[[Alert], str]) -> Iterator[Query]:
    """One query for each alert, named after its queue."""
    for _, alert in found:
        yield Query(expression(write(alert)), legend(alert.queue))


def rate(signal: Signal) -> Callable[[Alert], str]:
    """How often something happens, in events per second."""
    return lambda alert: f"sum(rate({series(alert, signal)}{_RATE_HOLE}))"


def by_task(alert: Alert, signal: Signal, names: Sequence[str] = ()) -> Query:
    """The same for each task."""
    label = metric(alert, signal).task
    text = f"sum by ({label}) (rate({series(alert, signal, names)}{_RATE_HOLE})) > 0"
    return Query(expression(text), f"{{{{{label}}}}}")


def wait(alert: Alert) -> str:
    """The wait in the queue that 99% of the runs do not exceed, in seconds."""
    buckets = series(alert, Signal.WAIT).suffixed("_bucket")
    return f"histogram_quantile(0.99, sum by (le) (rate({buckets}{_RATE_HOLE})))"


def drain(alert: Alert) -> str:
    """Seconds until the last message starts, at the present rate."""
    return f"{length(alert)} / ({rate(Signal.STARTED)(alert)} > 0)"


def workers(alert: Alert) -> str:
    """The worker processes of the queue; none are 0."""
    return f"{merge_workers(alert, str(series(alert, Signal.WORKERS)))} or vector(0)"


def age(selector: object) -> str:
    """Seconds since a time that a metric has."""
    return f"time() - max({selector})"
