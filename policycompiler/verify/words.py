"""Words and places of findings about a running deployment."""

from __future__ import annotations

from collections.abc import Iterable

from policycompiler.diagnostics import Diagnostic, Finding, Place, SpecPath
from policycompiler.plan import APP, Plan, Scope, Value
from policycompiler.quantities import number

MOST_NAMED = 3


def at_place(finding: Finding, place: str, message: str, help_text: str) -> Diagnostic:
    """A finding at a place of a look."""
    return finding.at((), message, help=help_text, place=as_place(place))


def as_place(text: str) -> Place:
    """The place of a look: a line of code, `shop/tasks.py:12`, or the name of what was seen."""
    file, _, line = text.partition(" ")[0].rpartition(":")
    return Place(file, int(line), 1) if line.isdigit() and file else Place(text, 1, 1)


def listed(names: Iterable[str]) -> str:
    """Names for a sentence, the first three and the number of the others."""
    every = sorted(set(names))
    told = [f"`{name}`" for name in every[:MOST_NAMED]]
    more = len(every) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")


def counted(count: int, noun: str) -> str:
    """A number with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def shown(value: Value) -> str:
    """A value for a sentence, as Celery writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"`{number(round(value, 2))}`"
    if isinstance(value, list):
        return ", ".join(f"`{each}`" for each in value) or "none"
    return f"`{value}`"


def same(planned: Value, found: Value) -> bool:
    """Whether a found value is the planned one. Numbers may have another type, but 1 is not true."""
    if isinstance(planned, bool) or isinstance(found, bool):
        return planned is found
    if isinstance(planned, list) and isinstance(found, list):
        return len(planned) == len(found) and all(map(same, planned, found))
    if isinstance(planned, dict) and isinstance(found, dict):
        return planned.keys() == found.keys() and all(same(planned[key], found[key]) for key in planned)
    return planned == found


def worker_path(plan: Plan, worker: str, key: str = "queues") -> SpecPath:
    """Where the workload writes a setting of a worker, else the worker's own entry."""
    return plan.written(Scope("worker", worker), key) or ("workers", worker)


def queue_path(plan: Plan, queue: str) -> SpecPath:
    """Where the workload names a queue: in its entry, or in the first task that pins it.

    A dead-letter queue has the place of its queue.
    """
    scope = Scope("queue", queue)
    if not plan.keys(scope):
        owners = (each for each in plan.scopes("queue") if plan.get(each, "dead_letter_queue") == queue)
        scope = next(owners, scope)
    tasks = plan.texts(scope, "tasks") if plan.find(scope, "tasks") else []
    pins = (plan.written(Scope("task", task), "queue") for task in tasks)
    own = (plan.written(scope, key) for key in ("type", "exchange"))
    return next((path for path in (*own, *pins) if path), ("queues", scope.name))


def task_path(plan: Plan, task: str, key: str = "") -> SpecPath:
    """Where the workload writes an option of a task, else the entry that declares the task."""
    entry = plan.entry(task)
    if entry is None:
        return ("tasks",)
    return (plan.written(entry, key) if key else None) or ("tasks", entry.name)


def app_path(plan: Plan, key: str, otherwise: SpecPath) -> SpecPath:
    """Where the workload writes a setting of the app."""
    return plan.written(APP, key) or otherwise


def waiting(count: int | None) -> str:
    """What a queue holds, as a further clause; empty if that is nothing or unknown."""
    return f"; {counted(count, 'message')} {'waits' if count == 1 else 'wait'} there" if count else ""
