"""When beat sends a schedule: held against the emitted schedules, asked again and again as beat asks them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from compiled import compile_shop, configured_app, read_plan
from plans import plan_of

from policycompiler.plan import Scope
from policycompiler.review.differences.firings import Firings, firings

TODAY = date(2026, 11, 21)
ZONES = ("Europe/Paris", "America/New_York", "Europe/London", "UTC", "Australia/Lord_Howe")
# How long beat sleeps at most: 300 s is its own, a day lets years pass in time.
CRONTABS = {
    "30 2 * * *": timedelta(minutes=5),
    "15 * * * *": timedelta(minutes=1),
    "*/30 * * * *": timedelta(minutes=1),
    "30 1 * * *": timedelta(minutes=5),
    "* * * * *": timedelta(minutes=1),
    "0 3 1 * *": timedelta(hours=6),
    "0 4 * * 1": timedelta(hours=1),
    "0 0 29 2 *": timedelta(days=1),
}
NAMES = {
    (zone, cron): f"s{number}" for number, (zone, cron) in enumerate((z, c) for z in ZONES for c in CRONTABS)
}
EACH = pytest.mark.parametrize(("zone", "cron"), NAMES)
FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
JOB = Scope("schedule", "job")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The plan and the app of all crontabs in all zones."""
    lines = [
        f"  {name}: {{task: shop.mail.send_newsletter, cron: '{cron}', timezone: {zone}}}"
        for (zone, cron), name in NAMES.items()
    ]
    more = "\n".join(["schedules:", *lines])
    build = compile_shop(tmp_path_factory.mktemp("firings"), more=more)
    variables = {"CELERY_BROKER_URL": "memory://", "CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/1"}
    return read_plan(build), configured_app(build, variables)


def ticks(app, name, start, longest):
    """When the emitted schedule is sent from a moment on: five times, found by asking whether it is due."""
    schedule = app.conf.beat_schedule[name]["schedule"]
    now = [start]
    schedule.app, schedule.nowfun = app, lambda: now[0].astimezone(app.timezone)
    last, found = schedule.now(), []
    while len(found) < 5:
        due, seconds = schedule.is_due(last)
        if due:
            last = schedule.now()
            found.append(now[0])
        now[0] += min(timedelta(seconds=seconds), longest)
    return found


def firings_of(cron, zone, today=TODAY):
    fields = dict(zip(FIELDS, cron.split(), strict=True))
    return firings(plan_of({"schedule:job": {"cron": fields, "timezone": zone}}), JOB, today)


