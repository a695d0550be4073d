"""The declarations of queues."""

from __future__ import annotations

from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.python import python_literal
from policycompiler.plan import Scope


def any_has_dead_letters(reading: Reading) -> bool:
    """Whether the class of queues with dead letters is needed."""
    return any(reading.get(scope, "dead_letter_queue") is not None for scope in reading.scopes("queue"))


def any_is_broadcast(reading: Reading) -> bool:
    """Whether the class of broadcast queues is needed."""
    return any(reading.value(scope, "broadcast") for scope in reading.scopes("queue"))


def queue(reading: Reading, scope: Scope) -> Raw:
    """One queue as an expression."""
    literal = {
        key: python_literal(reading.value(scope, key)) for key in ("exchange", "exchange_type", "routing_key")
    }
    exchange = f"Exchange({literal['exchange']}, type={literal['exchange_type']})"
    name, given = python_literal(scope.name), f", routing_key={literal['routing_key']}"
    for keyword, key in (("queue_arguments", "arguments"), ("consumer_arguments", "consumer_arguments")):
        if arguments := reading.value(scope, key):
            given += f", {keyword}={python_literal(arguments)}"
    if reading.value(scope, "broadcast"):
        own = python_literal(f"{scope.name}.")
        return Raw(f"ToEverybody({own} + str(uuid4()), {exchange}{given}, alias={name}, auto_delete=True)")
    if reading.value(scope, "external"):
        given += ", no_declare=True"
    if reading.get(scope, "dead_letter_queue") is None:
        return Raw(f"Queue({name}, {exchange}{given})")
    dead = python_literal(reading.value(scope, "dead_letter_queue"))
    letters = python_literal(reading.value(scope, "dead_letter_arguments"))
    return Raw(f"WithDeadLetters({name}, {exchange}{given}, dead=Queue({dead}, queue_arguments={letters}))")
