"""What a section of a runbook is about: the workers, sources and schedules that its commands name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from policycompiler.emitters.exporters import Exporter
from policycompiler.knowledge.metric_sources import SOURCES, Source
from policycompiler.plan import APP, Plan, Scope


class About(NamedTuple):
    """The `workers` in their order, each with the queues of the section, none if it is about no queue.

    `dependencies` are those whose breakers the section is about.
    """

    workers: Mapping[Scope, Sequence[str]]
    sources: Sequence[Source]
    schedules: Sequence[Scope]
    dependencies: Sequence[str] = ()

    def among(self, started: Iterable[Exporter]) -> list[Exporter]:
        """The exporters that are sources of the section."""
        return [each for each in started if each.source in self.sources]


def everything(plan: Plan) -> About:
    """The whole service."""
    names = plan.texts(APP, "metric_sources") if plan.find(APP, "metric_sources") else []
    workers: dict[Scope, Sequence[str]] = dict.fromkeys(plan.scopes("worker"), ())
    return About(workers, [SOURCES[name] for name in names], plan.scopes("schedule"))


def of_alerts(plan: Plan, scopes: Sequence[Scope]) -> About:
    """What alerts of one kind are about; all workers, if they are about no queue."""
    workers: dict[Scope, list[str]] = {}
    for queue in _unique(plan.get(scope, "queue") for scope in scopes):
        for worker in workers_of(plan, queue):
            workers.setdefault(worker, []).append(queue)
    sources = _unique(name for scope in scopes for name in plan.texts(scope, "sources"))
    schedules = _unique(plan.get(scope, "schedule") for scope in scopes)
    return About(
        workers or everything(plan).workers,
        [SOURCES[name] for name in sources],
        [Scope("schedule", name) for name in schedules],
        _unique(plan.get(scope, "dependency") for scope in scopes),
    )


def workers_of(plan: Plan, queue: str) -> list[Scope]:
    """The workers of a queue; for a queue of dead letters, those of the queues whose letters it has."""
    lettered = (each for each in plan.scopes("queue") if plan.get(each, "dead_letter_queue") == queue)
    found = (
        name
        for each in (Scope("queue", queue), *lettered)
        if plan.find(each, "workers")
        for name in plan.texts(each, "workers")
    )
    return [Scope("worker", name) for name in _unique(found)]


def _unique(names: Iterable[object]) -> list[str]:
    """Each name once, in its order, without None."""
    return [*dict.fromkeys(str(name) for name in names if name is not None)]
