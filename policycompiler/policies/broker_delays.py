"""What a countdown or a wait before a retry does to a worker, and to which queues RabbitMQ brings it.

Decides:
    Nothing.

Because:
    A delayed message is held by a worker until it is due, unless Celery delays it in the broker: on RabbitMQ,
    as soon as one queue of the app is a quorum queue, and never behind a direct exchange. With a quorum queue
    in the app, and from RabbitMQ 4 on with any, a worker's prefetch is fixed, so each held message takes one
    of a few places, and when all are taken the worker runs nothing
    (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/rabbitmq.html#using-quorum-queues).
    The rule for RabbitMQ 4 rests on its release notes; only RabbitMQ 3 is run by the tests. A delay in the
    broker is counted in whole seconds: a countdown below one second is refused when the task is sent. Which
    countdowns a producer uses besides the longest is not declared; a fraction of a second is to be 0 or 1.

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
            queues: {q: {exchange_type: direct}}
            tasks: {shop.a: {queue: q, max_countdown: 10m}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {exchange_type: direct}}
            tasks: {shop.a: {queue: q}}
    PC419 quorum-subsecond: write 0, or 1 second or more.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {max_countdown: 500ms}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {max_countdown: 1s}}
    PC420 eta-classic-rabbit4: use a quorum queue, or send without a delay.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "4.1"}
            queues: {q: {type: classic}, shop.standard.io: {type: classic}}
            tasks: {shop.a: {queue: q, max_countdown: 10m}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            queues: {q: {type: classic}, shop.standard.io: {type: classic}}
            tasks: {shop.a: {queue: q, max_countdown: 10m}}
    PC421 eta-hoard: keep due times in a database and poll it, or raise the bound in the policy file.
        fires: tasks: {shop.a: {rate: 10/s, max_countdown: 30m}}
        silent: tasks: {shop.a: {rate: 1/s, max_countdown: 30m}}
    PC422 quorum-partial: make all queues of the app one kind.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: classic}}
            tasks: {shop.a: {queue: q}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}}
            tasks: {shop.a: {queue: q}}
    PC423 autoscale-quorum: write a fixed number of slots.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {concurrency: {min: 2, max: 10}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {concurrency: {min: 2, max: 10}}}
    PC437 quorum-key-overlap: give one of the two queues a routing key that does not end that of the other.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {}}
            tasks: {shop.a: {queue: shop.mail, max_countdown: 10m}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {mail: {}}
            tasks: {shop.a: {queue: xmail, max_countdown: 10m}}

Parameters:
    `most_held`: the delayed messages that one process may hold in its memory; 10000.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, error, info, warning
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Plan, Scope, Written

NAME = "broker-delays"

QUORUM_DIRECT = error("PC418", "quorum-direct")
QUORUM_SUBSECOND = error("PC419", "quorum-subsecond")
ETA_CLASSIC_RABBIT4 = error("PC420", "eta-classic-rabbit4")
ETA_HOARD = warning("PC421", "eta-hoard")
QUORUM_PARTIAL = warning("PC422", "quorum-partial", Profile.STRICT)
AUTOSCALE_QUORUM = info("PC423", "autoscale-quorum", Profile.STRICT)
QUORUM_KEY_OVERLAP = error("PC437", "quorum-key-overlap")

FIRST_RABBITMQ_WITHOUT_GLOBAL_PREFETCH = 4
"""RabbitMQ 4.0 removed it for classic queues (rabbitmq-server release notes 4.0)."""
SHORTEST_SECONDS = 1
"""Of a delay in the broker."""
DELAY_WORDS = 28
"""The bits of a delay, which stand before the routing key (kombu/transport/native_delayed_delivery.py)."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    most_held: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        10_000, description="some tens of MB for small messages"
    )


class _Delay(NamedTuple):
    """How long a message of a task may have to wait, in words, and who says so."""

    seconds: float
    what: str
    path: SpecPath


class _Link(NamedTuple):
    """How a queue is bound to its exchange, and how Celery sends to it."""

    exchange: str
    kind: str
    key: str
    queue: Scope


@dataclass(slots=True)
class _Ends:
    """Bindings by the words of their keys, the last one first; those of this node have no further word."""

    longer: dict[str, _Ends] = field(default_factory=dict)
    links: dict[tuple[str, str], _Link] = field(default_factory=dict)


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Diagnostic]:
    """Look at each task that may be delayed, then at what kinds of queue there are."""
    on_rabbitmq = plan.text(APP, "broker_transport") == "rabbitmq"
    quorum = [scope for scope in plan.scopes("queue") if on_rabbitmq and _is_quorum(plan, scope)]
    delays = {Scope("task", name): list(_delays(plan, Scope("task", name))) for name in spec.tasks}
    for task, own in delays.items():
        if spec.tasks[task.name].external:
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
    if quorum:
        yield from _overlaps(spec, plan, delays)
        yield from _partial(spec, plan, quorum[0])
        yield from _autoscale(plan, quorum)


def _delays(plan: Plan, task: Scope) -> Iterator[_Delay]:
    words = {
        "max_countdown_seconds": f"{task.name} may be sent with a countdown of",
        "options.retry_backoff_max": f"a retry of {task.name} may wait",
        "options.default_retry_delay": f"a retry of {task.name} may wait",
    }
    for key, what in words.items():
        setting = plan.find(task, key)
        if setting is not None and isinstance(setting.value, int | float):
            written = [origin.path for origin in setting.origins if isinstance(origin, Written)]
            if written:
                yield _Delay(setting.value, what, written[0])


