"""How long a run may take before its soft time limit, and before its hard time limit kills it.

Decides:
    `task:NAME/options.soft_time_limit` and `options.time_limit` in seconds, for each task that declares
    `runtime` or `latency`; `longest_run_seconds` for each task that runs here, and for the app, for
    undeclared tasks; `limits_assumed` for each task whose limits follow from its latency class alone.

Because:
    A run without a limit can keep its slot without end, and no stop of a worker can wait for it. But a limit
    is for runs that hang: one run of a hundred takes longer than the 99th percentile and is healthy. Run
    times have a long tail, which p50 and p99 describe. The soft limit is the time after which fewer than one
    healthy run of 10,000 is still running. If only one duration is declared, the compiler assumes the mean.

    Two times limit the tail. Other tasks on the worker cannot wait longer than their class allows, so the
    longest run of the class is a bound. So is the time for which the broker lets a worker hold a message
    that is acknowledged late. But the soft limit is never below 1.2 times p99. After the soft limit a run
    gets SoftTimeLimitExceeded, time to clean up, and then SIGKILL
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#time-limits).

    A task that declares neither `runtime` nor `latency` gets no limit, because a guess must not kill a run. A
    task with only a latency class gets the longest run of that class plus a margin; `explain` and ROUTING.md
    mark such limits. The app gets only pinned limits, because others could contradict a limit in the
    decorator of an undeclared task. Celery refuses to send a task whose soft limit is above its hard limit.
    If a pin leaves such a pair, the compiled configuration drops the soft limit and logs it. Timeouts of
    workers and of the broker still need a longest run: `longest_run_seconds`.

    `null` means no limit. If `celery.settings` has a limit for all tasks, the worker's pool also applies it
    to a task without one. Tasks of other apps get no limits.

Example:
    tasks:
      shop.reports.yearly: {latency: batch, runtime: {p50: 40m, p99: 2h}}
      shop.backup: {}

    task:shop.reports.yearly/options.soft_time_limit = 13899
    task:shop.reports.yearly/options.time_limit = 16679
    task:shop.backup/longest_run_seconds = 432

Refuses:
    Nothing.

Parameters:
    `killed_healthy_runs`: the share of healthy runs that the soft limit may stop; 0.0001.
    `soft_over_p99`: the soft limit as a multiple of the 99th percentile, instead of that share; null.
    `hard_over_soft`: the hard limit as a multiple of the soft limit; 1.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, NamedTuple, TypeGuard

from pydantic import Field

from policycompiler.knowledge.brokers import broker
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.classes import DEFAULT_CLASS
from policycompiler.plan import (
    APP,
    Constant,
    Decision,
    Derived,
    Origin,
    Plan,
    Scope,
    Value,
    Written,
)
from policycompiler.policies.policy import class_bound, parameter
from policycompiler.quantities import duration
from policycompiler.runs import run_times

NAME = "time-limits"


SHORTEST_CLEANUP_SECONDS = 5
"""A rollback and a log line need a few seconds, even in a short task."""
_SHORTEST_CLEANUP = Constant("SHORTEST_CLEANUP_SECONDS", SHORTEST_CLEANUP_SECONDS)
LEAST_SOFT_OVER_P99 = 1.2
"""For runs that all take about equally long: a busy machine is slower by a fifth."""
NO_LIMIT = 0
"""For messages to another app, whose own limits apply; Celery would replace null by this app's limit."""

SOFT, HARD = "options.soft_time_limit", "options.time_limit"
APP_SOFT, APP_HARD = "task_soft_time_limit", "task_time_limit"


class Parameters(PolicyParameters):
    """What a policy file may set."""

    killed_healthy_runs: Annotated[float, Field(gt=0, le=0.01)] = Field(
        0.0001,
        description="share of healthy runs that the soft limit may stop; the limit is for runs that hang",
    )
    soft_over_p99: Annotated[float, Field(ge=1, le=10)] | None = Field(
        None, description="soft limit as a multiple of the 99th percentile, instead of a share of the runs"
    )
    hard_over_soft: Annotated[float, Field(ge=1, le=10)] = Field(
        1.2, description="hard limit as a multiple of the soft limit; larger work takes longer to clean up"
    )


