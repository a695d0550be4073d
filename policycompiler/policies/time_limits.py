"""How long a run may take before it is told to stop, and before it is killed.

Decides:
    `task:NAME/options.soft_time_limit` and `options.time_limit` in seconds;
    `app/task_soft_time_limit` and `app/task_time_limit` for tasks that nobody declared.

Because:
    A run without a limit can hold its slot for ever, and no stop can wait for it. A run past its 99th
    percentile by a fifth is stuck, not slow: it gets SoftTimeLimitExceeded, time to clean up, and then
    SIGKILL. A pinned null is no way out: Celery takes the limit of the app then. Where no run time is
    declared, the longest run that its class bears stands for it. A soft limit above the hard one makes
    Celery refuse every send with ValueError, and one that equals it is followed by SIGKILL at once
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#time-limits).

Example:
    tasks:
      shop.reports.yearly: {latency: batch, runtime: {p50: 40m, p99: 2h}}

    task:shop.reports.yearly/options.soft_time_limit = 8640
    task:shop.reports.yearly/options.time_limit = 10368

Refuses:
    PC301 soft-over-hard: lower the soft limit or raise the hard one.
        fires: tasks: {shop.a: {options: {soft_time_limit: 20, time_limit: 10}}}
        silent: tasks: {shop.a: {options: {soft_time_limit: 8, time_limit: 10}}}
    PC302 limit-not-a-number: write seconds.
        fires: celery: {settings: {task_time_limit: 0}}
        silent: celery: {settings: {task_time_limit: 600}}
    PC331 hard-limit-missing: write seconds, or remove the null.
        fires: tasks: {shop.a: {options: {time_limit: null}}}
        silent: tasks: {shop.a: {options: {time_limit: 600}}}
    PC332 soft-missing: write seconds, or remove the null.
        fires: tasks: {shop.a: {options: {soft_time_limit: null}}}
        silent: tasks: {shop.a: {options: {soft_time_limit: 600}}}
    PC333 limit-below-p99: raise the limit, or correct the run time.
        fires: tasks: {shop.a: {runtime: 100s, options: {time_limit: 60}}}
        silent: tasks: {shop.a: {runtime: 100s, options: {time_limit: 120}}}
    PC261 soft-equals-hard: lower the soft limit, or pin only the hard one.
        fires: tasks: {shop.a: {options: {soft_time_limit: 10, time_limit: 10}}}
        silent: tasks: {shop.a: {options: {soft_time_limit: 9, time_limit: 10}}}

Parameters:
    `soft_over_p99`: the soft limit over the 99th percentile of the run time; 1.2.
    `hard_over_soft`: the hard limit over the soft one; 1.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.classes import DEFAULT_CLASS
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Scope, Value

NAME = "time-limits"

SOFT_OVER_HARD = error("PC301", "soft-over-hard")
LIMIT_NOT_A_NUMBER = error("PC302", "limit-not-a-number")
HARD_LIMIT_MISSING = error("PC331", "hard-limit-missing")
SOFT_MISSING = warning("PC332", "soft-missing")
LIMIT_BELOW_P99 = warning("PC333", "limit-below-p99")
SOFT_EQUALS_HARD = warning("PC261", "soft-equals-hard")

SHORTEST_CLEANUP_SECONDS = 5
"""A rollback and a log line need a few seconds however short the task is."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    soft_over_p99: Annotated[float, Field(ge=1, le=10)] = Field(
        1.2, description="soft limit over the 99th percentile; a run past it by a fifth is stuck, not slow"
    )
    hard_over_soft: Annotated[float, Field(ge=1, le=10)] = Field(
        1.2, description="hard limit over the soft one; time to clean up grows with the size of the work"
    )


