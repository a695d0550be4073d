"""How queues are declared to the broker.

Decides:
    `queue:NAME/exchange`, `exchange_type`, `routing_key`, `type`, `consumer_arguments`; each
    `queue:NAME/arguments.ARGUMENT` that is written, and of a quorum queue `arguments.x-queue-type` and
    `arguments.x-delivery-limit`; `app/task_create_missing_queues`, and of the default queue
    `app/task_default_exchange`, `task_default_exchange_type` and `task_default_routing_key`.

Because:
    Every queue that a declared task or schedule is sent to is declared. A task that the workload lacks may
    name another one in its decorator; Celery creates that queue, so its sends go on, and the compiled
    configuration logs the task and the queue. Pin `task_create_missing_queues: false` to refuse such a send
    with QueueNotFound.

    The type, the arguments and the exchange of a queue that exists cannot be changed: RabbitMQ refuses
    another declaration (406), and no worker starts. So a queue of which nothing is declared is declared as
    Celery itself makes it: classic, behind a direct exchange of its own name, unless Celery's own settings
    say otherwise (`task_default_queue_type`, `task_create_missing_queue_type` and those of exchanges). Quorum
    queues are asked for, by `type: quorum` of a queue or for all by `queue_type` in the policy file; moving a
    living queue to another type is a migration, and `policycompiler diff` has its steps.

    Quorum queues behind a topic exchange delay natively
    (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/rabbitmq.html); the policy
    broker-delays says what delays do elsewhere. Celery looks for a quorum queue among all queues of the app,
    by its declared type only, and not where the type is the default of a virtual host.

    A quorum queue counts how often a message comes back; past `x-delivery-limit` the broker drops it or makes
    it a dead letter, so it is delivered once more often than the limit says
    (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).

    To a direct exchange `*` and `#` are letters. Celery itself sends to a queue behind one by the queue's
    name, so its own messages arrive whatever the key is. Only what others send with a key to an exchange that
    has a name of its own does not.

    A broadcast is a queue of each process behind a `fanout` exchange. Its senders declare the exchange and no
    queue; what kombu's own `Broadcast` leaves undeclared is lost on Redis. Nothing is kept for a worker that
    is not there.

Example:
    tasks:
      shop.mail.send: {latency: interactive}

    queue:shop.interactive.io/exchange_type = "direct"
    app/task_create_missing_queues = true

Refuses:
    PC411 queue-type-unused: remove it; it is for RabbitMQ.
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
    PC417 delivery-limit-missing: remove the argument, or write a limit of 1 or more.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {idempotent: true, queue: q}}
            queues: {q: {type: quorum, arguments: {x-delivery-limit: -1}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {idempotent: true, queue: q}}
            queues: {q: {type: quorum, arguments: {x-delivery-limit: 10}}}
    PC435 topic-on-direct: remove the exchange type, or write a key without `*` and `#`.
        fires: queues: {q: {exchange: tasks, exchange_type: direct, routing_key: task.#}}
        silent: queues: {q: {exchange_type: direct, routing_key: q.#}}

Parameters:
    `queue_type`: the type of queues that declare none, classic or quorum; "classic".
    `redeliveries`: how often a message that is given back may come again from a quorum queue; 3.
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
    Parameter,
    Plan,
    Scope,
    Value,
    Written,
)

NAME = "queue-declarations"

QUEUE_TYPE_UNUSED = warning("PC411", "queue-type-unused")
BROADCAST_NOT_FANOUT = error("PC415", "broadcast-not-fanout")
QUEUE_TYPE_TWICE = error("PC416", "queue-type-twice")
DELIVERY_LIMIT_MISSING = error("PC417", "delivery-limit-missing")
TOPIC_ON_DIRECT = warning("PC435", "topic-on-direct")

LEVELS = "x-max-priority"
"""An argument of classic queues only (https://www.rabbitmq.com/docs/priority)."""
CLASSIC, QUORUM = "classic", "quorum"
TYPE = "x-queue-type"
"""What makes a queue a quorum queue, for RabbitMQ and for Celery."""
"""Of a quorum queue; -1 is none from RabbitMQ 4 on (https://www.rabbitmq.com/docs/quorum-queues)."""
CREATE_MISSING_QUEUES = True
"""Celery's own default: a task that nobody declared may name a queue of its own."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    queue_type: Literal["classic", "quorum"] = Field(
        "classic", description="of queues that declare none; a queue that exists cannot change it in place"
    )
    redeliveries: Annotated[int, Field(ge=1, le=1000)] = Field(
        3, description="of a message that kills its worker, before the broker drops it"
    )


class _Kind(NamedTuple):
    """Whether it is a quorum queue, why, who says so, and whether it has what only the compiler adds."""

    quorum: bool
    because: str
    origin: Origin
    as_celery_makes_it: bool = False


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Declare every queue, and nothing else."""
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
            yield from _objections(plan, scope, written, kind)
    if plan.find(APP, "task_create_missing_queues") is None:
        because = "a task that nobody declared may name a queue of its own, and its sends must not fail"
        origins = (Constant("CREATE_MISSING_QUEUES", CREATE_MISSING_QUEUES),)
        yield Decision(APP, "task_create_missing_queues", CREATE_MISSING_QUEUES, because, origins)
    default = Scope("queue", plan.text(APP, "task_default_queue"))
    for key in ("exchange", "exchange_type", "routing_key"):
        name = f"task_default_{key}"
        if plan.find(APP, name) is None:
            because = "as the default queue is declared"
            yield Decision(APP, name, plan.value(default, key), because, (Derived(default, key),))


def _unused(transport: str, name: str, queue: Queue) -> Iterator[Diagnostic]:
    """What only RabbitMQ understands."""
    followed = broker(transport).arguments or frozenset()
    unused = {
        "type": queue.type is not None,
        "arguments": not followed.issuperset(queue.arguments or {}),
        "consumer_arguments": bool(queue.consumer_arguments),
    }
    for field in (field for field, given in unused.items() if given):
        message = f"{transport} knows no `{field}` of a queue; this changes nothing"
        if field == "arguments" and followed:
            message = f"of a queue's `arguments` {transport} knows only {', '.join(followed)}"
        path = ("queues", name, field)
        yield QUEUE_TYPE_UNUSED.at(path, message, help="remove it, or use RabbitMQ", at_key=True)


def _queue(
    plan: Plan, scope: Scope, written: Queue | None, kind: _Kind, tuned: Parameters
) -> Iterator[Decision]:
    yield from _arguments(scope, (written and written.arguments) or {}, kind, tuned)
    decided: dict[str, tuple[Value, str]] = {
        "exchange": (scope.name, "an exchange of the queue's own name"),
        "routing_key": (scope.name, "the queue's own name"),
        "consumer_arguments": ({}, "none are needed"),
    }
    for key, (value, why) in decided.items():
        if plan.find(scope, key) is not None:
            continue
        of_app = f"task_default_{key}"
        # A pinned null leaves it to Celery, which takes the name of the queue.
        if _is_default(plan, scope) and plan.get(APP, of_app) is not None:
            because = f"`{of_app}` says so of the default queue"
            yield Decision(scope, key, plan.value(APP, of_app), because, (Derived(APP, of_app),))
        else:
            yield Decision(scope, key, value, why, (kind.origin,))


def _arguments(
    scope: Scope, written: Mapping[str, Value], kind: _Kind, tuned: Parameters
) -> Iterator[Decision]:
    """Its type and its arguments: those that are written, and what makes a quorum queue of it."""
    type_ = str(written.get(TYPE, QUORUM if kind.quorum else CLASSIC))
    yield Decision(scope, "type", type_, kind.because, (kind.origin,))
    for name, value in written.items():
        origin = Written(("queues", scope.name, "arguments", name))
        yield Decision(scope, f"arguments.{name}", value, "pinned in the workload", (origin,))
    if kind.quorum and TYPE not in written:
        yield Decision(scope, f"arguments.{TYPE}", QUORUM, kind.because, (Derived(scope, "type"),))
    if kind.quorum and not kind.as_celery_makes_it and LIMIT not in written:
        because = "a message that kills its worker must not come back for ever"
        limit = Parameter(("parameters", NAME, "redeliveries"), tuned.redeliveries)
        origins = (Derived(scope, "type"), limit)
        yield Decision(scope, f"arguments.{LIMIT}", tuned.redeliveries, because, origins)


def _exchange(plan: Plan, scope: Scope, kind: _Kind) -> Iterator[Decision | Diagnostic]:
    """Its type: what copies to everybody, what delays, or what Celery makes."""
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
                f"queue {scope.name} is a broadcast, but only a fanout exchange copies a message to every "
                f"worker; a {pinned.value} exchange brings it to those that happen to match"
            )
            yield BROADCAST_NOT_FANOUT.at(path, message, help="remove the exchange type")
    elif broadcast:
        because = "it copies each message to every queue behind it"
        yield Decision(scope, "exchange_type", "fanout", because, (Derived(scope, "broadcast"),))
    elif shared:
        because = "its routing key is a pattern"
        yield Decision(scope, "exchange_type", "topic", because, (Derived(scope, "routing_key"),))
    elif plan.get(APP, of_app) and not plan.value(scope, "external"):
        because = f"`{of_app}` says so"
        yield Decision(scope, "exchange_type", plan.value(APP, of_app), because, (Derived(APP, of_app),))
    else:
        exchange_type = "topic" if kind.quorum and not kind.as_celery_makes_it else "direct"
        yield Decision(scope, "exchange_type", exchange_type, kind.because, (kind.origin,))


