"""The state of a deployment by the names of its plan: queues, workers, schedules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from policycompiler.plan import APP, Plan, Scope
from policycompiler.plan.processes import fewest
from policycompiler.reality import live
from policycompiler.reality.live import Live
from policycompiler.reality.nodes import Workers
from policycompiler.reality.seen import Firing, SeenQueue
from policycompiler.report.status import QueueNow, ScheduleNow, Status, WorkerNow
from policycompiler.report.text import clean
from policycompiler.review.differences.firings import following
from policycompiler.sides import Side, complete
from policycompiler.verify import reach


def look(side: Side, environment: Mapping[str, str], *, broker: str | None, management: str | None) -> Live:
    """Look at the deployment of a side that has a plan. Raises `SideError` for an incomplete plan."""
    with complete(side) as plan:
        return live.look(plan, environment, broker=broker, management=management)


def unreached(side: Side, found: Live) -> list[str]:
    """Why a look failed, and what to do."""
    with complete(side) as plan:
        return [
            clean(f"{each.severity}[{each.code}] {each.name}: {each.message}; help: {each.help}")
            for each in reach.findings(plan, found)
        ]


def state(side: Side, found: Live, stored: Iterable[Firing], now: datetime) -> Status:
    """The state from a look without a problem. `stored` are the last firings that a store of beat has.

    Raises `SideError` for an incomplete plan.
    """
    with complete(side) as plan:
        return _state(plan, found, stored, now)


def _state(plan: Plan, found: Live, stored: Iterable[Firing], now: datetime) -> Status:
    broker = found.broker
    assert broker is not None, found.problem
    workers = found.workers
    held = _held(plan, workers)
    nodes = workers.of(plan) if workers else {}
    firings = {each.name: each for each in (*(broker.entries or ()), *stored)}
    answering = sum(workers.beats.values()) if workers else 0
    known = answering or plan.get(APP, "beat_enable_remote_control") or broker.beat_lock is not None
    return Status(
        plan.text(APP, "service"),
        tuple(_queue(queue, workers, held) for _, queue in sorted(broker.queues.items())),
        None if workers is None else tuple(_workers(plan, workers)),
        tuple(_schedules(plan, firings, now)),
        (answering or int(bool(broker.beat_lock))) if known else None,
        tuple(node.name for node in nodes.get("", ())),
        found.unasked,
    )


def _held(plan: Plan, workers: Workers | None) -> Counter[tuple[str, bool]] | None:
    """What workers say they hold, by queue and by whether it has an ETA; None if a process is silent."""
    nodes = workers.of(plan) if workers else {}
    if any(
        len(nodes.get(scope.name, ())) < plan.number(scope, "replicas") for scope in plan.scopes("worker")
    ):
        return None
    queues = {
        (plan.get(scope, "exchange"), plan.get(scope, "routing_key")): scope.name
        for scope in plan.scopes("queue")
    }
    return Counter(
        (queues.get((each.exchange, each.routing_key), each.routing_key), each.delayed)
        for several in nodes.values()
        for node in several
        for each in node.held
    )


def _queue(queue: SeenQueue, workers: Workers | None, held: Counter[tuple[str, bool]] | None) -> QueueNow:
    unacked, scheduled, consumers = queue.unacked, queue.delayed, queue.consumers
    if held is not None:
        unacked = held[queue.name, False] + held[queue.name, True] if unacked is None else unacked
        scheduled = held[queue.name, True] if scheduled is None else scheduled
    if consumers is None and workers is not None:
        consumers = sum(node.answers for node in workers.consuming(queue.name))
    return QueueNow(
        queue.name, queue.exists, queue.ready, unacked, scheduled, consumers, queue.oldest_seconds
    )


def _workers(plan: Plan, workers: Workers) -> Iterator[WorkerNow]:
    nodes = workers.of(plan)
    for scope in plan.scopes("worker"):
        several = nodes[scope.name]
        yield WorkerNow(
            scope.name,
            sum(node.answers for node in several),
            fewest(plan, scope)[0],
            sum(node.busy for node in several),
            sum(node.slots or 0 for node in several),
            tuple(node.name for node in several),
        )


def _schedules(plan: Plan, firings: Mapping[str, Firing], now: datetime) -> Iterator[ScheduleNow]:
    for scope in plan.scopes("schedule"):
        stored = firings.get(scope.name)
        last = _utc(stored.last) if stored and stored.last else None
        yield ScheduleNow(scope.name, plan.text(scope, "task"), last, _next(plan, scope, last, now))


def _next(plan: Plan, scope: Scope, last: datetime | None, now: datetime) -> datetime | None:
    """The next firing; for an interval it follows from the last."""
    every = plan.number_if_any(scope, "every_seconds")
    if every is None:
        found = following(plan, scope, now)
        return found.astimezone(UTC) if found else None
    return _utc(last.timestamp() + every) if last else None


def _utc(seconds: float) -> datetime | None:
    """A time in seconds since 1970; None if the calendar does not have it."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
