"""What a schedule that is written or timed otherwise does: what beat sends, and what is only spelling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from celery import Celery
from celery.beat import PersistentScheduler
from celery.schedules import crontab
from celery.schedules import schedule as interval
from review_of import at, reviewed

from policycompiler.report import change_titles
from policycompiler.review import Class, Review

TASK = "tasks: {shop.a: {queue: q}}\n"


def schedule(fields: str) -> str:
    return f"{TASK}schedules: {{s: {{task: shop.a, {fields}}}}}\n"


ALIKE = {
    "steps": ('cron: "*/5 * * * *"', f'cron: "{",".join(map(str, range(0, 60, 5)))} * * * *"', ["cron"]),
    "a day's name": ("cron: 0 3 * * mon", "cron: 0 3 * * 1", ["cron"]),
    "a zone's other name": (
        "cron: 0 3 * * *, timezone: UTC",
        "cron: 0 3 * * *, timezone: Africa/Abidjan",
        ["timezone"],
    ),
    "zones that have the same clock": (
        "cron: 0 3 1 * *, timezone: Europe/Paris",
        "cron: 0 3 1 * *, timezone: Europe/Berlin",
        ["timezone"],
    ),
    "daily, by a clock that is ahead": (
        "cron: 30 22 * * *, timezone: UTC",
        "cron: 0 4 * * *, timezone: Asia/Kolkata",
        ["cron", "timezone"],
    ),
}


@pytest.mark.parametrize("case", ALIKE)
def test_the_same_times_in_other_words_are_no_other_times(case):
    old, new, keys = ALIKE[case]
    found = reviewed(schedule(old), schedule(new))
    assert found.verdict is Class.SAFE
    assert [change.address for change in found.changes] == [f"schedule:s/{key}" for key in keys]
    for change in found.changes:
        assert change.kind == "schedule-spelling"
        assert "other times" not in change_titles.title(change)
        assert "same times" in change.because


OTHER = {
    "days that come late in a month": ("cron: 0 3 * * *", "cron: 0 3 1-28 * *"),
    "a month that comes late": ("cron: 0 3 * * *", 'cron: "0 3 * 1-11 *"'),
    "a clock that changes in summer": (
        "cron: 0 3 * * *, timezone: UTC",
        "cron: 0 3 * * *, timezone: Europe/London",
    ),
    "a zone that changes otherwise": (
        "cron: 0 3 * * *, timezone: Europe/Paris",
        "cron: 0 3 * * *, timezone: Africa/Tunis",
    ),
    "a day that comes later elsewhere": (
        "cron: 0 22 * * 1, timezone: UTC",
        "cron: 30 3 * * 1, timezone: Asia/Kolkata",
    ),
    "an interval for times": ("every: 1d", "cron: 0 0 * * *"),
}


@pytest.mark.parametrize("case", OTHER)
def test_other_times_are_told(case):
    old, new = OTHER[case]
    assert at(reviewed(schedule(old), schedule(new)), "schedule:s").kind == "schedule-shifted"


EXPIRIES = {
    "shorter": ("cron: 0 3 * * *, expires: 3h", "cron: 0 3 * * *, expires: 1h", Class.LOSSY),
    "new": ("cron: 0 3 * * *", "cron: 0 3 * * *, expires: 3h", Class.LOSSY),
    "new among others": (
        "cron: 0 3 * * *, options: {priority: 3}",
        "cron: 0 3 * * *, options: {priority: 3, expires: 60}",
        Class.LOSSY,
    ),
    "longer": ("cron: 0 3 * * *, expires: 1h", "cron: 0 3 * * *, expires: 3h", Class.SAFE),
    "dropped": ("cron: 0 3 * * *, expires: 1h", "cron: 0 3 * * *", Class.SAFE),
    "reckoned from a shorter interval": ("every: 2h", "every: 1h", Class.SAFE),
    "compression": ("every: 5s", "every: 5s, options: {compression: zstd}", Class.MANUAL),
}


@pytest.mark.parametrize("case", EXPIRIES)
def test_what_beat_sends_is_judged_as_what_others_send(case):
    old, new, risk = EXPIRIES[case]
    assert at(reviewed(schedule(old), schedule(new)), "schedule:s/options").risk is risk


def renamed(old: str, new: str) -> Review:
    sides = (
        f"tasks: {{shop.a: {{queue: q}}, shop.b: {{queue: q}}}}\nschedules: {{{name}: {{{fields}}}}}\n"
        for name, fields in (("nightly", f"task: shop.a, {old}"), ("later", new))
    )
    return reviewed(*sides)


RENAMED = {
    "other times": ("cron: 0 3 * * *", "task: shop.a, cron: 0 4 * * *", Class.MANUAL),
    "an interval for times": ("cron: 0 3 * * *", "task: shop.a, every: 1d", Class.MANUAL),
    "times for an interval": ("every: 1d", "task: shop.a, cron: 0 3 * * *", Class.MANUAL),
    "both intervals": ("every: 1d", "task: shop.a, every: 2d", Class.SAFE),
    "another task": ("cron: 0 3 * * *", "task: shop.b, cron: 0 4 * * *", Class.SAFE),
}


@pytest.mark.parametrize("case", RENAMED)
def test_a_schedule_under_another_name_is_deployed_while_no_time_is_near(case):
    old, new, risk = RENAMED[case]
    change = at(renamed(old, new), "schedule:later")
    assert (change.kind, change.risk) == ("schedule-added", risk)
    assert ("`nightly` of the same task is removed" in change.because) == (risk is Class.MANUAL)


def test_the_times_of_both_names_are_given():
    found = renamed(*RENAMED["other times"][:2])
    gone, comes = at(found, "schedule:nightly").old, at(found, "schedule:later").new
    assert [gone["next"][0], comes["next"][0]] == ["2026-11-21T03:00+00:00", "2026-11-21T04:00+00:00"]


def test_a_schedule_that_follows_its_task_to_another_name_is_the_same_job():
    found = reviewed(
        f"{TASK}schedules: {{one: {{task: shop.a, cron: 0 3 * * *}}}}",
        f"{TASK.replace('shop.a: {', 'shop.z: {renamed_from: [shop.a], ')}"
        "schedules: {two: {task: shop.z, cron: 0 4 * * *}}",
    )
    assert at(found, "schedule:two").risk is Class.MANUAL


def test_a_schedule_beside_one_that_stays_is_safe():
    one, two = (f"{{task: shop.a, cron: 0 {hour} * * *}}" for hour in (3, 4))
    old, new = f"schedules: {{one: {one}}}", f"schedules: {{one: {one}, two: {two}}}"
    found = reviewed(TASK + old, TASK + new)
    assert at(found, "schedule:two").risk is Class.SAFE


INTERVALS = [("1h", "2h"), ("2h", "1h"), ("1d", "5m")]


@pytest.mark.parametrize(("old", "new"), INTERVALS)
def test_another_interval_sends_no_run_too_many(old, new):
    change = at(reviewed(schedule(f"every: {old}"), schedule(f"every: {new}")), "schedule:s")
    assert (change.kind, change.risk) == ("schedule-shifted", Class.SAFE)


HOUR = timedelta(hours=1)
START = datetime(2026, 11, 21, tzinfo=UTC)
NOW = [START]


def clock() -> datetime:
    """The time in which beat lives here; its file of last runs names this function."""
    return NOW[0]


def times(hour: str, minute: str) -> crontab:
    return crontab(minute=minute, hour=hour, nowfun=clock)


BEATS = {
    "longer": (interval(1 * HOUR, nowfun=clock), 2 * HOUR),
    "shorter": (interval(2 * HOUR, nowfun=clock), 1 * HOUR),
    "much shorter": (interval(24 * HOUR, nowfun=clock), HOUR / 12),
    "times before": (times("*/3", "0"), 2 * HOUR),
}


@pytest.mark.parametrize("case", BEATS)
@pytest.mark.parametrize("minutes", [1, 61, 119, 200, 1500])
def test_beat_leaves_a_whole_interval_between_the_last_old_run_and_the_first_new_one(case, minutes, tmp_path):
    old, new = BEATS[case]
    restart = START + timedelta(minutes=minutes)
    before = ticked(tmp_path, old, START, restart)
    after = ticked(tmp_path, interval(new, nowfun=clock), restart, restart + 5 * HOUR)
    # An entry that beat sees for the first time counts as run then.
    sent = [START, *before, *after]
    assert len(after) > 1
    assert after[0] - [START, *before][-1] >= new
    assert all(later - sooner >= new for sooner, later in pairwise(after)), sent


def test_beat_may_send_once_more_where_times_come_after_an_interval(tmp_path):
    restart = START + 2 * HOUR + timedelta(minutes=10)
    before = ticked(tmp_path, interval(2 * HOUR, nowfun=clock), START, restart)
    after = ticked(tmp_path, times("2", "15"), restart, restart + HOUR)
    assert [before[-1], *after] == [START + 2 * HOUR, START + 2 * HOUR + timedelta(minutes=15)]


@pytest.mark.parametrize(
    ("old", "new", "sent"),
    [("3", "4", [3, 4]), ("4", "3", [])],
    ids=["twice", "left out"],
)
def test_a_deploy_between_an_old_and_a_new_time_sends_a_job_twice_or_not_at_all(tmp_path, old, new, sent):
    restart = START + timedelta(hours=3, minutes=30)
    before = ticked(tmp_path, times(old, "0"), START, restart)
    after = ticked(tmp_path, times(new, "0"), restart, START + 24 * HOUR, name="later")
    assert [(moment - START) // HOUR for moment in (*before, *after)] == sent


def ticked(folder, when, start, end, name="s"):
    """When beat sends the one schedule from a moment to another; its file of last runs is kept."""
    NOW[0], sent = start, []
    app = Celery("shop", set_as_current=False)
    app.conf.update(
        beat_schedule={name: {"task": "shop.a", "schedule": when}}, timezone="UTC", result_expires=None
    )
    beat = PersistentScheduler(app, schedule_filename=str(folder / "schedule"))
    beat.__dict__["producer"] = None
    beat.apply_entry = lambda *_, **__: sent.append(clock())
    while clock() < end:
        while beat.tick() == 0:
            pass
        NOW[0] += timedelta(minutes=1)
    beat.close()
    return sent


def test_an_expiry_that_its_task_has_is_said_of_the_task():
    ticks = "schedules: {s: {task: shop.a, every: 1h}}\n"
    found = reviewed(
        *(f"tasks: {{shop.a: {{queue: q, expires: {each}}}}}\n{ticks}" for each in ("2h", "30m"))
    )
    assert at(found, "task:shop.a/options.expires").risk is Class.LOSSY
    assert at(found, "schedule:s/options").risk is Class.SAFE


def test_a_schedule_with_other_arguments_stands_for_no_other_one():
    old, new = (
        "tasks: {shop.a: {queue: q}}\n"
        f"schedules: {{{name}: {{task: shop.a, cron: 0 {hour} * * *, args: [{name}]}}}}\n"
        for name, hour in (("eu", 1), ("us", 7))
    )
    assert at(reviewed(old, new), "schedule:us").risk is not Class.MANUAL
