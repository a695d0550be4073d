"""Alerts on schedules: beat has sent no task, or the task of a schedule has not started."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from policycompiler.knowledge.crontab import gaps
from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.signals import Signal, source_of
from policycompiler.plan import APP, BEAT, Constant, Derived, Origin, Plan, Scope, Value
from policycompiler.policies.watching.alerts.alert import (
    PAGE,
    TICKET,
    About,
    Choice,
    Found,
    at_once,
    constant,
    decide,
    minutes,
    sources,
    span,
)
from policycompiler.policies.watching.alerts.first_steps import read_log, start_beat
from policycompiler.policies.watching.alerts.tuned import Parameters, origin
from policycompiler.quantities import duration

BEAT_DOWN = "CeleryBeatDown"
LOOK_BACK_SECONDS = 600
"""A sent task counts for this long. `for` starts with the first evaluation, so a new schedule has time."""
DST_SECONDS = 3600
"""A day has one more hour when the clocks of a zone go back."""
LONGEST_GAP_SECONDS = 8 * 86400
"""A week and a day: by default, Prometheus keeps two weeks of data."""

TICK_PATIENCE_SECONDS = 120
"""A new beat has ticked by then."""
TICK_SLACK_SECONDS = 60
"""Two scrapes."""

_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


class Watched(NamedTuple):
    """A schedule, the name and the entry of its task, and the longest time between two sends in seconds."""

    scope: Scope
    name: str
    task: Scope
    gap: float
    timing: Derived


def watched_schedules(plan: Plan) -> list[Watched]:
    """Schedules whose sends a source sees: not solar, and with gaps of eight days at most."""
    found = []
    for scope in plan.scopes("schedule"):
        name = plan.text(scope, "task")
        task = plan.entry(name)
        if task is None:
            continue
        key = next((key for key in ("cron", "every_seconds") if plan.find(scope, key)), None)
        gap = _gap(plan, scope)
        if key is not None and gap is not None and gap <= LONGEST_GAP_SECONDS:
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


def _heard(plan: Plan, each: Watched) -> bool:
    """Whether the runs of the task are counted here."""
    if plan.get(each.task, "external"):
        return False
    source = source_of(Signal.STARTED, sources(plan))
    events = source is not None and SOURCES[source].reads_events
    return not events or plan.get(each.task, "options.send_events") is not False


def beat_down(plan: Plan, schedules: list[Watched], tuned: Parameters) -> Iterator[Found]:
    """Beat no longer ticks, or no scheduled task was sent for longer than the most frequent one allows."""
    summary = f"{plan.text(APP, 'service')}: beat sends no tasks"
    page = constant("PAGE", PAGE, "beat no longer sends any scheduled task")
    if source_of(Signal.TICK, sources(plan)) is not None:
        sleep = Derived(BEAT, "max_interval_seconds")
        longest = plan.number(*sleep)
        silence = Choice(
            minutes(longest + TICK_SLACK_SECONDS),
            f"beat wakes at least every {duration(longest)}",
            (sleep, Constant("TICK_SLACK_SECONDS", TICK_SLACK_SECONDS)),
        )
        choices = {
            "severity": page,
            "for_seconds": constant("TICK_PATIENCE_SECONDS", TICK_PATIENCE_SECONDS, "a new beat has ticked"),
            "window_seconds": silence,
        }
        description = (
            f"Beat has not looked at its schedules for {span(silence)}, or is gone. {start_beat(plan)}"
        )
        signals = (Signal.TICK,)
        yield from decide(plan, BEAT_DOWN, About(), signals, choices, (summary, description), tuned)
        return
    sent = [each for each in schedules if _heard(plan, each)]
    if not sent:
        return
    soonest = min(sent, key=lambda each: (each.gap, each.scope))
    slack = (soonest.timing, origin(tuned, "schedule_slack"))
    because = (
        f"schedule {soonest.scope.name} is due at least every {duration(soonest.gap)}, "
        f"and may be {duration(tuned.schedule_slack)} late"
    )
    names: list[Value] = [*sorted({each.name for each in sent})]
    of = tuple(Derived(each.scope, "task") for each in sent)
    choices = {
        "severity": page,
        "for_seconds": Choice(minutes(soonest.gap + tuned.schedule_slack), because, slack),
        "window_seconds": _look_back(),
        "tasks": Choice(names, "beat sends these tasks on a schedule", of),
    }
    description = (
        f"No scheduled task was sent for {span(choices['for_seconds'])}, but schedule "
        f"{soonest.scope.name} is due every {duration(minutes(soonest.gap))}. {start_beat(plan)}"
    )
    yield from decide(plan, BEAT_DOWN, About(), (Signal.SENT,), choices, (summary, description), tuned)


def not_sent(plan: Plan, each: Watched, tuned: Parameters) -> Iterator[Found]:
    """Beat runs, but has not sent a schedule for longer than its gap."""
    because = (
        f"beat sends it at least every {duration(each.gap)}, and may be {duration(tuned.schedule_slack)} late"
    )
    silence = minutes(each.gap + tuned.schedule_slack)
    choices = {
        "severity": constant("TICKET", TICKET, "only one schedule is affected"),
        "for_seconds": at_once("the slack already waits"),
        "window_seconds": Choice(silence, because, (each.timing, origin(tuned, "schedule_slack"))),
        "schedule": _schedule(each),
    }
    description = (
        f"Beat has not sent schedule {each.scope.name} for {span(choices['window_seconds'])}. "
        "It was removed or disabled, or its times changed. First: the log of beat has `Sending due task` and "
        "the name for each send. If it has only others, deploy the plan that has this one, and restart beat."
    )
    summary = f"Schedule {each.scope.name} was not sent"
    about = About(closely=(each.scope, each.task))
    signals = (Signal.DISPATCH, Signal.BEAT_START)
    yield from decide(plan, "CeleryScheduleNotSent", about, signals, choices, (summary, description), tuned)


def _schedule(each: Watched) -> Choice:
    return Choice(each.scope.name, "the alert is about this schedule", (Derived(each.scope, "task"),))


def _task(each: Watched) -> Choice:
    return Choice(each.name, "the schedule sends this task", (Derived(each.scope, "task"),))


def _lateness(plan: Plan, each: Watched, tuned: Parameters) -> tuple[float, tuple[Origin, ...]]:
    """How late a run may start, in seconds."""
    queue = Scope("queue", plan.text(each.task, "queue"))
    options = plan.get(each.scope, "options")
    countdown = options.get("countdown") if isinstance(options, dict) else None
    late = plan.number(queue, "queue_wait_seconds") + tuned.schedule_slack
    late += countdown if isinstance(countdown, int | float) else 0
    return late, (each.timing, Derived(queue, "queue_wait_seconds"), origin(tuned, "schedule_slack"))


def missed(plan: Plan, each: Watched, tuned: Parameters) -> Iterator[Found]:
    """The task of a schedule has not started for longer than its schedule and its queue allow."""
    if not _heard(plan, each):
        return
    late, origins = _lateness(plan, each, tuned)
    because = (
        f"beat sends the task at least every {duration(each.gap)}, and a run starts within {duration(late)}"
    )
    silence = Choice(minutes(each.gap + late), because, origins)
    choices = {
        "severity": constant("TICKET", TICKET, "only one scheduled task is late"),
        "for_seconds": silence,
        "window_seconds": _look_back(),
        "task": _task(each),
        "schedule": _schedule(each),
    }
    description = (
        f"Task {each.name} of schedule {each.scope.name} has not started for {span(silence)}. "
        f"{start_beat(plan)} {_then_read(plan, each)}"
    ).strip()
    summary = f"Schedule {each.scope.name} has not run"
    about, signals = _about(plan, each), (Signal.STARTED,)
    yield from decide(plan, "CeleryScheduleMissed", about, signals, choices, (summary, description), tuned)


def unsuccessful(plan: Plan, each: Watched, tuned: Parameters) -> Iterator[Found]:
    """No run of the task of a schedule has succeeded since the last one was due."""
    if not _heard(plan, each):
        return
    late, origins = _lateness(plan, each, tuned)
    run = plan.number_if_any(each.task, "longest_run_seconds") or 0
    longest = (Derived(each.task, "longest_run_seconds"),) if run else ()
    because = f"a run starts within {duration(each.gap + late)} after the last one"
    if run:
        because += f" and takes {duration(run)} at most"
    choices = {
        "severity": constant("TICKET", TICKET, "only one scheduled task is affected"),
        "for_seconds": Choice(minutes(each.gap + late + run), because, (*origins, *longest)),
        "window_seconds": _look_back(),
        "task": _task(each),
        "schedule": _schedule(each),
    }
    description = (
        f"No run of task {each.name} of schedule {each.scope.name} has succeeded for "
        f"{span(choices['for_seconds'])}. {_then_read(plan, each).replace('Then:', 'First:')}"
    ).strip()
    summary = f"Schedule {each.scope.name} runs without success"
    about, signals = _about(plan, each), (Signal.STARTED, Signal.SUCCEEDED)
    yield from decide(
        plan, "CeleryScheduleUnsuccessful", about, signals, choices, (summary, description), tuned
    )


def _about(plan: Plan, each: Watched) -> About:
    return About(Scope("queue", plan.text(each.task, "queue")), closely=(each.scope, each.task))


def _then_read(plan: Plan, each: Watched) -> str:
    workers = [
        Scope("worker", name) for name in plan.texts(Scope("queue", plan.text(each.task, "queue")), "workers")
    ]
    return read_log(plan, workers).replace("First:", "Then:") if workers else ""


def _look_back() -> Choice:
    return constant(
        "LOOK_BACK_SECONDS", LOOK_BACK_SECONDS, "several scrapes fit in it, so no sent task is missed"
    )
