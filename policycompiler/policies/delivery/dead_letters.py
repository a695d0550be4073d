"""Where RabbitMQ puts the messages that a queue has given up.

Decides:
    Of a queue with `dead_letter: true` on RabbitMQ `queue:NAME/dead_letter_queue`,
    `dead_letter_arguments`, and where they go: `arguments.x-dead-letter-exchange` and
    `arguments.x-dead-letter-routing-key`; of a quorum queue `arguments.x-dead-letter-strategy` and
    `arguments.x-overflow`, too.

Because:
    Celery has no dead letters of its own; the broker has, and drops in silence what it is to move to a
    queue that does not exist (https://www.rabbitmq.com/docs/dlx). Celery declares only queues that are
    consumed or sent to, and nothing is to consume this one, as a worker would only run again what failed.
    So each emitted queue declares the queue of its dead letters before itself, workers and producers alike,
    and no worker can name it, for it stands in no list of queues. It is bounded: the oldest letter goes
    first. The letters of a quorum queue are moved safely (at-least-once), which RabbitMQ 3.10 and later do
    where the queue refuses what it has no room for; a queue with a length of its own keeps its own
    overflow, and a letter may then be lost while a node fails. Which failures come so far is decided by
    failure-acknowledgement. Arguments of a living queue cannot change: a queue that exists already gets
    a new name, or is emptied and deleted first.

    Redis has no dead letters, and neither does kombu for it: a message that is rejected is deleted.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "3.13"}
    tasks: {shop.mail.send: {idempotent: true, queue: mail}}
    queues: {mail: {dead_letter: true}}

    queue:mail/dead_letter_queue = "mail.dead"
    queue:mail/dead_letter_arguments = {"x-max-length": 10000}
    queue:mail/arguments.x-dead-letter-exchange = ""
    queue:mail/arguments.x-dead-letter-routing-key = "mail.dead"

Refuses:
    PC215 dlq-redis: use RabbitMQ, or record failures where they happen (a result backend, the log) and
        remove it.
        fires: queues: {mail: {dead_letter: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {dead_letter: true}}
    PC216 dead-letter-elsewhere: remove it; whoever declares the queue says so there.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {partner.a: {queue: inbox, external: true}}
            queues: {inbox: {dead_letter: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: inbox, idempotent: true}}
            queues: {inbox: {dead_letter: true}}
    PC217 dlq-consumed: let no worker consume it; look at its messages with the broker's own tools.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {dead_letter: true}, mail.dead: {}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {dead_letter: true}, mail.dead: {external: true}}
    PC218 dlq-undeclared: write `dead_letter: true` instead, or declare under `queues:` (as `external`, if
        it is another's) the queue that takes the dead letters.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {arguments: {x-dead-letter-exchange: "", x-dead-letter-routing-key: lost}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues:
              mail: {arguments: {x-dead-letter-exchange: "", x-dead-letter-routing-key: lost}}
              lost: {external: true}

Parameters:
    `most_messages`: the letters that a queue of dead letters holds; 10000.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, error, warning
from policycompiler.knowledge.brokers import DeadLetters, broker
from policycompiler.model import PolicyParameters, Workload
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

NAME = "dead-letters"

DLQ_REDIS = warning("PC215", "dlq-redis", Profile.MINIMAL)
DEAD_LETTER_ELSEWHERE = warning("PC216", "dead-letter-elsewhere")
DLQ_CONSUMED = error("PC217", "dlq-consumed")
DLQ_UNDECLARED = warning("PC218", "dlq-undeclared")

DEAD_SUFFIX = ".dead"
"""After the name of the queue whose letters it takes, so that both stand together in every list."""
TO_QUEUE = ""
"""AMQP's default exchange, which brings a message to the queue that its routing key names."""
STRATEGY = "at-least-once"
"""A quorum queue forgets a letter only when the other queue has it."""
FIRST_RABBITMQ_WITH_STRATEGY = (3, 10)
"""Older ones do not know it; where no version is declared, none of them is meant."""
OVERFLOW = "reject-publish"
"""Without it the strategy does nothing; with no length of its own a queue never comes to it."""
OWN_OVERFLOW = ("x-max-length", "x-max-length-bytes", "x-overflow", "x-dead-letter-strategy")


class Parameters(PolicyParameters):
    """What a policy file may set."""

    most_messages: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        10_000, description="letters that a queue of dead letters holds; beyond it the oldest go"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """A dead-letter queue for each queue that asks for one and can have one."""
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
                message = f"{elsewhere}; `dead_letter` changes nothing here"
                yield DEAD_LETTER_ELSEWHERE.at(path, message, help="remove it", at_key=True)
            else:
                yield from _dead_letters(plan, scope, path, tuned)
                yield from _consumed(plan, scope, path)
                yield from _undeclared(plan, scope, queue.arguments or {})
        elif kept is DeadLetters.ARGUMENTS:
            yield from _undeclared(plan, scope, queue.arguments or {})


