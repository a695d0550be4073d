"""The probes of a rehearsal: one for each route and each schedule, and a burst for each latency class."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from types import MappingProxyType
from typing import Any, NamedTuple

from policycompiler.plan import Plan, Scope

_BURST_SECONDS = 2.0
_MOST_IN_BURST = 60
_LONGEST_RUN_MS = 200
_PACE_SECONDS = 0.01


class Probe(NamedTuple):
    """One message: what it is for, the task that it names, and the schedule that sends it, if one does.

    `after` is when it is sent, in seconds from the start. `arguments` are given by name. The identifier of a
    probe without any ends with the milliseconds that the run takes.
    """

    id: str
    kind: str
    task: str
    schedule: str
    after: float
    arguments: Mapping[str, Any] = MappingProxyType({})

    def line(self) -> str:
        """The probe for the driver."""
        task = {"task": self.task, "arguments": dict(self.arguments)}
        what = {"schedule": self.schedule} if self.schedule else task
        return json.dumps({"id": self.id, "after": self.after, **what}) + "\n"


def routes(plan: Plan, registered: Iterable[str]) -> Iterator[Probe]:
    """One probe for each task that runs here; for a pattern, one registered task that it declares."""
    names = sorted(registered)
    for number, scope in enumerate(plan.scopes("task")):
        if not plan.get(scope, "external") and (name := name_of(plan, scope, names)):
            yield Probe(f"route-{number}-0", "route", name, "", number * _PACE_SECONDS)


def name_of(plan: Plan, scope: Scope, names: Iterable[str]) -> str:
    """The name of a task; for a pattern, the first name that it declares, empty if there is none."""
    if "*" not in scope.name:
        return scope.name
    return next((each for each in names if plan.entry(each) == scope), "")


def schedules(plan: Plan, start: float) -> Iterator[Probe]:
    """One probe for each entry of the schedule, sent as beat sends it."""
    for number, scope in enumerate(plan.scopes("schedule")):
        task, after = plan.text(scope, "task"), start + number * _PACE_SECONDS
        yield Probe(f"schedule-{number}-0", "schedule", task, scope.name, after)


class Burst(NamedTuple):
    """The messages of a latency class, sent at the peak rate of its tasks."""

    latency: str
    promise_seconds: float
    probes: tuple[Probe, ...]


def bursts(plan: Plan, share: float, start: float) -> Iterator[Burst]:
    """A burst for each latency class with a promise; `share` is the part of the load that the slots allow."""
    tasks: dict[str, list[Scope]] = {}
    for scope in plan.scopes("task"):
        queue = Scope("queue", str(plan.get(scope, "queue")))
        if (
            "*" not in scope.name
            and not plan.get(scope, "external")
            and plan.find(queue, "queue_wait_seconds")
        ):
            tasks.setdefault(str(plan.get(queue, "latency")), []).append(scope)
    for latency, scopes in sorted(tasks.items()):
        promise = min(
            plan.number(Scope("queue", plan.text(scope, "queue")), "queue_wait_seconds") for scope in scopes
        )
        probes = [probe for scope in scopes for probe in _of_task(plan, scope, share, start)]
        yield Burst(latency, promise, tuple(sorted(probes, key=lambda probe: probe.after)[:_MOST_IN_BURST]))


def _of_task(plan: Plan, scope: Scope, share: float, start: float) -> Iterator[Probe]:
    key = "rate_peak_per_second" if plan.find(scope, "rate_peak_per_second") else "rate_mean_per_second"
    rate = (plan.number_if_any(scope, key) or 1) * share
    number = max(1, min(_MOST_IN_BURST, ceil(rate * _BURST_SECONDS)))
    run = int(min((plan.number_if_any(scope, "runtime_p50_seconds") or 0.05) * 1000, _LONGEST_RUN_MS))
    for each in range(number):
        after = start + each * _BURST_SECONDS / number
        yield Probe(f"burst-{scope.name}-{each}-{run}", "burst", scope.name, "", after)
