"""How long a run may take before it is told to stop, and before it is killed.

Decides:
    `task:NAME/options.soft_time_limit` and `options.time_limit` in seconds;
    `app/task_soft_time_limit` and `app/task_time_limit` for tasks that nobody declared.

Because:
    A run without a limit can hold its slot for ever, and no stop can wait for it. A run past its 99th
    percentile by a fifth is stuck, not slow: it gets SoftTimeLimitExceeded, time to clean up, and then
    SIGKILL. A soft limit above the hard one makes Celery refuse every send with ValueError
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
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, error
from policycompiler.model import Workload
from policycompiler.model.classes import DEFAULT_CLASS, LATENCY_CLASSES
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value

NAME = "time-limits"

SOFT_OVER_HARD = error("PC301", "soft-over-hard")
LIMIT_NOT_A_NUMBER = error("PC302", "limit-not-a-number")

SOFT_OVER_P99 = 1.2
"""A run past its 99th percentile by a fifth is stuck, not slow."""
HARD_OVER_SOFT = 1.2
"""Time to clean up grows with the size of the work."""
SHORTEST_CLEANUP_SECONDS = 5
"""A rollback and a log line need a few seconds however short the task is."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Limits for every task run here, then for the undeclared ones."""
    for name in spec.tasks:
        scope = Scope("task", name)
        if plan.value(scope, "external"):
            continue
        origin: Origin
        p99 = plan.get(scope, "runtime_p99_seconds")
        if isinstance(p99, int | float):
            longest, origin = p99, Derived(scope, "runtime_p99_seconds")
        else:
            longest, origin = _class_limit(plan.text(scope, "latency"))
        keys = ("options.soft_time_limit", "options.time_limit")
        path = ("tasks", name, "options")
        yield from _limits(plan, scope, keys, longest, origin, path)
    longest, origin = _class_limit(DEFAULT_CLASS)
    keys = ("task_soft_time_limit", "task_time_limit")
    yield from _limits(plan, APP, keys, longest, origin, ("celery", "settings"))


def _class_limit(latency: str) -> tuple[float, Origin]:
    limit = LATENCY_CLASSES[latency].runtime_p99_limit_seconds
    return limit, Constant(f"latency_classes.{latency}.runtime_p99_limit_seconds", limit)


def _limits(
    plan: Plan, scope: Scope, keys: tuple[str, str], longest: float, origin: Origin, path: tuple[str, ...]
) -> Iterator[Decision | Diagnostic]:
    """Decide what is not pinned, so that the two agree; object to pins that cannot."""
    soft_key, hard_key = keys
    soft, hard = plan.get(scope, soft_key), plan.get(scope, hard_key)
    pins = [pin for key in keys if (pin := plan.find(scope, key))]
    refused = [pin for pin in pins if not _is_seconds(pin.value)]
    for pin in refused:
        where = (*path, pin.key.removeprefix("options."))
        yield LIMIT_NOT_A_NUMBER.at(
            where, "a time limit is a number of seconds above 0", help="write seconds"
        )
    if refused:
        # The compile fails; until then other policies have a number to read.
        soft = hard = None
    hard_origins: tuple[Origin, ...] = (Constant("HARD_OVER_SOFT", HARD_OVER_SOFT),)
    if soft is None and hard is None:
        soft = math.ceil(longest * SOFT_OVER_P99)
        because = "a run past its 99th percentile by a fifth is stuck, not slow"
        origins = (origin, Constant("SOFT_OVER_P99", SOFT_OVER_P99))
        yield Decision(scope, soft_key, soft, because, origins, bool(refused))
    elif soft is None:
        soft = max(1, math.floor(_number(hard) / HARD_OVER_SOFT))
        because = "leaves time to clean up before the pinned hard limit"
        yield Decision(scope, soft_key, soft, because, (Derived(scope, hard_key), *hard_origins))
    if hard is None:
        by_share, by_floor = (
            math.ceil(_number(soft) * HARD_OVER_SOFT),
            _number(soft) + SHORTEST_CLEANUP_SECONDS,
        )
        if by_floor > by_share:
            hard_origins = (Constant("SHORTEST_CLEANUP_SECONDS", SHORTEST_CLEANUP_SECONDS),)
        because = "time to clean up after the soft limit, then its process is killed"
        hard = max(by_share, by_floor)
        yield Decision(
            scope, hard_key, hard, because, (Derived(scope, soft_key), *hard_origins), bool(refused)
        )
    if _number(soft) > _number(hard):
        soft_path = (*path, soft_key.removeprefix("options."))
        hard_path = (*path, hard_key.removeprefix("options."))
        message = (
            f"the soft limit of {soft} s is above the hard limit of {hard} s: Celery refuses such a send"
        )
        related = (Related(hard_path, "the hard limit"),)
        help_text = "the soft limit comes first; swap them, or pin only one"
        yield SOFT_OVER_HARD.at(soft_path, message, help=help_text, related=related)


def _is_seconds(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _number(value: Value) -> float:
    assert isinstance(value, int | float)
    return value
