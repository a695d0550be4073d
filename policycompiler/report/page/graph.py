"""What a picture of a plan shows: tasks by queue, queues, workers and hosts, with the ways between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration, number
from policycompiler.quantities import size as bytes_text
from policycompiler.report.text import counted
from policycompiler.review.facts.sizes import size


class Mark(StrEnum):
    """What a comparison says of a part of the picture; each has a sign, so that no color is needed."""

    SAME = ""
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"

    @property
    def sign(self) -> str:
        """Empty where nothing changed."""
        return {"added": "+", "removed": "−", "changed": "~"}.get(self.value, "")  # noqa: RUF001 - a minus sign


class Node(NamedTuple):
    """A queue, a worker or a host; `note` is its second line. Nothing declares a node that is `elsewhere`."""

    scope: Scope
    note: str = ""
    elsewhere: bool = False
    mark: Mark = Mark.SAME


class Task(NamedTuple):
    """A task in its queue; beat sends it if it is `scheduled`."""

    scope: Scope
    scheduled: bool = False
    mark: Mark = Mark.SAME


class Way(NamedTuple):
    """From a queue to a worker, or from a worker to a host."""

    start: Scope
    end: Scope
    note: str = ""
    mark: Mark = Mark.SAME


class Graph(NamedTuple):
    """A plan to draw. The queues of one worker stand together; tasks are those of each queue."""

    tasks: Mapping[Scope, Sequence[Task]]
    queues: Sequence[Node]
    workers: Sequence[Node]
    hosts: Sequence[Node]
    ways: Sequence[Way]


OTHER_APPS = Scope("elsewhere", "other apps")
NO_WORKER = Scope("elsewhere", "no worker")
NO_QUEUE = Scope("elsewhere", "no queue")
_NOTES = {OTHER_APPS: "consume these queues", NO_WORKER: "consumes these queues", NO_QUEUE: "by the caller"}


def graph(plan: Plan) -> Graph:
    """What the picture of a plan shows."""
    tasks = _tasks(plan)
    queues = [*plan.scopes("queue"), *[each for each in tasks if each == NO_QUEUE]]
    ways = [Way(queue, worker) for queue in queues for worker in _consumers(plan, queue)]
    first: dict[Scope, Scope] = {}
    for way in ways:
        first.setdefault(way.start, way.end)
    queues.sort(key=lambda queue: (first.get(queue, NO_WORKER), queue))
    ends = dict.fromkeys(way.end for way in ways)
    unused = [each for each in plan.scopes("worker") if each not in ends]
    hosts = plan.scopes("host")
    return Graph(
        tasks,
        [Node(each, _queue_note(plan, each), each == NO_QUEUE) for each in queues],
        [Node(each, _worker_note(plan, each), each.kind == "elsewhere") for each in (*ends, *unused)],
        [Node(each, _host_note(plan, each)) for each in hosts],
        [*ways, *(way for host in hosts for way in _placed(plan, host))],
    )


def _tasks(plan: Plan) -> dict[Scope, list[Task]]:
    scheduled = {plan.entry(str(plan.get(each, "task"))) for each in plan.scopes("schedule")}
    found: dict[Scope, list[Task]] = {}
    for each in plan.scopes("task"):
        found.setdefault(queue_of(plan, each), []).append(Task(each, each in scheduled))
    return found


def queue_of(plan: Plan, task: Scope | None) -> Scope:
    """The queue of a task, or of a task that nothing declares."""
    name = plan.get(task, "queue") if task else None
    queue = Scope("queue", str(plan.get(APP, "task_default_queue") if name is None else name))
    return queue if plan.keys(queue) else NO_QUEUE


def _consumers(plan: Plan, queue: Scope) -> list[Scope]:
    if plan.get(queue, "external"):
        return [OTHER_APPS]
    if queue == NO_QUEUE:
        return []
    workers = plan.get(queue, "workers")
    names = workers if isinstance(workers, list) else []
    return [Scope("worker", str(each)) for each in names] or [NO_WORKER]


def _placed(plan: Plan, host: Scope) -> list[Way]:
    return [
        Way(Scope("worker", name), host, "1 process" if count == 1 else f"{count} processes")
        for name, count in placed(plan, host)
    ]


def placed(plan: Plan, host: Scope) -> list[tuple[str, int]]:
    """Each worker of a host, with the number of its processes there."""
    found = plan.get(host, "workers")
    return [(name, int(str(count))) for name, count in found.items()] if isinstance(found, dict) else []


def _queue_note(plan: Plan, queue: Scope) -> str:
    promise = plan.number_if_any(queue, "queue_wait_seconds")
    latency = plan.get(queue, "latency")
    words = [f"≤ {duration(promise)}" if promise is not None else "", str(latency or "")]
    return _NOTES.get(queue, " · ".join(filter(None, words)))


def _worker_note(plan: Plan, worker: Scope) -> str:
    if worker in _NOTES:
        return _NOTES[worker]
    found = size(plan, worker)
    each = counted(found.slots // max(found.replicas, 1), "slot")
    pool = plan.get(worker, "pool", "prefork")
    return f"{pool} · {found.replicas} × {each}"  # noqa: RUF001 - a sign for people


def _host_note(plan: Plan, host: Scope) -> str:
    cores, memory = plan.number_if_any(host, "cores"), plan.number_if_any(host, "memory_bytes")
    words = [
        f"{number(cores)} cores" if cores is not None else "",
        bytes_text(int(memory)) if memory is not None else "",
        "beat" if plan.get(host, "beat") else "",
    ]
    return " · ".join(filter(None, words))