class _Longest(NamedTuple):
    """How long the longest run is, where that is from, and why much more is too long."""

    seconds: float
    origin: Origin
    because: str


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Limits for every task run here, then for the undeclared ones."""
    for name in spec.tasks:
        scope = Scope("task", name)
        if plan.value(scope, "external"):
            continue
        keys = ("options.soft_time_limit", "options.time_limit")
        longest = _longest(spec, plan, scope)
        path: SpecPath = ("tasks", name, "options")
        nulls = [key for key in keys if _is_null(spec, name, key) and plan.find(scope, key) is None]
        yield from _limits(plan, scope, keys, longest, tuned, path)
        for key in nulls:
            yield _missing(plan, scope, key, path)
        yield from _below_p99(plan, scope, keys)
        queue = spec.queues.get(plan.text(scope, "queue"))
        # Where dead letters are kept it is told with what becomes of the letter.
        if queue is None or not queue.dead_letter:
            yield from _no_time(plan, scope, keys)
    keys = ("task_soft_time_limit", "task_time_limit")
    yield from _limits(plan, APP, keys, _of_class(spec, DEFAULT_CLASS), tuned, ("celery", "settings"))
    yield from _no_time(plan, APP, keys)


def _longest(spec: Workload, plan: Plan, scope: Scope) -> _Longest:
    p99 = plan.number_if_any(scope, "runtime_p99_seconds")
    if p99 is None:
        return _of_class(spec, plan.text(scope, "latency"))
    because = "a run well past its 99th percentile is stuck, not slow"
    return _Longest(p99, Derived(scope, "runtime_p99_seconds"), because)


def _of_class(spec: Workload, latency: str) -> _Longest:
    limit = spec.latency_classes[latency].runtime_p99_limit_seconds
    origin = Parameter(("latency_classes", latency, "runtime_p99_limit"), limit)
    return _Longest(limit, origin, f"no run time is declared: the longest of class `{latency}`, and a margin")


def _limits(
    plan: Plan, scope: Scope, keys: tuple[str, str], longest: _Longest, tuned: Parameters, path: SpecPath
) -> Iterator[Decision | Diagnostic]:
    """Decide what is not pinned, so that the two agree; object to pins that cannot."""
    soft_key, hard_key = keys
    soft, hard = (_seconds(plan, scope, key) for key in keys)
    # Where a pin is refused the compile fails, unless the policy file bears it; others need a number to read.
    refused = [pin for key in keys if (pin := plan.find(scope, key)) and not _is_seconds(pin.value)]
    overridden = {pin.key for pin in refused}
    if soft is None:
        soft, because, origins = (
            _soft(longest, tuned)
            if hard is None
            else _soft_below(hard, Derived(scope, hard_key), longest, tuned)
        )
        yield Decision(scope, soft_key, soft, because, origins, overrides=soft_key in overridden)
    if hard is None:
        hard, origin = _hard_above(soft, tuned)
        because = "time to clean up after the soft limit, then its process is killed"
        origins = (Derived(scope, soft_key), origin)
        yield Decision(scope, hard_key, hard, because, origins, overrides=hard_key in overridden)
    for pin in refused:
        if pin.value is None:
            yield _missing(plan, scope, pin.key, path)
        else:
            where = (*path, pin.key.removeprefix("options."))
            message = "a time limit is a number of seconds above 0"
            yield LIMIT_NOT_A_NUMBER.at(where, message, help="write seconds")
    if soft > hard:
        soft_path, hard_path = ((*path, key.removeprefix("options.")) for key in keys)
        message = (
            f"the soft limit of {soft} s is above the hard limit of {hard} s: Celery refuses such a send"
        )
        related = (Related(hard_path, "the hard limit"),)
        help_text = "the soft limit comes first; swap them, or pin only one"
        yield SOFT_OVER_HARD.at(soft_path, message, help=help_text, related=related)


def _soft(longest: _Longest, tuned: Parameters) -> tuple[float, str, tuple[Origin, ...]]:
    soft = math.ceil(longest.seconds * tuned.soft_over_p99)
    return soft, longest.because, (longest.origin, _parameter("soft_over_p99", tuned.soft_over_p99))


def _soft_below(
    hard: float, origin: Derived, longest: _Longest, tuned: Parameters
) -> tuple[float, str, tuple[Origin, ...]]:
    parameter = _parameter("hard_over_soft", tuned.hard_over_soft)
    soft = min(hard, max(1, math.floor(hard / tuned.hard_over_soft)))
    if soft == hard:
        return soft, "the pinned hard limit is too short to leave time to clean up", (origin, parameter)
    if isinstance(longest.origin, Derived) and soft < longest.seconds < hard:
        because = "no shorter than the 99th percentile, and below the pinned hard limit"
        return longest.seconds, because, (origin, longest.origin)
    return soft, "leaves time to clean up before the pinned hard limit", (origin, parameter)


def _hard_above(soft: float, tuned: Parameters) -> tuple[float, Origin]:
    by_share, by_floor = math.ceil(soft * tuned.hard_over_soft), soft + SHORTEST_CLEANUP_SECONDS
    if by_floor > by_share:
        return by_floor, Constant("SHORTEST_CLEANUP_SECONDS", SHORTEST_CLEANUP_SECONDS)
    return by_share, _parameter("hard_over_soft", tuned.hard_over_soft)


def _parameter(key: str, value: float) -> Parameter:
    return Parameter(("parameters", NAME, key), value)


def _seconds(plan: Plan, scope: Scope, key: str) -> float | None:
    """A limit that is one."""
    return plan.number(scope, key) if _is_seconds(plan.get(scope, key)) else None


def _is_null(spec: Workload, name: str, key: str) -> bool:
    """Whether a task's option is written as null."""
    options, field = spec.tasks[name].options, key.removeprefix("options.")
    return options is not None and field in options.model_fields_set and getattr(options, field) is None


