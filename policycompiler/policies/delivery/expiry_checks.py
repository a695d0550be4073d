"""Runs that expire before they can start.

Decides:
    Nothing.

Because:
    An expiry counts from the send. A worker that takes an expired message drops it without running it, so a
    countdown that is not shorter lets no run start. A latency class says how long a task may wait in its
    queue: a shorter expiry drops runs that are on time
    (https://docs.celeryq.dev/en/stable/userguide/calling.html#expiration).

Example:
    tasks: {shop.cart.remind: {expires: 1m, max_countdown: 10m}}

    refuses expires-before-countdown

Refuses:
    PC265 expires-before-countdown: let it expire after the countdown, or shorten the countdown.
        fires: tasks: {shop.a: {expires: 1m, max_countdown: 10m}}
        silent: tasks: {shop.a: {expires: 11m, max_countdown: 10m}}
    PC266 expires-within-promise: let it expire later, or choose a shorter latency class.
        fires:
            tasks: {shop.a: {latency: batch}}
            schedules: {s: {task: shop.a, every: 1h, expires: 10s}}
        silent:
            tasks: {shop.a: {latency: batch}}
            schedules: {s: {task: shop.a, every: 1h, expires: 15m}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.model import Schedule, Workload
from policycompiler.plan import Plan, Scope

NAME = "expiry-checks"

EXPIRES_BEFORE_COUNTDOWN = error("PC265", "expires-before-countdown")
EXPIRES_WITHIN_PROMISE = warning("PC266", "expires-within-promise")


class _Sent(NamedTuple):
    """Something that is sent with an expiry: its name, when it is due, where it goes, and who says so."""

    name: str
    expires: float
    expires_path: SpecPath
    countdown: float
    countdown_path: SpecPath
    task: Scope | None
    queue: str | None


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each expiry that is written, of tasks and of schedules."""
    for name in spec.tasks:
        scope = Scope("task", name)
        expires, path = plan.number_if_any(scope, "options.expires"), plan.written(scope, "options.expires")
        if expires is None or path is None or plan.value(scope, "external"):
            continue
        delay = plan.number_if_any(scope, "max_countdown_seconds") or 0
        delay_path = plan.written(scope, "max_countdown_seconds") or ()
        queue = plan.text(scope, "queue")
        yield from _too_soon(plan, _Sent(name, expires, path, delay, delay_path, scope, queue))
    for name, schedule in sorted(spec.schedules.items()):
        if plan.find(Scope("schedule", name), "task") is not None:
            yield from _of_schedule(spec, plan, name, schedule)


def _of_schedule(spec: Workload, plan: Plan, name: str, schedule: Schedule) -> Iterator[Diagnostic]:
    options, path = schedule.options, ("schedules", name)
    expires = schedule.expires
    expires_path: SpecPath = (*path, "expires")
    if expires is None and options is not None:
        expires, expires_path = options.expires, (*path, "options", "expires")
    if expires is None:
        return
    globs = [name for name in spec.tasks if "*" in name and fnmatchcase(schedule.task, name)]
    entries = [schedule.task] if schedule.task in spec.tasks else globs
    task = Scope("task", entries[0]) if entries else None
    queue = options.queue if options is not None else None
    if queue is None and task is not None:
        queue = plan.text(task, "queue")
    countdown = (options.countdown if options is not None else None) or 0
    delay_path = (*path, "options", "countdown")
    yield from _too_soon(
        plan, _Sent(f"schedule {name}", expires, expires_path, countdown, delay_path, task, queue)
    )


def _too_soon(plan: Plan, sent: _Sent) -> Iterator[Diagnostic]:
    declared = sent.task is not None and plan.written(sent.task, "latency") is not None
    wait = (
        plan.number_if_any(Scope("queue", sent.queue), "queue_wait_seconds") if sent.queue and declared else 0
    )
    if sent.countdown >= sent.expires:
        message = (
            f"{sent.name} expires after {sent.expires:g} s, but may be sent with a countdown of "
            f"{sent.countdown:g} s: such a run never starts"
        )
        related = (Related(sent.countdown_path, f"a countdown of {sent.countdown:g} s"),)
        help_text = f"let it expire after more than {sent.countdown:g} s, or shorten the countdown"
        yield EXPIRES_BEFORE_COUNTDOWN.at(sent.expires_path, message, help=help_text, related=related)
    elif wait and sent.task is not None and sent.expires - sent.countdown < wait:
        left = sent.expires - sent.countdown
        latency = plan.text(sent.task, "latency")
        message = (
            f"{sent.name} expires {left:g} s after it is due, but class `{latency}` lets it wait {wait:g} s: "
            "a run that is on time is dropped"
        )
        related = (Related(("tasks", sent.task.name, "latency"), f"class `{latency}`"),)
        help_text = (
            f"let it expire after {sent.countdown + wait:g} s or more, or choose a shorter latency class"
        )
        yield EXPIRES_WITHIN_PROMISE.at(sent.expires_path, message, help=help_text, related=related)
