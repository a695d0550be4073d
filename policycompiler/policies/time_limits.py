"""How long a run may take before it is told to stop, and before it is killed.

Decides:
    `task:NAME/options.soft_time_limit` and `options.time_limit` in seconds;
    `app/task_soft_time_limit` and `app/task_time_limit` for tasks that nobody declared.

Because:
    A run without a limit can hold its slot for ever, and no stop can wait for it. A run past its 99th
    percentile by a fifth is stuck, not slow: it gets SoftTimeLimitExceeded, time to clean up, and then
    SIGKILL. Where no run time is declared, the longest run that its class bears stands for it. A soft
    limit above the hard one makes Celery refuse every send with ValueError
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#time-limits).

Example:
    tasks:
      shop.reports.yearly: {latency: batch, runtime: {p50: 40m, p99: 2h}}

    task:shop.reports.yearly/options.soft_time_limit = 8640
    task:shop.reports.yearly/options.time_limit = 10368

Refuses:
    PC301 soft-over-hard: lower the soft limit or raise the hard one.
    PC302 limit-not-a-number: write seconds.

Parameters:
    `soft_over_p99`: the soft limit over the 99th percentile of the run time; 1.2.
    `hard_over_soft`: the hard limit over the soft one; 1.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.classes import DEFAULT_CLASS
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Scope, Value

NAME = "time-limits"

SOFT_OVER_HARD = error("PC301", "soft-over-hard")
LIMIT_NOT_A_NUMBER = error("PC302", "limit-not-a-number")

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
        yield from _limits(plan, scope, keys, longest, tuned, ("tasks", name, "options"))
    keys = ("task_soft_time_limit", "task_time_limit")
    yield from _limits(plan, APP, keys, _of_class(spec, DEFAULT_CLASS), tuned, ("celery", "settings"))


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
    pins = [pin for key in keys if (pin := plan.find(scope, key))]
    refused = [pin for pin in pins if not _is_seconds(pin.value)]
    for pin in refused:
        where = (*path, pin.key.removeprefix("options."))
        yield LIMIT_NOT_A_NUMBER.at(
            where, "a time limit is a number of seconds above 0", help="write seconds"
        )
    # Where a pin is refused the compile fails; until then other policies have a number to read.
    overrides = bool(refused)
    soft = None if refused else plan.number_if_any(scope, soft_key)
    hard = None if refused else plan.number_if_any(scope, hard_key)
    if soft is None:
        soft, because, origins = (
            _soft(longest, tuned) if hard is None else _soft_below(hard, Derived(scope, hard_key), tuned)
        )
        yield Decision(scope, soft_key, soft, because, origins, overrides)
    if hard is None:
        hard, origin = _hard_above(soft, tuned)
        because = "time to clean up after the soft limit, then its process is killed"
        yield Decision(scope, hard_key, hard, because, (Derived(scope, soft_key), origin), overrides)
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


def _soft_below(hard: float, origin: Derived, tuned: Parameters) -> tuple[float, str, tuple[Origin, ...]]:
    soft = min(hard, max(1, math.floor(hard / tuned.hard_over_soft)))
    if soft == hard:
        because = "the pinned hard limit is too short to leave time to clean up"
    else:
        because = "leaves time to clean up before the pinned hard limit"
    return soft, because, (origin, _parameter("hard_over_soft", tuned.hard_over_soft))


def _hard_above(soft: float, tuned: Parameters) -> tuple[float, Origin]:
    by_share, by_floor = math.ceil(soft * tuned.hard_over_soft), soft + SHORTEST_CLEANUP_SECONDS
    if by_floor > by_share:
        return by_floor, Constant("SHORTEST_CLEANUP_SECONDS", SHORTEST_CLEANUP_SECONDS)
    return by_share, _parameter("hard_over_soft", tuned.hard_over_soft)


def _parameter(key: str, value: float) -> Parameter:
    return Parameter(("parameters", NAME, key), value)


def _is_seconds(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
