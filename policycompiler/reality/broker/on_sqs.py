"""A look at SQS: the attributes of each queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policycompiler.plan import APP, Plan
from policycompiler.reality.connection import Connected
from policycompiler.reality.seen import Seen, SeenQueue, Server


def look(connection: Connected, plan: Plan, management: str | None) -> Seen:
    """The queues of the plan, each with its counters and its visibility timeout."""
    del management
    channel = connection.default_channel
    given = plan.get(APP, "broker_transport_options")
    predefined = given.get("predefined_queues") if isinstance(given, dict) else None
    urls = predefined if isinstance(predefined, dict) else {}
    names = [scope.name for scope in plan.scopes("queue") if not plan.get(scope, "broadcast")]
    return Seen(Server(), {name: _queue(channel, name, urls.get(name)) for name in names})


def _queue(channel: Any, name: str, predefined: object) -> SeenQueue:  # noqa: ANN401 - kombu
    client = channel.sqs(name)
    url = predefined.get("url") if isinstance(predefined, dict) else None
    try:
        url = url or client.get_queue_url(QueueName=channel.canonical_queue_name(name))["QueueUrl"]
        found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    except client.exceptions.QueueDoesNotExist:
        return SeenQueue(name, exists=False)
    visibility = found.get("VisibilityTimeout")
    return SeenQueue(
        name,
        ready=_count(found, ""),
        unacked=_count(found, "NotVisible"),
        delayed=_count(found, "Delayed"),
        visibility_seconds=float(visibility) if visibility else None,
    )


def _count(attributes: Mapping[str, str], kind: str) -> int | None:
    found = attributes.get(f"ApproximateNumberOfMessages{kind}")
    return None if found is None else int(found)