def _is_default(plan: Plan, scope: Scope) -> bool:
    return scope.name == plan.text(APP, "task_default_queue")


def _has_a_name_of_its_own(plan: Plan, scope: Scope) -> bool:
    """Whether others may know the exchange: one of the queue's name is Celery's own way to that queue."""
    return plan.text(scope, "exchange") != scope.name


def _no_pattern(plan: Plan, scope: Scope) -> Diagnostic:
    key = plan.text(scope, "routing_key")
    message = (
        f"to a direct exchange `{key}` is no pattern: messages that others send to exchange "
        f"{plan.text(scope, 'exchange')} with a key that would match never reach queue {scope.name}"
    )
    related = (Related(("queues", scope.name, "exchange_type"), "keys are compared as they are"),)
    help_text = "remove the exchange type, or write a key without `*` and `#`"
    path: SpecPath = ("queues", scope.name, "routing_key")
    return TOPIC_ON_DIRECT.at(path, message, help=help_text, related=related)


def _objections(plan: Plan, scope: Scope, written: Queue, kind: _Kind) -> Iterator[Diagnostic]:
    arguments = written.arguments or {}
    path: SpecPath = ("queues", scope.name, "arguments")
    if written.type is not None and arguments.get(TYPE, written.type) != written.type:
        message = f"queue {scope.name} has `type: {written.type}`, but its argument says {arguments[TYPE]}"
        yield QUEUE_TYPE_TWICE.at((*path, TYPE), message, help="keep `type`, and remove the argument")
    limit = arguments.get(LIMIT)
    if kind.quorum and LIMIT in arguments and not (isinstance(limit, int) and limit >= 0):
        tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
        late = next((task for task in tasks if plan.value(task, "idempotent")), None)
        if late is not None:
            message = (
                f"nothing ends it when a message of queue {scope.name} kills every worker that takes it, "
                f"for instance one of {late.name}: the delivery limit is {limit}"
            )
            help_text = "remove it (the compiler then sets one), or write a limit of 1 or more"
            yield DELIVERY_LIMIT_MISSING.at((*path, LIMIT), message, help=help_text)


