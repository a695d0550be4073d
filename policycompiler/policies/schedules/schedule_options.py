"""With what periodic tasks are sent, and when a run that waits is dropped.

Decides:
    Of each enabled schedule that has any: `schedule:NAME/options`, with `expires` in seconds from the send.

Because:
    After an outage every run that beat has sent meanwhile is waiting. Only the last one matters where the
    next one follows soon, so a run expires a little before that, or when its task does if that is sooner. A
    crontab that is due seldom or with gaps of very different lengths gets no expiry: a nightly run is worth
    running late, and the last run before a long gap has no next one to take its place. Beat counts the expiry
    from the send, so a countdown comes on top of it, and it is never shorter than the wait that a declared
    latency class allows. On RabbitMQ an expired
    message is a dead letter where the queue keeps those
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
    PC507 expires-twice: keep one of them.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h, expires: 5m, options: {expires: 60}}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h, expires: 5m}}
    PC509 schedule-limit-above-task: lower it, or declare the longer run time with the task.
        fires:
            tasks: {shop.a: {options: {time_limit: 50}}}
            schedules: {s: {task: shop.a, every: 1h, options: {time_limit: 60}}}
        silent:
            tasks: {shop.a: {options: {time_limit: 50}}}
            schedules: {s: {task: shop.a, every: 1h, options: {time_limit: 50}}}
    PC510 beat-expires: say when a run has become useless.
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
    `expires_over_interval`: the expiry over the time to the next run; 0.9.
    `longest_crontab_gap`: a crontab with more seconds between its runs is worth running late; 3600.
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
from policycompiler.plan import Decision, Derived, Origin, Parameter, Plan, Scope, Value, Written

NAME = "schedule-options"

EXPIRES_TWICE = error("PC507", "expires-twice")
SCHEDULE_LIMIT_ABOVE_TASK = error("PC509", "schedule-limit-above-task")
BEAT_EXPIRES = warning("PC510", "beat-expires")
EXPIRES_OVER_INTERVAL = warning("PC511", "expires-over-interval")

EVEN = 2
"""A longest gap up to twice the shortest: each run has a next one that takes its place soon enough."""
SHORTEST_EXPIRY_SECONDS = 1
"""Celery counts whole seconds here; an interval of one leaves no room below it."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    expires_over_interval: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9, description="expiry of a run over the time to the next one, which takes its place"
    )
    longest_crontab_gap: PositiveDuration = Field(
        3600, description="a crontab with more time between its runs is worth running late"
    )


class _Expiry(NamedTuple):
    seconds: int | float
    because: str
    origins: tuple[Origin, ...]


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Options of each schedule, with an expiry where none is declared and one is sound."""
    for name, schedule in sorted(spec.schedules.items()):
        scope, path = Scope("schedule", name), ("schedules", name)
        task = plan.entry(schedule.task)
        if schedule.expires is not None and schedule.options and schedule.options.expires is not None:
            related = (Related((*path, "expires"), "also given here"),)
            where = (*path, "options", "expires")
            yield EXPIRES_TWICE.at(
                where, "the expiry is given twice", help="keep one of them", related=related
            )
        if task is not None:
            yield from _limits(plan, task, schedule, path)
        if plan.find(scope, "task") is None:
            continue
        apart = _apart(schedule)
        yield from _expiry_findings(plan, schedule, apart, tuned, path, task)
        yield from _decided(plan, scope, schedule, apart, tuned, task)


def _apart(schedule: Schedule) -> Gaps | None:
    """Seconds between its runs, where that can be said."""
    if schedule.every is not None:
        seconds = math.ceil(schedule.every)
        return Gaps(seconds, seconds)
    return gaps(schedule.cron) if schedule.cron is not None else None


def _limits(plan: Plan, task: Scope, schedule: Schedule, path: SpecPath) -> Iterator[Diagnostic]:
    """Limits of the schedule's own that nobody would wait for."""
    longest = plan.number_if_any(task, "longest_run_seconds")
    for key in ("soft_time_limit", "time_limit"):
        limit = getattr(schedule.options, key, None)
        if limit is not None and longest is not None and limit > longest:
            message = f"a {key} of {limit:g} s, but stops and timeouts count on runs of at most {longest:g} s"
            related = (Related(("tasks", task.name), f"a run of at most {longest:g} s"),)
            help_text = "lower it, or declare the longer run time with the task"
            where = (*path, "options", key)
            yield SCHEDULE_LIMIT_ABOVE_TASK.at(where, message, help=help_text, related=related)


