"""Where RabbitMQ puts the dead letters of a queue.

Decides:
    For a queue with `dead_letter: true` on RabbitMQ: `queue:NAME/dead_letter_queue`,
    `dead_letter_arguments`, `arguments.x-dead-letter-exchange` and `arguments.x-dead-letter-routing-key`.
    For a quorum queue also `arguments.x-dead-letter-strategy` and `arguments.x-overflow`.

Because:
    Celery has no dead letters; RabbitMQ has. RabbitMQ silently drops dead letters for a queue that does not
    exist (https://www.rabbitmq.com/docs/dlx). Celery declares only queues that it consumes or sends to. No
    worker should consume a dead-letter queue, because it would only run failed tasks again. So each emitted
    queue declares its dead-letter queue first, in workers and publishers. The dead-letter queue is in no
    list of queues, so no worker can name it. Its length is limited: the oldest dead letter is dropped first.

    RabbitMQ 3.10 and newer moves the dead letters of a quorum queue safely (at-least-once). This needs a
    queue that rejects new messages when it is full. A queue with its own length limit keeps its own
    overflow, so a dead letter may be lost while a node fails. The policy failure-acknowledgement decides
    which failures become dead letters. The arguments of an existing queue cannot change: give the queue a
    new name, or drain and delete it first.

    Redis has no dead letters, and kombu adds none: a rejected message is deleted.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "3.13"}
    tasks: {shop.mail.send: {idempotent: true, queue: mail}}
    queues: {mail: {dead_letter: true}}

    queue:mail/dead_letter_queue = "mail.dead"
    queue:mail/dead_letter_arguments = {"x-max-length": 10000}
    queue:mail/arguments.x-dead-letter-exchange = ""
    queue:mail/arguments.x-dead-letter-routing-key = "mail.dead"

Refuses:
    PC215 dlq-redis: use RabbitMQ, or remove `dead_letter` and record failures elsewhere.
        fires: queues: {mail: {dead_letter: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {dead_letter: true}}
    PC216 dead-letter-elsewhere: remove it; declare dead letters where the queue is declared.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {partner.a: {queue: inbox, external: true}}
            queues: {inbox: {dead_letter: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: inbox, idempotent: true}}
            queues: {inbox: {dead_letter: true}}
    PC217 dlq-consumed: let no worker consume the queue; read its messages with the broker's tools.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {dead_letter: true}, mail.dead: {}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {dead_letter: true}, mail.dead: {external: true}}
    PC218 dlq-undeclared: write `dead_letter: true` instead, or declare the dead-letter queue under
        `queues:` (with `external: true` if another app owns it).
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {arguments: {x-dead-letter-exchange: "", x-dead-letter-routing-key: lost}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues:
              mail: {arguments: {x-dead-letter-exchange: "", x-dead-letter-routing-key: lost}}
              lost: {external: true}

Parameters:
    `most_messages`: the number of dead letters that a dead-letter queue holds; 10000.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, SpecPath, error, warning
from policycompiler.hazards.dead_letters import consumed
from policycompiler.hazards.hazard import as_findings
from policycompiler.knowledge.brokers import DeadLetters, broker
from policycompiler.model import PolicyParameters, Workload
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

NAME = "dead-letters"

DLQ_REDIS = warning("PC215", "dlq-redis", Profile.MINIMAL)
DEAD_LETTER_ELSEWHERE = warning("PC216", "dead-letter-elsewhere")
DLQ_CONSUMED = error("PC217", "dlq-consumed")
DLQ_UNDECLARED = warning("PC218", "dlq-undeclared")

DEAD_SUFFIX = ".dead"
"""Follows the name of the queue, so that both are next to each other in every list."""
TO_QUEUE = ""
"""AMQP's default exchange, which routes a message to the queue that its routing key names."""
STRATEGY = "at-least-once"
"""A quorum queue deletes a dead letter only when the dead-letter queue has it."""
FIRST_RABBITMQ_WITH_STRATEGY = (3, 10)
"""Older versions do not know it; without a declared version, a newer one is assumed."""
OVERFLOW = "reject-publish"
"""The strategy needs it; a queue without a length limit never overflows."""
OWN_OVERFLOW = ("x-max-length", "x-max-length-bytes", "x-overflow", "x-dead-letter-strategy")


class Parameters(PolicyParameters):
    """What a policy file may set."""

    most_messages: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        10_000, description="most dead letters in a dead-letter queue; a full queue drops the oldest"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """A dead-letter queue for each queue that declares one and can have one."""
    transport = plan.text(APP, "broker_transport")
    kept = broker(transport).dead_letters
    for name, queue in spec.queues.items():
        scope = Scope("queue", name)
        path: SpecPath = ("queues", name, "dead_letter")
        if queue.dead_letter:
            elsewhere = _elsewhere(plan, scope, transport)
            if kept is DeadLetters.NONE:
                yield _not_kept(path, name)
            elif elsewhere:
                message = f"{elsewhere}, so `dead_letter` has no effect here"
                yield DEAD_LETTER_ELSEWHERE.at(path, message, help="remove `dead_letter`", at_key=True)
            else:
                yield from _dead_letters(plan, scope, path, tuned)
                yield from _undeclared(plan, scope, queue.arguments or {})
        elif kept is DeadLetters.ARGUMENTS:
            yield from _undeclared(plan, scope, queue.arguments or {})
    yield from as_findings(consumed(plan), DLQ_CONSUMED)