class _Limit(NamedTuple):
    """A limit that follows from a declaration, or from the default for it."""

    seconds: float
    because: str
    origins: tuple[Origin, ...]


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """The limits of every task that runs here, and the longest run of all others for timeouts."""
    for name in spec.tasks:
        scope = Scope("task", name)
        if plan.value(scope, "external"):
            yield from _of_another_app(plan, scope)
            continue
        yield from _decided(spec, plan, scope, tuned)
    yield _of_app(spec, plan, tuned)


def _of_another_app(plan: Plan, scope: Scope) -> Iterator[Decision]:
    """A message carries the limits of its publisher, but this app's limits do not apply to another app."""
    for key, app_wide in ((SOFT, APP_SOFT), (HARD, APP_HARD)):
        if plan.find(scope, key) is None and _seconds(plan, APP, app_wide) is not None:
            because = "another app runs the task and applies its own limits"
            origins = (Derived(scope, "external"), Constant("NO_LIMIT", NO_LIMIT))
            yield Decision(scope, key, NO_LIMIT, because, origins)


def _decided(spec: Workload, plan: Plan, scope: Scope, tuned: Parameters) -> Iterator[Decision]:
    """The limits that are not pinned, so that both agree; none if no run time and no class is declared."""
    task = spec.tasks[scope.name]
    measured = task.runtime is not None
    expected = _of_runs(spec, plan, scope, tuned)
    if expected is None:
        expected = _of_class(spec, plan.text(scope, "latency"), tuned)
    expected = _held(plan, scope, expected)
    soft_pin, hard_pin = plan.find(scope, SOFT), plan.find(scope, HARD)
    soft, hard = _seconds(plan, scope, SOFT), _seconds(plan, scope, HARD)
    declared = measured or task.latency is not None
    if soft_pin is None and declared and (measured or hard_pin is None or hard is not None):
        decided = (
            expected if hard is None else _below_hard(plan, scope, hard, expected, tuned, measured=measured)
        )
        soft = decided.seconds
        yield Decision(scope, SOFT, *decided)
    highest = _highest(scope, expected, soft, tuned)
    if hard_pin is None and declared:
        hard = highest.seconds
        yield Decision(scope, HARD, *highest)
    if declared and not measured and hard_pin is None:
        because = "the task declares no run time, so its limits follow from its latency class"
        yield Decision(scope, "limits_assumed", value=True, because=because, origins=expected.origins)
    yield _longest_run(plan, scope, HARD, hard, highest)


def _of_runs(spec: Workload, plan: Plan, scope: Scope, tuned: Parameters) -> _Limit | None:
    """The soft limit by the tail of the run times."""
    p99, p50 = (plan.number_if_any(scope, f"runtime_{key}_seconds") for key in ("p99", "p50"))
    if p99 is None:
        return None
    runs = run_times(p50, p99)
    origins: tuple[Origin, ...] = (Derived(scope, "runtime_p99_seconds"),)
    if p50 is not None:
        origins = (Derived(scope, "runtime_p50_seconds"), *origins)
    if tuned.soft_over_p99 is not None:
        soft = math.ceil(p99 * tuned.soft_over_p99)
        because = "a run far beyond the 99th percentile hangs"
        origins += (parameter(NAME, "soft_over_p99", tuned.soft_over_p99),)
    else:
        latency = plan.text(scope, "latency")
        allowed = spec.latency_classes[latency].runtime_p99_limit_seconds
        why = f"latency class `{latency}` allows runs of {duration(allowed)}"
        bounds: tuple[Origin, ...] = (class_bound(latency, "runtime_p99_limit", allowed),)
        patience, least = _patience(spec, plan, scope), p99 * LEAST_SOFT_OVER_P99
        if patience is not None and least <= _below(patience.seconds, tuned) < allowed:
            allowed, why = _below(patience.seconds, tuned), patience.because
            bounds += patience.origins
        tail = runs.exceeded_by(tuned.killed_healthy_runs)
        soft = math.ceil(max(least, min(tail, allowed)))
        because = "a run that takes this long hangs"
        if tail > max(least, allowed):
            because = why
        # Also bounds that do not apply now: with another run time they may.
        origins += (parameter(NAME, "killed_healthy_runs", tuned.killed_healthy_runs), *bounds)
        if soft == math.ceil(least):
            origins += (Constant("LEAST_SOFT_OVER_P99", LEAST_SOFT_OVER_P99),)
    rate = _rate(runs.share_over(soft), tuned)
    return _Limit(soft, f"{because}, and {rate} healthy runs take longer", origins)


