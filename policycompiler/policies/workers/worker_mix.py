"""Tasks that delay each other: urgent tasks behind patient ones, short tasks behind long ones.

Decides:
    Nothing.

Because:
    A long run holds a slot that other tasks of the queue or worker need. An urgent task waits behind a
    backlog of patient tasks. Without pins, tasks of one latency class and kind of work have their own queue
    and worker. These findings are about pins
    (https://docs.celeryq.dev/en/stable/userguide/optimizing.html#optimizing-prefetch-limit).

Example:
    tasks:
      shop.mail.reset: {latency: interactive, queue: mail}
      shop.mail.digest: {latency: batch, queue: mail}

    refuses latency-mix

Refuses:
    PC440 latency-mix: give the patient tasks a separate queue and worker.
        fires:
            tasks:
              shop.a: {latency: interactive, queue: q}
              shop.b: {latency: batch, queue: q}
        silent:
            tasks:
              shop.a: {latency: interactive, queue: q}
              shop.b: {latency: standard, queue: q}
    PC441 slow-with-fast: give the long task a separate queue and worker.
        fires:
            tasks:
              shop.a: {latency: standard, queue: q}
              shop.b: {latency: standard, queue: q, runtime: 10m}
        silent:
            tasks:
              shop.a: {latency: standard, queue: q}
              shop.b: {latency: standard, queue: q, runtime: 4m}
    PC442 cpu-io-mix: give the tasks that compute a separate queue and worker.
        fires:
            tasks:
              shop.a: {work: io, queue: q}
              shop.b: {work: cpu, queue: q}
        silent:
            tasks:
              shop.a: {work: io, queue: q}
              shop.b: {work: cpu, queue: r}
    PC443 one-worker-for-all: give urgent queues a separate worker.
        fires:
            tasks:
              shop.a: {latency: interactive}
              shop.b: {latency: standard}
              shop.c: {latency: standard, work: io, queue: c}
            workers: {w: {queues: ["*"]}}
        silent:
            tasks:
              shop.a: {latency: interactive}
              shop.b: {latency: standard}
              shop.c: {latency: standard, work: io, queue: c}
            workers: {v: {queues: [shop.interactive.io]}, w: {queues: [shop.standard.io, c]}}

Parameters:
    `promises_apart`: tasks whose latency targets differ by this factor or more must not mix; 100.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, info, warning
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.classes import PROMISES_APART
from policycompiler.plan import Plan, Scope
from policycompiler.quantities import duration

NAME = "worker-mix"

LATENCY_MIX = warning("PC440", "latency-mix")
SLOW_WITH_FAST = warning("PC441", "slow-with-fast")
CPU_IO_MIX = warning("PC442", "cpu-io-mix")
ONE_WORKER_FOR_ALL = info("PC443", "one-worker-for-all", Profile.STRICT)

QUEUES_OF_ONE = 3
"""A service with fewer queues is small, and one worker is fine."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    promises_apart: Annotated[float, Field(gt=1, le=1_000_000)] = Field(
        PROMISES_APART,
        description="factor between latency targets that must not mix; neighboring classes differ by 30; "
        "`consumers` uses it too",
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Diagnostic]:
    """Check each queue, then the queues that share a worker."""
    mixed: set[str] = set()
    for queue in plan.scopes("queue"):
        if not plan.value(queue, "external"):
            found = list(_waits(spec, plan, _tasks(plan, queue), tuned, f"queue {queue.name}", ()))
            mixed.update(queue.name for _ in found)
            yield from found
    any_mixed = bool(mixed)
    for worker in plan.scopes("worker"):
        queues, tasks = plan.texts(worker, "queues"), _tasks(plan, worker)
        where: SpecPath = ("workers", worker.name, "queues")
        if len(queues) > 1 and mixed.isdisjoint(queues):
            found = list(_waits(spec, plan, tasks, tuned, f"worker {worker.name}", where))
            any_mixed = any_mixed or bool(found)
            yield from found
        yield from _works(spec, plan, worker, tasks, where)
    if not any_mixed:
        yield from _only_one(spec, plan)


