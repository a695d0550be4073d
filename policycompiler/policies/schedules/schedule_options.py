"""The options of scheduled tasks, and when a waiting run expires.

Decides:
    For each enabled schedule with options: `schedule:NAME/options`, with `expires` in seconds after the send.

Because:
    After an outage all runs that beat has sent are waiting. If the next run follows soon, only the last one
    matters. A run therefore expires shortly before the next one, or with its task if that is sooner. Some
    crontabs get no expiry. A nightly run is useful even when late, and no run soon follows the last run
    before a long gap. Beat counts the expiry from the send, so the countdown is added. The expiry is never
    shorter than the wait that a declared latency class allows. On RabbitMQ an expired message becomes a
    dead letter if the queue has a dead-letter queue
    (https://docs.celeryq.dev/en/stable/userguide/calling.html#expiration).

Example:
    tasks: {shop.cart.sweep: {}, shop.reports.nightly: {}}
    schedules:
      sweep: {task: shop.cart.sweep, every: 10m}
      quarter: {task: shop.cart.sweep, cron: "*/15 * * * *", options: {queue: shop.standard.io}}
      later: {task: shop.reports.nightly, every: 10m, options: {countdown: 600}}

    schedule:sweep/options = {"expires": 540}
    schedule:later/options = {"countdown": 600, "expires": 1140}
    schedule:quarter/options = {"expires": 810, "queue": "shop.standard.io"}

Refuses:
    PC507 expires-twice: remove one of the two expiries.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h, expires: 5m, options: {expires: 60}}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h, expires: 5m}}
    PC509 schedule-limit-above-task: lower the limit, or declare the longer run time for the task.
        fires:
            tasks: {shop.a: {options: {time_limit: 50}}}
            schedules: {s: {task: shop.a, every: 1h, options: {time_limit: 60}}}
        silent:
            tasks: {shop.a: {options: {time_limit: 50}}}
            schedules: {s: {task: shop.a, every: 1h, options: {time_limit: 50}}}
    PC510 beat-expires: add `expires:`, the time after which a run is useless.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "*/5 9-17 * * *"}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "*/5 9-17 * * *", expires: 5m}}
    PC511 expires-over-interval: let a run expire before the next one is due.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 5m, expires: 1h}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 5m, expires: 5m}}

Parameters:
    `expires_over_interval`: the expiry as a share of the time to the next run; 0.9.
    `longest_crontab_gap`: a crontab with more time between runs gets no expiry; 1h.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.knowledge.crontab import Gaps, gaps, is_flood
from policycompiler.model import PolicyParameters, Schedule, Workload
from policycompiler.model.units import PositiveDuration
from policycompiler.plan import Decision, Derived, Origin, Plan, Scope, Value, Written
from policycompiler.policies.policy import parameter
from policycompiler.quantities import duration

NAME = "schedule-options"

EXPIRES_TWICE = error("PC507", "expires-twice")
SCHEDULE_LIMIT_ABOVE_TASK = error("PC509", "schedule-limit-above-task")
BEAT_EXPIRES = warning("PC510", "beat-expires")
EXPIRES_OVER_INTERVAL = warning("PC511", "expires-over-interval")

EVEN = 2
"""With a longest gap up to twice the shortest, the next run follows each run soon enough."""
SHORTEST_EXPIRY_SECONDS = 1
"""Celery counts whole seconds, so no expiry is shorter than an interval of 1 s."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    expires_over_interval: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9, description="expiry of a run as a share of the time to the next run"
    )
    longest_crontab_gap: PositiveDuration = Field(
        3600, description="a crontab with more time between runs gets no expiry: late runs are useful"
    )


