"""The names under which a broker keeps the messages of a queue."""

from __future__ import annotations

from bisect import bisect

from policycompiler.knowledge.brokers import PRIORITY_STEPS, Levels
from policycompiler.plan import APP, Plan, Scope

SEPARATOR = "\x06\x16"
"""What kombu puts between the name of a queue and a step, if `sep` is not set."""


def priority_steps(plan: Plan) -> list[int]:
    """On Redis, the steps of priority that have a list of their own. A policy refuses other than numbers."""
    options = plan.get(APP, "broker_transport_options")
    found = options.get("priority_steps") if isinstance(options, dict) else None
    given = found if isinstance(found, list) else []
    return [step for step in given if isinstance(step, int)] or [*PRIORITY_STEPS]


def priority_step(plan: Plan, priority: float) -> int:
    """On Redis, the step whose list takes messages of a priority, as kombu chooses it."""
    steps = priority_steps(plan)
    return steps[bisect(steps, priority) - 1]


def queue_lists(plan: Plan, queue: Scope) -> list[str]:
    """One name on most brokers; on Redis a key for each step of priority that its messages may have."""
    if plan.broker.levels is not Levels.LISTS:
        return [queue.name]
    given = plan.get(APP, "broker_transport_options")
    options = given if isinstance(given, dict) else {}
    name = f"{options.get('global_keyprefix') or ''}{queue.name}"
    if not _has_priorities(plan, queue, pinned="priority_steps" in options):
        return [name]
    separator = str(options.get("sep") or SEPARATOR)
    return [name if not step else f"{name}{separator}{step}" for step in priority_steps(plan)]


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
