"""Times that do not come to what they seem to say are told."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.schedules import schedule_times

LOCK = "let the task hold a lock that expires after its hard time limit"
UTC = "write `timezone: UTC` if the schedule must not change on that day"
EITHER = "write `*` in one of the two fields; to match either, write two schedules"


def schedule(fields: str, task: str = "") -> str:
    return f"tasks: {{shop.a: {{{task}}}}}\nschedules: {{s: {{task: shop.a, {fields}}}}}"


def in_zone(cron: str, zone: str) -> str:
    return schedule(f"cron: '{cron}', timezone: {zone}")


def skipped(zone: str, span: str, due: str, sent: str) -> str:
    return (
        f"the clocks of {zone} skip the time {span} once a year: on that day beat sends "
        f"the run of {due} at {sent}"
    )


def repeated(zone: str, span: str) -> str:
    return (
        f"when the clocks of {zone} go back, the time {span} repeats: beat sends nothing in the second pass, "
        "so the gap is 60 min longer"
    )


REFUSES = {
    "longer than its interval": (
        schedule("every: 1m", "runtime: {p50: 20s, p99: 90s}"),
        Found(
            "beat-overlap",
            "2:38",
            ("a run may take 1 min 30 s (p99), but beat sends the next one after 1 min: two runs overlap"),
            f"send it at most every 1 min 30 s, or {LOCK}",
        ),
    ),
    "longer than the shortest gap of a crontab": (
        schedule("cron: '0,10 * * * *'", "runtime: 15m"),
        Found(
            "beat-overlap",
            "2:37",
            ("a run may take 15 min (p99), but beat sends the next one after 10 min: two runs overlap"),
            f"send it at most every 15 min, or {LOCK}",
        ),
    ),
    "a time that is skipped": (
        in_zone("30 2 * * *", "Europe/Paris"),
        Found("beat-dst", "2:61", skipped("Europe/Paris", "from 02:00 to 03:00", "02:30", "03:30"), UTC),
    ),
    "in the app's zone": (
        "celery: {settings: {timezone: America/New_York}}\n" + schedule("cron: '0 2 * * *'"),
        Found("beat-dst", "3:37", skipped("America/New_York", "from 02:00 to 03:00", "02:00", "03:00"), UTC),
    ),
    "half an hour": (
        in_zone("15 2 * * *", "Australia/Lord_Howe"),
        Found(
            "beat-dst", "2:61", skipped("Australia/Lord_Howe", "from 02:00 to 02:30", "02:15", "02:45"), UTC
        ),
    ),
    "an hour that comes twice": (
        in_zone("*/5 * * * *", "Europe/London"),
        Found("beat-dst", "2:62", repeated("Europe/London", "from 01:00 to 02:00"), UTC),
    ),
    "both days": (
        schedule("cron: '0 3 1,15 * 5'"),
        Found(
            "beat-cron-dom-dow",
            "2:37",
            (
                "day-of-month `1,15` and day-of-week `5` are both restricted: Celery runs the task on days that match both, Unix cron on days that match either"
            ),
            EITHER,
        ),
    ),
    "the same twice": (
        "tasks: {shop.a: }\nschedules:\n  s: {task: shop.a, every: 1h}\n  t: {task: shop.a, every: 60m}",
        Found(
            "schedule-duplicate",
            "4:3",
            "schedules s and t send shop.a at the same times with the same arguments: it runs twice",
            "remove one of the two schedules",
        ),
    ),
}
ACCEPTS = {
    "just as long as its interval": schedule("every: 1m", "runtime: 60s"),
    "nobody knows how long": schedule("every: 1m"),
    "a hard limit is no run time": schedule("every: 1m", "runtime: 10s, options: {time_limit: 90}"),
    "after the clocks have changed": in_zone("0 3 * * *", "Europe/Paris"),
    "once a day in the hour that comes twice": in_zone("30 1 * * *", "America/New_York"),
    "few times a day, one of them in that hour": in_zone("30 1,13 * * *", "Europe/London"),
    "never on the day of the change": in_zone("30 2 * * 1-5", "Europe/Paris"),
    "not in the months of the change": in_zone("30 2 * 6 *", "Europe/Paris"),
    "a zone that never changes": in_zone("30 2 * * *", "Asia/Kolkata"),
    "UTC": schedule("cron: '*/5 * * * *'"),
    "an interval": "celery: {settings: {timezone: Europe/Paris}}\n" + schedule("every: 10m"),
    "the first Monday": schedule("cron: '0 3 1-7 * 1'"),
    "the last days of the month": schedule("cron: '0 3 25-31 * fri'"),
    "one kind of day": schedule("cron: '0 3 1,15 * *'"),
    "other arguments": (
        "tasks: {shop.a: }\nschedules:\n  s: {task: shop.a, every: 1h, args: [1]}\n"
        "  t: {task: shop.a, every: 1h, args: [2]}"
    ),
    "another zone": (
        "tasks: {shop.a: }\nschedules:\n  s: {task: shop.a, cron: 0 5 * * *, timezone: Europe/Paris}\n"
        "  t: {task: shop.a, cron: 0 5 * * *, timezone: Asia/Tokyo}"
    ),
    "one of them off": (
        "tasks: {shop.a: }\nschedules:\n  s: {task: shop.a, every: 1h, enabled: false}\n"
        "  t: {task: shop.a, every: 1h}"
    ),
}


@pytest.mark.parametrize(("fragment", "finding"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, finding):
    assert after(schedule_times, fragment).findings == [finding]


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(schedule_times, fragment).findings == []


def test_every_minute_of_london_is_in_no_spring_finding():
    """What is due all the time loses nothing when an hour is skipped."""
    found = after(schedule_times, in_zone("* * * * *", "Europe/London")).findings
    assert len(found) == 1
