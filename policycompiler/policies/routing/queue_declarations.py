"""How queues are declared to the broker.

Decides:
    `queue:NAME/exchange`, `exchange_type`, `routing_key`, `type`, `consumer_arguments`; each declared
    `queue:NAME/arguments.ARGUMENT`; for a quorum queue also `arguments.x-queue-type` and
    `arguments.x-delivery-limit`; `app/task_create_missing_queues`; for the default queue
    `app/task_default_exchange`, `task_default_exchange_type` and `task_default_routing_key`.

Because:
    The output declares every queue that a declared task or schedule is sent to. An undeclared task may name
    another queue in its decorator. Celery creates that queue, so its sends succeed, and the compiled
    configuration logs the task and the queue. Pin `task_create_missing_queues: false` to refuse these sends
    with QueueNotFound.

    The type, the arguments and the exchange of an existing queue cannot change: RabbitMQ refuses a different
    declaration (406), and no worker starts. So a queue without declarations is declared as Celery creates it:
    classic, with a direct exchange of the same name. Celery's own settings can change this:
    `task_default_queue_type`, `task_create_missing_queue_type` and the settings for exchanges. To get a
    quorum queue, declare `type: quorum` in a queue, or set `queue_type` in the policy file for all queues. To
    move an existing queue to another type is a migration, and `policycompiler diff` prints its steps.

    Quorum queues with a topic exchange support native delays
    (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/rabbitmq.html). The policy
    broker-delays describes delays in other queues. Celery looks for a quorum queue among all queues of the
    app. It sees only declared types, not the default type of a virtual host.

    A quorum queue counts how often a message returns. Beyond `x-delivery-limit` the broker drops the message
    or makes it a dead letter. So the message is delivered once more than the limit
    (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).

    For a direct exchange, `*` and `#` are ordinary characters. Celery publishes to such a queue by the
    queue's name, so its own messages arrive with any routing key. Messages of other publishers do not arrive
    if they use a routing key and an exchange that is not named like the queue.

    For a broadcast, each process has its own queue, bound to a `fanout` exchange. Publishers declare the
    exchange and no queue. With kombu's own `Broadcast`, publishers do not declare the exchange, so messages
    are lost on Redis. A broadcast message is not kept for a worker that is not running.

Example:
    tasks:
      shop.mail.send: {latency: interactive}

    queue:shop.interactive.io/exchange_type = "direct"
    app/task_create_missing_queues = true

Refuses:
    PC411 queue-type-unused: remove the key; only RabbitMQ uses it.
        fires: queues: {q: {type: quorum}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}}
    PC415 broadcast-not-fanout: remove the exchange type.
        fires: queues: {q: {broadcast: true, exchange_type: direct}}
        silent: queues: {q: {broadcast: true, exchange_type: fanout}}
    PC416 queue-type-twice: keep `type`, and remove the argument.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: classic, arguments: {x-queue-type: quorum}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum, arguments: {x-queue-type: quorum}}}
    PC435 topic-on-direct: remove the exchange type, or write a key without `*` and `#`.
        fires: queues: {q: {exchange: tasks, exchange_type: direct, routing_key: task.#}}
        silent: queues: {q: {exchange_type: direct, routing_key: q.#}}

Parameters:
    `queue_type`: the type of queues that declare none, classic or quorum; "classic".
    `redeliveries`: how often a quorum queue may redeliver a returned message; 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.knowledge import pairs, topics
from policycompiler.knowledge.brokers import broker
from policycompiler.knowledge.pairs import Feature
from policycompiler.knowledge.queue_arguments import LIMIT
from policycompiler.model import PolicyParameters, Queue, Workload
from policycompiler.plan import (
    APP,
    Constant,
    Decision,
    Derived,
    Origin,
    Plan,
    Scope,
    Value,
    Written,
)
from policycompiler.policies.policy import parameter

NAME = "queue-declarations"

QUEUE_TYPE_UNUSED = warning("PC411", "queue-type-unused")
BROADCAST_NOT_FANOUT = error("PC415", "broadcast-not-fanout")
QUEUE_TYPE_TWICE = error("PC416", "queue-type-twice")
TOPIC_ON_DIRECT = warning("PC435", "topic-on-direct")

LEVELS = "x-max-priority"
"""An argument of classic queues only (https://www.rabbitmq.com/docs/priority)."""
CLASSIC, QUORUM = "classic", "quorum"
TYPE = "x-queue-type"
"""The argument that makes a queue a quorum queue, for RabbitMQ and for Celery."""
CREATE_MISSING_QUEUES = True
"""Celery's own default: an undeclared task may name its own queue."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    queue_type: Literal["classic", "quorum"] = Field(
        "classic", description="type of queues that declare none; an existing queue cannot change its type"
    )
    redeliveries: Annotated[int, Field(ge=1, le=1000)] = Field(
        3, description="redeliveries of a message that kills its worker before the broker drops it"
    )


class _Kind(NamedTuple):
    """Whether it is a quorum queue, why, by which setting, and whether Celery itself would declare it so."""

    quorum: bool
    because: str
    origin: Origin
    as_celery_makes_it: bool = False


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Declare every queue."""
    transport = plan.text(APP, "broker_transport")
    keeps_declarations = broker(transport).declarations
    if not keeps_declarations:
        for name, queue in spec.queues.items():
            yield from _unused(transport, name, queue)
    for scope in plan.scopes("queue"):
        written = spec.queues.get(scope.name)
        kind = _kind(plan, scope, written, tuned)
        yield from _queue(plan, scope, written, kind, tuned)
        yield from _exchange(plan, scope, kind)
        if written is not None and keeps_declarations:
            yield from _objections(scope, written)
    if plan.find(APP, "task_create_missing_queues") is None:
        because = "an undeclared task may name its own queue, and its sends must not fail"
        origins = (Constant("CREATE_MISSING_QUEUES", CREATE_MISSING_QUEUES),)
        yield Decision(APP, "task_create_missing_queues", CREATE_MISSING_QUEUES, because, origins)
    default = Scope("queue", plan.text(APP, "task_default_queue"))
    for key in ("exchange", "exchange_type", "routing_key"):
        name = f"task_default_{key}"
        if plan.find(APP, name) is None:
            because = f"the declaration of the default queue has this {key.replace('_', ' ')}"
            yield Decision(APP, name, plan.value(default, key), because, (Derived(default, key),))


def _unused(transport: str, name: str, queue: Queue) -> Iterator[Diagnostic]:
    """Keys that only RabbitMQ uses."""
    followed = broker(transport).arguments or frozenset()
    unused = {
        "type": queue.type is not None,
        "arguments": not followed.issuperset(queue.arguments or {}),
        "consumer_arguments": bool(queue.consumer_arguments),
    }
    for field in (field for field, given in unused.items() if given):
        message = f"`{field}` of queue {name} has no effect on {transport}"
        if field == "arguments" and followed:
            message = f"on {transport} only these queue arguments have an effect: {', '.join(followed)}"
        path = ("queues", name, field)
        help_text = f"remove `{field}`, or use RabbitMQ"
        if field == "arguments" and followed:
            help_text = "remove the other arguments, or use RabbitMQ"
        yield QUEUE_TYPE_UNUSED.at(path, message, help=help_text, at_key=True)


def _queue(
    plan: Plan, scope: Scope, written: Queue | None, kind: _Kind, tuned: Parameters
) -> Iterator[Decision]:
    yield from _arguments(plan, scope, (written and written.arguments) or {}, kind, tuned)
    decided: dict[str, tuple[Value, str]] = {
        "exchange": (scope.name, "the exchange has the name of the queue"),
        "routing_key": (scope.name, "the routing key is the name of the queue"),
        "consumer_arguments": ({}, "the consumers of the queue need no arguments"),
    }
    for key, (value, why) in decided.items():
        if plan.find(scope, key) is not None:
            continue
        of_app = f"task_default_{key}"
        # With a pinned null Celery itself takes the name of the queue.
        if _is_default(plan, scope) and plan.get(APP, of_app) is not None:
            because = f"`{of_app}` sets it for the default queue"
            yield Decision(scope, key, plan.value(APP, of_app), because, (Derived(APP, of_app),))
        else:
            yield Decision(scope, key, value, why, (kind.origin,))


def _arguments(
    plan: Plan, scope: Scope, written: Mapping[str, Value], kind: _Kind, tuned: Parameters
) -> Iterator[Decision]:
    """The type and the arguments: the declared ones, and those of a quorum queue."""
    if plan.find(scope, "type") is None:
        type_ = str(written.get(TYPE, QUORUM if kind.quorum else CLASSIC))
        yield Decision(scope, "type", type_, kind.because, (kind.origin,))
    for name, value in written.items():
        origin = Written(("queues", scope.name, "arguments", name))
        yield Decision(scope, f"arguments.{name}", value, "the workload pins it", (origin,))
    if kind.quorum and TYPE not in written and not plan.setting(scope, "type").is_left_to_celery:
        yield Decision(scope, f"arguments.{TYPE}", QUORUM, kind.because, (Derived(scope, "type"),))
    if kind.quorum and not kind.as_celery_makes_it and LIMIT not in written:
        because = "a message that kills its worker must not return without end"
        limit = parameter(NAME, "redeliveries", tuned.redeliveries)
        origins = (Derived(scope, "type"), limit)
        yield Decision(scope, f"arguments.{LIMIT}", tuned.redeliveries, because, origins)


def _exchange(plan: Plan, scope: Scope, kind: _Kind) -> Iterator[Decision | Diagnostic]:
    """The exchange type: pinned, for a broadcast, for delays, or Celery's own."""
    pinned = plan.find(scope, "exchange_type")
    broadcast = bool(plan.value(scope, "broadcast"))
    shared = topics.is_pattern(plan.text(scope, "routing_key")) and _has_a_name_of_its_own(plan, scope)
    of_app = "task_default_exchange_type"
    if not _is_default(plan, scope):
        of_app = "task_create_missing_queue_exchange_type"
    if pinned is not None:
        if pinned.value == "direct" and shared:
            yield _no_pattern(plan, scope)
        if broadcast and pinned.value != "fanout":
            path: SpecPath = ("queues", scope.name, "exchange_type")
            message = (
                f"queue {scope.name} is a broadcast, but only a fanout exchange copies each message to every "
                f"worker: a {pinned.value} exchange does not"
            )
            yield BROADCAST_NOT_FANOUT.at(path, message, help="remove `exchange_type`")
    elif broadcast:
        because = "a fanout exchange copies each message to every bound queue"
        yield Decision(scope, "exchange_type", "fanout", because, (Derived(scope, "broadcast"),))
    elif shared:
        because = "the routing key is a pattern, which needs a topic exchange"
        yield Decision(scope, "exchange_type", "topic", because, (Derived(scope, "routing_key"),))
    elif plan.get(APP, of_app) and not plan.value(scope, "external"):
        because = f"`{of_app}` sets it"
        yield Decision(scope, "exchange_type", plan.value(APP, of_app), because, (Derived(APP, of_app),))
    else:
        exchange_type = "topic" if kind.quorum and not kind.as_celery_makes_it else "direct"
        yield Decision(scope, "exchange_type", exchange_type, kind.because, (kind.origin,))


def _is_default(plan: Plan, scope: Scope) -> bool:
    return scope.name == plan.text(APP, "task_default_queue")


def _has_a_name_of_its_own(plan: Plan, scope: Scope) -> bool:
    """Whether the exchange is not named like the queue, so that others may publish to it."""
    return plan.text(scope, "exchange") != scope.name


def _no_pattern(plan: Plan, scope: Scope) -> Diagnostic:
    key = plan.text(scope, "routing_key")
    message = (
        f"a direct exchange does not read `{key}` as a pattern: other publishers' messages to exchange "
        f"{plan.text(scope, 'exchange')} with a matching key do not reach queue {scope.name}"
    )
    related = (Related(("queues", scope.name, "exchange_type"), "keys are compared literally"),)
    help_text = "remove `exchange_type`, or write a key without `*` and `#`"
    path: SpecPath = ("queues", scope.name, "routing_key")
    return TOPIC_ON_DIRECT.at(path, message, help=help_text, related=related)


def _objections(scope: Scope, written: Queue) -> Iterator[Diagnostic]:
    arguments = written.arguments or {}
    path: SpecPath = ("queues", scope.name, "arguments")
    if written.type is not None and arguments.get(TYPE, written.type) != written.type:
        message = (
            f"queue {scope.name} has `type: {written.type}`, but `arguments` set `{TYPE}: {arguments[TYPE]}`"
        )
        yield QUEUE_TYPE_TWICE.at(
            (*path, TYPE),
            message,
            help=f"remove `{TYPE}`, and write the `type` that the queue has on the broker",
        )


def _kind(plan: Plan, scope: Scope, written: Queue | None, tuned: Parameters) -> _Kind:
    left = plan.find(scope, "type")
    if left is not None:
        quorum, origin = left.value == QUORUM, Derived(scope, "type")
        return _Kind(quorum, left.because, origin, as_celery_makes_it=True)
    if not plan.broker.quorum_queues:
        return _Kind(quorum=False, because="this broker has only one type of queue", origin=_TRANSPORT)
    if plan.value(scope, "broadcast"):
        because = "each process has its own broadcast queue while it runs"
        return _Kind(quorum=False, because=because, origin=Derived(scope, "broadcast"))
    pinned = None if written is None else _pinned(("queues", scope.name), written)
    if pinned is not None:
        return pinned._replace(as_celery_makes_it=plan.as_is(APP))
    if plan.value(scope, "external"):
        because = "another app consumes and declares the queue, and this app only publishes to it"
        return _Kind(quorum=False, because=because, origin=Derived(scope, "external"))
    return _of_celery(plan, scope) or _of_policy_file(plan, tuned)


def _pinned(path: SpecPath, written: Queue) -> _Kind | None:
    """The pinned type; the argument takes precedence, because RabbitMQ reads it."""
    arguments = written.arguments or {}
    kind = arguments.get(TYPE, written.type)
    if kind is not None:
        where = (*path, "arguments", TYPE) if TYPE in arguments else (*path, "type")
        return _Kind(kind == "quorum", "the workload pins the queue type", Written(where))
    if LEVELS in arguments:
        because = "RabbitMQ refuses a quorum queue with priority levels"
        return _Kind(quorum=False, because=because, origin=Written((*path, "arguments", LEVELS)))
    return None


_TRANSPORT = Derived(APP, "broker_transport")


def _of_celery(plan: Plan, scope: Scope) -> _Kind | None:
    """The type that pinned settings of Celery give to a queue that Celery itself declares."""
    key = "task_default_queue_type" if _is_default(plan, scope) else "task_create_missing_queue_type"
    pinned = plan.get(APP, key)
    if not isinstance(pinned, str):
        return None
    because = f"`{key}` sets it"
    return _Kind(pinned == "quorum", because, Derived(APP, key), as_celery_makes_it=True)


def _of_policy_file(plan: Plan, tuned: Parameters) -> _Kind:
    asked = parameter(NAME, "queue_type", tuned.queue_type)
    if tuned.queue_type == "classic":
        because = "no other type is declared, and RabbitMQ cannot change the type of an existing queue"
        return _Kind(quorum=False, because=because, origin=asked)
    celery, version = plan.text(APP, "celery_version"), plan.get(APP, "broker_version")
    broker = None if version is None else str(version)
    for feature in (Feature.CONSUME, Feature.DECLARE, Feature.RETRY):
        # Without a declared RabbitMQ version, only what Celery cannot do with any RabbitMQ is known.
        if (pair := pairs.broken(feature, "quorum", celery, broker)) and (broker or not any(pair.broker)):
            source = "broker_version" if any(pair.broker) else "celery_version"
            versions = f"Celery {celery}{f' and RabbitMQ {broker}' if broker else ''}"
            because = f"quorum queues do not work with {versions}: {pair.what}"
            return _Kind(quorum=False, because=because, origin=Derived(APP, source))
    return _Kind(quorum=True, because="the policy file sets quorum queues", origin=asked)
