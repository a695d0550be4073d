"""Exchanges that route a message to several queues or to none, or that the broker refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Related
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.knowledge import topics
from policycompiler.knowledge.brokers import Fanout, broker
from policycompiler.plan import APP, Plan, Scope


class _Bound(NamedTuple):
    """A queue that this app consumes or publishes to, and its binding."""

    scope: Scope
    exchange: str
    kind: str
    key: str
    broadcast: bool


def bindings(plan: Plan) -> Iterator[Hazard]:
    """Check fanout exchanges, overlapping keys, and exchanges with two types."""
    own = [_bound(plan, scope) for scope in plan.scopes("queue") if not plan.get(scope, "external")]
    for bound in own:
        yield from _fanout(plan, bound)
    exchanges: dict[str, list[_Bound]] = {}
    for bound in own:
        exchanges.setdefault(bound.exchange, []).append(bound)
    for name, sharing in exchanges.items():
        if len(sharing) > 1:
            yield from _types(plan, name, sharing)
            yield from _overlaps(plan, name, sharing)


def _bound(plan: Plan, scope: Scope) -> _Bound:
    exchange, kind, key = (plan.text(scope, each) for each in ("exchange", "exchange_type", "routing_key"))
    return _Bound(scope, exchange, kind, key, bool(plan.get(scope, "broadcast")))


def _fanout(plan: Plan, bound: _Bound) -> Iterator[Hazard]:
    transport = plan.text(APP, "broker_transport")
    does = broker(transport).fanout
    options = plan.get(APP, "broker_transport_options")
    if does is Fanout.NONE and isinstance(options, dict) and options.get("supports_fanout"):
        does = Fanout.LIVE
    if bound.kind != "fanout" or does is Fanout.KEPT or (bound.broadcast and does is Fanout.LIVE):
        return
    name = bound.scope.name
    settings = ((bound.scope, "exchange_type"), (APP, "broker_transport"))
    path = place_of(plan, bound.scope, "exchange_type", "broadcast")
    if does is Fanout.NONE:
        message = f"{transport} has no fanout exchanges: messages to queue {name} reach no worker"
        help_text = f"remove `{path[-1]}`, or use Redis or RabbitMQ"
        yield Hazard("fanout-unkept", settings, message, help_text, path)
        return
    message = (
        f"queue {name} has a fanout exchange, whose messages {transport} does not keep. Messages sent while "
        "no worker runs are lost. Every worker process runs all other messages"
    )
    help_text = "remove `exchange_type: fanout`, or write `broadcast: true` if every process must run each"
    yield Hazard("fanout-unkept", settings, message, help_text, path)


def _types(plan: Plan, exchange: str, sharing: list[_Bound]) -> Iterator[Hazard]:
    first = sharing[0]
    for other in sharing[1:]:
        if other.kind == first.kind:
            continue
        message = (
            f"exchange {exchange} is {first.kind} for queue {first.scope.name} and {other.kind} for queue "
            f"{other.scope.name}: the broker refuses the second declaration, and its worker does not start"
        )
        settings = tuple(
            (each.scope, key) for each in (other, first) for key in ("exchange_type", "exchange")
        )
        path = place_of(plan, other.scope, "exchange_type", "exchange")
        related = _here(plan, first, f"the exchange is {first.kind} here")
        help_text = "give both queues the same `exchange_type`, or give one of them another `exchange`"
        yield Hazard("exchange-type-twice", settings, message, help_text, path, related)
        return


def _overlaps(plan: Plan, exchange: str, sharing: list[_Bound]) -> Iterator[Hazard]:
    """Queues that get the messages of another queue; each pair once, and only the first of several others."""
    told: set[frozenset[Scope]] = set()
    patterns = [bound for bound in sharing if topics.is_pattern(bound.key)]
    literal: dict[str, list[_Bound]] = {}
    for bound in sharing:
        literal.setdefault(bound.key, []).append(bound)
    for sent in sharing:
        if sent.kind == "direct" or sent.broadcast or not _is_sent_to(plan, sent.scope):
            # For a direct queue Celery bypasses the exchange.
            continue
        near = sharing if sent.kind == "fanout" else [*literal[sent.key], *patterns]
        other = next((each for each in near if each is not sent and _reaches(plan, sent, each)), None)
        if other is None or frozenset((sent.scope, other.scope)) in told:
            continue
        told.add(frozenset((sent.scope, other.scope)))
        why = f"exchange {exchange}, and `{other.key}` matches `{sent.key}`"
        if sent.kind == "fanout":
            why = f"the fanout exchange {exchange}"
        message = (
            f"each message for queue {sent.scope.name} also goes to queue {other.scope.name} and runs twice: "
            f"both are bound to {why}"
        )
        keys = ("routing_key", "exchange", "exchange_type")
        settings = tuple((each.scope, key) for each in (sent, other) for key in keys)
        path = place_of(plan, sent.scope, *keys)
        related = _here(plan, other, f"bound with `{other.key}`")
        help_text = "give one of the queues its own exchange, or use keys that do not overlap"
        yield Hazard("binding-overlap", settings, message, help_text, path, related)


def _reaches(plan: Plan, sent: _Bound, other: _Bound) -> bool:
    """Whether workers of one queue get the messages of another one."""
    if not plan.get(other.scope, "workers") and not other.broadcast:
        return False
    if other.kind != sent.kind:
        return False
    return sent.kind == "fanout" or topics.matches(other.key, sent.key, plan.text(APP, "broker_transport"))


def _is_sent_to(plan: Plan, scope: Scope) -> bool:
    return bool(plan.get(scope, "tasks")) or scope.name == plan.get(APP, "task_default_queue")


def _here(plan: Plan, bound: _Bound, note: str) -> tuple[Related, ...]:
    path = place_of(plan, bound.scope, "routing_key", "exchange", "exchange_type")
    return (Related(path, note),)