@EACH
@pytest.mark.parametrize("today", [TODAY, date(2026, 3, 29), date(2026, 10, 25)], ids=str)
def test_the_next_five_are_those_of_the_emitted_schedule(compiled, zone, cron, today):
    plan, app = compiled
    found = firings(plan, Scope("schedule", NAMES[zone, cron]), today).next
    midnight = datetime(today.year, today.month, today.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    simulated = ticks(app, NAMES[zone, cron], midnight - timedelta(minutes=1), CRONTABS[cron])
    assert [datetime.fromisoformat(each) for each in found] == simulated


@EACH
@pytest.mark.parametrize("today", [TODAY, date(2026, 6, 1)], ids=str)
def test_those_around_a_change_of_the_clocks_are_those_of_the_emitted_schedule(compiled, zone, cron, today):
    plan, app = compiled
    found = [
        datetime.fromisoformat(each)
        for each in firings(plan, Scope("schedule", NAMES[zone, cron]), today).around_dst
    ]
    if found:
        start = found[0].astimezone(UTC) - timedelta(minutes=1)
        assert found == ticks(app, NAMES[zone, cron], start, CRONTABS[cron])


IRREGULAR = {
    ("Europe/Paris", "30 2 * * *"): ("2027-03-27T02:30+01:00", "2027-03-28T03:30+02:00"),
    ("Europe/Paris", "15 * * * *"): (
        "2027-10-31T01:15+02:00",
        "2027-10-31T02:15+02:00",
        "2027-10-31T03:15+01:00",
    ),
    ("America/New_York", "30 2 * * *"): ("2027-03-13T02:30-05:00", "2027-03-14T03:30-04:00"),
    ("America/New_York", "*/30 * * * *"): (
        "2027-11-07T01:00-04:00",
        "2027-11-07T01:30-04:00",
        "2027-11-07T02:00-05:00",
    ),
    ("Europe/London", "30 1 * * *"): ("2027-03-27T01:30+00:00", "2027-03-28T02:30+01:00"),
    ("Australia/Lord_Howe", "15 * * * *"): (
        "2027-10-03T00:15+10:30",
        "2027-10-03T01:15+10:30",
        "2027-10-03T02:45+11:00",
        "2027-10-03T03:15+11:00",
    ),
    ("Australia/Lord_Howe", "*/30 * * * *"): (
        "2027-04-04T01:00+11:00",
        "2027-04-04T01:30+11:00",
        "2027-04-04T02:00+10:30",
    ),
    # Autumn in Nuuk puts 23:00 twice on a Saturday, and spring moves its last hour into Sunday.
    ("America/Nuuk", "30 23 * * 6"): ("2027-03-20T23:30-02:00", "2027-03-28T00:30-01:00"),
}


@pytest.mark.parametrize(("zone", "cron"), IRREGULAR)
def test_the_change_that_a_schedule_passes_irregularly_is_shown(zone, cron):
    found = firings_of(cron, zone).around_dst
    assert len(found) == 5
    expected = IRREGULAR[zone, cron]
    assert found[: len(expected)] == expected


@pytest.mark.parametrize(
    ("zone", "cron"),
    [
        ("UTC", "30 2 * * *"),
        ("UTC", "*/30 * * * *"),
        ("Asia/Kolkata", "30 2 * * *"),
        ("Europe/Paris", "0 4 * * *"),
        ("Europe/Paris", "0 4 * * 1"),
        ("Europe/Paris", "30 2 1 1 *"),
        # In 2028 the clocks skip it, but not within a year.
        ("Europe/Paris", "30 2 26 3 *"),
        # Sent once, at its time.
        ("Europe/London", "30 1 * 10 *"),
    ],
)
def test_a_change_that_a_schedule_passes_regularly_is_not_shown(zone, cron):
    found = firings_of(cron, zone)
    assert len(found.next) == 5
    assert found.around_dst == ()


def test_a_yearly_time_that_is_skipped_is_shown_from_the_year_before():
    assert firings_of("30 2 28 3 *", "Europe/Paris").around_dst == (
        "2026-03-28T02:30+01:00",
        "2027-03-28T03:30+02:00",
        "2028-03-28T02:30+02:00",
        "2029-03-28T02:30+02:00",
        "2030-03-28T02:30+01:00",
    )


def test_midnight_of_today_is_among_them_also_where_the_clocks_skip_it():
    assert firings_of("0 0 * * *", "Europe/Paris").next[0] == "2026-11-21T00:00+01:00"
    assert firings_of("0 0 * * *", "America/Havana", date(2026, 3, 8)).next[0] == "2026-03-08T01:00-04:00"
    assert firings_of("*/30 * * * *", "America/Nuuk", date(2026, 3, 29)).next[0] == "2026-03-29T00:00-01:00"


def test_an_interval_counts_from_midnight_and_has_seconds_only_where_they_are_needed():
    plan = plan_of({"app": {"timezone": "Europe/Paris"}, "schedule:job": {"every_seconds": 90}})
    assert firings(plan, JOB, TODAY) == Firings(
        (
            "2026-11-21T00:01:30+01:00",
            "2026-11-21T00:03+01:00",
            "2026-11-21T00:04:30+01:00",
            "2026-11-21T00:06+01:00",
            "2026-11-21T00:07:30+01:00",
        ),
        (),
    )


def test_an_interval_without_any_zone_is_in_utc():
    plan = plan_of({"schedule:job": {"every_seconds": 0.5}})
    assert firings(plan, JOB, TODAY).next[:2] == (
        "2026-11-21T00:00:00.500000+00:00",
        "2026-11-21T00:00:01+00:00",
    )


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"solar": {"event": "sunset", "latitude": 48.8, "longitude": 2.3}},
        {"cron": {"minute": "61"}},
        {"cron": {"minute": "x y"}},
        {"cron": {"minute": None, "second": "1"}},
        {"cron": {"day_of_month": "31", "month_of_year": "2"}},
        {"cron": "0 3 * * *"},
        {"cron": {"minute": "0"}, "timezone": "Europe/Pariss"},
        {"cron": {"minute": "0"}, "timezone": "Europe"},
        {"cron": {"minute": "0"}, "timezone": "../etc"},
        {"every_seconds": 1e300},
        {"every_seconds": float("nan")},
    ],
)
def test_what_cannot_be_computed_has_no_firings(keys):
    assert firings(plan_of({"schedule:job": keys}), JOB, TODAY) == Firings((), ())


def test_the_rarest_day_is_found():
    """The 29th of February is a Monday every 28 years, but for the year 2100, which has none."""
    assert firings_of("0 0 29 2 1", "UTC").next[:3] == (
        "2044-02-29T00:00+00:00",
        "2072-02-29T00:00+00:00",
        "2112-02-29T00:00+00:00",
    )


@pytest.mark.parametrize("today", [date.min, date(9999, 1, 1), date.max])
@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "UTC"])
@pytest.mark.parametrize("cron", CRONTABS)
def test_at_the_ends_of_the_calendar_there_are_fewer(today, zone, cron):
    assert len(firings_of(cron, zone, today).next) <= 5
