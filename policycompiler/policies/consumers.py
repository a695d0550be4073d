"""Which workers there are and which queues each consumes.

Decides:
    `worker:NAME/queues` and `worker:NAME/tasks`; `queue:NAME/workers`, `tasks`, `external` and
    `broadcast`; `task:NAME/workers`.

Because:
    A queue that nobody consumes swallows work without a sound. Each queue that no `workers:` entry
    consumes gets a worker of its own name; a queue of another app gets none.

Example:
    tasks:
      shop.search.reindex: {queue: search}
    workers:
      finder: {queues: [search]}

    worker:finder/queues = ["search"]
    task:shop.search.reindex/workers = ["finder"]

Refuses:
    PC402 queue-unconsumed: let a worker consume it, or say that another app does.
    PC403 queue-pattern-unmatched: correct the glob, or remove it.
    PC404 worker-without-queues: name its queues.
    PC413 queue-unknown: correct the name, or declare the queue under `queues:`.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from policycompiler.diagnostics import Diagnostic, SpecPath, did_you_mean, error, warning
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Written

NAME = "consumers"

QUEUE_UNCONSUMED = error("PC402", "queue-unconsumed")
QUEUE_PATTERN_UNMATCHED = warning("PC403", "queue-pattern-unmatched")
WORKER_WITHOUT_QUEUES = error("PC404", "worker-without-queues")
QUEUE_UNKNOWN = warning("PC413", "queue-unknown")

ONE_WORKER_A_QUEUE = True
"""One worker has one prefetch and one pool for all its queues, so each promise has its own."""

BROADCAST = False
"""A task runs once unless its queue is declared a broadcast."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Match queues and workers."""
    sent = _sent(spec, plan)
    produced = _produced(spec, plan)
    consumed: dict[str, dict[str, Origin]] = {}
    known = sorted({*produced, *spec.queues})
    ours = [queue for queue in known if not _is_external(spec, queue, sent.get(queue, []), is_consumed=False)]
    for name, worker in spec.workers.items():
        matched, findings = _matched(name, worker.queues, known, ours)
        yield from findings
        for queue, origin in matched.items():
            consumed.setdefault(queue, {})[name] = origin
    for queue in sorted({*known, *consumed}):
        tasks = sent.get(queue, [])
        external = _is_external(spec, queue, tasks, is_consumed=queue in consumed)
        if queue not in consumed and not external:
            consumed[queue] = {queue: Constant("ONE_WORKER_A_QUEUE", ONE_WORKER_A_QUEUE)}
        place: SpecPath = ("queues", queue) if queue in spec.queues else produced.get(queue, ("workers",))
        workers = sorted(consumed.get(queue, {}))
        runs_here = not external or any(not spec.tasks[name].external for name in tasks)
        if runs_here and all(plan.get(Scope("worker", name), "replicas") == 0 for name in workers):
            message = f"no running worker consumes queue {queue}"
            help_text = "let a worker consume it, or mark its tasks `external: true`"
            yield QUEUE_UNCONSUMED.at(place, message, help=help_text)
        yield from _queue(plan, Scope("queue", queue), workers, tasks, place)
        yield from _kind(plan, Scope("queue", queue), place, external=external)
    yield from _workers(spec, consumed, sent)
    for name, task in spec.tasks.items():
        yield _workers_of(plan, Scope("task", name), {} if task.external else consumed)


def _sent(spec: Workload, plan: Plan) -> dict[str, list[str]]:
    """Tasks by the queue that brings them: their own, one a producer may choose, one of a schedule."""
    ways = {(plan.text(Scope("task", name), "queue"), name) for name in spec.tasks}
    for name, task in spec.tasks.items():
        ways.update((queue, name) for queue in task.call_time_queues or ())
    for schedule in spec.schedules.values():
        if schedule.options is not None and schedule.options.queue and schedule.task in spec.tasks:
            ways.add((schedule.options.queue, schedule.task))
    sent: dict[str, list[str]] = {}
    for queue, name in sorted(ways):
        sent.setdefault(queue, []).append(name)
    return sent


def _produced(spec: Workload, plan: Plan) -> dict[str, SpecPath]:
    """Queues that something is sent to, each with a place in the workload that says so."""
    produced: dict[str, SpecPath] = {}
    for name, task in sorted(spec.tasks.items()):
        produced.setdefault(plan.text(Scope("task", name), "queue"), ("tasks", name))
        for index, queue in enumerate(task.call_time_queues or []):
            produced.setdefault(queue, ("tasks", name, "call_time_queues", index))
    for name, schedule in sorted(spec.schedules.items()):
        queue = schedule.options.queue if schedule.options else None
        if queue is not None:
            produced.setdefault(queue, ("schedules", name, "options", "queue"))
    produced.setdefault(plan.text(APP, "task_default_queue"), ("service",))
    return produced


