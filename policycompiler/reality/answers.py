"""What workers answer to remote control, each within a few seconds."""

from __future__ import annotations

from typing import Any, NamedTuple

from kombu.connection import Connection

from policycompiler.reality.connection import Client


class Answer(NamedTuple):
    """The answer of a worker process; two processes with the same node name answer twice."""

    node: str
    data: Any


def ask(app: Client, connection: Connection, command: str) -> list[Answer]:
    """Ask all workers; one that fails to carry out the command is left out."""
    replies = app.control.broadcast(command, reply=True, timeout=app.patience_seconds, connection=connection)
    found = (Answer(str(node), data) for reply in replies or () for node, data in reply.items())
    return [each for each in found if not (isinstance(each.data, dict) and "error" in each.data)]


def queues_of(answer: Answer) -> frozenset[str]:
    """The queues in an answer to `active_queues`; a broadcast queue has an alias."""
    queues = answer.data if isinstance(answer.data, list) else ()
    return frozenset(str(each.get("alias") or each.get("name")) for each in queues if isinstance(each, dict))
