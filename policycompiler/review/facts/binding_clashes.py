"""Bindings of two deployments on the exchanges of one broker, where each finds those of the other.

RabbitMQ keeps a binding until a person removes it, kombu on Redis keeps it without end, and an exchange keeps
its type. Celery publishes directly to a queue of a direct exchange, and by routing key to other exchanges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from policycompiler.knowledge import topics
from policycompiler.plan import APP, Plan, Scope
from policycompiler.review.facts import fleet

DELAYS = "celery_delayed_delivery"
"""The exchange through which RabbitMQ delivers delayed messages to the exchange of their queue."""
DELAY_BITS = 28
"""Each is a word of the routing key (kombu/transport/native_delayed_delivery.py)."""


class Crossed(NamedTuple):
    """A queue that receives messages `meant_for` another one, from this exchange, maybe by `any_key`.

    `new` is the queue of the new plan that causes this.
    """

    meant_for: str
    new: str
    exchange: str
    any_key: bool


class Clashes(NamedTuple):
    """The effects of bindings and exchanges of one plan on the queues of the other plan.

    `crossed` are queues that receive messages that their own plan does not send them. `retyped` are queues of
    the new plan whose exchange has another type in the old plan, each with the old queues of that exchange.
    """

    crossed: dict[str, Crossed]
    retyped: dict[str, frozenset[str]]


NO_CLASHES = Clashes({}, {})


class _Link(NamedTuple):
    """A queue of an exchange: a binding, or the route of messages to the queue."""

    exchange: str
    kind: str
    key: str
    queue: str


def clashes(old: Plan, new: Plan) -> Clashes:
    """Compare what two plans bind on one broker."""
    crossed: dict[str, Crossed] = {}
    for plan, other in ((new, old), (old, new)):
        own, others = ({*_bindings(each)} for each in (plan, other))
        foreign = _by_last_word(sorted(others - own))
        known = _by_last_word(own)
        for sent in _sends(plan):
            if links := [link for link in _reached(foreign, sent, plan) if link.queue != sent.queue]:
                brought = {link.queue for link in _reached(known, sent, plan)}
                for link in links:
                    if link.queue not in brought:
                        comes_of = sent.queue if plan is new else link.queue
                        found = Crossed(sent.queue, comes_of, sent.exchange, link.kind != "topic")
                        crossed.setdefault(link.queue, found)
    return Clashes(crossed, dict(_retyped(old, new)))


def _retyped(old: Plan, new: Plan) -> Iterator[tuple[str, frozenset[str]]]:
    """Queues with another exchange type; a queue that only another app declares does not count."""
    before: dict[str, dict[str, set[str]]] = {}
    for scope, link in _declared(old):
        if not old.get(scope, "external"):
            before.setdefault(link.exchange, {}).setdefault(link.kind, set()).add(link.queue)
    for scope, link in _declared(new):
        others = [names for kind, names in before.get(link.exchange, {}).items() if kind != link.kind]
        if others and not new.get(scope, "external"):
            yield link.queue, frozenset().union(*others)


def _declared(plan: Plan) -> Iterator[tuple[Scope, _Link]]:
    for scope in plan.scopes("queue"):
        exchange, kind, key = (
            plan.text(scope, each) for each in ("exchange", "exchange_type", "routing_key")
        )
        yield scope, _Link(exchange, kind, key, scope.name)


def _kept(plan: Plan) -> Iterator[tuple[Scope, _Link]]:
    """The links whose queues outlive the processes; broadcast queues do not."""
    return ((scope, link) for scope, link in _declared(plan) if not plan.get(scope, "broadcast"))


def _bindings(plan: Plan) -> Iterator[_Link]:
    delays = _delays_in_broker(plan)
    for _, link in _kept(plan):
        yield link
        if delays and link.kind != "direct":
            ending = link._replace(key=link.key if link.key.startswith("#") else f"#.{link.key}")
            yield from (ending, ending._replace(exchange=DELAYS, kind="topic"))


def _sends(plan: Plan) -> Iterator[_Link]:
    """The messages that pass an exchange."""
    delays, queues = _delays_in_broker(plan), {}
    for scope, link in _kept(plan):
        if link.kind == "direct":
            continue
        yield link
        queues[link.queue] = link
        tasks = (Scope("task", name) for name in plan.texts(scope, "tasks"))
        if delays and any(fleet.longest_delay_seconds(plan, task) for task in tasks):
            # The bits of the delay precede the key.
            yield link._replace(exchange=DELAYS, kind="topic", key="0." * DELAY_BITS + link.key)
    for schedule in plan.scopes("schedule"):
        options = plan.get(schedule, "options")
        if isinstance(options, dict) and "routing_key" in options:
            task = Scope("task", plan.text(schedule, "task"))
            found = queues.get(str(options.get("queue", plan.get(task, "queue"))))
            if found is not None:
                yield found._replace(key=str(options["routing_key"]))


def _delays_in_broker(plan: Plan) -> bool:
    """Whether there is a quorum queue, so Celery lets RabbitMQ delay messages."""
    queues = plan.scopes("queue") if plan.broker.quorum_queues else []
    return any(plan.get(scope, "type") == "quorum" for scope in queues)


_Table: TypeAlias = dict[tuple[str, str], list[_Link]]


def _by_last_word(links: Iterable[_Link]) -> _Table:
    """Bindings by exchange and the last word of their key; an empty word where any word matches."""
    table: _Table = {}
    for link in links:
        word = link.key.rpartition(".")[2] if link.kind == "topic" else ""
        table.setdefault((link.exchange, "" if word in {"*", "#"} else word), []).append(link)
    return table


def _reached(table: _Table, sent: _Link, plan: Plan) -> Iterator[_Link]:
    """The bindings that deliver a message."""
    words = {sent.key.rpartition(".")[2], ""}
    for link in (link for word in words for link in table.get((sent.exchange, word), ())):
        if sent.kind == "fanout" or link.kind == "fanout":
            arrives = sent.kind == link.kind
        elif link.kind == "direct":
            # kombu stores no pattern for it, so it matches every key; RabbitMQ does not mix types.
            arrives = not plan.broker.declarations
        else:
            arrives = topics.matches(link.key, sent.key, plan.text(APP, "broker_transport"))
        if arrives:
            yield link
