"""Tasks that stand in each other's way: the urgent behind the patient, the short behind the long.

Decides:
    Nothing.

Because:
    A slot that runs a long task is a slot less for everybody who shares its queue or its worker, and a
    backlog of patient tasks stands in front of an urgent one. Left to themselves tasks of one class and kind
    of work share a queue with a worker of its own; these findings are about pins
    (https://docs.celeryq.dev/en/stable/userguide/optimizing.html#optimizing-prefetch-limit).

Example:
    tasks:
      shop.mail.reset: {latency: interactive, queue: mail}
      shop.mail.digest: {latency: batch, queue: mail}

    refuses latency-mix

Refuses:
    PC440 latency-mix: give the patient tasks a queue and a worker of their own.
        fires:
            tasks:
              shop.a: {latency: interactive, queue: q}
              shop.b: {latency: batch, queue: q}
        silent:
            tasks:
              shop.a: {latency: interactive, queue: q}
              shop.b: {latency: standard, queue: q}
    PC441 slow-with-fast: give the long task a queue and a worker of its own.
        fires:
            tasks:
              shop.a: {latency: standard, queue: q}
              shop.b: {latency: standard, queue: q, runtime: 10m}
        silent:
            tasks:
              shop.a: {latency: standard, queue: q}
              shop.b: {latency: standard, queue: q, runtime: 4m}
    PC442 cpu-io-mix: give the tasks that compute a queue and a worker of their own.
        fires:
            tasks:
              shop.a: {work: io, queue: q}
              shop.b: {work: cpu, queue: q}
        silent:
            tasks:
              shop.a: {work: io, queue: q}
              shop.b: {work: cpu, queue: r}
    PC443 one-worker-for-all: let urgent queues have a worker of their own.
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
    `promises_apart`: the factor between two promised waits from which on they do not mix; 100.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, info, warning
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.classes import PROMISES_APART
from policycompiler.plan import Plan, Scope

NAME = "worker-mix"

LATENCY_MIX = warning("PC440", "latency-mix")
SLOW_WITH_FAST = warning("PC441", "slow-with-fast")
CPU_IO_MIX = warning("PC442", "cpu-io-mix")
ONE_WORKER_FOR_ALL = info("PC443", "one-worker-for-all", Profile.STRICT)

QUEUES_OF_ONE = 3
"""Fewer are a small service, which may well have one worker."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    promises_apart: Annotated[float, Field(gt=1, le=1_000_000)] = Field(
        PROMISES_APART,
        description="interactive (1 s) and batch (15 min) do not mix, neighbouring classes (30) may; "
        "`consumers` heeds it, too",
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Diagnostic]:
    """Look at each queue, then at what a worker's queues bring together."""
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
    """Promises too far apart, or else runs too long for the most urgent."""
    if len(tasks) < 2:  # noqa: PLR2004 - a task alone stands in nobody's way
        return
    classes = spec.latency_classes
    waits = [(classes[plan.text(task, "latency")].queue_wait_p99_seconds, task) for task in tasks]
    (least, urgent), (most, patient) = min(waits), max(waits)
    if most >= least * tuned.promises_apart:
        path = where or _route(plan, patient)
        message = (
            f"{what} serves {urgent.name}, which is promised a start within {least:g} s, and {patient.name}, "
            f"which may wait {most:g} s: a backlog of the one is the wait of the other"
        )
        related = tuple(Related(("tasks", task.name, "latency"), "its class") for task in (urgent, patient))
        yield LATENCY_MIX.at(path, message, help=f"give {patient.name} a queue of its own", related=related)
        return
    limit = classes[plan.text(urgent, "latency")].runtime_p99_limit_seconds
    runs = {task: plan.number_if_any(task, "runtime_p99_seconds") or 0 for task in tasks}
    slow = max(tasks, key=lambda task: (runs[task], task))
    longest = runs[slow]
    fast = [task for wait, task in waits if wait == least and runs[task] <= limit]
    if longest > limit and fast:
        message = (
            f"{what} serves {slow.name}, which may hold a slot for {longest:g} s, and {fast[0].name}, whose "
            f"class `{plan.text(fast[0], 'latency')}` bears runs of {limit:g} s beside it"
        )
        related = (Related(("tasks", slow.name, "runtime"), f"p99 {longest:g} s"),)
        path = where or _route(plan, slow)
        yield SLOW_WITH_FAST.at(path, message, help=f"give {slow.name} a queue of its own", related=related)


def _works(
    spec: Workload, plan: Plan, worker: Scope, tasks: list[Scope], where: SpecPath
) -> Iterator[Diagnostic]:
    """Tasks that say they compute beside some that say they wait; what says nothing is no mistake."""
    computing = [task for task in tasks if spec.tasks[task.name].work == "cpu"]
    waiting = [task for task in tasks if spec.tasks[task.name].work == "io"]
    if computing and waiting:
        path = where if worker.name in spec.workers else _route(plan, computing[0])
        message = (
            f"worker {worker.name} runs {computing[0].name}, which computes, and {waiting[0].name}, which "
            "waits: no number of slots suits both, and those that wait go hungry for processor time"
        )
        related = tuple(
            Related(("tasks", task.name, "work"), "its kind") for task in (computing[0], waiting[0])
        )
        help_text = f"give {computing[0].name} a queue and a worker of its own"
        yield CPU_IO_MIX.at(path, message, help=help_text, related=related)


def _only_one(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    workers = plan.scopes("worker")
    # One that the workload does not declare is what the policy file asks for.
    if len(workers) != 1 or workers[0].name not in spec.workers:
        return
    queues = [Scope("queue", name) for name in plan.texts(workers[0], "queues")]
    classes = {plan.text(queue, "latency") for queue in queues}
    if len(queues) >= QUEUES_OF_ONE and len(classes) > 1:
        message = (
            f"one worker consumes all {len(queues)} queues, so the queues keep nothing apart: each waits for "
            "the slots that another fills"
        )
        path: SpecPath = ("workers", workers[0].name, "queues")
        yield ONE_WORKER_FOR_ALL.at(path, message, help="give the most urgent queue a worker of its own")


def _route(plan: Plan, task: Scope) -> SpecPath:
    """What brings a task to its queue, or the task."""
    return plan.written(task, "queue") or ("tasks", task.name)
