"""Which workers there are and which queues each consumes.

Decides:
    `worker:NAME/queues` and `worker:NAME/tasks`; `queue:NAME/workers`, `tasks`, `external` and
    `broadcast`; `task:NAME/workers`.

Because:
    A queue that nobody consumes swallows work without a sound. Each queue that no `workers:` entry
    consumes gets a worker of its own name; a queue of another app gets none. A worker that names no queue
    would consume all that are declared, dead letters included, so each names its own.

    One worker has one prefetch and one pool for all its queues. Where the policy file asks for few workers,
    queues of one kind of work share one, the closest promises first: never where a run is longer than the
    most urgent of their classes bears, and never where promises are a hundredfold apart. A task of undeclared
    run time counts with the longest that its class allows.

Example:
    tasks:
      shop.search.reindex: {queue: search}
    workers:
      finder: {queues: [search]}

    worker:finder/queues = ["search"]
    task:shop.search.reindex/workers = ["finder"]

Refuses:
    PC402 queue-unconsumed: let a worker consume it, or say that another app does.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {w: {queues: [q], replicas: 0}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {w: {queues: [q], replicas: 1}}
    PC403 queue-pattern-unmatched: correct the glob, or remove it.
        fires:
            tasks: {shop.a: {queue: mail-in}}
            workers: {w: {queues: [mail-in, "post-*"]}}
        silent:
            tasks: {shop.a: {queue: mail-in}}
            workers: {w: {queues: ["mail-*"]}}
    PC404 worker-without-queues: name its queues.
        fires: workers: {w: {}}
        silent:
            tasks: {shop.a: {queue: w}}
            workers: {w: {}}
    PC413 queue-unknown: correct the name, or declare the queue under `queues:`.
        fires:
            tasks: {shop.a: {queue: search}}
            workers: {w: {queues: [search, serach]}}
        silent:
            tasks: {shop.a: {queue: search}}
            queues: {serach: {}}
            workers: {w: {queues: [search, serach]}}
    PC436 too-many-workers: allow more of them, or let tasks declare shorter run times and one kind of work.
        policy: parameters: {consumers: {max_workers: 1}}
        fires: tasks: {shop.a: {work: io, runtime: 1s}, shop.b: {work: cpu, runtime: 1s}}
        silent: tasks: {shop.a: {work: io, runtime: 1s}, shop.b: {latency: interactive, runtime: 1s}}

Parameters:
    `max_workers`: the most workers that there should be, those of the workload counted in; 1000.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Annotated, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, SpecPath, did_you_mean, error, info, warning
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.classes import DEFAULT_CLASS
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Scope, Written

NAME = "consumers"

QUEUE_UNCONSUMED = error("PC402", "queue-unconsumed")
QUEUE_PATTERN_UNMATCHED = warning("PC403", "queue-pattern-unmatched")
WORKER_WITHOUT_QUEUES = error("PC404", "worker-without-queues")
QUEUE_UNKNOWN = warning("PC413", "queue-unknown")
TOO_MANY_WORKERS = info("PC436", "too-many-workers")

ONE_WORKER_A_QUEUE = True
"""One worker has one prefetch and one pool for all its queues, so each promise has its own."""

BROADCAST = False
"""A task runs once unless its queue is declared a broadcast."""
PROMISES_APART = 100
"""Interactive (1 s) and batch (15 min) never share a worker, neighbouring classes (30) may."""
DEFAULT_WORK = "io"
"""Of a queue that no declared task is sent to."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    max_workers: Annotated[int, Field(ge=1, le=1000)] = Field(
        1000, description="a small service would rather run few processes; 1000 is without bound"
    )


class _Group(NamedTuple):
    """Queues that one worker consumes, the most urgent first, and what their tasks ask of it."""

    queues: tuple[str, ...]
    work: frozenset[str]
    wait: float
    bears: float
    longest: float


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
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
    lonely = [queue for queue in ours if queue not in consumed]
    groups, findings = _together(spec, plan, lonely, sent, tuned.max_workers)
    yield from findings
    for group in groups:
        few = Parameter(("parameters", NAME, "max_workers"), tuned.max_workers)
        one = Constant("ONE_WORKER_A_QUEUE", ONE_WORKER_A_QUEUE)
        for queue in group.queues:
            consumed[queue] = {group.queues[0]: one if len(group.queues) == 1 else few}
    for queue in sorted({*known, *consumed}):
        tasks = sent.get(queue, [])
        external = _is_external(spec, queue, tasks, is_consumed=queue in consumed)
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


def _together(
    spec: Workload, plan: Plan, queues: list[str], sent: dict[str, list[str]], most: int
) -> tuple[list[_Group], list[Diagnostic]]:
    """The workers of queues that no entry consumes: one each, or fewer where fewer are asked for."""
    groups = sorted((_group(spec, plan, queue, sent.get(queue, [])) for queue in queues), key=_urgency)
    while len(groups) + len(spec.workers) > most:
        pairs = [pair for pair in combinations(groups, 2) if _go_together(*pair)]
        if not pairs:
            break
        first, second = min(pairs, key=lambda pair: (pair[1].wait / pair[0].wait, pair))
        merged = _Group(
            first.queues + second.queues,
            first.work,
            first.wait,
            first.bears,
            max(first.longest, second.longest),
        )
        rest = [group for group in groups if group not in (first, second)]
        groups = sorted([*rest, merged], key=_urgency)
    needed = len(groups) + len(spec.workers)
    if needed <= most or not groups:
        return groups, []
    names = ", ".join(sorted(group.queues[0] for group in groups))
    message = (
        f"the policy file asks for at most {most} worker{'s' if most > 1 else ''}, but {needed} are needed: "
        f"these do not go together with any other: {names}"
    )
    help_text = "allow more of them, or let tasks declare shorter run times and one kind of work"
    return groups, [TOO_MANY_WORKERS.at(("service",), message, help=help_text)]


def _urgency(group: _Group) -> tuple[float, tuple[str, ...]]:
    return group.wait, group.queues


def _group(spec: Workload, plan: Plan, queue: str, names: list[str]) -> _Group:
    tasks = [Scope("task", name) for name in names if not spec.tasks[name].external]
    own = [spec.latency_classes[plan.text(task, "latency")] for task in tasks]
    classes = own or [spec.latency_classes[DEFAULT_CLASS]]
    urgent = min(classes, key=lambda each: each.queue_wait_p99_seconds)
    runs = [
        plan.number_if_any(task, "runtime_p99_seconds") or each.runtime_p99_limit_seconds
        for task, each in zip(tasks, own, strict=True)
    ]
    return _Group(
        (queue,),
        frozenset(plan.text(task, "work") for task in tasks) or frozenset({DEFAULT_WORK}),
        urgent.queue_wait_p99_seconds,
        urgent.runtime_p99_limit_seconds,
        max(runs, default=0),
    )


def _go_together(first: _Group, second: _Group) -> bool:
    """Of two groups, the more urgent one first."""
    return (
        first.work == second.work
        and max(first.longest, second.longest) <= first.bears
        and second.wait < first.wait * PROMISES_APART
    )


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
        because = "as the workload lists them"
        if isinstance(origins[0], Constant):
            because = "no other worker consumes this queue"
        elif isinstance(origins[0], Parameter):
            because = "no other worker consumes these queues, and few workers are asked for"
        yield Decision(scope, "queues", [*sorted(queues)], because, origins)
        tasks = sorted(
            {name for queue in queues for name in sent.get(queue, []) if not spec.tasks[name].external}
        )
        yield Decision(scope, "tasks", [*tasks], "its queues bring them", (Derived(scope, "queues"),))
