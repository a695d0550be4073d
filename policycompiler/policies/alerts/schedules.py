"""Alerts on what runs periodically: beat has sent nothing, or a schedule's task has not run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.model.crontab import gaps
from policycompiler.plan import APP, BEAT, Decision, Derived, Plan, Scope
from policycompiler.policies.alerts.alert import (
    PAGE,
    TICKET,
    Choice,
    constant,
    decide,
    minutes,
    patience,
    span,
)
from policycompiler.policies.alerts.first_steps import read_log, start_beat
from policycompiler.policies.alerts.tuned import Parameters, origin

LONGEST_GAP_SECONDS = 8 * 86400
"""A week and a day: Prometheus keeps no more than two weeks unless it is told to."""

_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


class Watched(NamedTuple):
    """A schedule, its task here, and the longest time between two sends in seconds."""

    scope: Scope
    task: Scope
    gap: float
    timing: Derived


def watched_schedules(plan: Plan) -> list[Watched]:
    """Those whose sends an exporter hears of, by name; not by the sun, and none that waits for a month."""
    found = []
    for scope in plan.scopes("schedule"):
        task = Scope("task", plan.text(scope, "task"))
        key = next((key for key in ("cron", "every_seconds") if plan.find(scope, key)), None)
        gap = _gap(plan, scope)
        heard = plan.get(task, "options.send_events") is not False and not plan.get(task, "external")
        if key is not None and gap is not None and gap <= LONGEST_GAP_SECONDS and plan.keys(task) and heard:
            found.append(Watched(scope, task, gap, Derived(scope, key)))
    return found


def _gap(plan: Plan, schedule: Scope) -> float | None:
    every = plan.number_if_any(schedule, "every_seconds")
    cron = plan.get(schedule, "cron")
    if every is not None or not isinstance(cron, dict):
        return every
    found = gaps(" ".join(str(cron.get(field, "*")) for field in _FIELDS))
    return None if found is None else found.longest


def beat_down(plan: Plan, schedules: list[Watched], tuned: Parameters) -> Iterator[Decision]:
    """Nothing of any schedule was sent for longer than the most frequent one allows."""
    soonest = min(schedules, key=lambda each: (each.gap, each.scope))
    slack = (soonest.timing, origin(tuned, "schedule_slack"))
    window = minutes(soonest.gap + tuned.schedule_slack)
    names = sorted({each.task.name for each in schedules})
    choices = {
        "severity": constant("PAGE", PAGE, "nothing periodic is sent any more"),
        "for_seconds": patience(tuned, "longer than a restart of beat"),
        "window_seconds": Choice(window, f"{soonest.scope.name} is sent every {soonest.gap:g} s", slack),
        "tasks": Choice(
            [*names], "what is sent on a schedule", tuple(Derived(each.scope, "task") for each in schedules)
        ),
    }
    description = (
        f"No periodic task has been sent for {span(choices['window_seconds'])}, and schedule "
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
    window = Choice(
        minutes(each.gap + late),
        f"it is sent every {each.gap:g} s at the latest, and starts within {late:g} s",
        (each.timing, wait, origin(tuned, "schedule_slack")),
    )
    choices = {
        "severity": constant("TICKET", TICKET, "one periodic task is late"),
        "for_seconds": patience(tuned, "the next run may come meanwhile"),
        "window_seconds": window,
        "task": Choice(each.task.name, "what the schedule sends", (Derived(each.scope, "task"),)),
        "schedule": Choice(each.scope.name, "what is watched", (Derived(each.scope, "task"),)),
    }
    workers = [Scope("worker", name) for name in plan.texts(queue, "workers")]
    where = read_log(plan, workers).replace("First:", "Then:") if workers else ""
    description = (
        f"Task {each.task.name} of schedule {each.scope.name} has not started for {span(window)}. "
        f"{start_beat(plan)} {where}"
    ).strip()
    summary = f"Schedule {each.scope.name} has not run"
    named = f"CeleryScheduleMissed:{each.scope.name}"
    yield from decide(plan, "CeleryScheduleMissed", queue, choices, summary, description, tuned, named=named)


def has_beat(plan: Plan) -> bool:
    """Whether a beat of this service sends schedules, and events tell of it."""
    return bool(plan.keys(BEAT)) and plan.get(APP, "task_send_sent_event") is True
