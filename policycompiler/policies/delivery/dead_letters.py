"""Where the dead letters of a queue are kept.

Decides:
    For a queue with `dead_letter: true`: `queue:NAME/dead_letter_queue` and `dead_letter_copies`. On Redis
    also `dead_letter_limit`. On RabbitMQ also `dead_letter_arguments`, `arguments.x-dead-letter-exchange`
    and `arguments.x-dead-letter-routing-key`, and for a quorum queue `arguments.x-dead-letter-strategy` and
    `arguments.x-overflow`.

Because:
    Celery has no dead letters. RabbitMQ keeps a message that the worker rejects, but not one that it
    acknowledges: of a run that is killed at its hard time limit, or of a task that is acknowledged before it
    runs. Redis deletes both. So the output has a module for workers. It publishes the missing messages to
    the dead-letter queue when Celery signals the end of a run (celery.signals.task_failure, and others). Two
    kinds
    of messages leave no dead letter on any broker, because Celery signals nothing: a body that cannot be
    decoded, and a task that raises `Ignore`. A run that ends with its whole worker is redelivered if it is
    acknowledged late, else it is lost. Before Celery 5.7 there is no signal for `Reject`. On Redis, expired
    and revoked messages are no dead letters.

    RabbitMQ silently drops dead letters for a queue that does not exist (https://www.rabbitmq.com/docs/dlx).
    Celery declares only queues that it consumes or sends to. No worker should consume a dead-letter queue,
    because it would only run failed tasks again. So each emitted queue declares its dead-letter queue first,
    in workers and publishers. The dead-letter queue is in no list of queues, so no worker can name it. Its
    length is limited: the oldest dead letter is dropped first.

    RabbitMQ 3.10 and newer moves the dead letters of a quorum queue safely (at-least-once). This needs a
    queue that rejects new messages when it is full. A queue with its own length limit keeps its own
    overflow, so a dead letter may be lost while a node fails. The policy failure-acknowledgement decides
    which messages the worker rejects. The arguments of an existing queue cannot change: give the queue a new
    name, or drain and delete it first.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "3.13"}
    tasks: {shop.mail.send: {idempotent: true, queue: mail}}
    queues: {mail: {dead_letter: true}}

    queue:mail/dead_letter_queue = "mail.dead"
    queue:mail/dead_letter_copies = "acknowledged"
    queue:mail/dead_letter_arguments = {"x-max-length": 10000}
    queue:mail/arguments.x-dead-letter-exchange = ""
    queue:mail/arguments.x-dead-letter-routing-key = "mail.dead"

Refuses:
    PC216 dead-letter-elsewhere: remove it; declare dead letters where the queue is declared.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {partner.a: {queue: inbox, external: true}}
            queues: {inbox: {dead_letter: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: inbox, idempotent: true}}
            queues: {inbox: {dead_letter: true}}
    PC217 dlq-consumed: let no worker consume the queue; `policycompiler dead-letters` shows its messages.
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

from policycompiler.diagnostics import Diagnostic, SpecPath, error, warning
from policycompiler.hazards.dead_letters import consumed
from policycompiler.hazards.hazard import as_findings
from policycompiler.knowledge.brokers import DeadLetters
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
ALL, ACKNOWLEDGED = "all", "acknowledged"
"""The dead letters that a worker copies."""
LEFT_OUT = (
    "Celery signals no end of a body that cannot be decoded or of a task that raises `Ignore`, so these "
    "leave no dead letter"
)
OWN_OVERFLOW = ("x-max-length", "x-max-length-bytes", "x-overflow", "x-dead-letter-strategy")


class Parameters(PolicyParameters):
    """What a policy file may set."""

    most_messages: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        10_000, description="most dead letters in a dead-letter queue; a full queue drops the oldest"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """A dead-letter queue for each queue that declares one and can have one."""
    kept = plan.broker.dead_letters
    for name, queue in spec.queues.items():
        scope = Scope("queue", name)
        path: SpecPath = ("queues", name, "dead_letter")
        if queue.dead_letter and (elsewhere := _elsewhere(plan, scope)):
            message = f"{elsewhere}, so `dead_letter` has no effect here"
            yield DEAD_LETTER_ELSEWHERE.at(path, message, help="remove `dead_letter`", at_key=True)
        elif queue.dead_letter:
            yield from _dead_letters(plan, scope, path, tuned)
        if kept is DeadLetters.ARGUMENTS:
            yield from _undeclared(plan, scope, queue.arguments or {})
    yield from as_findings(consumed(plan), DLQ_CONSUMED)


def _elsewhere(plan: Plan, scope: Scope) -> str:
    """Why this workload cannot declare the dead letters of a queue; empty if it can."""
    if plan.broker.dead_letters is DeadLetters.ELSEWHERE:
        return f"neither Celery nor a worker keeps dead letters on {plan.broker.label}"
    if plan.value(scope, "external"):
        return f"another app declares queue {scope.name} and its dead letters"
    if plan.value(scope, "broadcast"):
        return f"each worker has its own copy of broadcast queue {scope.name}, deleted when the worker stops"
    return ""


def _dead_letters(plan: Plan, scope: Scope, path: SpecPath, tuned: Parameters) -> Iterator[Decision]:
    asked: tuple[Origin, ...] = (Written(path),)
    suffix = Constant("DEAD_SUFFIX", DEAD_SUFFIX)
    because = "failed messages wait in this queue until a person reads them"
    yield Decision(scope, "dead_letter_queue", scope.name + DEAD_SUFFIX, because, (*asked, suffix))
    if plan.broker.dead_letters is DeadLetters.ARGUMENTS:
        yield from _by_the_broker(plan, scope, path, tuned)
        copies, why = ACKNOWLEDGED, "the broker keeps only messages that the worker rejects"
    else:
        copies, why = ALL, f"{plan.broker.label} deletes a message whose run failed"
        because = "each worker drops the oldest dead letter above this number"
        bound = parameter(NAME, "most_messages", tuned.most_messages)
        yield Decision(scope, "dead_letter_limit", tuned.most_messages, because, (bound,))
    because = f"{why}; {LEFT_OUT}"
    yield Decision(scope, "dead_letter_copies", copies, because, (*asked, Derived(APP, "broker_transport")))


def _by_the_broker(plan: Plan, scope: Scope, path: SpecPath, tuned: Parameters) -> Iterator[Decision]:
    asked, dead = Written(path), scope.name + DEAD_SUFFIX
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

    led: dict[str, tuple[Value, str, tuple[Origin, ...]]] = {
        "x-dead-letter-exchange": (
            TO_QUEUE,
            "this exchange routes each dead letter to the queue that its routing key names",
            (asked, Constant("TO_QUEUE", TO_QUEUE)),
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