def _elsewhere(plan: Plan, scope: Scope, transport: str) -> str:
    """Who else would have to keep the dead letters, if anybody."""
    if broker(transport).dead_letters is not DeadLetters.ARGUMENTS:
        return f"of the brokers that a workload can name only RabbitMQ is told so by Celery, not {transport}"
    if plan.value(scope, "external"):
        return f"another app declares queue {scope.name}, and its dead letters with it"
    if plan.value(scope, "broadcast"):
        return "each worker has a copy of a broadcast message, and its queue goes with the worker"
    return ""


def _not_kept(path: SpecPath, name: str) -> Diagnostic:
    message = f"Redis keeps no dead letters: what fails for good in queue {name} is gone all the same"
    help_text = "use RabbitMQ, or record failures where they happen (a result backend, the log) and remove it"
    return DLQ_REDIS.at(path, message, help=help_text, at_key=True)


def _dead_letters(plan: Plan, scope: Scope, path: SpecPath, tuned: Parameters) -> Iterator[Decision]:
    dead = scope.name + DEAD_SUFFIX
    asked: tuple[Origin, ...] = (Written(path),)
    suffix = Constant("DEAD_SUFFIX", DEAD_SUFFIX)
    because = "failed for good, they wait here for somebody to look"
    yield Decision(scope, "dead_letter_queue", dead, because, (*asked, suffix))

    quorum = plan.text(scope, "type") == "quorum"
    of_queue = Derived(scope, "type")
    bound = Parameter(("parameters", NAME, "most_messages"), tuned.most_messages)
    limits: dict[str, Value] = {"x-max-length": tuned.most_messages}
    if quorum:
        limits["x-queue-type"] = "quorum"
    because = f"of the kind of its queue, and bounded: beyond {tuned.most_messages} letters the oldest go"
    yield Decision(scope, "dead_letter_arguments", limits, because, (of_queue, bound))

    to_queue = Constant("TO_QUEUE", TO_QUEUE)
    led: dict[str, tuple[Value, str, tuple[Origin, ...]]] = {
        "x-dead-letter-exchange": (
            TO_QUEUE,
            "the exchange that brings letters to their queue",
            (*asked, to_queue),
        ),
        "x-dead-letter-routing-key": (dead, "the name of that queue", (Derived(scope, "dead_letter_queue"),)),
    }
    pinned = plan.below(scope, "arguments.")
    if quorum and _knows_strategy(plan) and pinned.keys().isdisjoint(OWN_OVERFLOW):
        because = "a letter is forgotten only when its queue has it"
        led |= {
            "x-dead-letter-strategy": (STRATEGY, because, (of_queue, Constant("STRATEGY", STRATEGY))),
            "x-overflow": (OVERFLOW, "the strategy needs it", (of_queue, Constant("OVERFLOW", OVERFLOW))),
        }
    for name, (value, why, origins) in led.items():
        if name not in pinned:
            yield Decision(scope, f"arguments.{name}", value, why, origins)


def _knows_strategy(plan: Plan) -> bool:
    known = plan.find(APP, "broker_version") is None
    return known or plan.version(APP, "broker_version") >= FIRST_RABBITMQ_WITH_STRATEGY


def _consumed(plan: Plan, scope: Scope, path: SpecPath) -> Iterator[Diagnostic]:
    dead = Scope("queue", scope.name + DEAD_SUFFIX)
    workers = plan.get(dead, "workers")
    for worker in workers if isinstance(workers, list) else ():
        message = (
            f"worker {worker} consumes {dead.name}, the dead letters of queue {scope.name}: "
            "it would run again what failed for good"
        )
        origin = plan.setting(Scope("worker", str(worker)), "queues").origins[0]
        where = origin.path if isinstance(origin, Written) else ("queues", dead.name)
        help_text = "let no worker consume it; look at its messages with the broker's own tools"
        yield DLQ_CONSUMED.at(
            where, message, help=help_text, related=(Related(path, "its dead letters are kept"),)
        )


def _undeclared(plan: Plan, scope: Scope, written: Mapping[str, Value]) -> Iterator[Diagnostic]:
    """Pinned dead letters that go where nothing in the workload is."""
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
        target = f"a queue behind exchange {exchange}"
    if not found:
        message = (
            f"the dead letters of queue {scope.name} go to {target}, which nothing here declares: "
            "if nobody else does, RabbitMQ drops them"
        )
        help_text = (
            "write `dead_letter: true` instead, or declare that queue under `queues:` "
            "(`external: true`, if it is another's)"
        )
        path: SpecPath = ("queues", scope.name, "arguments", pinned[0])
        yield DLQ_UNDECLARED.at(path, message, help=help_text)