def _stall(plan: Plan, task: Scope, queue: Scope, delay: _Delay, quorum: list[Scope]) -> Iterator[Diagnostic]:
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
        yield QUORUM_DIRECT.at(delay.path, message, help=help_text, related=related)
        return
    if plan.find(APP, "broker_version") is None:
        return
    if plan.version(APP, "broker_version")[0] >= FIRST_RABBITMQ_WITHOUT_GLOBAL_PREFETCH:
        version = plan.text(APP, "broker_version")
        message = f"{holds}, as RabbitMQ {version} does not let it take more of a classic queue"
        related = (Related(("broker", "version"), "no global prefetch"),)
        help_text = (
            f"use a quorum queue (Celery 5.5 or later), or send {task.name} without a delay and "
            "keep its due time in a database"
        )
        yield ETA_CLASSIC_RABBIT4.at(delay.path, message, help=help_text, related=related)


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


def _subseconds(spec: Workload, task: Scope, delays: list[_Delay]) -> Iterator[Diagnostic]:
    """Delays that Celery refuses: of the task, and of schedules that a longer one hides."""
    short = [delay for delay in delays if 0 < delay.seconds < SHORTEST_SECONDS]
    told = {delay.path for delay in short}
    for name, schedule in spec.schedules.items():
        countdown = schedule.options.countdown if schedule.options else None
        path: SpecPath = ("schedules", name, "options", "countdown")
        if schedule.task == task.name and countdown and countdown < SHORTEST_SECONDS and path not in told:
            short.append(_Delay(countdown, f"schedule {name} sends {task.name} with a countdown of", path))
    for delay in short:
        message = (
            f"{delay.what} {delay.seconds:g} s, but a delay in the broker is whole seconds: "
            "Celery refuses to send it"
        )
        yield QUORUM_SUBSECOND.at(delay.path, message, help="write 0, or 1 second or more")


def _overlaps(spec: Workload, plan: Plan, delays: Mapping[Scope, list[_Delay]]) -> Iterator[Diagnostic]:
    """Queues whose messages come to another one too; of several others the first is told."""
    links = [*_links(plan)]
    ends = _ends(links)
    for sent in links:
        tasks = [Scope("task", name) for name in plan.texts(sent.queue, "tasks")]
        own = [delay for task in tasks for delay in delays[task] if delay.seconds >= SHORTEST_SECONDS]
        longest = max(own, key=lambda delay: delay.seconds, default=None)
        other = next(_also_reached(ends, sent, delayed=longest is not None), None) if tasks else None
        if other is not None:
            yield _overlap(spec, plan, sent, other, longest)


def _links(plan: Plan) -> Iterator[_Link]:
    """Of the queues that Celery binds for delays."""
    for scope in plan.scopes("queue"):
        exchange, kind, key = (
            plan.text(scope, each) for each in ("exchange", "exchange_type", "routing_key")
        )
        if kind != "direct":
            yield _Link(exchange, kind, key, scope)


def _ends(links: list[_Link]) -> _Ends:
    root = _Ends()
    for link in links:
        node = root
        for word in link.key.removeprefix("#.").split(".")[::-1]:
            node = node.longer.setdefault(word, _Ends())
        node.links.setdefault((link.exchange, link.key), link)
    return root


def _also_reached(ends: _Ends, sent: _Link, *, delayed: bool) -> Iterator[_Link]:
    """The queues that get what is meant for another one, but for those that the workload binds so."""
    key = sent.key.split(".")[::-1]
    words = [*key, *[""] * (DELAY_WORDS if delayed else 0)]
    reached: dict[tuple[int, int], _Ends] = {}
    waiting = [(ends, 0, False)]
    while waiting:
        node, taken, takes_more = waiting.pop()
        if (id(node), taken) in reached:
            continue
        reached[id(node), taken] = node
        if "#" in node.longer:
            waiting.append((node.longer["#"], taken, True))
        if taken < len(words):
            if takes_more:
                waiting.append((node, taken + 1, True))
            same = [it for it in (words[taken], "*") if it != "#" and it in node.longer]
            waiting += [(node.longer[it], taken + 1, False) for it in same]
    for node in reached.values():
        for link in node.links.values():
            if link.exchange != sent.exchange:
                meant = not delayed
            else:
                meant = sent.kind == "fanout" or link.key.startswith("#") or (id(node), len(key)) in reached
            if not meant:
                yield link


def _overlap(spec: Workload, plan: Plan, sent: _Link, other: _Link, delay: _Delay | None) -> Diagnostic:
    name, key = other.queue.name, other.key
    related = tuple(
        Related(("queues", link.queue.name), f"its routing key is `{link.key}`")
        for link in (other, sent)
        if link.queue.name in spec.queues
    )
    help_text = "write a `routing_key` for one of the two, so that neither ends with the words of the other"
    if delay is None or sent.exchange == other.exchange:
        message = (
            f"what is sent to queue {sent.queue.name} comes to queue {name} too and runs twice: beside a "
            f"quorum queue Celery binds that one to exchange {sent.exchange} by `#.{key}`, which matches "
            f"`{sent.key}`"
        )
        path = plan.written(sent.queue, "exchange") or plan.written(other.queue, "exchange") or ("queues",)
        return QUORUM_KEY_OVERLAP.at(path, message, help=help_text, related=related)
    message = (
        f"{delay.what} {delay.seconds:g} s, and then comes to queue {name} as well as to {sent.queue.name} "
        f"and runs twice: the routing key `{key}` of the one matches the end of `{sent.key}`"
    )
    return QUORUM_KEY_OVERLAP.at(delay.path, message, help=help_text, related=related)


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
    arguments = plan.value(queue, "arguments")
    return isinstance(arguments, dict) and arguments.get("x-queue-type") == "quorum"
