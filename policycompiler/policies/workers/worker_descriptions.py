"""A short description of each worker, for readers of its unit or launch script.

Decides:
    `worker:NAME/description`.

Because:
    During an incident, the name `shop.batch.cpu` does not tell a person which tasks the worker runs.

Example:
    tasks: {shop.reports.yearly: {latency: batch, work: cpu}}

    worker:shop.batch.cpu/description = "batch tasks that compute (1 task)"

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.model import Workload
from policycompiler.plan import Decision, Derived, Plan, Scope

NAME = "worker-descriptions"

_WORKS = {
    ("cpu",): "compute",
    ("io",): "wait for other systems",
    ("cpu", "io"): "compute or wait for other systems",
}


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Describe latency classes, kind of work and number of tasks."""
    del spec
    for scope in plan.scopes("worker"):
        tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
        classes = sorted({plan.text(task, "latency") for task in tasks})
        works = tuple(sorted({plan.text(task, "work") for task in tasks}))
        if tasks:
            count = f"{len(tasks)} task{'s' if len(tasks) != 1 else ''}"
            text = f"{' and '.join(classes)} tasks that {_WORKS[works]} ({count})"
        else:
            text = "no declared task"
        yield Decision(
            scope,
            "description",
            text,
            "readers of a unit or a launch script see which tasks the worker runs",
            (Derived(scope, "tasks"),),
        )
