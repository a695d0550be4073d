"""Messages that publishers refuse to send.

Decides:
    `task:NAME/payload_enforced_bytes` and `queue:NAME/bound_messages`.

Because:
    A producer that is faster than its workers fills the broker, until the broker stops for all. A publisher
    that is refused at once can slow down or tell its caller. The run-time code beside `celeryconfig.py`
    counts the messages of a queue before each send. Retries and chains of running tasks are not refused. A
    queue of RabbitMQ with `x-overflow: reject-publish` would refuse them too: Celery then rejects the task
    that wants to retry, and it is lost (https://www.rabbitmq.com/docs/maxlength).

    A signal that raises does not stop a publish, and a task class does not see messages that are sent by
    name. A router and the encoder of JSON see every message; one in another form is not measured. A
    broadcast queue is a queue of each process, which a publisher cannot count.

Example:
    queues: {imports: {bound: 10000}}
    tasks: {shop.import: {queue: imports, payload: {max: 64KiB, enforce: true}}}

    queue:imports/bound_messages = 10000
    task:shop.import/payload_enforced_bytes = 65536

Refuses:
    PC995 bound-without-effect: remove the bound, or use a queue of Redis or RabbitMQ to which tasks are sent.
        fires:
            broker: {transport: sqs, url: "sqs://"}
            tasks: {shop.a: {queue: q}}
            queues: {q: {bound: 100}}
        silent:
            broker: {transport: redis, url: "${B}"}
            tasks: {shop.a: {queue: q}}
            queues: {q: {bound: 100}}
    PC933 payload-unenforced: remove the pin, so that messages are JSON.
        fires: tasks: {shop.a: {payload: {max: 1KiB, enforce: true}, options: {serializer: yaml}}}
        silent: tasks: {shop.a: {payload: {max: 1KiB, enforce: true}}}
    PC934 bound-drops: remove `x-max-length`, so that publishers are refused before messages are dropped.
        fires:
            broker: {transport: rabbitmq, version: "3.13", url: "${B}"}
            tasks: {shop.a: {queue: q}}
            queues: {q: {bound: 100, arguments: {x-max-length: 100}}}
        silent:
            broker: {transport: rabbitmq, version: "3.13", url: "${B}"}
            tasks: {shop.a: {queue: q}}
            queues: {q: {bound: 100}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.model import Workload
from policycompiler.plan import APP, Decision, Derived, Origin, Plan, Scope, Written

NAME = "refused-messages"

BOUND_WITHOUT_EFFECT = warning("PC995", "bound-without-effect")
PAYLOAD_UNENFORCED = error("PC933", "payload-unenforced")
BOUND_DROPS = warning("PC934", "bound-drops")

MEASURED = "json"
"""The serializer whose messages are measured."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """The declared bounds of messages and queues."""
    for name, task in spec.tasks.items():
        if task.payload is not None and task.payload.enforce:
            path = ("tasks", name, "payload", "enforce")
            because = "the workload declares it"
            origins: tuple[Origin, ...] = (
                Written(path),
                Derived(Scope("task", name), "payload_bytes"),
            )
            yield Decision(Scope("task", name), "payload_enforced_bytes", task.payload.max, because, origins)
            yield from _unmeasured(spec, plan, name)
    for name, queue in spec.queues.items():
        if queue.bound is not None:
            yield from _bound(plan, Scope("queue", name), queue.bound, broadcast=bool(queue.broadcast))


def _bound(plan: Plan, scope: Scope, bound: int, *, broadcast: bool) -> Iterator[Decision | Diagnostic]:
    where = ("queues", scope.name, "bound")
    message = ""
    if not plan.broker.counted:
        message = f"{plan.broker.label} cannot count the messages of {scope.name} before each send"
    elif broadcast:
        message = (
            f"queue {scope.name} is a broadcast: each process has a queue of its own, and none is counted"
        )
    if message:
        yield BOUND_WITHOUT_EFFECT.at(where, message, help="remove the bound")
        return
    if not plan.texts(scope, "tasks") and plan.get(APP, "task_default_queue") != scope.name:
        message = f"no task of the workload is sent to queue {scope.name}, so its bound refuses none of them"
        yield BOUND_WITHOUT_EFFECT.at(
            where, message, help="bound the queue of the tasks, or give them this one"
        )
    yield Decision(scope, "bound_messages", bound, "the workload declares it", (Written(where),))
    length, overflow = (plan.get(scope, f"arguments.{key}") for key in ("x-max-length", "x-overflow"))
    if isinstance(length, int) and length <= bound and not str(overflow).startswith("reject-publish"):
        message = (
            f"queue {scope.name} drops its oldest message when it has {length}, so it never has {bound}: "
            "publishers are not refused, and messages are lost"
        )
        path = plan.written(scope, "arguments.x-max-length") or where
        related = (Related(where, "the bound"),)
        yield BOUND_DROPS.at(path, message, help="remove `x-max-length`", related=related)


def _unmeasured(spec: Workload, plan: Plan, task: str) -> Iterator[Diagnostic]:
    """Messages of a task that another serializer writes."""
    scope, enforced = Scope("task", task), ("tasks", task, "payload", "enforce")
    found: list[tuple[object, SpecPath]] = [
        (plan.get(scope, "options.serializer"), plan.written(scope, "options.serializer") or enforced),
        (plan.get(APP, "task_serializer"), ("celery", "settings", "task_serializer")),
    ]
    for name, schedule in spec.schedules.items():
        if schedule.task == task and schedule.options is not None:
            found.append((schedule.options.serializer, ("schedules", name, "options", "serializer")))
    for serializer, path in found:
        if serializer not in (None, MEASURED):
            message = (
                f"the guard of {task} measures messages in JSON, but `{serializer}` is pinned: a "
                "message in this form is not measured"
            )
            related = (Related(enforced, "publishers refuse larger messages"),)
            help_text = "remove the pin, or `enforce`"
            yield PAYLOAD_UNENFORCED.at(path, message, help=help_text, related=related)
