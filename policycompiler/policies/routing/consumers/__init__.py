"""The workers, and the queues that each of them consumes.

Decides:
    `worker:NAME/queues` and `worker:NAME/tasks`; `queue:NAME/workers`, `tasks`, `external` and
    `broadcast`; `task:NAME/workers`.

Because:
    If no worker consumes a queue, its messages are never processed, and no error shows it. So each queue that
    no `workers:` entry consumes gets a worker with the queue's name. A queue of another app gets none. A
    worker that names no queue would consume all declared queues, including dead-letter queues, so each worker
    names its queues.

    One worker has one prefetch and one pool for all its queues. If the policy file allows only a few workers,
    queues of the same kind of work share a worker, closest latency targets first. Queues do not share a
    worker if a run is longer than the most urgent of their classes allows. They also do not share one if
    their latency targets differ so much that `worker-mix` warns. A task without a declared run time counts
    with the longest run that its class allows.

Example:
    tasks:
      shop.search.reindex: {queue: search}
    workers:
      finder: {queues: [search]}

    worker:finder/queues = ["search"]
    task:shop.search.reindex/workers = ["finder"]

Refuses:
    PC402 queue-unconsumed: let a worker consume the queue, or declare that another app does.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {w: {queues: [q], replicas: 0}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {w: {queues: [q], replicas: 1}}
    PC403 queue-pattern-unmatched: correct the pattern, or remove it.
        fires:
            tasks: {shop.a: {queue: mail-in}}
            workers: {w: {queues: [mail-in, "post-*"]}}
        silent:
            tasks: {shop.a: {queue: mail-in}}
            workers: {w: {queues: ["mail-*"]}}
    PC404 worker-without-queues: name the queues of the worker.
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
    PC436 too-many-workers: allow more workers, or declare shorter run times and the same kind of work.
        policy: parameters: {consumers: {max_workers: 1}}
        fires: tasks: {shop.a: {work: io, runtime: 1s}, shop.b: {work: cpu, runtime: 1s}}
        silent: tasks: {shop.a: {work: io, runtime: 1s}, shop.b: {latency: interactive, runtime: 1s}}

Parameters:
    `max_workers`: the largest number of workers, including those that the workload declares; 1000.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, SpecPath, did_you_mean, error, info, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.unconsumed import unconsumed
from policycompiler.model import PolicyParameters, Workload, is_name
from policycompiler.plan import APP, Constant, Decision, Default, Origin, Plan, Scope, Written
from policycompiler.policies.policy import parameter
from policycompiler.policies.routing.consumers.decisions import of_queue, of_tasks, of_workers
from policycompiler.policies.routing.consumers.sending import sent_tasks, sent_to
from policycompiler.policies.routing.consumers.sharing import Group, shared

NAME = "consumers"

QUEUE_UNCONSUMED = error("PC402", "queue-unconsumed")
QUEUE_PATTERN_UNMATCHED = warning("PC403", "queue-pattern-unmatched")
WORKER_WITHOUT_QUEUES = error("PC404", "worker-without-queues")
QUEUE_UNKNOWN = warning("PC413", "queue-unknown")
TOO_MANY_WORKERS = info("PC436", "too-many-workers")

_LONGEST_PLAIN = 60
_DIGITS = 6
ONE_WORKER_A_QUEUE = True
"""One worker has one prefetch and one pool for all its queues, so each latency target has its own worker."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    max_workers: Annotated[int, Field(ge=1, le=1000)] = Field(
        1000, description="a small service may prefer few processes; 1000 means no limit"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Match queues and workers."""
    sent = sent_tasks(spec, plan)
    places = sent_to(spec, plan)
    consumed: dict[str, dict[str, Origin]] = {}
    known = sorted({*places, *spec.queues})
    of_others = {
        queue for queue in known if _is_external(spec, plan, queue, sent.get(queue, []), is_consumed=False)
    }
    ours = [queue for queue in known if queue not in of_others]
    for name, worker in spec.workers.items():
        without = (worker.options and worker.options.exclude_queues) or []
        if worker.queues is None and (without or name not in known) and plan.as_is(APP):
            matched = _all_of_celery(spec, plan)
        elif worker.queues is None and without:
            matched = dict.fromkeys(ours, Written(("workers", name, "options", "exclude_queues")))
        else:
            matched, findings = _matched(name, worker.queues, known, ours)
            yield from findings
        for queue, origin in matched.items():
            if queue not in without:
                consumed.setdefault(queue, {})[name] = origin
    lonely = [queue for queue in ours if queue not in consumed and _may_get_a_worker(plan, queue, sent)]
    groups = shared(spec, plan, lonely, sent, tuned.max_workers - len(spec.workers))
    yield from _too_many(groups, len(spec.workers), tuned.max_workers)
    for group in groups:
        few = parameter(NAME, "max_workers", tuned.max_workers)
        one = Constant("ONE_WORKER_A_QUEUE", ONE_WORKER_A_QUEUE)
        consumer = _worker_of(group.queues[0])
        for queue in group.queues:
            consumed[queue] = {consumer: one if len(group.queues) == 1 else few}
    told: dict[str, SpecPath] = {}
    for queue in sorted({*known, *consumed}):
        tasks = sent.get(queue, [])
        external = _is_external(spec, plan, queue, tasks, is_consumed=queue in consumed)
        place: SpecPath = ("queues", queue) if queue in spec.queues else places.get(queue, ("workers",))
        workers = sorted(consumed.get(queue, {}))
        told[queue] = place
        yield from of_queue(plan, Scope("queue", queue), workers, tasks, place, external=external)
    yield from of_workers(spec, plan, consumed, sent)
    yield from of_tasks(plan, spec.tasks, consumed)
    yield from as_findings(unconsumed(plan, told), QUEUE_UNCONSUMED)


def _all_of_celery(spec: Workload, plan: Plan) -> dict[str, Origin]:
    """The queues of a worker that names none: those in `task_queues`, or else the default queue."""
    origin = Default("--queues", plan.text(APP, "celery_version"))
    return dict.fromkeys(spec.queues or [plan.text(APP, "task_default_queue")], origin)


def _may_get_a_worker(plan: Plan, queue: str, sent: Mapping[str, list[str]]) -> bool:
    """Whether policies chose the queue: if the app is left to Celery, no other queue gets a new worker."""
    tasks = [Scope("task", name) for name in sent.get(queue, [])]
    chosen = [task for task in tasks if not plan.as_is(task) and plan.written(task, "queue") is None]
    return not plan.as_is(APP) or any(plan.text(task, "queue") == queue for task in chosen)


def _worker_of(queue: str) -> str:
    """The name of a new worker for a queue: that of the queue, in characters that files and units accept."""
    if is_name(queue):
        return queue
    plain = re.sub(r"[^A-Za-z0-9]+", "-", queue).strip("-")[:_LONGEST_PLAIN] or "queue"
    # Several queues may have the same plain characters.
    return f"{plain}-{sha256(queue.encode()).hexdigest()[:_DIGITS]}"


def _is_external(spec: Workload, plan: Plan, queue: str, tasks: list[str], *, is_consumed: bool) -> bool:
    declared = spec.queues[queue].external if queue in spec.queues else None
    if declared is not None:
        return declared
    return not is_consumed and bool(tasks) and _all_external(plan, tasks)


def _all_external(plan: Plan, tasks: list[str]) -> bool:
    return all(plan.value(Scope("task", name), "external") for name in tasks)


def _matched(
    name: str, patterns: list[str] | None, known: list[str], ours: list[str]
) -> tuple[dict[str, Origin], list[Diagnostic]]:
    """The queues of one `workers:` entry, each with its origin. No pattern matches another app's queue."""
    path: SpecPath = ("workers", name)
    if patterns is None and name in known:
        return {name: Written(path)}, []
    matched: dict[str, Origin] = {}
    findings = []
    for index, pattern in enumerate(patterns or []):
        where = (*path, "queues", index)
        names = [queue for queue in ours if _covers(pattern, queue)] if "*" in pattern else [pattern]
        if "*" not in pattern and pattern not in known:
            message = f"no task is sent to queue {pattern}, and no `queues:` entry declares it"
            findings.append(QUEUE_UNKNOWN.at(where, message, help=did_you_mean(pattern, known)))
        if not names:
            message = f"no queue matches `{pattern}`; known queues: {', '.join(ours)}"
            findings.append(QUEUE_PATTERN_UNMATCHED.at(where, message))
        for queue in names:
            matched.setdefault(queue, Written(where))
    if not matched:
        message = f"worker {name} consumes no queue"
        findings.append(WORKER_WITHOUT_QUEUES.at(path, message, help="add `queues: [NAME]`"))
    return matched, findings


def _covers(pattern: str, queue: str) -> bool:
    """Whether a queue matches; only `*` is special, because a name may have brackets or a question mark."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), queue, re.DOTALL) is not None


def _too_many(groups: Sequence[Group], written: int, most: int) -> Iterator[Diagnostic]:
    """More workers than the policy file allows, because no more queues can share a worker."""
    needed = len(groups) + written
    if needed <= most or not groups:
        return
    names = ", ".join(sorted(group.queues[0] for group in groups))
    message = (
        f"the policy file allows {most} worker{'s' if most > 1 else ''}, but the workload needs {needed}: "
        f"these queues cannot share a worker: {names}"
    )
    help_text = "allow more workers, or declare shorter run times and the same kind of work"
    yield TOO_MANY_WORKERS.at(("service",), message, help=help_text)
