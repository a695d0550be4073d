"""What a countdown or a wait before a retry does to a worker, and to which queues RabbitMQ brings it.

Decides:
    Nothing.

Because:
    A delayed message is held by a worker until it is due, unless Celery delays it in the broker: on RabbitMQ,
    as soon as one queue of the app is a quorum queue, and never behind a direct exchange. With a quorum queue
    in the app, and from RabbitMQ 4 on with any, a worker's prefetch is fixed, so each held message takes one
    of a few places, and when all are taken the worker runs nothing
    (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/rabbitmq.html#using-quorum-queues).
    Queues are classic unless somebody asks for another type, so a workload with delays that declares no
    `broker.version` is told of this. The rule for RabbitMQ 4 rests on its release notes; only RabbitMQ 3 is
    run by the tests. A delay in the broker is counted in whole seconds: a countdown below one second is
    refused when the task is sent. Which countdowns a producer uses besides the longest is not declared; a
    fraction of a second is to be 0 or 1.

    For these delays Celery binds each queue by `#.` and its routing key: to its exchange, and that to the one
    exchange of all delayed messages. So a delayed message comes to every queue whose key is the last words of
    its own: one for `shop.mail` to queue `mail` too. On an exchange that the two share, what is not delayed
    does so as well.

    An autoscaled worker takes messages ahead for its largest pool on every broker; only where the prefetch is
    not fixed does it follow bounds that are moved by remote control.

    Elsewhere a worker takes one message more for each that it holds, without a bound, so many long delays
    fill its memory. `worker_eta_task_limit` bounds them, but then nothing behind them is taken.

    What is delayed for longer than some 15 minutes is better kept as a due time in a database that a
    periodic task polls.

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
    PC421 eta-hoard: keep due times in a database and poll it, or raise the bound in the policy file.
        fires: tasks: {shop.a: {rate: 10/s, max_countdown: 30m}}
        silent: tasks: {shop.a: {rate: 1/s, max_countdown: 30m}}
    PC422 quorum-partial: make all queues of the app one kind.
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
    PC437 quorum-key-overlap: give one of the two queues a routing key that does not end that of the other.
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
    `most_held`: the delayed messages that one process may hold in its memory; 10000.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, error, info, warning
from policycompiler.knowledge import pairs
from policycompiler.knowledge.pairs import Feature
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Plan, Scope, Written
from policycompiler.policies.broker.broker_delays.delays import SHORTEST_SECONDS, Delay, delays_of
from policycompiler.policies.broker.broker_delays.overlaps import overlaps

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
    """What a policy file may set."""

    most_held: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        10_000, description="some tens of MB for small messages"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Diagnostic]:
    """Look at each task that may be delayed, then at what kinds of queue there are."""
    on_rabbitmq = plan.broker.quorum_queues
    quorum = [scope for scope in plan.scopes("queue") if on_rabbitmq and _is_quorum(plan, scope)]
    delays = {Scope("task", name): list(delays_of(plan, Scope("task", name))) for name in spec.tasks}
    for task, own in delays.items():
        if plan.value(task, "external"):
            continue
        queue = Scope("queue", plan.text(task, "queue"))
        longest = max(own, key=lambda delay: delay.seconds, default=None)
        native = bool(quorum) and plan.value(queue, "exchange_type") != "direct"
        if longest is not None and longest.seconds > 0 and not native:
            if on_rabbitmq:
                yield from _stall(plan, task, queue, longest, quorum)
            yield from _hoard(plan, task, tuned)
        if native:
            yield from _subseconds(spec, task, own)
    if on_rabbitmq and plan.find(APP, "broker_version") is None and not quorum:
        yield from _unknown_version(plan, delays)
    if quorum:
        for found in overlaps(spec, plan, delays):
            help_text = (
                f"write a `routing_key` for queue {found.queue} that does not end with that of the other"
            )
            yield QUORUM_KEY_OVERLAP.at(found.path, found.message, help=help_text, related=found.related)
        yield from _partial(spec, plan, quorum[0])
        yield from _autoscale(plan, quorum)


def _stall(plan: Plan, task: Scope, queue: Scope, delay: Delay, quorum: list[Scope]) -> Iterator[Diagnostic]:
    """A delayed message that takes one of a fixed number of places."""
    holds = (
        f"{delay.what} {delay.seconds:g} s, and a worker of queue {queue.name} holds it as long: when all "
        "its places are taken so, it runs nothing"
    )
    if quorum:
        related: tuple[Related, ...] = ()
        pinned = plan.written(queue, "exchange_type")
        if pinned is not None:
            related = (Related(pinned, "a direct exchange: nothing is delayed in the broker"),)
        message = f"{holds}, as its exchange is direct and {quorum[0].name} is a quorum queue"
        help_text = "remove `exchange_type: direct`; behind a topic exchange the broker waits"
        if pinned is None:
            help_text = (
                f"write `exchange_type: topic` for queue {queue.name}: behind one the broker waits; where "
                "the queue exists, `policycompiler diff` has the steps"
            )
        yield QUORUM_DIRECT.at(delay.path, message, help=help_text, related=related)
        return
    celery, version = plan.text(APP, "celery_version"), plan.get(APP, "broker_version")
    if version is not None and pairs.broken(Feature.HOLD, "classic", celery, str(version)):
        message = f"{holds}, as RabbitMQ {version} does not let it take more of a classic queue"
        related = (Related(("broker", "version"), "no global prefetch"),)
        help_text = (
            f"write `queues: {{{queue.name}: {{type: quorum}}}}` (since Celery 5.5; where the queue exists, "
            f"`diff` has the steps), or send {task.name} without a delay and keep its due time in a database"
        )
        yield ETA_CLASSIC_RABBIT4.at(delay.path, message, help=help_text, related=related)


def _unknown_version(plan: Plan, delays: Mapping[Scope, Sequence[Delay]]) -> Iterator[Diagnostic]:
    """Told once: what holds each delay depends on it."""
    for task, own in delays.items():
        delay = next((delay for delay in own if delay.seconds > 0), None)
        if delay is not None and not plan.value(task, "external"):
            queue = plan.text(task, "queue")
            message = (
                f"{delay.what} {delay.seconds:g} s, and queue {queue} is classic: from RabbitMQ 4 on a "
                "worker holds such messages in one of a few places, and when all are taken it runs nothing"
            )
            help_text = "declare `broker.version`; from RabbitMQ 4 on, use quorum queues for delayed tasks"
            yield RABBITMQ_VERSION_UNKNOWN.at(("broker",), message, help=help_text)
            return


def _hoard(plan: Plan, task: Scope, tuned: Parameters) -> Iterator[Diagnostic]:
    """More held messages than a process should have in its memory."""
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
            f"up to {held:,.0f} messages of {task.name} wait in the memory of a worker: {rate:g} a second, "
            f"{countdown.value:g} s each, {processes} process{'' if processes == 1 else 'es'}"
        )
        help_text = (
            "keep due times in a database and poll it with a schedule, or delay on quorum queues of RabbitMQ"
        )
        related = (Related(("tasks", task.name, "rate"), f"{rate:g} a second"),)
        yield ETA_HOARD.at(origin.path, message, help=help_text, related=related)


def _subseconds(spec: Workload, task: Scope, delays: list[Delay]) -> Iterator[Diagnostic]:
    """Delays that Celery refuses: of the task, and of schedules that a longer one hides."""
    short = [delay for delay in delays if 0 < delay.seconds < SHORTEST_SECONDS]
    told = {delay.path for delay in short}
    for name, schedule in spec.schedules.items():
        countdown = schedule.options.countdown if schedule.options else None
        path: SpecPath = ("schedules", name, "options", "countdown")
        if schedule.task == task.name and countdown and countdown < SHORTEST_SECONDS and path not in told:
            short.append(Delay(countdown, f"schedule {name} sends {task.name} with a countdown of", path))
    for delay in short:
        message = (
            f"{delay.what} {delay.seconds:g} s, but a delay in the broker is whole seconds: "
            "Celery refuses to send it"
        )
        yield QUORUM_SUBSECOND.at(delay.path, message, help="write 0, or 1 second or more")


def _partial(spec: Workload, plan: Plan, quorum: Scope) -> Iterator[Diagnostic]:
    for name, queue in spec.queues.items():
        scope = Scope("queue", name)
        if queue.type == "classic" and not plan.value(scope, "external") and not _is_quorum(plan, scope):
            message = (
                f"queue {name} is classic and {quorum.name} a quorum queue: one is enough for every worker "
                "of the app to have a fixed prefetch and to delay in the broker"
            )
            path: SpecPath = ("queues", name, "type")
            yield QUORUM_PARTIAL.at(path, message, help="make all queues of the app one kind")


def _autoscale(plan: Plan, quorum: list[Scope]) -> Iterator[Diagnostic]:
    """Bounds that a person may move while the worker runs, and its prefetch does not follow."""
    for worker in plan.scopes("worker"):
        slots = plan.get(worker, "autoscale")
        if isinstance(slots, dict):
            multiplier = plan.number(worker, "prefetch_multiplier")
            most = int(str(slots["max"]))
            message = (
                f"worker {worker.name} takes {most * multiplier:g} messages ahead for its {slots['min']} to "
                f"{most} slots, and beside the quorum queue {quorum[0].name} that stays so: "
                "`celery control autoscale` moves the slots and not the prefetch"
            )
            path: SpecPath = ("workers", worker.name, "concurrency")
            yield AUTOSCALE_QUORUM.at(path, message, help="write a fixed number of slots")


def _is_quorum(plan: Plan, queue: Scope) -> bool:
    return plan.text(queue, "type") == "quorum"
