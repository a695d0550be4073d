"""Time limits that stop healthy runs, that Celery refuses, or that are pinned to null."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import APP, Plan, Scope, Value, Written
from policycompiler.quantities import duration

OF_TASK = ("options.soft_time_limit", "options.time_limit")
OF_APP = ("task_soft_time_limit", "task_time_limit")
_SETTINGS: SpecPath = ("celery", "settings")


def time_limits(plan: Plan) -> Iterator[Hazard]:
    """Check the limits of each task that runs here, then the limits for all tasks."""
    for scope in plan.scopes("task"):
        if not plan.get(scope, "external"):
            path: SpecPath = ("tasks", scope.name, "options")
            yield from _soft_over_hard(plan, scope, OF_TASK, path)
            yield from _without_hard(plan, scope, OF_TASK[1], (*path, "time_limit"))
            yield from _below_p99(plan, scope)
    yield from _soft_over_hard(plan, APP, OF_APP, _SETTINGS)
    yield from _without_hard(plan, APP, OF_APP[1], (*_SETTINGS, OF_APP[1]))


def _soft_over_hard(plan: Plan, scope: Scope, keys: tuple[str, str], path: SpecPath) -> Iterator[Hazard]:
    soft, hard = (seconds_of(plan, scope, key) for key in keys)
    if soft is None or hard is None or soft <= hard:
        return
    soft_path, hard_path = ((*path, key.removeprefix("options.")) for key in keys)
    message = (
        f"the soft time limit of {duration(soft)} is above the hard time limit of {duration(hard)}: Celery "
        "refuses to send the task"
    )
    related = (Related(hard_path, "the hard time limit"),)
    help_text = "lower the soft time limit below the hard time limit, or pin only one of them"
    settings = tuple((scope, key) for key in keys)
    yield Hazard("soft-over-hard", settings, message, help_text, soft_path, related)


def _without_hard(plan: Plan, scope: Scope, key: str, path: SpecPath) -> Iterator[Hazard]:
    """The cost of a hard limit that is pinned to null."""
    if not is_null(plan, scope, key, path):
        return
    who = scope.name or "a task without its own limits"
    of_app = None if scope == APP else seconds_of(plan, APP, OF_APP[1])
    longest = plan.number(scope, "longest_run_seconds")
    message = (
        f"without a hard time limit a stuck run of {who} keeps its slot until its worker stops: a stop kills "
        f"it after about {duration(longest)}"
    )
    if of_app is not None:
        limit = duration(of_app)
        message = f"the worker's pool kills {who} anyway: the hard time limit of the app is {limit}"
    help_text = "write a number of seconds if you know how long the task may run"
    yield Hazard("hard-limit-missing", ((scope, key),), message, help_text, path)


def _below_p99(plan: Plan, scope: Scope) -> Iterator[Hazard]:
    p99 = plan.number_if_any(scope, "runtime_p99_seconds")
    if p99 is None:
        return
    held, calls = _held(plan, scope)
    for key in reversed(OF_TASK):
        limit = seconds_of(plan, scope, key)
        if limit is not None and limit < p99 + held and (path := plan.written(scope, key)) is not None:
            which = "soft" if "soft" in key else "hard"
            message = (
                f"the {which} time limit of {scope.name} is {duration(limit)}, but its p99 is "
                f"{duration(p99)}{calls}: more than one run of a hundred fails"
            )
            related = (Related(("tasks", scope.name, "runtime"), f"p99 {duration(p99)}"),)
            help_text = "raise the limit, or correct the declared run time"
            settings = ((scope, key), (scope, "runtime_p99_seconds"))
            yield Hazard("limit-below-p99", settings, message, help_text, path, related)
            return


def _held(plan: Plan, task: Scope) -> tuple[float, str]:
    """How long a run may wait for its turns to call dependencies, and in words."""
    called = [
        Scope("dependency", name) for name in (plan.texts(task, "calls") if plan.find(task, "calls") else ())
    ]
    holds = {each.name: plan.number_if_any(each, "hold_seconds") or 0 for each in called}
    waits = [name for name, seconds in holds.items() if seconds]
    if not waits:
        return 0.0, ""
    seconds = sum(holds.values())
    return seconds, f", after a wait of up to {duration(seconds)} for its turn to call {' and '.join(waits)}"


def is_null(plan: Plan, scope: Scope, key: str, path: SpecPath) -> bool:
    """Whether a limit is written as null, at this place."""
    found = plan.find(scope, key)
    return found is not None and found.value is None and found.origins[0] == Written(path)


def seconds_of(plan: Plan, scope: Scope, key: str) -> float | None:
    """A limit, if it is a number of seconds."""
    value = plan.get(scope, key)
    return value if is_seconds(value) else None


def is_seconds(value: Value) -> TypeGuard[float]:
    """Whether a value is a number of seconds above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
