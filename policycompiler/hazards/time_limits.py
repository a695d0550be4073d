"""Time limits that end healthy runs, that Celery refuses, or that are declared away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import APP, Plan, Scope, Value, Written

OF_TASK = ("options.soft_time_limit", "options.time_limit")
OF_APP = ("task_soft_time_limit", "task_time_limit")
_SETTINGS: SpecPath = ("celery", "settings")


def time_limits(plan: Plan) -> Iterator[Hazard]:
    """Of each task that is run here, then of those for all tasks."""
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
        f"the soft limit of {soft:g} s is above the hard limit of {hard:g} s: Celery refuses such a send"
    )
    related = (Related(hard_path, "the hard limit"),)
    help_text = "lower the soft limit below the hard one, or pin only one of them"
    settings = tuple((scope, key) for key in keys)
    yield Hazard("soft-over-hard", settings, message, help_text, soft_path, related)


def _without_hard(plan: Plan, scope: Scope, key: str, path: SpecPath) -> Iterator[Hazard]:
    """What it costs that a hard limit is declared away."""
    if not is_null(plan, scope, key, path):
        return
    who = scope.name or "a task that has no limit of its own"
    of_app = None if scope == APP else seconds_of(plan, APP, OF_APP[1])
    longest = plan.number(scope, "longest_run_seconds")
    message = (
        f"without a hard limit a stuck run of {who} holds its slot until its worker is stopped, "
        f"and a stop kills it after about {longest:g} s"
    )
    if of_app is not None:
        message = f"the worker's pool kills {who} all the same: the hard limit of the app is {of_app:g} s"
    help_text = "write seconds if you know how long it may run"
    yield Hazard("hard-limit-missing", ((scope, key),), message, help_text, path)


def _below_p99(plan: Plan, scope: Scope) -> Iterator[Hazard]:
    p99 = plan.number_if_any(scope, "runtime_p99_seconds")
    if p99 is None:
        return
    for key in reversed(OF_TASK):
        limit = seconds_of(plan, scope, key)
        if limit is not None and limit < p99 and (path := plan.written(scope, key)) is not None:
            end = "told to stop" if "soft" in key else "killed"
            message = (
                f"{scope.name} is {end} after {limit:g} s, but may run {p99:g} s: more than one run of a "
                "hundred fails by this limit"
            )
            related = (Related(("tasks", scope.name, "runtime"), f"p99 {p99:g} s"),)
            help_text = "raise the limit, or correct the declared run time"
            settings = ((scope, key), (scope, "runtime_p99_seconds"))
            yield Hazard("limit-below-p99", settings, message, help_text, path, related)
            return


def is_null(plan: Plan, scope: Scope, key: str, path: SpecPath) -> bool:
    """Whether a limit is written as null, at this place."""
    found = plan.find(scope, key)
    return found is not None and found.value is None and found.origins[0] == Written(path)


def seconds_of(plan: Plan, scope: Scope, key: str) -> float | None:
    """A limit that is one."""
    value = plan.get(scope, key)
    return value if is_seconds(value) else None


def is_seconds(value: Value) -> TypeGuard[float]:
    """Whether a value is a number of seconds above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
