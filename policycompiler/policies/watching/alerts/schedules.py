"""Alerts on what runs periodically: beat has sent nothing, or a schedule's task has not run."""

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

LOOK_BACK_SECONDS = 600
"""A send shows for so long. The alert waits from its first evaluation on, so a new schedule has its time."""
DST_SECONDS = 3600
"""A day has an hour more when the clocks of a zone go back."""
LONGEST_GAP_SECONDS = 8 * 86400
"""A week and a day: Prometheus keeps no more than two weeks unless it is told to."""

_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


class Watched(NamedTuple):
    """A schedule, the task that it sends by name and by entry, and the longest seconds between two sends."""

    scope: Scope
    name: str
    task: Scope
    gap: float
    timing: Derived


def watched_schedules(plan: Plan) -> list[Watched]:
    """Those whose sends an exporter hears of, by name; not by the sun, and none that waits for a month."""
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
    """Nothing of any schedule was sent for longer than the most frequent one allows."""
    soonest = min(schedules, key=lambda each: (each.gap, each.scope))
    slack = (soonest.timing, origin(tuned, "schedule_slack"))
    silence = minutes(soonest.gap + tuned.schedule_slack)
    names = sorted({each.name for each in schedules})
    choices = {
        "severity": constant("PAGE", PAGE, "nothing periodic is sent any more"),
        "for_seconds": Choice(silence, f"{soonest.scope.name} is sent every {soonest.gap:g} s", slack),
        "window_seconds": _look_back(),
        "tasks": Choice(
            [*names], "what is sent on a schedule", tuple(Derived(each.scope, "task") for each in schedules)
        ),
    }
    description = (
        f"No periodic task has been sent for {span(choices['for_seconds'])}, and schedule "
        f"{soonest.scope.name} is due every {minutes(soonest.gap) // 60} min. {start_beat(plan)}"
    )
    summary = f"{plan.text(APP, 'service')}: beat sends nothing"
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
        f"it is sent every {each.gap:g} s at the latest, and starts within {late:g} s",
        (each.timing, wait, origin(tuned, "schedule_slack")),
    )
    choices = {
        "severity": constant("TICKET", TICKET, "one periodic task is late"),
        "for_seconds": silence,
        "window_seconds": _look_back(),
        "task": Choice(each.name, "what the schedule sends", (Derived(each.scope, "task"),)),
        "schedule": Choice(each.scope.name, "what is watched", (Derived(each.scope, "task"),)),
    }
    workers = [Scope("worker", name) for name in plan.texts(queue, "workers")]
    where = read_log(plan, workers).replace("First:", "Then:") if workers else ""
    description = (
        f"Task {each.name} of schedule {each.scope.name} has not started for {span(silence)}. "
        f"{start_beat(plan)} {where}"
    ).strip()
    summary = f"Schedule {each.scope.name} has not run"
    named = f"CeleryScheduleMissed:{each.scope.name}"
    yield from decide(plan, "CeleryScheduleMissed", queue, choices, summary, description, tuned, named=named)


def _look_back() -> Choice:
    return constant("LOOK_BACK_SECONDS", LOOK_BACK_SECONDS, "several scrapes, so that no send is overlooked")


def has_beat(plan: Plan) -> bool:
    """Whether a beat of this service sends schedules, and events tell of it."""
    return bool(plan.keys(BEAT)) and plan.get(APP, "task_send_sent_event") is True