def _held(plan: Plan, scope: Scope, expected: _Limit) -> _Limit:
    """A run that waits in its slot for its turn to call a dependency spends part of its limit there."""
    called = plan.texts(scope, "calls") if plan.find(scope, "calls") else []
    holds = [Derived(Scope("dependency", name), "hold_seconds") for name in called]
    holds = [hold for hold in holds if plan.find(hold.scope, hold.key) is not None]
    if not holds:
        return expected
    seconds = sum(plan.number(hold.scope, hold.key) for hold in holds)
    because = f"{expected.because}; a run may wait {duration(seconds)} in its slot for its turn"
    return _Limit(math.ceil(expected.seconds + seconds), because, (*expected.origins, *holds))


def _patience(spec: Workload, plan: Plan, scope: Scope) -> _Limit | None:
    """How long the broker lets a worker hold a message of this task, if the run must end within that time."""
    if not plan.get(scope, "options.acks_late", plan.value(scope, "idempotent")):
        return None
    known = plan.find(Scope("queue", plan.text(scope, "queue")), "consumer_timeout_seconds")
    if known is not None:
        because = "RabbitMQ lets a worker hold a message only slightly longer"
        return _Limit(plan.number(known.scope, known.key), because, (Derived(known.scope, known.key),))
    pinned, transport = spec.broker.visibility_timeout, plan.text(APP, "broker_transport")
    if pinned is not None and broker(transport).redelivery is not None:
        because = "the pinned visibility timeout is only slightly longer"
        return _Limit(pinned, because, (Written(("broker", "visibility_timeout")),))
    return None


def _below(seconds: float, tuned: Parameters) -> float:
    """The soft limit whose hard limit is just below this time."""
    return math.floor(min((seconds - 1) / tuned.hard_over_soft, seconds - 1 - SHORTEST_CLEANUP_SECONDS))


def _rate(share: float, tuned: Parameters) -> str:
    least = tuned.killed_healthy_runs
    if share <= least:
        return f"fewer than 1 in {round(1 / least):,}"
    one_in = 1 / share
    digits = 1 - math.floor(math.log10(one_in))
    return f"about 1 in {round(one_in, digits):,.0f}"


def _of_class(spec: Workload, latency: str, tuned: Parameters) -> _Limit:
    """The soft limit without declared run times: never shorter than the longest run of the class."""
    allowed = spec.latency_classes[latency].runtime_p99_limit_seconds
    margin: Origin = Constant("LEAST_SOFT_OVER_P99", LEAST_SOFT_OVER_P99)
    over = LEAST_SOFT_OVER_P99
    if tuned.soft_over_p99 is not None:
        over, margin = tuned.soft_over_p99, parameter(NAME, "soft_over_p99", tuned.soft_over_p99)
    because = f"no run time is declared, so the longest run of class `{latency}` plus a margin applies"
    origin = class_bound(latency, "runtime_p99_limit", allowed)
    return _Limit(math.ceil(allowed * over), because, (origin, margin))