def _written(schedule: Schedule, path: SpecPath) -> tuple[int | float, SpecPath] | None:
    if schedule.expires is not None:
        return schedule.expires, (*path, "expires")
    if schedule.options is not None and schedule.options.expires is not None:
        return schedule.options.expires, (*path, "options", "expires")
    return None


def _countdown(schedule: Schedule) -> int | float:
    """Seconds from the send to the time when a run is due."""
    return (schedule.options.countdown if schedule.options is not None else None) or 0


def _wait(plan: Plan, schedule: Schedule, task: Scope | None) -> Derived | None:
    """How long a run may wait in its queue, where its task declares how long it may."""
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
                f"a run expires after {written[0]:g} s, but the next one is due within {apart.longest} s: "
                f"after an outage up to {runs} of them run one after the other"
            )
            kind = "cron" if schedule.cron is not None else "every"
            related = (Related((*path, kind), f"at most {apart.longest} s from one run to the next"),)
            sooner = _before(apart.longest, tuned) + _countdown(schedule)
            help_text = f"expire it before the next one, such as after {sooner:g} s"
            yield EXPIRES_OVER_INTERVAL.at(written[1], message, help=help_text, related=related)
    elif (
        schedule.cron is not None
        and apart.shortest <= tuned.longest_crontab_gap
        and not _is_even(apart)
        and _of_task(plan, task) is None
        # Somebody who meant one run a day needs another crontab, not an expiry.
        and not is_flood(schedule.cron)
    ):
        message = (
            f"runs are {apart.shortest} s to {apart.longest} s apart and none expires: after an outage all "
            "of them run one after the other"
        )
        help_text = "add `expires:`, after which a run is useless"
        yield BEAT_EXPIRES.at((*path, "cron"), message, help=help_text)


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
    because = "declared"
    if schedule.options is not None:
        options = schedule.options.model_dump(exclude_none=True)
        origins = (Written((*path, "options")),)
    if schedule.expires is not None:
        options = {**options, "expires": schedule.expires}
        origins += (Written((*path, "expires")),)
    elif "expires" not in options:
        expiry = _expiry(plan, schedule, apart, tuned, path, task)
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
        origins = (Written((*path, "cron")), _parameter("longest_crontab_gap", tuned.longest_crontab_gap))
    else:
        origins = (Written((*path, "every")),)
    seconds: int | float = _before(apart.shortest, tuned)
    of_task = _of_task(plan, task)
    wait = _wait(plan, schedule, task)
    if of_task is not None and plan.number(of_task.scope, of_task.key) < seconds + _countdown(schedule):
        # What beat says beats what the task says.
        own = plan.number(of_task.scope, of_task.key)
        return _Expiry(own, "its task is useless after this", (of_task,))
    because = "a run that has waited for its whole interval is followed by the next one"
    origins += (_parameter("expires_over_interval", tuned.expires_over_interval),)
    if wait is not None and plan.number(wait.scope, wait.key) > seconds:
        seconds, because = plan.number(wait.scope, wait.key), "its queue lets a run wait as long"
        origins += (wait,)
    if countdown := _countdown(schedule):
        seconds, because = seconds + countdown, f"{because}, and the countdown comes before it"
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


def _parameter(key: str, value: float) -> Parameter:
    return Parameter(("parameters", NAME, key), value)
