"""The exchanges, queues, bindings and policies that RabbitMQ imports.

RabbitMQ refuses a declaration that differs from what exists, and an import ignores what exists. So each
property is the same as in the declaration of a process.
"""

from __future__ import annotations

import re

from policycompiler.emitters.base import Reading
from policycompiler.plan import APP, Scope, Value

_DECLARATION = frozenset({"exchange", "exchange_type", "routing_key", "consumer_arguments"})
BUILT_IN = re.compile(r"amq\..*|")
"""Exchanges that every virtual host has: no process may declare them, and the default one has no bindings."""


def virtual_host(reading: Reading) -> str:
    """The virtual host of the queues; a plan of an earlier version does not name it."""
    return str(reading.get(APP, "broker_virtual_host", "/"))


def declared(reading: Reading) -> list[Scope]:
    """The queues that `celeryconfig.py` lists and that processes of this app declare by their own name.

    Another app declares an external queue. Each process names its queue of a broadcast differently. What is
    left to Celery is in no list: code that the workload does not show may decide it.
    """
    return [
        queue
        for queue in reading.scopes("queue")
        if not reading.value(queue, "external")
        and not reading.value(queue, "broadcast")
        and not _DECLARATION.isdisjoint(reading.keys(queue))
    ]


def exchanges(reading: Reading) -> dict[str, Scope]:
    """The exchanges that the settings name, each with a queue that has it."""
    every = reading.scopes("queue")
    copies = (queue for queue in every if reading.value(queue, "broadcast"))
    own = [*declared(reading), *(queue for queue in copies if not reading.value(queue, "external"))]
    found = {
        str(reading.value(queue, "exchange")): queue for queue in own if "exchange" in reading.keys(queue)
    }
    return {name: found[name] for name in sorted(found) if not BUILT_IN.fullmatch(name)}


def definitions(reading: Reading) -> dict[str, object]:
    """The document that RabbitMQ imports."""
    host = {"vhost": virtual_host(reading)}
    lasting = {**host, "durable": True, "auto_delete": False}
    queues: dict[str, Value] = {}
    for queue in declared(reading):
        queues[queue.name] = reading.below(queue, "arguments.")
        dead = reading.get(queue, "dead_letter_queue")
        if dead is not None:
            queues.setdefault(str(dead), reading.value(queue, "dead_letter_arguments"))
    return {
        "exchanges": [
            {
                **lasting,
                "name": name,
                "type": reading.value(queue, "exchange_type"),
                "internal": False,
                "arguments": {},
            }
            for name, queue in exchanges(reading).items()
        ],
        "queues": [{**lasting, "name": name, "arguments": queues[name]} for name in sorted(queues)],
        "bindings": [
            {**host, **binding} for queue in declared(reading) for binding in _bindings(reading, queue)
        ],
        "policies": [
            {**host, **policy} for queue in declared(reading) for policy in _policies(reading, queue)
        ],
    }


def _bindings(reading: Reading, queue: Scope) -> list[dict[str, Value]]:
    """The binding of a queue; none if Celery decides its exchange or its key, or for the default exchange."""
    exchange, key = reading.get(queue, "exchange"), reading.get(queue, "routing_key")
    if not exchange or key is None:
        return []
    binding: dict[str, Value] = {
        "source": exchange,
        "destination": queue.name,
        "destination_type": "queue",
        "routing_key": key,
        "arguments": {},
    }
    return [binding]


def _policies(reading: Reading, queue: Scope) -> list[dict[str, Value]]:
    """The policy of one queue: its pattern matches no other name."""
    found = reading.get(queue, "broker_policy")
    if found is None:
        return []
    return [
        {
            "name": f"{reading.text(APP, 'service')}:{queue.name}",
            "pattern": exactly(queue.name),
            "apply-to": "queues",
            "priority": reading.value(APP, "broker_policy_priority"),
            "definition": found,
        }
    ]


def exactly(name: str) -> str:
    """A regular expression that matches this name only."""
    return f"^{re.escape(name)}$"