def _kind(plan: Plan, scope: Scope, written: Queue | None, tuned: Parameters) -> _Kind:
    if not plan.broker.quorum_queues:
        return _Kind(quorum=False, because="this broker has one kind of queue", origin=_TRANSPORT)
    if plan.value(scope, "broadcast"):
        because = "each process has a queue of its own, as long as it runs"
        return _Kind(quorum=False, because=because, origin=Derived(scope, "broadcast"))
    pinned = None if written is None else _pinned(("queues", scope.name), written)
    if pinned is not None:
        return pinned
    if plan.value(scope, "external"):
        because = "the app that consumes it declares it; this one only sends"
        return _Kind(quorum=False, because=because, origin=Derived(scope, "external"))
    return _of_celery(plan, scope) or _of_policy_file(plan, tuned)


def _pinned(path: SpecPath, written: Queue) -> _Kind | None:
    """What the workload says of it, an argument before the type as RabbitMQ is told that."""
    arguments = written.arguments or {}
    kind = arguments.get(TYPE, written.type)
    if kind is not None:
        where = (*path, "arguments", TYPE) if TYPE in arguments else (*path, "type")
        return _Kind(kind == "quorum", "the queue type is pinned", Written(where))
    if LEVELS in arguments:
        because = "RabbitMQ refuses a quorum queue with levels of priority"
        return _Kind(quorum=False, because=because, origin=Written((*path, "arguments", LEVELS)))
    return None


_TRANSPORT = Derived(APP, "broker_transport")


def _of_celery(plan: Plan, scope: Scope) -> _Kind | None:
    """What pinned settings of Celery make of a queue that it declares by itself."""
    key = "task_default_queue_type" if _is_default(plan, scope) else "task_create_missing_queue_type"
    pinned = plan.get(APP, key)
    if not isinstance(pinned, str):
        return None
    because = f"`{key}` says so"
    return _Kind(pinned == "quorum", because, Derived(APP, key), as_celery_makes_it=True)


def _of_policy_file(plan: Plan, tuned: Parameters) -> _Kind:
    asked = Parameter(("parameters", NAME, "queue_type"), tuned.queue_type)
    if tuned.queue_type == "classic":
        because = "nothing asks for another type, and RabbitMQ refuses to change a queue that exists"
        return _Kind(quorum=False, because=because, origin=asked)
    celery, version = plan.text(APP, "celery_version"), plan.get(APP, "broker_version")
    broker = None if version is None else str(version)
    for feature in (Feature.CONSUME, Feature.DECLARE, Feature.RETRY):
        # Of a RabbitMQ that nobody declares only what Celery cannot do with any is known.
        if (pair := pairs.broken(feature, "quorum", celery, broker)) and (broker or not any(pair.broker)):
            source = "broker_version" if any(pair.broker) else "celery_version"
            because = f"not with Celery {celery}{f' and RabbitMQ {broker}' if broker else ''}: {pair.what}"
            return _Kind(quorum=False, because=because, origin=Derived(APP, source))
    return _Kind(quorum=True, because="the policy file asks for quorum queues", origin=asked)
