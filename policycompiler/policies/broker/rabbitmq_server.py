"""Where the queues are in RabbitMQ, and what can change while they exist.

Decides:
    On a broker that stores declarations: `app/broker_virtual_host`. On RabbitMQ 4 and newer, for each queue
    with its own `x-consumer-timeout`, `queue:NAME/broker_policy`, and then `app/broker_policy_priority`.

Because:
    The arguments of an existing queue cannot change. RabbitMQ accepts another `x-consumer-timeout` for an
    existing queue and ignores it. A policy of RabbitMQ takes effect at once, and can change later. From 4.0
    on it can set the timeout of a queue; RabbitMQ 3.10 refuses a policy with `consumer-timeout`, and with it
    the rest of the import (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).

    RabbitMQ applies one policy to a queue: the one with the highest priority. So each policy matches the
    exact name of one queue, and only queues that need a policy get one. For such a queue, other policies with
    a lower priority no longer apply. Operator policies still do.

    All other properties of a queue stay arguments. `celeryconfig.py` declares the same arguments, and
    RabbitMQ refuses a declaration that differs.

Example:
    broker: {transport: rabbitmq, url: "amqp://rabbit/shop", version: "4.0"}
    tasks: {shop.reports.yearly: {queue: reports}}
    queues: {reports: {arguments: {x-consumer-timeout: 7200000}}}

    app/broker_virtual_host = "shop"
    queue:reports/broker_policy = {"consumer-timeout": 7200000}
    app/broker_policy_priority = 10

Refuses:
    PC930 virtual-host-invalid: correct the path of the URL, or the parameter `virtual_host`.
        fires: broker: {transport: rabbitmq, url: "amqp://rabbit/a%0Ab"}
        silent: broker: {transport: rabbitmq, url: "amqp://rabbit/a%20b"}

Parameters:
    `virtual_host`: the virtual host of the queues, if the URL of the broker is not in the workload; "/".
    `policy_priority`: the priority of the policies in RabbitMQ; 10.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Decision, Derived, Plan
from policycompiler.policies.policy import parameter

NAME = "rabbitmq-server"

VIRTUAL_HOST_INVALID = error("PC930", "virtual-host-invalid")

LONGEST = 255
"""Bytes, the limit of AMQP."""
ARGUMENT, OF_POLICY = "x-consumer-timeout", "consumer-timeout"
"""The same limit, in milliseconds: as an argument, and in a policy of RabbitMQ."""
OPTION = "virtual_host"
"""A transport option of kombu that replaces the path of the URL."""
SETTING = "broker_vhost"
"""A setting of Celery that counts where the URL has no path."""
FIRST_RABBITMQ_WITH_POLICY = (4, 0)
"""Older versions refuse the policy, or were not tested."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    virtual_host: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        "/", description="virtual host of the queues, if the workload does not contain the URL"
    )
    policy_priority: Annotated[int, Field(ge=0, le=1000)] = Field(
        10, description="priority of the policies in RabbitMQ; the highest one that matches a queue applies"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide the virtual host, and the policies of queues."""
    del spec
    if not plan.broker.declarations:
        return
    decided = _virtual_host(plan, tuned)
    host = str(decided.value)
    if not host.isprintable() or len(host.encode("utf-8", "surrogatepass")) > LONGEST:
        message = f"the virtual host is longer than {LONGEST} bytes, or has invisible characters"
        help_text = "correct the path of the URL, or the parameter `virtual_host` of the policy file"
        yield VIRTUAL_HOST_INVALID.at(("broker", "url"), message, help=help_text)
        decided = decided._replace(value="/")
    yield decided
    known = plan.find(APP, "broker_version") is not None
    if known and plan.version(APP, "broker_version") >= FIRST_RABBITMQ_WITH_POLICY:
        yield from _policies(plan, tuned)


def _virtual_host(plan: Plan, tuned: Parameters) -> Decision:
    """What kombu connects to: its option, else the path of the first URL, else the default."""
    key = "broker_virtual_host"
    options, url = plan.get(APP, "broker_transport_options"), plan.get(APP, "broker_url")
    if isinstance(options, dict) and options.get(OPTION):
        origins = (Derived(APP, "broker_transport_options"),)
        return Decision(APP, key, str(options[OPTION]), "a transport option names it", origins)
    if url is None:
        origin = parameter(NAME, "virtual_host", tuned.virtual_host)
        return Decision(APP, key, tuned.virtual_host, "the workload does not contain the URL", (origin,))
    path = unquote(urlsplit(str(url).partition(";")[0]).path.removeprefix("/"))
    if path:
        return Decision(APP, key, path, "the URL of the broker names it", (Derived(APP, "broker_url"),))
    if pinned := plan.get(APP, SETTING):
        return Decision(APP, key, str(pinned), f"`{SETTING}` names it", (Derived(APP, SETTING),))
    because = "the URL of the broker names none, and this is the default"
    return Decision(APP, key, "/", because, (Derived(APP, "broker_url"),))


def _policies(plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    found = False
    for queue in plan.scopes("queue"):
        own = plan.get(queue, f"arguments.{ARGUMENT}")
        declared = not plan.value(queue, "external") and not plan.value(queue, "broadcast")
        if declared and isinstance(own, int):
            found = True
            because = "the argument does not change a queue that exists, and a policy of RabbitMQ does"
            origins = (Derived(queue, f"arguments.{ARGUMENT}"),)
            yield Decision(queue, "broker_policy", {OF_POLICY: own}, because, origins)
    if found:
        because = "RabbitMQ applies the policy with the highest priority that matches a queue"
        origin = parameter(NAME, "policy_priority", tuned.policy_priority)
        yield Decision(APP, "broker_policy_priority", tuned.policy_priority, because, (origin,))
