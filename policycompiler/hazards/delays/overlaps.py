"""Queues to which RabbitMQ also delivers delayed messages of another queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.delays.delays import SHORTEST_SECONDS, Delay
from policycompiler.plan import Plan, Scope, Written
from policycompiler.quantities import duration

DELAY_WORDS = 28
"""The bits of a delay, which precede the routing key (kombu/transport/native_delayed_delivery.py)."""


class Overlap(NamedTuple):
    """The text and the place for a queue that also receives messages of another queue, `queue`."""

    queue: str
    path: SpecPath
    message: str
    related: tuple[Related, ...]


class _Link(NamedTuple):
    """The binding of a queue to its exchange, through which Celery publishes to it."""

    exchange: str
    kind: str
    key: str
    queue: Scope


@dataclass(slots=True)
class _Ends:
    """Bindings by the words of their keys, last word first; `links` are the bindings that end here."""

    longer: dict[str, _Ends] = field(default_factory=dict)
    links: dict[tuple[str, str], _Link] = field(default_factory=dict)


def overlaps(plan: Plan, delays: Mapping[Scope, Sequence[Delay]]) -> Iterator[Overlap]:
    """Queues whose messages also reach another queue; only the first other queue is reported."""
    links = [*_links(plan)]
    ends = _ends(links)
    for sent in links:
        tasks = [Scope("task", name) for name in plan.texts(sent.queue, "tasks")]
        own = [delay for task in tasks for delay in delays[task] if delay.seconds >= SHORTEST_SECONDS]
        longest = max(own, key=lambda delay: delay.seconds, default=None)
        other = next(_also_reached(ends, sent, delayed=longest is not None), None) if tasks else None
        if other is not None:
            yield _overlap(plan, sent, other, longest)


def _links(plan: Plan) -> Iterator[_Link]:
    """The bindings of the queues that Celery binds for delays."""
    for scope in plan.scopes("queue"):
        exchange, kind, key = (
            plan.text(scope, each) for each in ("exchange", "exchange_type", "routing_key")
        )
        if kind != "direct":
            yield _Link(exchange, kind, key, scope)


def _ends(links: list[_Link]) -> _Ends:
    root = _Ends()
    for link in links:
        node = root
        for word in link.key.removeprefix("#.").split(".")[::-1]:
            node = node.longer.setdefault(word, _Ends())
        node.links.setdefault((link.exchange, link.key), link)
    return root


def _also_reached(ends: _Ends, sent: _Link, *, delayed: bool) -> Iterator[_Link]:
    """The queues that also receive messages of another queue, unless the workload binds them so."""
    key = sent.key.split(".")[::-1]
    words = [*key, *[""] * (DELAY_WORDS if delayed else 0)]
    reached: dict[tuple[int, int], _Ends] = {}
    waiting = [(ends, 0, False)]
    while waiting:
        node, taken, takes_more = waiting.pop()
        if (id(node), taken) in reached:
            continue
        reached[id(node), taken] = node
        if "#" in node.longer:
            waiting.append((node.longer["#"], taken, True))
        if taken < len(words):
            if takes_more:
                waiting.append((node, taken + 1, True))
            same = [it for it in (words[taken], "*") if it != "#" and it in node.longer]
            waiting += [(node.longer[it], taken + 1, False) for it in same]
    for node in reached.values():
        for link in node.links.values():
            if link.exchange != sent.exchange:
                meant = not delayed
            else:
                meant = sent.kind == "fanout" or link.key.startswith("#") or (id(node), len(key)) in reached
            if not meant:
                yield link


def _overlap(plan: Plan, sent: _Link, other: _Link, delay: Delay | None) -> Overlap:
    name, key = other.queue.name, other.key
    related = tuple(
        Related(("queues", link.queue.name), f"routing key `{link.key}`")
        for link in (other, sent)
        if _is_declared(plan, link.queue)
    )
    if delay is None or sent.exchange == other.exchange:
        message = (
            f"messages for queue {sent.queue.name} also reach queue {name} and run twice: Celery binds "
            f"{name} to exchange {sent.exchange} by `#.{key}`, which matches `{sent.key}` "
            "(with a quorum queue)"
        )
        path = plan.written(sent.queue, "exchange") or plan.written(other.queue, "exchange") or ("queues",)
        return Overlap(sent.queue.name, path, message, related)
    message = (
        f"{delay.what} {duration(delay.seconds)}; RabbitMQ then delivers it to queues {sent.queue.name} and "
        f"{name}, so it runs twice: routing key `{key}` matches the end of `{sent.key}`"
    )
    return Overlap(sent.queue.name, delay.path, message, related)


def _is_declared(plan: Plan, queue: Scope) -> bool:
    """Whether the workload has an entry for a queue."""
    entry = ("queues", queue.name)
    origins = (origin for setting in plan.keys(queue).values() for origin in setting.origins)
    return any(isinstance(origin, Written) and origin.path[:2] == entry for origin in origins)
