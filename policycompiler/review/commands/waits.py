"""The commands of a rollout that show whether a queue is empty, and delete it, on each broker.

Commands that print a number print 0 once no message is left, and no number where they cannot know. They
read the broker's address from the variable that the processes read; `python` and `celery` are those of the
workers, and `rabbitmqctl` runs on a node of the broker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from policycompiler.plan import Plan, Scope
from policycompiler.review.commands import on_others, on_rabbitmq, on_redis
from policycompiler.review.commands.asking import answers, inspect
from policycompiler.review.facts import fleet
from policycompiler.review.outcome import WaitFor, pause

_MOST_TOLD = 8


class OnBroker(Protocol):
    """What commands can show and do on a kind of broker; queues are sorted names.

    Where a method returns None, no command can tell: the rollout waits for some time instead.
    """

    def until_empty(self, plan: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
        """Until no message of the queues is ready, held or delayed."""
        ...

    def until_taken(self, plan: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
        """Until no message of the queues is ready."""
        ...

    def until_none_in_form(
        self, plan: Plan, queues: Sequence[str], content_types: Sequence[str]
    ) -> Iterator[WaitFor] | None:
        """Until no message of these content types is ready or held."""
        ...

    def until_none_of(self, plan: Plan, task: str, queues: Sequence[str]) -> Iterator[WaitFor] | None:
        """Until no message of a task is ready or held."""
        ...

    def until_levels_moved(self, old: Plan, new: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
        """Until no message is left in the lists of the old priority levels."""
        ...

    def delete_queue(self, plan: Plan, queue: str) -> str | None:
        """Delete an empty queue without consumers; None where the broker does not keep it."""
        ...

    def delete_exchange(self, plan: Plan, exchange: str) -> str | None:
        """Delete an exchange without bindings; None where the broker does not keep it."""
        ...


_BY_SERVER: Mapping[str, OnBroker] = {"redis": on_redis, "rabbitmq": on_rabbitmq}
_OTHERS: OnBroker = on_others


def _on(plan: Plan) -> OnBroker:
    return _BY_SERVER.get(plan.broker.server, _OTHERS)


def until_empty(plan: Plan, queues: Iterable[str]) -> Iterator[WaitFor]:
    """Until no message of these queues is ready, held by a worker, or delayed."""
    names = sorted(queues)
    return _on(plan).until_empty(plan, names) if names else iter(())


def until_old_is_gone(plan: Plan, queues: Iterable[str], seconds: float) -> Iterator[WaitFor]:
    """Until workers have fetched all messages of old producers, and had enough time to finish them."""
    yield from _on(plan).until_taken(plan, sorted(queues))
    yield pause(seconds, "until then, workers finish all messages that they have fetched")


def until_none_in_form(plan: Plan, queues: Iterable[str], content_types: Iterable[str]) -> Iterator[WaitFor]:
    """Until no message of these content types is left."""
    names = sorted(queues)
    seen = _on(plan).until_none_in_form(plan, names, sorted(content_types))
    return until_old_is_gone(plan, names, fleet.longest_way_seconds(plan)) if seen is None else seen


def until_none_of(plan: Plan, task: str, queues: Iterable[str]) -> Iterator[WaitFor]:
    """Until no message of a task is left in queues that other tasks still use."""
    names = sorted(queues)
    seen = _on(plan).until_none_of(plan, task, names)
    if seen is not None:
        return seen
    entry = fleet.Names(plan).entry(task)
    return until_old_is_gone(plan, names, fleet.longest_way_seconds(plan, [entry] if entry else None))


def until_levels_moved(old: Plan, new: Plan, queues: Iterable[str]) -> Iterator[WaitFor]:
    """Until no message is left in lists that only processes with the old priority levels read."""
    return _on(new).until_levels_moved(old, new, sorted(queues))


def until_workers_answer(plan: Plan) -> Iterator[WaitFor]:
    """Until the workers of a folder run, with their queues; empty for a folder without workers."""
    workers = fleet.running(plan)
    if not workers:
        return
    told = "; ".join(_answer(plan, scope) for scope in workers[:_MOST_TOLD])
    more = f"; and {len(workers) - _MOST_TOLD} more" if len(workers) > _MOST_TOLD else ""
    if answers(plan):
        yield WaitFor(inspect(plan, "active_queues"), f"every worker process lists its queues: {told}{more}")
        return
    # Asking would never end.
    yield WaitFor("true", f"the log of each worker says `ready` (none answers remote control): {told}{more}")


def _answer(plan: Plan, worker: Scope) -> str:
    written = str(plan.get(worker, "node_name", worker.name))
    name = f"`{written}.*`"
    if plan.get(worker, "node_name_is_whole"):
        name = f"`{re.sub(r'%[hndiI]', '*', written)}`"
    replicas = plan.number_if_any(worker, "replicas") or 1
    times = f" {replicas:g} times" if replicas > 1 else ""
    return f"{name}{times} with {_coded(plan.texts(worker, 'queues'))}"


def delete_queue(plan: Plan, queue: str) -> list[str]:
    """The command that deletes an empty queue without consumers, where the broker keeps it."""
    return _if_any(_on(plan).delete_queue(plan, queue))


def delete_exchange(plan: Plan, exchange: str) -> list[str]:
    """The command that deletes an exchange without bindings, where the broker keeps it."""
    return _if_any(_on(plan).delete_exchange(plan, exchange))


def _if_any(command: str | None) -> list[str]:
    return [] if command is None else [command]


def _coded(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
