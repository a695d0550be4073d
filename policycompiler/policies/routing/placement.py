"""Which queue each task is sent to.

Decides:
    `task:NAME/queue`, and `app/task_default_queue` for tasks that nobody declared.

Because:
    One queue has one promise. Tasks of one latency class and one kind of work share
    `SERVICE.CLASS.WORK`; a task whose runs outlast what its class can bear beside others goes to
    `….long`, so that nobody waits behind it. Whether it has neighbours today does not matter: a queue
    that changes with the neighbours would move tasks for reasons their team cannot see.

    SQS takes no dots in a name, so there the words are joined by dashes, as kombu would write them. Where
    `predefined_queues` says which queues there are, tasks that nobody declared get one of those.

    A queue in a task's decorator beats every route, and Celery drops it in 6.0
    (https://docs.celeryq.dev/en/stable/userguide/routing.html). The workload cannot see a decorator, so the
    queue is also an annotation, which beats it wherever the task is registered. Nothing else about routes can
    be written, so that none of their traps can be met: there is one mapping, exact names before patterns,
    every pattern has a `*` (Celery takes others for names), and a route holds nothing but a queue and a
    priority (limits and an expiry would make each send an error, a pool or a concurrency be ignored).

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
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Scope, Written

NAME = "placement"

EXTERNAL_WITHOUT_QUEUE = error("PC401", "external-without-queue")


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Route every declared task, then the undeclared ones."""
    service = plan.text(APP, "service")
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if plan.value(scope, "external") and task.queue is None:
            message = f"{name} is run by another app, but no queue says where that app finds it"
            path = ("tasks", name, "external")
            yield EXTERNAL_WITHOUT_QUEUE.at(path, message, help="add `queue: NAME`")
        if plan.find(scope, "queue") is None:
            yield _own_class(spec, plan, scope, service)
    if plan.find(APP, "task_default_queue") is None:
        yield _default_queue(spec, plan, service)


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
        return Decision(
            scope, "queue", queue, "shared by tasks of one latency class and kind of work", origins
        )
    because = (
        f"its runs may take {p99:g} s; a class `{latency}` task of more than {limit} s starves the others"
    )
    origins += (
        Derived(scope, "runtime_p99_seconds"),
        Parameter(("latency_classes", latency, "runtime_p99_limit"), limit),
    )
    return Decision(scope, "queue", _name(plan, queue, "long"), because, origins)


def _default_queue(spec: Workload, plan: Plan, service: str) -> Decision:
    tasks = [task for name in spec.tasks if not plan.value(task := Scope("task", name), "external")]
    pinned = {scope for scope in tasks if spec.tasks[scope.name].queue is not None}
    own = {plan.text(scope, "queue"): scope for scope in sorted(tasks, reverse=True) if scope not in pinned}
    table = _predefined(spec, plan)
    # Where it harms and suffers least: the middle class, then the patient ones, the urgent ones last.
    patient_first = [*spec.latency_classes][::-1]
    order = [DEFAULT_CLASS, *(name for name in patient_first if name != DEFAULT_CLASS)]
    for latency in order:
        for suffix in ("io", "cpu", "io.long", "cpu.long"):
            queue = _name(plan, service, latency, suffix)
            if queue in own and queue in (table or own):
                because = f"tasks that nobody declared join those of class `{latency}`"
                if latency == order[-1]:
                    because += ", as there is no other"
                return Decision(APP, "task_default_queue", queue, because, (Derived(own[queue], "queue"),))
    if table:
        return _of_the_table(spec, plan, tasks, order, table)
    origins = (Derived(APP, "service"), Constant("DEFAULT_CLASS", DEFAULT_CLASS))
    because = "tasks that nobody declared get a queue of the middle class"
    queue = _name(plan, service, DEFAULT_CLASS, "io")
    return Decision(APP, "task_default_queue", queue, because, origins)


def _of_the_table(
    spec: Workload, plan: Plan, tasks: list[Scope], order: list[str], table: list[str]
) -> Decision:
    """One of the queues that there are: where a worker of this app is already, the patient tasks first."""
    written = Written(("broker", "options", "predefined_queues"))
    because = "tasks that nobody declared need a queue that there is"
    here = [task for task in tasks if plan.text(task, "queue") in table]
    rank = {latency: place for place, latency in enumerate(order)}
    first = min(here, key=lambda task: (rank.get(plan.text(task, "latency"), 0), task), default=None)
    if first is not None:
        origins = (Derived(first, "queue"), written)
        return Decision(APP, "task_default_queue", plan.text(first, "queue"), because, origins)
    consumed = [name for worker in spec.workers.values() for name in worker.queues or () if name in table]
    return Decision(APP, "task_default_queue", [*consumed, *table][0], because, (written,))


def _predefined(spec: Workload, plan: Plan) -> list[str]:
    """The only queues there are, where a transport is given a table of them; else nothing."""
    table = (spec.broker.options or {}).get("predefined_queues")
    has_one = plan.broker.place.addresses
    return sorted(table) if has_one and isinstance(table, dict) else []


def _name(plan: Plan, *words: str) -> str:
    """The name of a queue, as the broker can take it."""
    separator = plan.broker.separator
    return ".".join(words).replace(".", separator)