def _elsewhere(plan: Plan, scope: Scope, transport: str) -> str:
    """Why this workload cannot declare the dead letters of a queue; empty if it can."""
    if broker(transport).dead_letters is not DeadLetters.ARGUMENTS:
        return f"Celery declares dead letters only on RabbitMQ, not on {transport}"
    if plan.value(scope, "external"):
        return f"another app declares queue {scope.name} and its dead letters"
    if plan.value(scope, "broadcast"):
        return f"each worker has its own copy of broadcast queue {scope.name}, deleted when the worker stops"
    return ""


def _not_kept(path: SpecPath, name: str) -> Diagnostic:
    message = f"Redis has no dead letters: messages in queue {name} whose last retry fails are lost anyway"
    help_text = "use RabbitMQ, or remove `dead_letter` and record failures in a result backend or the log"
    return DLQ_REDIS.at(path, message, help=help_text, at_key=True)


def _dead_letters(plan: Plan, scope: Scope, path: SpecPath, tuned: Parameters) -> Iterator[Decision]:
    dead = scope.name + DEAD_SUFFIX
    asked: tuple[Origin, ...] = (Written(path),)
    suffix = Constant("DEAD_SUFFIX", DEAD_SUFFIX)
    because = "failed messages wait in this queue until a person reads them"
    yield Decision(scope, "dead_letter_queue", dead, because, (*asked, suffix))

    quorum = plan.text(scope, "type") == "quorum"
    of_queue = Derived(scope, "type")
    bound = parameter(NAME, "most_messages", tuned.most_messages)
    limits: dict[str, Value] = {"x-max-length": tuned.most_messages}
    if quorum:
        limits["x-queue-type"] = "quorum"
    because = (
        f"the dead-letter queue has the type of its queue and holds {tuned.most_messages:,} messages at most"
    )
    yield Decision(scope, "dead_letter_arguments", limits, because, (of_queue, bound))

    to_queue = Constant("TO_QUEUE", TO_QUEUE)
    led: dict[str, tuple[Value, str, tuple[Origin, ...]]] = {
        "x-dead-letter-exchange": (
            TO_QUEUE,
            "this exchange routes each dead letter to the queue that its routing key names",
            (*asked, to_queue),
        ),
        "x-dead-letter-routing-key": (
            dead,
            "the routing key is the name of the dead-letter queue",
            (Derived(scope, "dead_letter_queue"),),
        ),
    }
    pinned = plan.below(scope, "arguments.")
    if quorum and _knows_strategy(plan) and pinned.keys().isdisjoint(OWN_OVERFLOW):
        because = "the queue then deletes a dead letter only after the dead-letter queue has it"
        needed = "the dead-letter strategy `at-least-once` needs it"
        led |= {
            "x-dead-letter-strategy": (STRATEGY, because, (of_queue, Constant("STRATEGY", STRATEGY))),
            "x-overflow": (OVERFLOW, needed, (of_queue, Constant("OVERFLOW", OVERFLOW))),
        }
    for name, (value, why, origins) in led.items():
        if name not in pinned:
            yield Decision(scope, f"arguments.{name}", value, why, origins)


def _knows_strategy(plan: Plan) -> bool:
    known = plan.find(APP, "broker_version") is None
    return known or plan.version(APP, "broker_version") >= FIRST_RABBITMQ_WITH_STRATEGY


def _undeclared(plan: Plan, scope: Scope, written: Mapping[str, Value]) -> Iterator[Diagnostic]:
    """Pinned dead-letter arguments that name a queue or exchange that the workload does not declare."""
    pinned = [name for name in ("x-dead-letter-exchange", "x-dead-letter-routing-key") if name in written]
    arguments = plan.below(scope, "arguments.")
    if not pinned or "x-dead-letter-exchange" not in arguments:
        return
    exchange = arguments["x-dead-letter-exchange"]
    key = arguments.get("x-dead-letter-routing-key", scope.name)
    queues = plan.scopes("queue")
    if exchange == TO_QUEUE:
        found, target = Scope("queue", str(key)) in queues, f"queue {key}"
    else:
        found = any(plan.value(queue, "exchange") == exchange for queue in queues)
        target = f"a queue bound to exchange {exchange}"
    if not found:
        message = (
            f"the dead letters of queue {scope.name} go to {target}, which the workload does not declare: "
            "if it does not exist, RabbitMQ drops them"
        )
        help_text = (
            "write `dead_letter: true` instead, or declare that queue under `queues:` "
            "(with `external: true` if another app owns it)"
        )
        path: SpecPath = ("queues", scope.name, "arguments", pinned[0])
        yield DLQ_UNDECLARED.at(path, message, help=help_text)
