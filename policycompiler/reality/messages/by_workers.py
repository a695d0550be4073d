"""The messages that workers say they hold, where no tool of the broker can be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from kombu.connection import Connection

from policycompiler.plan import APP, Plan
from policycompiler.reality.answers import ask, queues_of
from policycompiler.reality.connection import Client
from policycompiler.reality.messages.counts import UncountableError, binding

_ON_ITS_WAY = ("scheduled", "reserved", "active")
"""The places of a message in a worker, in the order in which it passes them: none is missed in between."""
_ADVICE = "give the URL of the management API with --management, or run this where `rabbitmqctl` runs"


def held_by_workers(
    plan: Plan, app: Client, connection: Connection, consumers: Mapping[str, int]
) -> dict[str, int]:
    """How many messages of each queue workers hold; `consumers` is the number of each queue's consumers.

    A retry sends a message again, from the last place to the first; so all places are asked twice. Raises
    `UncountableError` if not every consumer is a worker that answers.
    """
    if plan.get(APP, "worker_enable_remote_control") is False:
        message = f"held messages cannot be counted: workers answer no remote control; {_ADVICE}"
        raise UncountableError(message)
    consuming = {answer.node: queues_of(answer) for answer in ask(app, connection, "active_queues")}
    for queue, number in consumers.items():
        answered = sum(queue in queues for queues in consuming.values())
        if answered < number:
            message = f"held messages of `{queue}` cannot be counted: of {number} consumers, {answered} "
            message += f"answer as workers; {_ADVICE}"
            raise UncountableError(message)
    held: Counter[str] = Counter()
    needed = {node for node, queues in consuming.items() if not queues.isdisjoint(consumers)}
    bound = [binding(plan, queue) for queue in consumers]
    for place in (*_ON_ITS_WAY, *_ON_ITS_WAY):
        answers = ask(app, connection, place)
        if silent := needed - {answer.node for answer in answers}:
            message = (
                f"held messages cannot be counted: {', '.join(sorted(silent))} did not answer; {_ADVICE}"
            )
            raise UncountableError(message)
        found = Counter(
            each.queue
            for answer in answers
            for message in answer.data
            for each in bound
            if each.has(*_sent_by(message))
        )
        held |= found
    return {queue: held[queue] for queue in consumers}


def _sent_by(message: Mapping[str, object]) -> tuple[object, object]:
    """The exchange and the routing key of a message; one that is scheduled is the request of an entry."""
    request = message.get("request", message)
    info = request.get("delivery_info") if isinstance(request, dict) else None
    return (info.get("exchange"), info.get("routing_key")) if isinstance(info, dict) else (None, None)