def _matched(
    name: str, patterns: list[str] | None, known: list[str], ours: list[str]
) -> tuple[dict[str, Origin], list[Diagnostic]]:
    """The queues of one `workers:` entry, each with its origin. No glob takes another app's queue."""
    path: SpecPath = ("workers", name)
    if patterns is None and name in known:
        return {name: Written(path)}, []
    matched: dict[str, Origin] = {}
    findings = []
    for index, pattern in enumerate(patterns or []):
        where = (*path, "queues", index)
        names = [queue for queue in ours if fnmatchcase(queue, pattern)] if "*" in pattern else [pattern]
        if "*" not in pattern and pattern not in known:
            message = f"nothing is sent to queue {pattern}, and no `queues:` entry declares it"
            findings.append(QUEUE_UNKNOWN.at(where, message, help=did_you_mean(pattern, known)))
        if not names:
            message = f"no queue matches `{pattern}`; there are: {', '.join(ours)}"
            findings.append(QUEUE_PATTERN_UNMATCHED.at(where, message))
        for queue in names:
            matched.setdefault(queue, Written(where))
    if not matched:
        message = f"worker {name} consumes no queue"
        findings.append(WORKER_WITHOUT_QUEUES.at(path, message, help="add `queues: [NAME]`"))
    return matched, findings


def _is_external(spec: Workload, queue: str, tasks: list[str], *, is_consumed: bool) -> bool:
    declared = spec.queues[queue].external if queue in spec.queues else None
    if declared is not None:
        return declared
    return not is_consumed and bool(tasks) and all(spec.tasks[name].external for name in tasks)


def _queue(
    plan: Plan, scope: Scope, workers: list[str], tasks: list[str], place: SpecPath
) -> Iterator[Decision]:
    """Who consumes a queue, and what is sent to it."""
    from_workers: tuple[Origin, ...] = tuple(Derived(Scope("worker", name), "queues") for name in workers)
    because = "these workers list it" if workers else "another app consumes it"
    yield Decision(scope, "workers", [*workers], because, from_workers or (Written(place),))
    routed = [Scope("task", name) for name in tasks if plan.value(Scope("task", name), "queue") == scope.name]
    from_tasks: tuple[Origin, ...] = tuple(Derived(task, "queue") for task in routed)
    because = (
        "they are routed to it" if len(routed) == len(tasks) else "routed to it, or sent to it by choice"
    )
    yield Decision(scope, "tasks", [*tasks], because, from_tasks or (Written(place),))


def _kind(plan: Plan, scope: Scope, place: SpecPath, *, external: bool) -> Iterator[Decision]:
    """Whose queue it is and who gets its messages, where that is not written."""
    if plan.find(scope, "external") is None:
        because = "another app consumes it" if external else "it is consumed here"
        yield Decision(scope, "external", external, because, (Written(place),))
    if plan.find(scope, "broadcast") is None:
        because = "each message goes to one worker"
        yield Decision(scope, "broadcast", BROADCAST, because, (Constant("BROADCAST", BROADCAST),))


def _workers_of(plan: Plan, task: Scope, consumed: Mapping[str, Iterable[str]]) -> Decision:
    queue = plan.text(task, "queue")
    workers = sorted(consumed.get(queue, ()))
    origins = (Derived(task, "queue"), Derived(Scope("queue", queue), "workers"))
    because = "they consume its queue" if workers else "another app runs it"
    return Decision(task, "workers", [*workers], because, origins)


def _workers(
    spec: Workload, consumed: dict[str, dict[str, Origin]], sent: dict[str, list[str]]
) -> Iterator[Decision]:
    queues_of: dict[str, dict[str, Origin]] = {name: {} for name in spec.workers}
    for queue, workers in consumed.items():
        for worker, origin in workers.items():
            queues_of.setdefault(worker, {})[queue] = origin
    for worker, queues in sorted(queues_of.items()):
        scope = Scope("worker", worker)
        origins = tuple(dict.fromkeys(queues[queue] for queue in sorted(queues)))
        origins = origins or (Written(("workers", worker)),)
        own = any(isinstance(origin, Constant) for origin in origins)
        because = "no other worker consumes this queue" if own else "as the workload lists them"
        yield Decision(scope, "queues", [*sorted(queues)], because, origins)
        tasks = sorted(
            {name for queue in queues for name in sent.get(queue, []) if not spec.tasks[name].external}
        )
        yield Decision(scope, "tasks", [*tasks], "its queues bring them", (Derived(scope, "queues"),))
