"""The declarations of queues."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.python import Call, laid_out, python_literal
from policycompiler.plan import Scope

_DECLARATION = frozenset({"exchange", "exchange_type", "routing_key", "consumer_arguments"})


def any_declares_dead_letters(reading: Reading) -> bool:
    """Whether the class of queues that declare their dead-letter queue is needed."""
    return any(reading.get(scope, "dead_letter_arguments") is not None for scope in reading.scopes("queue"))


def copies(reading: Reading) -> list[tuple[str, Raw]]:
    """The queues whose dead letters workers copy: to which queue, how many of them, and which ones."""
    found = []
    for scope in reading.scopes("queue"):
        if (copied := reading.get(scope, "dead_letter_copies")) is not None:
            dead, most = reading.value(scope, "dead_letter_queue"), reading.get(scope, "dead_letter_limit")
            value = python_literal((dead, most or 0, copied == "acknowledged"))
            found.append((scope.name, Raw(value)))
    return found


def any_is_broadcast(reading: Reading) -> bool:
    """Whether the class of broadcast queues is needed."""
    return any(reading.value(scope, "broadcast") for scope in reading.scopes("queue"))


def declared(reading: Reading) -> Iterator[Raw]:
    """Each queue as an expression, below the name of the tuple; none that Celery creates itself."""
    for scope in reading.scopes("queue"):
        if not _DECLARATION.isdisjoint(reading.keys(scope)):
            yield Raw(laid_out(_queue(reading, scope), indent=4, before=4, after=1))


def any_has_an_exchange(reading: Reading) -> bool:
    """Whether a queue names its exchange; Celery binds the others to the default exchange."""
    return any("exchange" in reading.keys(scope) for scope in reading.scopes("queue"))


def _queue(reading: Reading, scope: Scope) -> Call:
    bound = tuple(
        Call("Exchange", (exchange,), {"type": reading.value(scope, "exchange_type")})
        for exchange in [reading.get(scope, "exchange")]
        if exchange is not None
    )
    key = reading.get(scope, "routing_key")
    keywords: dict[str, object] = {} if key is None else {"routing_key": key}
    if arguments := reading.below(scope, "arguments."):
        keywords["queue_arguments"] = arguments
    if of_consumers := reading.get(scope, "consumer_arguments"):
        keywords["consumer_arguments"] = of_consumers
    if reading.value(scope, "broadcast"):
        own = Raw(f"{python_literal(f'{scope.name}.')} + str(uuid4())")
        keywords |= {"alias": scope.name, "auto_delete": True}
        return Call("ToEverybody", (own, *bound), keywords)
    if reading.value(scope, "external"):
        keywords["no_declare"] = True
    arguments_of_dead = reading.get(scope, "dead_letter_arguments")
    if arguments_of_dead is None:
        return Call("Queue", (scope.name, *bound), keywords)
    letters = {"queue_arguments": arguments_of_dead}
    dead = Call("Queue", (reading.value(scope, "dead_letter_queue"),), letters)
    return Call("WithDeadLetters", (scope.name, *bound), {**keywords, "dead": dead})
