"""Which queue each task is sent to.

Decides:
    `task:NAME/queue`, and `app/task_default_queue` for tasks that nobody declared.

Because:
    One queue has one promise. Tasks of one latency class and one kind of work share
    `SERVICE.CLASS.WORK`; a task whose runs outlast what its class can bear beside others goes to
    `….long`, so that nobody waits behind it. Whether it has neighbours today does not matter: a queue
    that changes with the neighbours would move tasks for reasons their team cannot see.

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
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Scope

NAME = "placement"

EXTERNAL_WITHOUT_QUEUE = error("PC401", "external-without-queue")


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Route every declared task, then the undeclared ones."""
    service = plan.text(APP, "service")
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if task.external and task.queue is None:
            message = f"{name} is run by another app, but no queue says where that app finds it"
            path = ("tasks", name, "external")
            yield EXTERNAL_WITHOUT_QUEUE.at(path, message, help="add `queue: NAME`")
        if plan.find(scope, "queue") is None:
            yield _own_class(spec, plan, scope, service)
    if plan.find(APP, "task_default_queue") is None:
        yield _default_queue(spec, plan, service)


def _own_class(spec: Workload, plan: Plan, scope: Scope, service: str) -> Decision:
    latency, work = plan.text(scope, "latency"), plan.text(scope, "work")
    queue = f"{service}.{latency}.{work}"
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
    return Decision(scope, "queue", f"{queue}.long", because, origins)


def _default_queue(spec: Workload, plan: Plan, service: str) -> Decision:
    tasks = [Scope("task", name) for name, task in spec.tasks.items() if not task.external]
    pinned = {scope for scope in tasks if spec.tasks[scope.name].queue is not None}
    own = {plan.text(scope, "queue"): scope for scope in sorted(tasks, reverse=True) if scope not in pinned}
    # Where it harms and suffers least: the middle class, then the patient ones, the urgent ones last.
    patient_first = [*spec.latency_classes][::-1]
    order = [DEFAULT_CLASS, *(name for name in patient_first if name != DEFAULT_CLASS)]
    for latency in order:
        for suffix in ("io", "cpu", "io.long", "cpu.long"):
            queue = f"{service}.{latency}.{suffix}"
            if queue in own:
                because = f"tasks that nobody declared join those of class `{latency}`"
                if latency == order[-1]:
                    because += ", as there is no other"
                return Decision(APP, "task_default_queue", queue, because, (Derived(own[queue], "queue"),))
    origins = (Derived(APP, "service"), Constant("DEFAULT_CLASS", DEFAULT_CLASS))
    because = "tasks that nobody declared get a queue of the middle class"
    return Decision(APP, "task_default_queue", f"{service}.{DEFAULT_CLASS}.io", because, origins)