class _Expiry(NamedTuple):
    seconds: int | float
    because: str
    origins: tuple[Origin, ...]


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide the options of each schedule, and an expiry if none is declared and one is safe."""
    for name, schedule in sorted(spec.schedules.items()):
        scope, path = Scope("schedule", name), ("schedules", name)
        task = plan.entry(schedule.task)
        if schedule.expires is not None and schedule.options and schedule.options.expires is not None:
            related = (Related((*path, "expires"), "also set here"),)
            where = (*path, "options", "expires")
            message = f"schedule {name} sets `expires` twice"
            yield EXPIRES_TWICE.at(where, message, help="remove one of the two expiries", related=related)
        if task is not None:
            yield from _limits(plan, task, schedule, path)
        if plan.find(scope, "task") is None:
            continue
        apart = _apart(schedule)
        yield from _expiry_findings(plan, schedule, apart, tuned, path, task)
        yield from _decided(plan, scope, schedule, apart, tuned, task)


def _apart(schedule: Schedule) -> Gaps | None:
    """Seconds between its runs, if they can be computed."""
    if schedule.every is not None:
        seconds = math.ceil(schedule.every)
        return Gaps(seconds, seconds)
    return gaps(schedule.cron) if schedule.cron is not None else None


def _limits(plan: Plan, task: Scope, schedule: Schedule, path: SpecPath) -> Iterator[Diagnostic]:
    """Time limits of the schedule above the longest run that stops and timeouts wait for."""
    longest = plan.number_if_any(task, "longest_run_seconds")
    for key in ("soft_time_limit", "time_limit"):
        limit = getattr(schedule.options, key, None)
        if limit is not None and longest is not None and limit > longest:
            message = (
                f"`{key}` is {duration(limit)}, but stops and timeouts assume runs of "
                f"{duration(longest)} at most"
            )
            related = (Related(("tasks", task.name), f"runs of {duration(longest)} at most"),)
            help_text = f"lower `{key}`, or declare the longer run time for {task.name}"
            where = (*path, "options", key)
            yield SCHEDULE_LIMIT_ABOVE_TASK.at(where, message, help=help_text, related=related)


def _written(schedule: Schedule, path: SpecPath) -> tuple[int | float, SpecPath] | None:
    if schedule.expires is not None:
        return schedule.expires, (*path, "expires")
    if schedule.options is not None and schedule.options.expires is not None:
        return schedule.options.expires, (*path, "options", "expires")
    return None


def _countdown(schedule: Schedule) -> int | float:
    """Seconds from the send until a run is due."""
    return (schedule.options.countdown if schedule.options is not None else None) or 0


def _wait(plan: Plan, schedule: Schedule, task: Scope | None) -> Derived | None:
    """How long a run may wait in its queue, if its task declares a latency class."""
    if task is None or plan.written(task, "latency") is None:
        return None
    named = schedule.options.queue if schedule.options is not None else None
    return Derived(Scope("queue", named or plan.text(task, "queue")), "queue_wait_seconds")


def _expiry_findings(
    plan: Plan,
    schedule: Schedule,
    apart: Gaps | None,
    tuned: Parameters,
    path: SpecPath,
    task: Scope | None,
) -> Iterator[Diagnostic]:
    if apart is None:
        return
    written = _written(schedule, path)
    if written is not None:
        left = written[0] - _countdown(schedule)
        if left > apart.longest:
            runs = math.floor(left / apart.longest) + 1
            message = (
                f"a run expires after {duration(written[0])}, but the next one is due within "
                f"{duration(apart.longest)}: after an outage, up to {runs} runs follow one another"
            )
            kind = "cron" if schedule.cron is not None else "every"
            related = (Related((*path, kind), f"at most {duration(apart.longest)} between two runs"),)
            sooner = _before(apart.longest, tuned) + _countdown(schedule)
            help_text = f"let a run expire before the next one, for instance after {duration(sooner)}"
            yield EXPIRES_OVER_INTERVAL.at(written[1], message, help=help_text, related=related)
    elif (
        schedule.cron is not None
        and apart.shortest <= tuned.longest_crontab_gap
        and not _is_even(apart)
        and _of_task(plan, task) is None
        # For one run a day, the author needs another crontab, not an expiry.
        and not is_flood(schedule.cron)
    ):
        between = f"{duration(apart.shortest)} to {duration(apart.longest)}"
        yield _never_expires(between, (*path, "cron"))
    elif (
        plan.as_is(Scope("schedule", str(path[-1])))
        and _of_task(plan, task) is None
        # Policies that may decide would give it this expiry.
        and _expiry(plan, schedule, apart, tuned, path, task) is not None
    ):
        kind = "cron" if schedule.cron is not None else "every"
        yield _never_expires(duration(apart.shortest), (*path, kind))


def _never_expires(between: str, path: SpecPath) -> Diagnostic:
    message = (
        f"runs are {between} apart and never expire: after an outage, all waiting runs follow one another"
    )
    return BEAT_EXPIRES.at(path, message, help="add `expires:`, the time after which a run is useless")


def _decided(
    plan: Plan,
    scope: Scope,
    schedule: Schedule,
    apart: Gaps | None,
    tuned: Parameters,
    task: Scope | None,
) -> Iterator[Decision]:
    path: SpecPath = ("schedules", scope.name)
    options: dict[str, Value] = {}
    origins: tuple[Origin, ...] = ()
    because = "the schedule declares its options"
    if schedule.options is not None:
        options = schedule.options.model_dump(exclude_none=True)
        origins = (Written((*path, "options")),)
    if schedule.expires is not None:
        options = {**options, "expires": schedule.expires}
        origins += (Written((*path, "expires")),)
    elif "expires" not in options:
        expiry = None if plan.as_is(scope) else _expiry(plan, schedule, apart, tuned, path, task)
        if expiry is not None:
            options = {**options, "expires": expiry.seconds}
            because, origins = expiry.because, origins + expiry.origins
    if options:
        yield Decision(scope, "options", options, because, origins)


def _expiry(
    plan: Plan,
    schedule: Schedule,
    apart: Gaps | None,
    tuned: Parameters,
    path: SpecPath,
    task: Scope | None,
) -> _Expiry | None:
    if apart is None or apart.shortest <= SHORTEST_EXPIRY_SECONDS or not _is_even(apart):
        return None
    origins: tuple[Origin, ...]
    if schedule.cron is not None:
        if apart.shortest > tuned.longest_crontab_gap:
            return None
        origins = (
            Written((*path, "cron")),
            parameter(NAME, "longest_crontab_gap", tuned.longest_crontab_gap),
        )
    else:
        origins = (Written((*path, "every")),)
    seconds: int | float = _before(apart.shortest, tuned)
    of_task = _of_task(plan, task)
    wait = _wait(plan, schedule, task)
    if of_task is not None and plan.number(of_task.scope, of_task.key) < seconds + _countdown(schedule):
        # The expiry that beat sends overrides the expiry of the task.
        own = plan.number(of_task.scope, of_task.key)
        return _Expiry(own, "the task declares this expiry", (of_task,))
    because = "the next run replaces a run that has waited for a whole interval"
    origins += (parameter(NAME, "expires_over_interval", tuned.expires_over_interval),)
    if wait is not None and plan.number(wait.scope, wait.key) > seconds:
        seconds = plan.number(wait.scope, wait.key)
        because = f"the queue's latency target lets a run wait {duration(seconds)}"
        origins += (wait,)
    if countdown := _countdown(schedule):
        seconds, because = seconds + countdown, f"{because}, after a countdown of {duration(countdown)}"
        origins += (Written((*path, "options", "countdown")),)
    return _Expiry(seconds, because, origins)


def _of_task(plan: Plan, task: Scope | None) -> Derived | None:
    """The expiry of the task itself."""
    expires = task is not None and plan.number_if_any(task, "options.expires")
    return Derived(task, "options.expires") if task is not None and expires else None


def _is_even(apart: Gaps) -> bool:
    return apart.longest <= EVEN * apart.shortest


def _before(seconds: int, tuned: Parameters) -> int:
    return max(SHORTEST_EXPIRY_SECONDS, math.floor(seconds * tuned.expires_over_interval))
