"""A stroke for each minute at which beat sends, as Celery's own crontab says; collisions are named."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from celery.schedules import crontab
from pages import BUSY, page_of, page_of_plan, read, text, with_class, with_id
from plans import plan_of

from policycompiler.plan import Plan, Scope
from policycompiler.report.page.due import Collision, across, collisions, lanes

FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


def plan(**schedules: str) -> Plan:
    """Schedules by crontab, all of one task."""
    return plan_of(
        {
            "app": {"broker_transport": "redis"},
            "queue:q": {"workers": []},
            "task:t": {"queue": "q"},
            **{
                f"schedule:{name}": {
                    "task": "t",
                    "timezone": "UTC",
                    "cron": dict(zip(FIELDS, cron.split(), strict=True)),
                }
                for name, cron in schedules.items()
            },
        }
    )


def met(**schedules: str) -> list[Collision]:
    return [each for found in lanes(plan(**schedules)).values() for each in collisions(found)]


def strokes(html: str, schedule: str) -> set[int]:
    """The minutes that the lane of a schedule shows."""
    found: set[int] = set()
    for path in with_id(read(html), f"schedule:{schedule}").iter("path"):
        if (path.get("class") or "").split()[0] in {"run", "hit"}:
            for begin, end in re.findall(r"M(\d+) \d+V\d+(?:H(\d+))?", path.get("d")):
                found.update(range(int(begin), int(end or int(begin) + 1)))
    return found


@pytest.mark.parametrize(
    "cron", ["30 6 * * *", "*/20 8-10 * * *", "* * * * *", "0,1,2,30 0,23 * * *", "15 * 1 * *"]
)
def test_the_strokes_are_the_minutes_of_celerys_own_crontab(cron):
    minute, hour, day, month, weekday = cron.split()
    real = crontab(minute, hour, weekday, day, month, app=None)
    first = datetime(2027, 1, 1, tzinfo=UTC)
    due = {
        each
        for each in range(1440)
        if (at := first + timedelta(minutes=each)).minute in real.minute and at.hour in real.hour
    }
    assert strokes(page_of_plan(plan(only=cron)), "only") == due


def test_schedules_at_the_same_minute_of_a_queue_are_named():
    assert met(a="0 6 * * *", b="0 6,7 * * *", c="1 6 * * *") == [
        Collision(Scope("queue", "q"), (Scope("schedule", "a"), Scope("schedule", "b")), (360,))
    ]


def test_schedules_that_share_no_day_do_not_meet():
    assert met(workdays="0 6 * * 1-5", weekend="0 6 * * 0,6") == []
    assert met(first="0 6 1 * *", second="0 6 2 * *") == []
    assert met(leap="0 6 29 2 *", june="0 6 * 6 *") == []


def test_only_those_that_share_a_day_are_named():
    (found,) = met(workdays="0 6 * * 1-5", weekend="0 6 * * 0,6", monday="0 6 * * 1")
    assert {each.name for each in found.schedules} == {"workdays", "monday"}


def test_the_most_crowded_minutes_come_first():
    found = met(a="0 6,7 * * *", b="0 6,7 * * *", c="0 7 * * *")
    assert [(len(each.schedules), each.minutes) for each in found] == [(3, (420,)), (2, (360,))]


def test_the_page_shows_collisions_and_what_collides():
    tree = read(page_of(BUSY))
    told = [text(each) for found in with_class(tree, "collisions") for each in found.iter("li")]
    assert told == ["orders gets 2 schedules at 06:00: early, early-too"]
    hit = {
        lane.get("id")
        for lane in with_class(tree, "lane")
        if any(path.get("class") == "hit" for path in lane.iter("path"))
    }
    assert hit == {"schedule:early", "schedule:early-too"}


def test_times_are_in_the_declared_zone_which_the_page_names():
    tree = read(page_of(BUSY))
    headings = [text(each) for each in with_id(tree, "schedules").iter("h3")]
    assert headings == ["Times of day in Asia/Tokyo", "Times of day in UTC", "Without a time of day"]
    assert strokes(page_of(BUSY), "far") == {360}


def zoned(**schedules: tuple[str, str]) -> list[tuple[set[str], tuple[int, ...], list[str]]]:
    """What meets among schedules, each with its crontab and its zone."""
    plan_ = plan(**{name: cron for name, (cron, _) in schedules.items()})
    zones = {Scope("schedule", name): zone for name, (_, zone) in schedules.items()}
    found: dict = {}
    for lane in lanes(plan_)["UTC"]:
        found.setdefault(zones[lane.schedule], []).append(lane)
    return [({each.name for each in met.schedules}, met.minutes, months) for met, months in across(found)]


def test_schedules_of_different_zones_meet_in_utc():
    assert zoned(paris=("0 7 * * *", "Europe/Paris"), utc=("0 6 * * *", "UTC")) == [
        ({"paris", "utc"}, (360,), ["January"])
    ]
    assert zoned(paris=("0 7 * * *", "Europe/Paris"), utc=("0 5 * * *", "UTC")) == [
        ({"paris", "utc"}, (300,), ["July"])
    ]
    assert zoned(tokyo=("30 8 * * *", "Asia/Tokyo"), utc=("30 23 * * *", "UTC")) == [
        ({"tokyo", "utc"}, (1410,), ["January", "July"])
    ]
    assert zoned(kathmandu=("45 5 * * *", "Asia/Kathmandu"), utc=("0 0 * * *", "UTC")) == [
        ({"kathmandu", "utc"}, (0,), ["January", "July"])
    ]


def test_a_day_in_one_zone_may_be_the_day_before_in_utc():
    # Monday morning in Tokyo is Sunday night in UTC.
    sunday, monday = ("0 23 * * 0", "UTC"), ("0 23 * * 1", "UTC")
    tokyo = ("0 8 * * 1", "Asia/Tokyo")
    assert [names for names, *_ in zoned(tokyo=tokyo, utc=sunday)] == [{"tokyo", "utc"}]
    assert zoned(tokyo=tokyo, utc=monday) == []


def test_those_of_one_zone_and_of_an_unknown_zone_are_not_told_twice():
    assert zoned(a=("0 6 * * *", "UTC"), b=("0 6 * * *", "UTC")) == []
    assert zoned(a=("0 6 * * *", "Mars/Olympus"), b=("0 6 * * *", "UTC")) == []


def test_the_page_names_what_meets_across_zones():
    html = page_of(
        BUSY.replace('cron: "0 6 * * *", timezone: Asia/Tokyo', 'cron: "0 15 * * *", timezone: Asia/Tokyo')
    )
    told = [text(each) for found in with_class(read(html), "across") for each in found.iter("li")]
    assert told == ["orders gets 3 schedules at 06:00 UTC (January and July): early, early-too, far"]


def test_an_interval_has_no_time_of_day():
    lane = with_id(read(page_of(BUSY)), "schedule:often")
    assert "every 5 min" in text(lane)
    assert [path.get("class") for path in lane.iter("path")] == ["grid", "any"]


def test_many_times_are_shortened_in_words():
    tree = read(page_of_plan(plan(a="* * * * *", b="*/2 * * * *")))
    (told,) = (text(each) for found in with_class(tree, "collisions") for each in found.iter("li"))
    assert told == "q gets 2 schedules at 00:00, 00:02, 00:04, 00:06, 00:08, 00:10 and 714 more: a, b"


@pytest.mark.parametrize("cron", ["99 * * * *", "x * * * *", "* * * * never"])
def test_a_crontab_that_celery_rejects_has_no_strokes(cron):
    tree = read(page_of_plan(plan(edited=cron)))
    assert [path.get("class") for path in with_id(tree, "schedule:edited").iter("path")] == ["grid", "any"]
