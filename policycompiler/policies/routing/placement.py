"""Which queue each task is sent to.

Decides:
    `task:NAME/queue`, and `app/task_default_queue` for undeclared tasks.

Because:
    One queue has one latency target. Tasks of the same latency class and kind of work share the queue
    `SERVICE.CLASS.WORK`. A task that runs longer than its class allows goes to `….long`, so that no other
    task waits behind it. This is so even if the queue has no other tasks today. Otherwise a task would move
    to another queue whenever other teams add or remove tasks.

    SQS accepts no dots in a queue name, so there dashes join the words, as kombu writes them. If
    `predefined_queues` lists the existing queues, undeclared tasks get one of these.

    A queue in a task's decorator takes precedence over every route, and Celery 6.0 removes it
    (https://docs.celeryq.dev/en/stable/userguide/routing.html). The workload does not show decorators, so the
    queue is also written as an annotation, which takes precedence wherever the task is registered.

    A workload cannot write other routes, which avoids their pitfalls. There is one mapping, with exact names
    before patterns. Every pattern has a `*`, because Celery takes other patterns for names. A route holds
    only a queue and a priority. Limits or an expiry would make each send fail, and a pool or a concurrency
    would be ignored.

Example:
    tasks:
      shop.mail.send: {latency: interactive, runtime: 300ms}
      shop.export.year: {latency: interactive, work: cpu, runtime: 2m}

    task:shop.mail.send/queue = "shop.interactive.io"
    task:shop.export.year/queue = "shop.interactive.cpu.long"
    app/task_default_queue = "shop.interactive.io"

Refuses:
    PC401 external-without-queue: name the queue that the other app consumes.
        fires: tasks: {shop.a: {external: true}}
        silent: tasks: {shop.a: {external: true, queue: theirs}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.model import Workload
from policycompiler.model.classes import DEFAULT_CLASS
from policycompiler.plan import APP, Constant, Decision, Default, Derived, Origin, Plan, Scope, Written
from policycompiler.policies.policy import class_bound
from policycompiler.quantities import duration

NAME = "placement"

EXTERNAL_WITHOUT_QUEUE = error("PC401", "external-without-queue")


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Route every declared task, then the undeclared ones."""
    service = plan.text(APP, "service")
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if plan.value(scope, "external") and task.queue is None:
            message = f"another app runs {name}, but the workload does not name the queue that it consumes"
            path = ("tasks", name, "external")
            yield EXTERNAL_WITHOUT_QUEUE.at(path, message, help="add `queue: NAME`")
        if plan.find(scope, "queue") is None and not plan.as_is(scope):
            yield _own_class(spec, plan, scope, service)
    if plan.find(APP, "task_default_queue") is None:
        yield _default_queue(spec, plan, service)
    for name in spec.tasks:
        scope = Scope("task", name)
        if plan.find(scope, "queue") is None:
            yield _left_to_celery(plan, scope)


def _left_to_celery(plan: Plan, scope: Scope) -> Decision:
    """Celery sends a task without a queue to the default queue, unless its decorator names another one."""
    queue = Derived(APP, "task_default_queue")
    because = "the workload names no queue, and Celery sends the task to the default queue"
    origins = (Default(queue.key, plan.text(APP, "celery_version")), queue)
    return Decision(scope, "queue", plan.text(APP, queue.key), because, origins)


def _own_class(spec: Workload, plan: Plan, scope: Scope, service: str) -> Decision:
    latency, work = plan.text(scope, "latency"), plan.text(scope, "work")
    queue = _name(plan, service, latency, work)
    origins: tuple[Origin, ...] = (
        Derived(APP, "service"),
        Derived(scope, "latency"),
        Derived(scope, "work"),
    )
    p99 = plan.number_if_any(scope, "runtime_p99_seconds")
    limit = spec.latency_classes[latency].runtime_p99_limit_seconds
    if p99 is None or p99 <= limit:
        because = "tasks of the same latency class and kind of work share a queue"
        return Decision(scope, "queue", queue, because, origins)
    because = (
        f"its runs may take {duration(p99)}, and runs longer than {duration(limit)} would delay the other "
        f"tasks of class `{latency}`"
    )
    origins += (
        Derived(scope, "runtime_p99_seconds"),
        class_bound(latency, "runtime_p99_limit", limit),
    )
    return Decision(scope, "queue", _name(plan, queue, "long"), because, origins)


def _default_queue(spec: Workload, plan: Plan, service: str) -> Decision:
    tasks = [
        task
        for name in spec.tasks
        if not plan.value(task := Scope("task", name), "external") and plan.find(task, "queue")
    ]
    pinned = {scope for scope in tasks if spec.tasks[scope.name].queue is not None}
    own = {plan.text(scope, "queue"): scope for scope in sorted(tasks, reverse=True) if scope not in pinned}
    table = _predefined(spec, plan)
    # In the order of least harm: the middle class, then the slower classes, then the urgent ones.
    patient_first = [*spec.latency_classes][::-1]
    order = [DEFAULT_CLASS, *(name for name in patient_first if name != DEFAULT_CLASS)]
    for latency in order:
        for suffix in ("io", "cpu", "io.long", "cpu.long"):
            queue = _name(plan, service, latency, suffix)
            if queue in own and queue in (table or own):
                because = f"undeclared tasks share the queue of class `{latency}`"
                if latency == order[-1]:
                    because += ", the only one of the app"
                return Decision(APP, "task_default_queue", queue, because, (Derived(own[queue], "queue"),))
    if table:
        return _of_the_table(spec, plan, tasks, order, table)
    origins = (Derived(APP, "service"), Constant("DEFAULT_CLASS", DEFAULT_CLASS))
    because = "undeclared tasks get a queue of the middle class"
    queue = _name(plan, service, DEFAULT_CLASS, "io")
    return Decision(APP, "task_default_queue", queue, because, origins)


def _of_the_table(
    spec: Workload, plan: Plan, tasks: list[Scope], order: list[str], table: list[str]
) -> Decision:
    """One of the predefined queues: first one that this app consumes already, slower classes first."""
    written = Written(("broker", "options", "predefined_queues"))
    because = "undeclared tasks need a predefined queue"
    here = [task for task in tasks if plan.text(task, "queue") in table]
    rank = {latency: place for place, latency in enumerate(order)}
    first = min(here, key=lambda task: (rank.get(plan.text(task, "latency"), 0), task), default=None)
    if first is not None:
        origins = (Derived(first, "queue"), written)
        return Decision(APP, "task_default_queue", plan.text(first, "queue"), because, origins)
    consumed = [name for worker in spec.workers.values() for name in worker.queues or () if name in table]
    return Decision(APP, "task_default_queue", [*consumed, *table][0], because, (written,))


def _predefined(spec: Workload, plan: Plan) -> list[str]:
    """The predefined queues, if the transport has a table of them; otherwise none."""
    table = (spec.broker.options or {}).get("predefined_queues")
    has_one = plan.broker.place.addresses
    return sorted(table) if has_one and isinstance(table, dict) else []


def _name(plan: Plan, *words: str) -> str:
    """The name of a queue, as the broker accepts it."""
    separator = plan.broker.separator
    return ".".join(words).replace(".", separator)
