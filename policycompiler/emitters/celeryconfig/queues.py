"""The declarations of queues."""

from __future__ import annotations

from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.commands import name as queue_name
from policycompiler.emitters.python import Call, laid_out
from policycompiler.plan import Scope


def any_has_dead_letters(reading: Reading) -> bool:
    """Whether the class of queues with dead letters is needed."""
    return any(reading.get(scope, "dead_letter_queue") is not None for scope in reading.scopes("queue"))


def any_is_broadcast(reading: Reading) -> bool:
    """Whether the class of broadcast queues is needed."""
    return any(reading.value(scope, "broadcast") for scope in reading.scopes("queue"))


def queue(reading: Reading, scope: Scope) -> Raw:
    """One queue as an expression, below the name of the tuple."""
    return Raw(laid_out(_queue(reading, scope), indent=4, before=4, after=1))


def _queue(reading: Reading, scope: Scope) -> Call:
    exchange = Call(
        "Exchange",
        (reading.value(scope, "exchange"),),
        {"type": reading.value(scope, "exchange_type")},
    )
    keywords: dict[str, object] = {"routing_key": reading.value(scope, "routing_key")}
    if arguments := reading.below(scope, "arguments."):
        keywords["queue_arguments"] = arguments
    if of_consumers := reading.value(scope, "consumer_arguments"):
        keywords["consumer_arguments"] = of_consumers
    if reading.value(scope, "broadcast"):
        own = Raw(f'f"{queue_name(scope.name)}.{{uuid4()}}"')
        keywords |= {"alias": scope.name, "auto_delete": True}
        return Call("ToEverybody", (own, exchange), keywords)
    if reading.value(scope, "external"):
        keywords["no_declare"] = True
    if reading.get(scope, "dead_letter_queue") is None:
        return Call("Queue", (scope.name, exchange), keywords)
    letters = {"queue_arguments": reading.value(scope, "dead_letter_arguments")}
    dead = Call("Queue", (reading.value(scope, "dead_letter_queue"),), letters)
    return Call("WithDeadLetters", (scope.name, exchange), {**keywords, "dead": dead})
