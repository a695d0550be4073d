"""`routing.json` for machines and `ROUTING.md` for reviewers: task, queue, worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.emitters.base import OutputFile, Raw, Reading, json_text
from policycompiler.emitters.markdown import code, markdown_text
from policycompiler.emitters.templates import render
from policycompiler.plan import APP, Plan, Scope, Value
from policycompiler.plan.entries import pattern_order
from policycompiler.quantities import duration

ID = "routing"

FORMAT = 1


class _Row(NamedTuple):
    """One task in the table of its queue."""

    name: Raw
    owner: str
    runtime: str
    delivery: str
    limits: str
    description: str


class _Queue(NamedTuple):
    name: Raw
    promise: str
    workers: Raw
    rows: list[_Row]


class _External(NamedTuple):
    """A queue of another app, and the tasks sent to it, each with where it runs."""

    name: Raw
    tasks: list[tuple[Raw, str]]


def emit(plan: Plan) -> Iterator[OutputFile]:
    """The table twice: as data, and as text for a pull request."""
    yield _json(Reading(plan))
    yield _markdown(Reading(plan))


def _json(plan: Reading) -> OutputFile:
    tasks = plan.scopes("task")
    patterns = sorted(
        (scope for scope in tasks if "*" in scope.name), key=lambda scope: pattern_order(scope.name)
    )
    document: dict[str, Value] = {
        "format": FORMAT,
        "default_queue": plan.value(APP, "task_default_queue"),
        "tasks": {
            scope.name: {
                "queue": plan.value(scope, "queue"),
                "workers": plan.value(scope, "workers"),
                **_declared(plan, scope),
            }
            for scope in tasks
            if "*" not in scope.name
        },
        "patterns": [
            {"match": scope.name, "queue": plan.value(scope, "queue"), **_declared(plan, scope)}
            for scope in patterns
        ],
        "queues": {
            scope.name: {"workers": plan.value(scope, "workers"), "external": plan.value(scope, "external")}
            for scope in plan.scopes("queue")
        },
    }
    return plan.file("routing.json", json_text(document))


def _declared(plan: Reading, scope: Scope) -> dict[str, Value]:
    """Declared facts of a task that other tools may need."""
    found = {key: plan.get(scope, key) for key in ("canvas", "renamed_from", "runbook")}
    return {key: value for key, value in found.items() if value is not None}


def _markdown(plan: Reading) -> OutputFile:
    queues = [_queue(plan, scope) for scope in plan.scopes("queue") if not plan.value(scope, "external")]
    external = [_external(plan, scope) for scope in plan.scopes("queue") if plan.value(scope, "external")]
    context = {
        "service": plan.value(APP, "service"),
        "default_queue": code(plan.text(APP, "task_default_queue")),
        "queues": queues,
        "external": external,
        "assumed": any(plan.get(scope, "limits_assumed") for scope in plan.scopes("task")),
    }
    return plan.file("ROUTING.md", render("routing/ROUTING.md.j2", markdown_text, context))


def _queue(plan: Reading, scope: Scope) -> _Queue:
    seconds = plan.number(scope, "queue_wait_seconds")
    wait = f"Latency class {plan.text(scope, 'latency')}: 99% of runs start within {duration(seconds)}"
    owner = plan.get(scope, "owner")
    promise = f"{wait}; owner {owner}" if owner else wait
    rows = [_row(plan, Scope("task", name)) for name in plan.texts(scope, "tasks")]
    return _Queue(code(scope.name), promise, _workers(plan, scope), rows)


def _workers(plan: Reading, queue: Scope) -> Raw:
    """The workers of a queue, with the numbers of their processes and slots."""
    told = [f"{code(name)} ({_size(plan, Scope('worker', name))})" for name in plan.texts(queue, "workers")]
    return Raw(", ".join(told))


def _size(plan: Reading, worker: Scope) -> str:
    replicas = int(plan.number(worker, "replicas"))
    bounds = plan.get(worker, "autoscale")
    slots = (
        f"{bounds['min']} to {bounds['max']} slots"
        if isinstance(bounds, dict)
        else _counted(plan.number(worker, "concurrency"))
    )
    return f"{replicas} process{'es' if replicas != 1 else ''} with {slots}"


def _counted(slots: float) -> str:
    return f"{slots:g} slot{'s' if slots != 1 else ''}"


def _external(plan: Reading, scope: Scope) -> _External:
    tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
    return _External(code(scope.name), [(code(task.name), _fate(plan, task)) for task in tasks])


def _fate(plan: Reading, task: Scope) -> str:
    """Whether a task of another app's queue also runs here, and its owner."""
    fate = "only sent from here" if plan.value(task, "external") else "also run here"
    owner = plan.get(task, "owner")
    return f"{fate} (owner {owner})" if owner else fate


def _row(plan: Reading, scope: Scope) -> _Row:
    declared = [plan.get(scope, f"runtime_{each}_seconds") for each in ("p50", "p99")]
    runtimes = [duration(each) for each in declared if isinstance(each, int | float)]
    runtime = " … ".join(runtimes) or "not declared"
    if plan.value(scope, "external"):
        delivery, limits = "another app", "another app"
    else:
        delivery = "at least once" if plan.value(scope, "options.acks_late") else "at most once"
        limits = _limits(plan, scope)
    owner, description = plan.get(scope, "owner"), plan.get(scope, "description")
    name = code(scope.name)
    if plan.get(scope, "renamed_from"):
        name = Raw(f"{name}, formerly {', '.join(map(code, plan.texts(scope, 'renamed_from')))}")
    return _Row(name, str(owner or "not declared"), runtime, delivery, limits, str(description or ""))


def _limits(plan: Reading, scope: Scope) -> str:
    """The soft and hard time limit, and whether they are only defaults."""
    limits = [plan.number_if_any(scope, f"options.{key}") for key in ("soft_time_limit", "time_limit")]
    if not any(limits):
        return "none"
    text = " / ".join("none" if limit is None else duration(limit) for limit in limits)
    return f"{text}, assumed" if plan.get(scope, "limits_assumed") else text
