"""Runs that expire before they can start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import Plan, Scope, Written
from policycompiler.quantities import duration

_DECLARED = {"options", "expires"}


class _Sent(NamedTuple):
    """A task or schedule with an expiry: its name, when it is due, its queue, and the settings for these."""

    name: str
    settings: tuple[tuple[Scope, str], ...]
    expires: float
    expires_path: SpecPath
    countdown: float
    countdown_path: SpecPath
    task: Scope | None
    queue: str | None


def expiries(plan: Plan) -> Iterator[Hazard]:
    """Each declared expiry, of tasks and of schedules."""
    for task in plan.scopes("task"):
        expires, path = plan.number_if_any(task, "options.expires"), plan.written(task, "options.expires")
        if expires is None or path is None or plan.get(task, "external"):
            continue
        delay = plan.number_if_any(task, "max_countdown_seconds") or 0
        delay_path = plan.written(task, "max_countdown_seconds") or ()
        settings = ((task, "options.expires"), (task, "max_countdown_seconds"), (task, "latency"))
        queue = plan.text(task, "queue")
        yield from _too_soon(plan, _Sent(task.name, settings, expires, path, delay, delay_path, task, queue))
    for schedule in plan.scopes("schedule"):
        if plan.find(schedule, "task") is not None:
            yield from _of_schedule(plan, schedule)


def _of_schedule(plan: Plan, schedule: Scope) -> Iterator[Hazard]:
    setting, path = plan.find(schedule, "options"), ("schedules", schedule.name)
    if setting is None or not isinstance(setting.value, dict) or "expires" not in setting.value:
        return
    written = [origin.path for origin in setting.origins if isinstance(origin, Written)]
    if len(written) < len(setting.origins) or any(each[-1] not in _DECLARED for each in written):
        return  # a policy has decided it
    expires_path = next((each for each in written if each[-1] == "expires"), (*path, "options", "expires"))
    task = plan.entry(plan.text(schedule, "task"))
    queue = setting.value.get("queue") or (None if task is None else plan.text(task, "queue"))
    countdown, expires = (setting.value.get(key) or 0 for key in ("countdown", "expires"))
    assert isinstance(countdown, int | float)
    assert isinstance(expires, int | float)
    settings: tuple[tuple[Scope, str], ...] = ((schedule, "options"),)
    if task is not None:
        settings = (*settings, (task, "latency"))
    sent = _Sent(
        f"schedule {schedule.name}",
        settings,
        expires,
        expires_path,
        countdown,
        (*path, "options", "countdown"),
        task,
        None if queue is None else str(queue),
    )
    yield from _too_soon(plan, sent)


def _too_soon(plan: Plan, sent: _Sent) -> Iterator[Hazard]:
    declared = sent.task is not None and plan.written(sent.task, "latency") is not None
    queue = Scope("queue", sent.queue or "")
    wait = plan.number_if_any(queue, "queue_wait_seconds") if sent.queue and declared else 0
    about = (sent.settings[0][0],)
    if sent.countdown >= sent.expires:
        message = (
            f"{sent.name} expires after {duration(sent.expires)}, but may be sent with a countdown of "
            f"{duration(sent.countdown)}: this run never starts"
        )
        related = (Related(sent.countdown_path, f"countdown {duration(sent.countdown)}"),)
        help_text = f"set an expiry of more than {duration(sent.countdown)}, or shorten the countdown"
        yield Hazard(
            "expires-before-countdown",
            sent.settings,
            message,
            help_text,
            sent.expires_path,
            related,
            about=about,
        )
    elif wait and sent.task is not None and sent.expires - sent.countdown < wait:
        left = sent.expires - sent.countdown
        latency = plan.text(sent.task, "latency")
        message = (
            f"{sent.name} expires {duration(left)} after it is due, but class `{latency}` lets it wait "
            f"{duration(wait)}: the worker also discards runs that are on time"
        )
        related = (Related(("tasks", sent.task.name, "latency"), f"latency class `{latency}`"),)
        least = duration(sent.countdown + wait)
        help_text = f"set an expiry of {least} or more, or choose a faster latency class"
        settings = (*sent.settings, (queue, "queue_wait_seconds"))
        yield Hazard(
            "expires-within-promise", settings, message, help_text, sent.expires_path, related, about=about
        )