def _tasks(plan: Plan, scope: Scope) -> list[Scope]:
    tasks = (Scope("task", name) for name in plan.texts(scope, "tasks"))
    return [task for task in tasks if not plan.value(task, "external")]


def _waits(
    spec: Workload, plan: Plan, tasks: list[Scope], tuned: Parameters, what: str, where: SpecPath
) -> Iterator[Diagnostic]:
    """Latency targets too far apart, or runs too long beside the most urgent task."""
    if len(tasks) < 2:  # noqa: PLR2004 - a single task delays no other
        return
    classes = spec.latency_classes
    waits = [(classes[plan.text(task, "latency")].queue_wait_p99_seconds, task) for task in tasks]
    (least, urgent), (most, patient) = min(waits), max(waits)
    if most >= least * tuned.promises_apart:
        path = where or _route(plan, patient)
        message = (
            f"{what} serves {urgent.name} with a latency target of {duration(least)} and {patient.name} with "
            f"a target of {duration(most)}: a backlog of {patient.name} delays {urgent.name}"
        )
        related = tuple(
            Related(("tasks", task.name, "latency"), f"class of {task.name}") for task in (urgent, patient)
        )
        yield LATENCY_MIX.at(path, message, help=f"give {patient.name} a separate queue", related=related)
        return
    limit = classes[plan.text(urgent, "latency")].runtime_p99_limit_seconds
    runs = {task: plan.number_if_any(task, "runtime_p99_seconds") or 0 for task in tasks}
    slow = max(tasks, key=lambda task: (runs[task], task))
    longest = runs[slow]
    fast = [task for wait, task in waits if wait == least and runs[task] <= limit]
    if longest > limit and fast:
        message = (
            f"{what} serves {slow.name}, which may hold a slot for {duration(longest)}, and {fast[0].name}, "
            f"whose latency class `{plan.text(fast[0], 'latency')}` allows {duration(limit)}"
        )
        related = (Related(("tasks", slow.name, "runtime"), f"p99 {duration(longest)}"),)
        path = where or _route(plan, slow)
        yield SLOW_WITH_FAST.at(path, message, help=f"give {slow.name} a separate queue", related=related)


def _works(
    spec: Workload, plan: Plan, worker: Scope, tasks: list[Scope], where: SpecPath
) -> Iterator[Diagnostic]:
    """Tasks that declare `work: cpu` beside tasks that declare `work: io`."""
    computing = [task for task in tasks if spec.tasks[task.name].work == "cpu"]
    waiting = [task for task in tasks if spec.tasks[task.name].work == "io"]
    if computing and waiting:
        path = where if worker.name in spec.workers else _route(plan, computing[0])
        message = (
            f"worker {worker.name} runs {computing[0].name} (`work: cpu`) and {waiting[0].name} "
            "(`work: io`). No number of slots suits both, and tasks that compute take CPU time from tasks "
            "that wait"
        )
        related = tuple(
            Related(("tasks", task.name, "work"), f"work of {task.name}")
            for task in (computing[0], waiting[0])
        )
        help_text = f"give {computing[0].name} a separate queue and worker"
        yield CPU_IO_MIX.at(path, message, help=help_text, related=related)


def _only_one(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    workers = plan.scopes("worker")
    # The policy file may require a single worker that the workload does not declare.
    if len(workers) != 1 or workers[0].name not in spec.workers:
        return
    queues = [Scope("queue", name) for name in plan.texts(workers[0], "queues")]
    classes = {plan.text(queue, "latency") for queue in queues}
    if len(queues) >= QUEUES_OF_ONE and len(classes) > 1:
        message = (
            f"worker {workers[0].name} consumes all {len(queues)} queues, so messages in one queue wait for "
            "slots that tasks of other queues hold"
        )
        path: SpecPath = ("workers", workers[0].name, "queues")
        yield ONE_WORKER_FOR_ALL.at(path, message, help="give the most urgent queue a separate worker")


def _route(plan: Plan, task: Scope) -> SpecPath:
    """The path of the pin that routes a task to its queue, or of the task."""
    return plan.written(task, "queue") or ("tasks", task.name)
