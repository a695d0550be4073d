"""Parts that all alerts have: sources, severity, team, and the decisions of one alert."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeAlias

from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.signals import SIGNALS, Signal, source_of
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Scope, Value
from policycompiler.plan.queue_lists import queue_lists
from policycompiler.policies.watching.alerts.tuned import NAME, Parameters, origin
from policycompiler.quantities import duration

SCRAPE_INTERVAL_SECONDS = 30
"""Each scrape of celery-exporter waits at least 2 s for workers, so Prometheus scrapes at this interval."""
PAGE = "critical"
"""The alert pages a person."""
TICKET = "warning"
"""A person looks at the alert in office hours."""
NOTE = "info"
"""Nobody is called; the alert explains others."""
NO_TEAM = None
"""Neither the queue nor the service declares an owner."""
AT_ONCE = 0
"""Seconds of patience with what does not go away by waiting."""
MINUTE_SECONDS = 60
"""All times of alerts are whole minutes."""
_TIMES = ("for_seconds", "window_seconds", "short_window_seconds")
_OF_RUNS = frozenset(
    {
        *(Signal.STARTED, Signal.SUCCEEDED, Signal.FAILED, Signal.RETRIED, Signal.KILLED),
        *(Signal.RUN, Signal.WAIT, Signal.SENT),
    }
)
"""Signals that sources with events know only from events."""


class Choice(NamedTuple):
    """One decided value with its reason."""

    value: Value
    because: str
    origins: tuple[Origin, ...]


class Unseen(NamedTuple):
    """An alert that no source can show, and what none of them measures."""

    alert: str
    signal: Signal


Found: TypeAlias = Decision | Unseen


class About(NamedTuple):
    """What an alert is about: a queue or the service, more closely a task or schedule, and its scope's name.

    The owner of `closely` gets the alert, else the owner of the queue or of the service. `shown` is another
    queue whose messages count, such as the one with the dead letters.
    """

    queue: Scope | None = None
    closely: tuple[Scope, ...] = ()
    suffix: str = ""
    shown: str = ""

    def scope(self, alert: str) -> Scope:
        """The scope of an alert."""
        subject = self.suffix or (
            self.closely[0].name if self.closely else self.queue.name if self.queue else ""
        )
        return Scope("alert", f"{alert}:{subject}" if subject else alert)


def constant(name: str, value: Value, because: str) -> Choice:
    """The choice of a constant, whatever the plan says."""
    return Choice(value, because, (Constant(name, value),))


def tuned_choice(tuned: Parameters, key: str, because: str) -> Choice:
    """The choice of a parameter."""
    return Choice(getattr(tuned, key), because, (origin(tuned, key),))


def patience(tuned: Parameters, because: str) -> Choice:
    """The shortest time that a problem must last."""
    return Choice(minutes(tuned.patience), because, (origin(tuned, "patience"),))


def at_once(because: str) -> Choice:
    """No patience: the problem does not go away by waiting."""
    return constant("AT_ONCE", AT_ONCE, because)


def severity(plan: Plan, queue: Scope, tuned: Parameters) -> Choice:
    """The severity of a stopped queue, by its latency target."""
    promise = plan.number(queue, "queue_wait_seconds")
    origins = (Derived(queue, "queue_wait_seconds"), origin(tuned, "urgent_wait"))
    if promise <= tuned.urgent_wait:
        because = (
            f"the queue's latency target is {duration(promise)}, "
            f"and targets up to {duration(tuned.urgent_wait)} page a person"
        )
        return Choice(PAGE, because, origins)
    because = (
        f"the queue's latency target is {duration(promise)}, "
        f"and only targets up to {duration(tuned.urgent_wait)} page a person"
    )
    return Choice(TICKET, because, origins)


def minutes(seconds: float) -> int:
    """Whole minutes that hold these seconds, in seconds."""
    return math.ceil(seconds / 60) * 60


def span(choice: Choice) -> str:
    """The seconds of a choice for people."""
    assert isinstance(choice.value, int)
    return duration(choice.value)


def sources(plan: Plan) -> list[str]:
    """The sources that Prometheus scrapes, best first."""
    return plan.texts(APP, "metric_sources") if plan.find(APP, "metric_sources") else []


def decide(
    plan: Plan,
    alert: str,
    about: About,
    signals: Sequence[Signal],
    choices: Mapping[str, Choice],
    texts: tuple[str, str],
    tuned: Parameters,
    *,
    measured: Sequence[str] = (),
) -> Iterator[Found]:
    """All decisions of one alert, if its sources measure all that it compares.

    `texts` are its summary and its description. `measured` are sources that the alert itself is about.
    """
    chosen = [*measured]
    for signal in signals:
        found = source_of(signal, _trusted(plan, signal, about.queue))
        if found is None:
            yield Unseen(alert, signal)
            return
        if SOURCES[found].reads_events and signal in _OF_RUNS and not _tells_of_runs(plan, about.queue):
            return
        chosen.append(found)
    scope, queue = about.scope(alert), about.queue
    because, cause = _cause(plan, queue)
    named: Mapping[str, Choice] | None = {}
    if "task" not in choices and "tasks" not in choices:
        named = _named(plan, queue, signals, chosen)
    if named is None:
        return
    lists = _lists(plan, about, signals, chosen)
    given = {**choices, **named, **lists, **_told(plan, tuned, alert, chosen)}
    whole = _scaled(given, tuned)
    team, whose, of_team = _team(plan, queue, about.closely)
    # Best first, as in the policy file: a rule reads the first of them that measures a signal.
    sourced: Value = [name for name in sources(plan) if name in chosen]
    yield Decision(scope, "alert", alert, because, (cause,))
    shown = about.shown or (queue.name if queue else None)
    yield Decision(scope, "queue", shown, because, (cause,))
    measure = "these sources measure what the alert compares"
    yield Decision(scope, "sources", sourced, measure, (Derived(APP, "metric_sources"),))
    yield Decision(scope, "team", team, whose, of_team)
    for key, (value, why, origins) in whole.items():
        yield Decision(scope, key, value, why, origins)
    summary, description = texts
    yield Decision(scope, "summary", summary, "the summary names the problem", (cause,))
    because = "the description gives the alert's numbers and the first step"
    numbers = tuple(Derived(scope, key) for key in given)
    yield Decision(scope, "description", description, because, numbers or (cause,))


def _trusted(plan: Plan, signal: Signal, queue: Scope | None) -> list[str]:
    """The sources of a signal, best first. A queue that guards pause has no consumer for a while.

    Then only the processes themselves tell a pause from a lost worker.
    """
    found = sources(plan)
    pauses = (plan.get(each, "pauses") for each in plan.scopes("dependency"))
    if (
        signal is Signal.WORKERS
        and queue
        and any(queue.name in each for each in pauses if isinstance(each, list))
    ):
        found.sort(key=lambda name: not SOURCES[name].in_workers)
    return found


def _cause(plan: Plan, queue: Scope | None) -> tuple[str, Derived]:
    if queue is None:
        return "the sources of metrics show it", Derived(APP, "metric_sources")
    if plan.find(queue, "workers") and plan.texts(queue, "workers"):
        return "a worker of this service consumes the queue", Derived(queue, "workers")
    return "the queue belongs to this service", Derived(queue, "external")


def _tells_of_runs(plan: Plan, queue: Scope | None) -> bool:
    """Whether events report each start and end, and the queue, which only the sent event names."""
    if plan.get(APP, "task_send_sent_event") is not True:
        return False
    workers = plan.texts(queue, "workers") if queue is not None else []
    return all(plan.value(Scope("worker", name), "task_events") for name in workers)


def _named(
    plan: Plan, queue: Scope | None, signals: Sequence[Signal], chosen: Sequence[str]
) -> dict[str, Choice] | None:
    """The tasks of a queue, for metrics that have no label for the queue; None if it has no tasks."""
    metrics = (SIGNALS[source][signal] for signal, source in zip(signals, chosen, strict=True))
    if queue is None or all(each.queue or not each.task for each in metrics):
        return {}
    names = plan.texts(queue, "tasks")
    because, origins = "the source does not name the queue of a task", (Derived(queue, "tasks"),)
    shown: Value = [*names]
    return {"tasks": Choice(shown, because, origins), **others(plan, names, origins)} if names else None


def others(plan: Plan, names: Sequence[str], origins: tuple[Origin, ...]) -> dict[str, Choice]:
    """The declared tasks that a pattern among the names includes, although they have entries of their own."""
    patterns = [name for name in names if "*" in name]
    if not patterns:
        return {}
    found: Value = [
        task.name
        for task in plan.scopes("task")
        if task.name not in names
        and any(fnmatchcase(task.name, pattern) for pattern in patterns)
        # One that includes another name of the alert would hide it.
        and not any(fnmatchcase(name, task.name) for name in names)
    ]
    because = "these tasks match a pattern but have their own entries"
    return {"other_tasks": Choice(found, because, origins)} if found else {}


def _lists(plan: Plan, about: About, signals: Sequence[Signal], chosen: Sequence[str]) -> dict[str, Choice]:
    """The lists of the queue, for metrics that have a label for each."""
    if about.queue is None or not any(
        SIGNALS[source][signal].lists for signal, source in zip(signals, chosen, strict=True)
    ):
        return {}
    queue = Scope("queue", about.shown) if about.shown else about.queue
    names: Value = [*queue_lists(plan, queue)]
    because = "the broker keeps the messages of the queue in these lists"
    return {"lists": Choice(names, because, (Derived(APP, "broker_transport"),))}


def _scaled(choices: Mapping[str, Choice], tuned: Parameters) -> dict[str, Choice]:
    """The choices with shorter minutes, if the policy file sets them."""
    if tuned.minute == MINUTE_SECONDS:
        return dict(choices)
    scaled = dict(choices)
    for key in _TIMES:
        if key in choices:
            value, because, origins = choices[key]
            assert isinstance(value, int)
            shorter = value * tuned.minute // MINUTE_SECONDS
            scaled[key] = Choice(shorter, because, (*origins, origin(tuned, "minute")))
    return scaled


def _told(plan: Plan, tuned: Parameters, alert: str, chosen: Sequence[str]) -> dict[str, Choice]:
    """What the policy file sets for an alert: its severity, and labels that select this service."""
    told = {}
    if alert in tuned.severities:
        path = ("parameters", NAME, "severities", alert)
        found: Value = tuned.severities[alert]
        told["severity"] = Choice(found, "the policy file sets this severity", (Parameter(path, found),))
    matchers, origins = dict[str, Value](), list[Origin]()
    for source in dict.fromkeys(chosen):
        key = SOURCES[source].matchers
        # A plan file sorts them, and rules that are made from it must have the same order.
        labels: Value = dict(sorted(getattr(tuned, key).items()))
        if labels:
            matchers[source] = labels
            origins.append(Parameter(("parameters", NAME, key), labels))
        elif addresses := _addresses(plan, source):
            matchers[source] = {"app": plan.text(APP, "service")}
            origins += (addresses, Derived(APP, "service"))
    if matchers:
        whose = "these labels select the metrics of this service"
        told["matchers"] = Choice(matchers, whose, tuple(origins))
    return told


def _addresses(plan: Plan, source: str) -> Origin | None:
    """Where the policy file says the addresses of a source: its targets then have the label `app`."""
    targets = plan.find(APP, "scrape_targets")
    for origin_ in targets.origins if targets is not None else ():
        if isinstance(origin_, Parameter) and isinstance(origin_.value, dict) and source in origin_.value:
            return origin_
    return None


def _team(plan: Plan, queue: Scope | None, closely: Sequence[Scope]) -> tuple[Value, str, tuple[Origin, ...]]:
    """The team of an alert: the owner of its subject, else of the queue, else of the service."""
    for scope in closely:
        if plan.find(scope, "owner"):
            return plan.value(scope, "owner"), f"this team owns the {scope.kind}", (Derived(scope, "owner"),)
    if queue is not None and plan.find(queue, "owner"):
        return plan.value(queue, "owner"), "this team owns the queue", (Derived(queue, "owner"),)
    if plan.find(APP, "owner"):
        because = "this team owns the service"
        if queue is not None:
            because = "the queue has no single owner, and this team owns the service"
        return plan.value(APP, "owner"), because, (Derived(APP, "owner"),)
    because = "the service declares no owner"
    if queue is not None:
        because = "the queue has no single owner, and the service declares none"
    return NO_TEAM, because, (Constant("NO_TEAM", NO_TEAM),)
