"""Delayed messages: how workers hold them, and to which queues RabbitMQ delivers them.

Decides:
    Nothing.

Because:
    A worker holds a delayed message until it is due, unless Celery delays it in the broker. Celery does so
    on RabbitMQ if any queue of the app is a quorum queue, but never behind a direct exchange. Prefetch is
    fixed if the app has a quorum queue, and from RabbitMQ 4 always. Each held message then occupies one of
    a few places. If all places are occupied, the worker runs nothing
    (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/rabbitmq.html#using-quorum-queues).

    Queues are classic unless the workload declares another type. A workload with delays but without
    `broker.version` therefore gets a finding. The broker counts delays in whole seconds. Celery refuses to
    send a task with a countdown below one second: use 0 or 1. The workload declares only the longest
    countdown, not all of them.

    For these delays Celery binds each queue by `#.` and its routing key. It binds the queue to its
    exchange, and that exchange to the exchange of all delayed messages. A delayed message therefore reaches
    every queue whose key equals the last words of its own key. A message for `shop.mail` also reaches queue
    `mail`. If two queues share an exchange, messages without delay do so too.

    An autoscaled worker prefetches messages for its largest pool on every broker. Remote control can change
    the bounds of autoscaling, but a fixed prefetch limit does not follow.

    On other brokers a worker fetches one more message for each message that it holds, without a limit. Many
    long delays therefore fill its memory. `worker_eta_task_limit` sets a limit, but then messages behind
    the held ones wait.

    For delays above about 15 min, store the due time in a database that a scheduled task polls.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "4.1"}
    queues: {mail: {type: quorum, exchange_type: direct}}
    tasks: {shop.mail.remind: {queue: mail, max_countdown: 10m}}

    refuses quorum-direct

Refuses:
    PC418 quorum-direct: remove the exchange type, or write `topic`.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum, exchange_type: direct}}
            tasks: {shop.a: {queue: q, max_countdown: 10m}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum, exchange_type: direct}}
            tasks: {shop.a: {queue: q}}
    PC419 quorum-subsecond: write 0, or 1 second or more.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}}
            tasks: {shop.a: {queue: q, max_countdown: 500ms}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}}
            tasks: {shop.a: {queue: q, max_countdown: 1s}}
    PC420 eta-classic-rabbit4: use a quorum queue, or send without a delay.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "4.1"}
            queues: {q: {type: classic}}
            tasks: {shop.a: {queue: q, max_countdown: 10m}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            queues: {q: {type: classic}}
            tasks: {shop.a: {queue: q, max_countdown: 10m}}
    PC421 eta-hoard: keep due times in a database and poll it, or raise `most_held` in the policy file.
        fires: tasks: {shop.a: {rate: 10/s, max_countdown: 30m}}
        silent: tasks: {shop.a: {rate: 1/s, max_countdown: 30m}}
    PC422 quorum-partial: declare one type for all queues of the app.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: classic}, r: {type: quorum}}
            tasks: {shop.a: {queue: q}, shop.b: {queue: r}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}, r: {type: quorum}}
            tasks: {shop.a: {queue: q}, shop.b: {queue: r}}
    PC423 autoscale-quorum: write a fixed number of slots.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}}
            tasks: {shop.a: {queue: q}}
            workers: {q: {concurrency: {min: 2, max: 10}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {concurrency: {min: 2, max: 10}}}
    PC437 quorum-key-overlap: give one queue a routing key that is not the end of the other queue's key.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {type: quorum}, shop.mail: {type: quorum}}
            tasks: {shop.a: {queue: shop.mail, max_countdown: 10m}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {type: quorum}, xmail: {type: quorum}}
            tasks: {shop.a: {queue: xmail, max_countdown: 10m}}
    PC476 rabbitmq-version-unknown: declare `broker.version`.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: q, max_countdown: 10m}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {queue: q, max_countdown: 10m}}

Parameters:
    `most_held`: the number of delayed messages that one worker process may hold in memory; 10000.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, error, info, warning
from policycompiler.hazards.delays import (
    held_by_workers,
    is_quorum,
    overlapping,
    quorum_queues,
    refused,
    stalled,
)
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import Plan, Scope, Written
from policycompiler.quantities import duration

NAME = "broker-delays"

QUORUM_DIRECT = error("PC418", "quorum-direct")
QUORUM_SUBSECOND = error("PC419", "quorum-subsecond")
ETA_CLASSIC_RABBIT4 = error("PC420", "eta-classic-rabbit4")
ETA_HOARD = warning("PC421", "eta-hoard")
QUORUM_PARTIAL = warning("PC422", "quorum-partial", Profile.STRICT)
AUTOSCALE_QUORUM = info("PC423", "autoscale-quorum", Profile.STRICT)
QUORUM_KEY_OVERLAP = error("PC437", "quorum-key-overlap")
RABBITMQ_VERSION_UNKNOWN = warning("PC476", "rabbitmq-version-unknown")


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    most_held: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        10_000, description="delayed messages in the memory of one process; small ones take tens of MB"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Diagnostic]:
    """Check each task that may be delayed, then the types of the queues."""
    yield from as_findings(stalled(plan), QUORUM_DIRECT, ETA_CLASSIC_RABBIT4, RABBITMQ_VERSION_UNKNOWN)
    yield from as_findings(refused(plan), QUORUM_SUBSECOND)
    yield from as_findings(overlapping(plan), QUORUM_KEY_OVERLAP)
    for task in plan.scopes("task"):
        if held_by_workers(plan, task):
            yield from _hoard(plan, task, tuned)
    quorum = quorum_queues(plan)
    if quorum:
        yield from _partial(spec, plan, quorum[0])
        yield from _autoscale(plan, quorum)


def _hoard(plan: Plan, task: Scope, tuned: Parameters) -> Iterator[Diagnostic]:
    """More delayed messages than a worker process should hold in memory."""
    countdown = plan.find(task, "max_countdown_seconds")
    rate = plan.number_if_any(task, "rate_mean_per_second")
    workers = plan.texts(task, "workers")
    processes = sum(int(plan.number(Scope("worker", name), "replicas")) for name in workers)
    if countdown is None or rate is None or not processes:
        return
    assert isinstance(countdown.value, int | float)
    held = rate * countdown.value / processes
    origin = countdown.origins[0]
    if held > tuned.most_held and isinstance(origin, Written):
        message = (
            f"a worker process may hold {held:,.0f} messages of {task.name} in memory: {rate:g} a second, "
            f"delayed up to {duration(countdown.value)}, for {processes} "
            f"process{'' if processes == 1 else 'es'}"
        )
        help_text = (
            "keep due times in a database and poll it with a schedule, or use quorum queues of RabbitMQ"
        )
        related = (Related(("tasks", task.name, "rate"), f"{rate:g} a second"),)
        yield ETA_HOARD.at(origin.path, message, help=help_text, related=related)


def _partial(spec: Workload, plan: Plan, quorum: Scope) -> Iterator[Diagnostic]:
    for name, queue in spec.queues.items():
        scope = Scope("queue", name)
        if queue.type == "classic" and not plan.value(scope, "external") and not is_quorum(plan, scope):
            message = (
                f"queue {name} is classic, but {quorum.name} is a quorum queue: it gives all workers of the "
                "app a fixed prefetch and delays in the broker"
            )
            path: SpecPath = ("queues", name, "type")
            yield QUORUM_PARTIAL.at(path, message, help="declare one type for all queues of the app")


def _autoscale(plan: Plan, quorum: list[Scope]) -> Iterator[Diagnostic]:
    """Autoscale bounds that a person may change while the worker runs; its prefetch limit does not follow."""
    for worker in plan.scopes("worker"):
        slots = plan.get(worker, "autoscale")
        if isinstance(slots, dict):
            multiplier = plan.number(worker, "prefetch_multiplier")
            most = int(str(slots["max"]))
            message = (
                f"worker {worker.name} prefetches {most * multiplier:g} messages for {slots['min']} to "
                f"{most} slots; with quorum queue {quorum[0].name} this limit is fixed, and "
                "`celery control autoscale` changes only the slots"
            )
            path: SpecPath = ("workers", worker.name, "concurrency")
            yield AUTOSCALE_QUORUM.at(path, message, help="write a fixed number of slots")
