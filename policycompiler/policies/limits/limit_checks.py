"""Time limits that contradict each other or the declared run time, and runs without a limit.

Decides:
    Nothing.

Because:
    If the soft time limit is above the hard time limit, Celery refuses every send with a ValueError. If both
    are equal, SIGKILL follows the soft time limit at once
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#time-limits). Without a hard time limit a run
    that hangs keeps its slot. Only a stop of the worker kills it, after the stop timeout. If
    `celery.settings` pins a hard time limit for all tasks, the worker's pool also applies it to a task with
    `time_limit: null`.

Example:
    tasks: {shop.backup: {options: {time_limit: null}}}

    refuses hard-limit-missing

Refuses:
    PC301 soft-over-hard: lower the soft time limit, or raise the hard time limit.
        fires: tasks: {shop.a: {options: {soft_time_limit: 20, time_limit: 10}}}
        silent: tasks: {shop.a: {options: {soft_time_limit: 8, time_limit: 10}}}
    PC302 limit-not-a-number: write a number of seconds.
        fires: celery: {settings: {task_time_limit: 0}}
        silent: celery: {settings: {task_time_limit: 600}}
    PC331 hard-limit-missing: write a number of seconds, or accept that a stuck run keeps its slot.
        fires: tasks: {shop.a: {options: {time_limit: null}}}
        silent: tasks: {shop.a: {options: {time_limit: 600}}}
    PC332 soft-missing: write a number of seconds, or accept that a run is killed without time to clean up.
        fires: tasks: {shop.a: {options: {soft_time_limit: null, time_limit: 600}}}
        silent: tasks: {shop.a: {options: {soft_time_limit: 500, time_limit: 600}}}
    PC333 limit-below-p99: raise the limit, or correct the run time.
        fires: tasks: {shop.a: {runtime: 100s, options: {time_limit: 60}}}
        silent: tasks: {shop.a: {runtime: 100s, options: {time_limit: 120}}}
    PC261 soft-equals-hard: lower the soft time limit, or pin only the hard time limit.
        fires: tasks: {shop.a: {options: {soft_time_limit: 10, time_limit: 10}}}
        silent: tasks: {shop.a: {options: {soft_time_limit: 9, time_limit: 10}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, error, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.time_limits import OF_APP, OF_TASK, is_null, is_seconds, seconds_of, time_limits
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration

NAME = "limit-checks"

SOFT_OVER_HARD = error("PC301", "soft-over-hard")
LIMIT_NOT_A_NUMBER = error("PC302", "limit-not-a-number")
HARD_LIMIT_MISSING = warning("PC331", "hard-limit-missing", Profile.MINIMAL)
SOFT_MISSING = warning("PC332", "soft-missing", Profile.MINIMAL)
LIMIT_BELOW_P99 = warning("PC333", "limit-below-p99")
SOFT_EQUALS_HARD = warning("PC261", "soft-equals-hard")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check the limits of each task that runs here, then the limits for all tasks."""
    yield from as_findings(time_limits(plan), SOFT_OVER_HARD, HARD_LIMIT_MISSING, LIMIT_BELOW_P99)
    for name in spec.tasks:
        scope = Scope("task", name)
        if plan.value(scope, "external"):
            continue
        yield from _without_soft(plan, scope, OF_TASK, ("tasks", name, "options"))
        yield from _no_time(plan, scope, OF_TASK)
    settings = ("celery", "settings")
    for key in OF_APP:
        pin = plan.find(APP, key)
        if pin is not None and pin.value is not None and not is_seconds(pin.value):
            message = f"`{key}` must be a number of seconds above 0"
            help_text = "write a number of seconds, or `null` for no limit"
            yield LIMIT_NOT_A_NUMBER.at((*settings, key), message, help=help_text)
    yield from _without_soft(plan, APP, OF_APP, settings)
    yield from _no_time(plan, APP, OF_APP)


def _without_soft(plan: Plan, scope: Scope, keys: tuple[str, str], path: SpecPath) -> Iterator[Diagnostic]:
    """A pinned absence of a soft limit, where there is a hard one."""
    (soft_key, soft_path), (hard_key, _) = ((key, (*path, key.removeprefix("options."))) for key in keys)
    if is_null(plan, scope, soft_key, soft_path) and seconds_of(plan, scope, hard_key) is not None:
        task = scope.name or "a task without its own limits"
        hard = duration(plan.number(scope, hard_key))
        message = f"{task} has no soft time limit: it is killed after {hard}, without time to clean up"
        help_text = "write a number of seconds, less than the hard time limit"
        yield SOFT_MISSING.at(soft_path, message, help=help_text)


def _no_time(plan: Plan, scope: Scope, keys: tuple[str, str]) -> Iterator[Diagnostic]:
    """Both pinned at the same scope to the same value: the soft limit has no effect."""
    soft, hard = (plan.find(scope, key) for key in keys)
    if soft is None or hard is None or soft.value is None or soft.value != hard.value:
        return
    soft_path, hard_path = (plan.written(scope, key) for key in keys)
    if not {soft.policy, hard.policy} <= {"as-written"} or soft_path is None or hard_path is None:
        return
    both = duration(plan.number_if_any(scope, keys[0]) or 0)
    message = f"soft and hard time limit are both {both}: the task has no time to clean up before SIGKILL"
    related = (Related(hard_path, "the hard time limit"),)
    help_text = "lower the soft time limit by the time to clean up, or pin only the hard time limit"
    yield SOFT_EQUALS_HARD.at(soft_path, message, help=help_text, related=related)