def _missing(plan: Plan, scope: Scope, key: str, path: SpecPath) -> Diagnostic:
    field = key.removeprefix("options.")
    seconds, who = plan.number(scope, key), scope.name or "an undeclared task"
    help_text = f"write seconds, or remove it; the compiler sets {seconds:g} s"
    if "soft" in field:
        message = f"without a soft limit {who} is killed at the hard one, with no time to clean up"
        return SOFT_MISSING.at((*path, field), message, help=help_text)
    message = (
        f"without a hard limit a stuck run of {who} holds its slot for ever, and no stop can wait for it"
    )
    return HARD_LIMIT_MISSING.at((*path, field), message, help=help_text)


def _below_p99(plan: Plan, scope: Scope, keys: tuple[str, str]) -> Iterator[Diagnostic]:
    p99 = plan.number_if_any(scope, "runtime_p99_seconds")
    for key in reversed(keys):
        limit, path = plan.number(scope, key), plan.written(scope, key)
        if p99 is not None and path is not None and limit < p99:
            end = "told to stop" if "soft" in key else "killed"
            message = (
                f"{scope.name} is {end} after {limit:g} s, but may run {p99:g} s: more than one run of a "
                "hundred fails by this limit"
            )
            related = (Related(("tasks", scope.name, "runtime"), f"p99 {p99:g} s"),)
            help_text = "raise the limit, or correct the declared run time"
            yield LIMIT_BELOW_P99.at(path, message, help=help_text, related=related)
            return


def _no_time(plan: Plan, scope: Scope, keys: tuple[str, str]) -> Iterator[Diagnostic]:
    """Both pinned at the same scope, to the same: the soft limit is there in vain."""
    soft, hard = (plan.setting(scope, key) for key in keys)
    if soft.value != hard.value or not {soft.policy, hard.policy} <= {"as-written"}:
        return
    soft_path, hard_path = (plan.written(scope, key) for key in keys)
    assert soft_path is not None
    assert hard_path is not None
    message = f"both limits are {soft.value} s: after the soft one no time is left to clean up before SIGKILL"
    related = (Related(hard_path, "the hard limit"),)
    help_text = "lower the soft limit by what cleaning up takes, or pin only the hard one"
    yield SOFT_EQUALS_HARD.at(soft_path, message, help=help_text, related=related)


def _is_seconds(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