def _below_hard(
    plan: Plan, scope: Scope, hard: float, expected: _Limit, tuned: Parameters, *, measured: bool
) -> _Limit:
    """A pinned hard limit changes the soft limit only where that would be too late."""
    margin = parameter(NAME, "hard_over_soft", tuned.hard_over_soft)
    origin = Derived(scope, HARD)
    below = min(hard, max(1, math.floor(hard / tuned.hard_over_soft)))
    if measured and expected.seconds <= below and expected.seconds < hard:
        return expected
    if below == hard:
        return _Limit(
            below, "the pinned hard time limit is too short to leave time to clean up", (origin, margin)
        )
    p99 = plan.number_if_any(scope, "runtime_p99_seconds")
    if p99 is not None and below < p99 < hard:
        because = "a healthy run may take its 99th percentile, which is below the pinned hard time limit"
        return _Limit(p99, because, (origin, Derived(scope, "runtime_p99_seconds")))
    return _Limit(below, "this leaves time to clean up before the pinned hard time limit", (origin, margin))


def _highest(scope: Scope, expected: _Limit, soft: float | None, tuned: Parameters) -> _Limit:
    """The hard limit above the soft limit, or above the default for it; a pin can only raise it."""
    because = "the task gets time to clean up after its soft time limit before its process is killed"
    if soft is not None and soft >= expected.seconds:
        hard, margin = _hard_above(soft, tuned)
        return _Limit(hard, because, (Derived(scope, SOFT), margin))
    hard, margin = _hard_above(expected.seconds, tuned)
    return _Limit(hard, because, (*expected.origins, margin))


def _hard_above(soft: float, tuned: Parameters) -> tuple[float, Origin]:
    by_share, by_floor = math.ceil(soft * tuned.hard_over_soft), soft + SHORTEST_CLEANUP_SECONDS
    if by_floor > by_share:
        return by_floor, _SHORTEST_CLEANUP
    return by_share, parameter(NAME, "hard_over_soft", tuned.hard_over_soft)


def _longest_run(plan: Plan, scope: Scope, hard_key: str, hard: float | None, assumed: _Limit) -> Decision:
    """The longest run for timeouts: the hard limit, or the default if none is set."""
    key = "longest_run_seconds"
    if hard is not None:
        because = "the hard time limit ends a run"
        return Decision(scope, key, hard, because, (Derived(scope, hard_key),))
    of_app = _seconds(plan, APP, APP_HARD)
    if of_app is not None:
        because = "the pool applies the hard time limit of the app to a task without its own"
        return Decision(scope, key, of_app, because, (Derived(APP, APP_HARD),))
    workers = plan.get(scope, "workers", [])
    assert isinstance(workers, list)
    limits = [Derived(Scope("worker", str(name)), "time_limit") for name in workers]
    if limits and all(_seconds(plan, limit.scope, limit.key) for limit in limits):
        longest = max(limits, key=lambda limit: plan.number(limit.scope, limit.key))
        because = "the task has no hard time limit, and its workers apply theirs"
        return Decision(scope, key, plan.number(longest.scope, longest.key), because, tuple(limits))
    because = "the task has no hard time limit, so timeouts assume the longest expected run plus a margin"
    return Decision(scope, key, assumed.seconds, because, assumed.origins)


def _of_app(spec: Workload, plan: Plan, tuned: Parameters) -> Decision:
    """The longest run of an undeclared task, for timeouts; its limits are the pinned ones."""
    expected = _of_class(spec, DEFAULT_CLASS, tuned)
    soft = _seconds(plan, APP, APP_SOFT) or 0
    origins: tuple[Origin, ...] = expected.origins if soft <= expected.seconds else (Derived(APP, APP_SOFT),)
    hard, margin = _hard_above(max(soft, expected.seconds), tuned)
    assumed = _Limit(hard, "", (*origins, margin))
    return _longest_run(plan, APP, APP_HARD, _seconds(plan, APP, APP_HARD), assumed)


def _seconds(plan: Plan, scope: Scope, key: str) -> float | None:
    """A limit, if it is a number of seconds."""
    value = plan.get(scope, key)
    return value if _is_seconds(value) else None


def _is_seconds(value: Value) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
