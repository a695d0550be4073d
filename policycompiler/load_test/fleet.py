"""The workers that answer: their slots, and whether each of them has stand-ins for what will be sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from policycompiler.knowledge import brokers
from policycompiler.load_test.place import Place, looked, refusing
from policycompiler.load_test.started import MODULE
from policycompiler.load_test.wish import LoadTestError
from policycompiler.plan import APP, Plan, Scope
from policycompiler.reality import workers
from policycompiler.reality.messages import UncountableError, on_rabbitmq
from policycompiler.reality.nodes import Node, multiplier
from policycompiler.runtime.stand_ins import PREFIX
from policycompiler.sizing import simulation

_SHOWN = 3


class Fleet(NamedTuple):
    """The nodes that consume the queues, and the tasks for which all consumers of a queue have stand-ins."""

    server: str
    nodes: tuple[Node, ...]
    tasks: Mapping[str, frozenset[str]]

    def slots(self, queues: Iterable[str]) -> int:
        """The slots of the nodes that consume any of these queues."""
        wanted = {*queues}
        return sum(_slots(node) for node in self.nodes if wanted & {each.name for each in node.queues})

    def simulated(self, plan: Plan, queues: Sequence[str]) -> tuple[simulation.Worker, ...]:
        """The nodes as the simulator knows them, with those of these queues that they consume."""
        return tuple(self._simulated(plan, queues))

    def _simulated(self, plan: Plan, queues: Sequence[str]) -> Iterator[simulation.Worker]:
        for node in self.nodes:
            own = tuple(name for name in queues if any(each.name == name for each in node.queues))
            if not own:
                continue
            prefetched = multiplier(node)
            late = all(_late(plan, task) for name in own for task in _tasks_of(plan, name))
            if node.settings.get("worker_disable_prefetch") and brokers.broker(self.server).disables_prefetch:
                prefetched, late = 1, True
            yield simulation.Worker(own, _slots(node), int(prefetched or 0), late)


def look(place: Place, plan: Plan, queues: Sequence[str]) -> Fleet:
    """The workers of these queues. Raises `LoadTestError` if one of them could not run a load test."""
    with refusing():
        found = looked(place, lambda reached: workers.look(place.app, reached, plan, place.server))
    tasks = {}
    nodes: dict[str, Node] = {}
    for queue in queues:
        consumers = found.consuming(queue)
        if not consumers:
            message = f"no worker that answers consumes `{queue}`; start one, or choose queues with --queue"
            raise LoadTestError(message)
        for node in consumers:
            _refuse_node(node)
        tasks[queue] = frozenset.intersection(*(_stood_in(node) for node in consumers))
        nodes |= {node.name: node for node in consumers}
    return Fleet(place.server, tuple(nodes[name] for name in sorted(nodes)), tasks)


def _refuse_node(node: Node) -> None:
    if not _stood_in(node):
        message = (
            f"worker `{node.name}` has no stand-ins, so it would discard the messages. Start it with "
            f"`--include {MODULE}`; `policycompiler load --print-module` prints that module. Nothing was sent"
        )
        raise LoadTestError(message)
    if node.answers > 1:
        message = f"`{node.name}` answers twice: two processes have this name; give each a name of its own"
        raise LoadTestError(message)
    if not _slots(node):
        message = f"worker `{node.name}` does not say how many slots it has"
        raise LoadTestError(message)


def refuse_other_consumers(place: Place, fleet: Fleet, queues: Sequence[str]) -> None:
    """Refuse if somebody consumes a queue who does not answer. Redis does not know its consumers."""
    if place.server != "rabbitmq":
        return
    with refusing():
        found = looked(place, lambda reached: {name: on_rabbitmq.declared(reached, name) for name in queues})
    for name, queue in found.items():
        answered = sum(any(each.name == name for each in node.queues) for node in fleet.nodes)
        if queue is not None and queue.consumers > answered:
            message = (
                f"queue `{name}` has {queue.consumers} consumers, and {answered} answer as workers with "
                "stand-ins; stop the others. Nothing was sent"
            )
            raise LoadTestError(message)


def refuse_other_messages(place: Place, plan: Plan, queues: Sequence[str]) -> None:
    """Refuse if a queue or its workers have messages: they would wait, and be measured."""
    try:
        with refusing():
            found = place.left(plan, queues).left
    except UncountableError as problem:
        message = f"{problem}; or allow other messages with --beside-other-work"
        raise LoadTestError(message) from None
    if found:
        shown = [*found[:_SHOWN], *(["and more"] if len(found) > _SHOWN else [])]
        message = (
            f"there are other messages: {', '.join(shown)}. They and the load test would delay each other; "
            "wait until the queues are empty, or use --beside-other-work. Nothing was sent"
        )
        raise LoadTestError(message)


def clocks(fleet: Fleet) -> Iterator[str]:
    """Notes on hosts whose clocks differ: a wait is the difference of two clocks."""
    for node in fleet.nodes:
        ahead = node.ahead_seconds
        if ahead is not None and abs(ahead) > _CLOCK_SECONDS:
            direction = "ahead of" if ahead > 0 else "behind"
            yield (
                f"the clock of `{node.name}` is {abs(ahead):.1f} s {direction} the clock here, so its waits "
                "are wrong by that"
            )


_CLOCK_SECONDS = 0.5
"""Heartbeats are late by less."""


def _stood_in(node: Node) -> frozenset[str]:
    """The tasks for which a node has stand-ins."""
    return frozenset(name.removeprefix(PREFIX) for name in node.tasks if name.startswith(PREFIX))


def _slots(node: Node) -> int:
    return node.autoscale[1] if node.autoscale else node.slots or 0


def _tasks_of(plan: Plan, queue: str) -> list[Scope]:
    return [Scope("task", name) for name in plan.texts(Scope("queue", queue), "tasks")]


def _late(plan: Plan, task: Scope) -> bool:
    default = plan.get(APP, "task_acks_late", default=False)
    return bool(plan.get(task, "options.acks_late", default))
