"""Alerts on schedules: beat has sent no task, or the task of a schedule has not started."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from policycompiler.knowledge.crontab import gaps
from policycompiler.plan import APP, BEAT, Decision, Derived, Plan, Scope
from policycompiler.policies.watching.alerts.alert import (
    PAGE,
    TICKET,
    Choice,
    constant,
    decide,
    minutes,
    span,
)
from policycompiler.policies.watching.alerts.first_steps import read_log, start_beat
from policycompiler.policies.watching.alerts.tuned import Parameters, origin
from policycompiler.quantities import duration

LOOK_BACK_SECONDS = 600
"""A sent task counts for this long. `for` starts with the first evaluation, so a new schedule has time."""
DST_SECONDS = 3600
"""A day has one more hour when the clocks of a zone go back."""
LONGEST_GAP_SECONDS = 8 * 86400
"""A week and a day: by default, Prometheus keeps two weeks of data."""

_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


class Watched(NamedTuple):
    """A schedule, the name and the entry of its task, and the longest time between two sends in seconds."""

    scope: Scope
    name: str
    task: Scope
    gap: float
    timing: Derived


def watched_schedules(plan: Plan) -> list[Watched]:
    """Schedules whose sends celery-exporter sees: not solar, and with gaps of eight days at most."""
    found = []
    for scope in plan.scopes("schedule"):
        name = plan.text(scope, "task")
        task = plan.entry(name)
        if task is None:
            continue
        key = next((key for key in ("cron", "every_seconds") if plan.find(scope, key)), None)
        gap = _gap(plan, scope)
        heard = plan.get(task, "options.send_events") is not False and not plan.get(task, "external")
        if key is not None and gap is not None and gap <= LONGEST_GAP_SECONDS and heard:
            found.append(Watched(scope, name, task, gap, Derived(scope, key)))
    return found


def _gap(plan: Plan, schedule: Scope) -> float | None:
    every = plan.number_if_any(schedule, "every_seconds")
    cron = plan.get(schedule, "cron")
    if every is not None or not isinstance(cron, dict):
        return every
    found = gaps(" ".join(str(cron.get(field, "*")) for field in _FIELDS))
    if found is None:
        return None
    return found.longest + (DST_SECONDS if _changes_clocks(str(plan.get(schedule, "timezone", "UTC"))) else 0)


def _changes_clocks(zone: str) -> bool:
    offsets = {datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).utcoffset() for month in range(1, 13)}
    return len(offsets) > 1


def beat_down(plan: Plan, schedules: list[Watched], tuned: Parameters) -> Iterator[Decision]:
    """No scheduled task was sent for longer than the most frequent schedule allows."""
    soonest = min(schedules, key=lambda each: (each.gap, each.scope))
    slack = (soonest.timing, origin(tuned, "schedule_slack"))
    silence = minutes(soonest.gap + tuned.schedule_slack)
    names = sorted({each.name for each in schedules})
    choices = {
        "severity": constant("PAGE", PAGE, "beat no longer sends any scheduled task"),
        "for_seconds": Choice(
            silence,
            (
                f"schedule {soonest.scope.name} is due at least every {duration(soonest.gap)}, "
                f"and may be {duration(tuned.schedule_slack)} late"
            ),
            slack,
        ),
        "window_seconds": _look_back(),
        "tasks": Choice(
            [*names],
            "beat sends these tasks on a schedule",
            tuple(Derived(each.scope, "task") for each in schedules),
        ),
    }
    description = (
        f"No scheduled task was sent for {span(choices['for_seconds'])}, but schedule "
        f"{soonest.scope.name} is due every {duration(minutes(soonest.gap))}. {start_beat(plan)}"
    )
    summary = f"{plan.text(APP, 'service')}: beat sends no tasks"
    yield from decide(plan, "CeleryBeatDown", None, choices, summary, description, tuned)


def missed(plan: Plan, each: Watched, tuned: Parameters) -> Iterator[Decision]:
    """The task of a schedule has not started for longer than its schedule and its queue allow."""
    queue = Scope("queue", plan.text(each.task, "queue"))
    options = plan.get(each.scope, "options")
    countdown = options.get("countdown") if isinstance(options, dict) else None
    late = plan.number(queue, "queue_wait_seconds") + tuned.schedule_slack
    late += countdown if isinstance(countdown, int | float) else 0
    wait = Derived(queue, "queue_wait_seconds")
    silence = Choice(
        minutes(each.gap + late),
        f"beat sends the task at least every {duration(each.gap)}, and a run starts within {duration(late)}",
        (each.timing, wait, origin(tuned, "schedule_slack")),
    )
    choices = {
        "severity": constant("TICKET", TICKET, "only one scheduled task is late"),
        "for_seconds": silence,
        "window_seconds": _look_back(),
        "task": Choice(each.name, "the schedule sends this task", (Derived(each.scope, "task"),)),
        "schedule": Choice(
            each.scope.name, "the alert is about this schedule", (Derived(each.scope, "task"),)
        ),
    }
    workers = [Scope("worker", name) for name in plan.texts(queue, "workers")]
    where = read_log(plan, workers).replace("First:", "Then:") if workers else ""
    description = (
        f"Task {each.name} of schedule {each.scope.name} has not started for {span(silence)}. "
        f"{start_beat(plan)} {where}"
    ).strip()
    summary = f"Schedule {each.scope.name} has not run"
    yield from decide(
        plan,
        "CeleryScheduleMissed",
        queue,
        choices,
        summary,
        description,
        tuned,
        about=(each.scope, each.task),
    )


def _look_back() -> Choice:
    return constant(
        "LOOK_BACK_SECONDS", LOOK_BACK_SECONDS, "several scrapes fit in it, so no sent task is missed"
    )


def has_beat(plan: Plan) -> bool:
    """Whether beat of this service sends schedules, and events report it."""
    return bool(plan.keys(BEAT)) and plan.get(APP, "task_send_sent_event") is True
