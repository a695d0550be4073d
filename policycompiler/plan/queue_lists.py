"""The names under which a broker keeps the messages of a queue."""

from __future__ import annotations

from policycompiler.knowledge.brokers import Levels
from policycompiler.plan import APP, Plan, Scope

KOMBU_STEPS = [0, 3, 6, 9]
"""The steps of priority that kombu uses on Redis if `priority_steps` is not set."""
SEPARATOR = "\x06\x16"
"""What kombu puts between the name of a queue and a step, if `sep` is not set."""


def queue_lists(plan: Plan, queue: Scope) -> list[str]:
    """One name on most brokers; on Redis a key for each step of priority that its messages may have."""
    if plan.broker.levels is not Levels.LISTS:
        return [queue.name]
    given = plan.get(APP, "broker_transport_options")
    options = given if isinstance(given, dict) else {}
    name = f"{options.get('global_keyprefix') or ''}{queue.name}"
    found = options.get("priority_steps")
    steps = [int(str(step)) for step in found] if isinstance(found, list) and found else KOMBU_STEPS
    if not _has_priorities(plan, queue, pinned=found is not None):
        return [name]
    separator = str(options.get("sep") or SEPARATOR)
    return [name if not step else f"{name}{separator}{step}" for step in steps]


def _has_priorities(plan: Plan, queue: Scope, *, pinned: bool) -> bool:
    """Whether messages of a queue have several priorities. Pinned steps may be for publishers elsewhere."""
    own = {*plan.texts(queue, "tasks")} if plan.find(queue, "tasks") else set()
    schedules = (each for each in plan.scopes("schedule") if plan.get(each, "options.priority"))
    # There are thousands of tasks, and each queue asks several times: only its own are looked at.
    return bool(
        plan.find(APP, "task_default_priority")
        or any(plan.find(Scope("task", name), "options.priority") for name in own)
        or own.intersection(plan.text(each, "task") for each in schedules)
        or (pinned and not any(plan.find(task, "options.priority") for task in plan.scopes("task")))
    )
