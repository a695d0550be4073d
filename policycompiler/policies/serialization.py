"""How messages are written.

Decides:
    `app/task_serializer`, `app/result_serializer`, `app/accept_content`.

Because:
    JSON is what every client reads, what Celery's own control and event messages use, and what cannot
    run code when it is read. A worker that accepts pickle runs whatever anybody can put on its broker.

Example:
    tasks: {shop.mail.send: {}}

    app/task_serializer = "json"
    app/accept_content = ["json"]

Refuses:
    PC207 serializer-not-accepted: add it to `accept_content`.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Written

NAME = "serialization"

SERIALIZER_NOT_ACCEPTED = error("PC207", "serializer-not-accepted")

SERIALIZER = "json"
"""Read by every client, safe to read, and Celery's own control messages need it accepted anyway."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """JSON, unless pinned."""
    json = (Constant("SERIALIZER", SERIALIZER),)
    for key in ("task_serializer", "result_serializer"):
        if plan.find(APP, key) is None:
            yield Decision(APP, key, SERIALIZER, "every client reads it, and reading it runs no code", json)
    senders = _senders(spec, plan)
    if plan.find(APP, "accept_content") is None:
        wanted = sorted({SERIALIZER, plan.text(APP, "result_serializer"), *senders})
        origins = (*json, *senders.values(), Derived(APP, "result_serializer"))
        why = "what is sent, and Celery's control messages"
        yield Decision(APP, "accept_content", [*wanted], why, tuple(dict.fromkeys(origins)))
        return
    accepted = plan.value(APP, "accept_content")
    for serializer in senders:
        if isinstance(accepted, list) and serializer not in accepted:
            message = f"tasks are sent as {serializer}, which no worker accepts"
            path = ("celery", "settings", "accept_content")
            yield SERIALIZER_NOT_ACCEPTED.at(path, message, help="add it to `accept_content`")


def _senders(spec: Workload, plan: Plan) -> dict[str, Origin]:
    """Serializers that messages are written with, each with the first who says so."""
    senders: dict[str, Origin] = {plan.text(APP, "task_serializer"): Derived(APP, "task_serializer")}
    for name, task in sorted(spec.tasks.items()):
        if task.options is not None and task.options.serializer is not None:
            senders.setdefault(task.options.serializer, Written(("tasks", name, "options", "serializer")))
    for name, schedule in sorted(spec.schedules.items()):
        if schedule.options is not None and schedule.options.serializer is not None:
            path = ("schedules", name, "options", "serializer")
            senders.setdefault(schedule.options.serializer, Written(path))
    return senders
