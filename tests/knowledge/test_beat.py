"""What beat sends, when, and how many of it there are.

On it rest the policies schedules, schedule-options, schedule-times and beat, and the zone's own crontab class
in `celeryconfig.py`.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.beat import PersistentScheduler, Scheduler
from celery.schedules import crontab
from knowledge.app import CrontabKolkata
from kombu import Exchange, Queue
from processes import EndedEarlyError, wait_until

EVERY_SECOND = {"task": "quick", "schedule": 1}
# 9:00 in Kolkata is 3:30 UTC.
NINE = {"minute": "0", "hour": "9"}
MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC)


NEW_YORK = ZoneInfo("America/New_York")
# The nights in which the clocks of New York change, each from its midnight.
SPRING, AUTUMN = (datetime(2026, month, day, tzinfo=NEW_YORK) for month, day in ((3, 8), (11, 1)))


class CrontabNewYork(crontab):
    """As the zone of one schedule is emitted, in an app whose zone is UTC."""

    tz = NEW_YORK


def runs(midnight: datetime, kind: Callable[..., crontab], zone: str, **fields: str) -> list[str]:
    """When beat runs a crontab in the eight hours from a midnight on: local times with their names."""
    app = Celery(set_as_current=False, timezone=zone, enable_utc=True)
    start = midnight.astimezone(UTC)
    now = [start]
    schedule = kind(**fields, app=app, nowfun=lambda: now[0].astimezone(app.timezone))
    last, found = schedule.now(), []
    while now[0] < start + timedelta(hours=8):
        now[0] += timedelta(minutes=1)
        if schedule.is_due(last).is_due:
            last = schedule.now()
            found.append(now[0].astimezone(NEW_YORK).strftime("%H:%M %Z"))
    return found


def next_run(schedule) -> datetime:
    """When a crontab is due next at midnight UTC, in an app whose zone is UTC."""
    schedule.app = Celery(set_as_current=False, timezone="UTC", enable_utc=True)
    schedule.nowfun = lambda: MIDNIGHT
    return MIDNIGHT + schedule.remaining_estimate(MIDNIGHT)


def sent(database, queue: str = "celery") -> list[dict]:
    """The headers of waiting messages, the oldest first."""
    return [json.loads(message)["headers"] for message in database.lrange(queue, 0, -1)[::-1]]


def test_a_crontab_is_read_in_the_apps_zone():
    assert next_run(crontab(**NINE)) == datetime(2026, 6, 1, 9, tzinfo=UTC)


@pytest.mark.since("5.7")
def test_a_crontab_class_with_a_tz_is_read_in_that_zone():
    assert next_run(CrontabKolkata(**NINE)) == datetime(2026, 6, 1, 3, 30, tzinfo=UTC)


@pytest.mark.since("5.7")
def test_it_is_read_in_that_zone_also_after_pickling():
    """Beat's state file holds schedules as pickles."""
    again = pickle.loads(pickle.dumps(CrontabKolkata(**NINE)))
    assert next_run(again) == datetime(2026, 6, 1, 3, 30, tzinfo=UTC)


@pytest.mark.since("5.7")
def test_beats_own_state_file_keeps_the_zone(tmp_path):
    def scheduler():
        app = Celery(
            set_as_current=False,
            timezone="UTC",
            beat_schedule={"daily": {"task": "quick", "schedule": CrontabKolkata(**NINE)}},
        )
        return PersistentScheduler(app, schedule_filename=str(tmp_path / "schedule"))

    scheduler().close()
    second = scheduler()
    assert next_run(second.schedule["daily"].schedule) == datetime(2026, 6, 1, 3, 30, tzinfo=UTC)
    second.close()


@pytest.mark.parametrize(
    "field", [{"hour": "25"}, {"day_of_week": "8"}, {"minute": "60"}, {"month_of_year": "0"}]
)
def test_a_crontab_refuses_a_field_out_of_range_when_it_is_made(field):
    """The policy asks it."""
    with pytest.raises(ValueError, match="Invalid"):
        crontab(**field)


ZONES = {"zone of the app": (crontab, "America/New_York"), "zone of its own": (CrontabNewYork, "UTC")}
APP_ZONE, OWN_ZONE = ZONES.values()
in_new_york = pytest.mark.parametrize(
    ("kind", "zone"), [APP_ZONE, pytest.param(*OWN_ZONE, marks=pytest.mark.since("5.7"))], ids=ZONES
)


@in_new_york
def test_a_daily_time_that_the_clocks_skip_is_sent_once_and_later_by_what_they_skip(kind, zone):
    assert runs(SPRING, kind, zone, minute="30", hour="2") == ["03:30 EDT"]


@in_new_york
def test_a_daily_time_that_comes_twice_is_sent_in_the_first_pass_only(kind, zone):
    assert runs(AUTUMN, kind, zone, minute="30", hour="1") == ["01:30 EDT"]


@pytest.mark.parametrize(("kind", "zone"), ZONES.values(), ids=ZONES)
def test_an_hourly_time_keeps_each_hour_of_the_night_in_spring(kind, zone):
    found = runs(SPRING, kind, zone, minute="15")
    assert found[:4] == ["00:15 EST", "01:15 EST", "03:15 EDT", "04:15 EDT"]


@in_new_york
@pytest.mark.parametrize(
    ("minute", "expected"),
    [
        ("15", ["00:15 EDT", "01:15 EDT", "02:15 EST"]),
        ("*/30", ["00:30 EDT", "01:00 EDT", "01:30 EDT", "02:00 EST"]),
    ],
)
def test_nothing_is_sent_in_the_second_pass_of_an_hour_that_comes_twice(kind, zone, minute, expected):
    found = runs(AUTUMN, kind, zone, minute=minute)
    assert found[: len(expected)] == expected


def test_a_day_has_to_match_day_of_month_and_day_of_week_both():
    """The second of a month is a Monday in November; Unix cron would run on the first Monday of June."""
    assert next_run(crontab("0", "0", day_of_month="2", day_of_week="1")) == datetime(2026, 11, 2, tzinfo=UTC)


@pytest.mark.parametrize(("backend", "cleans"), [("file:///tmp", True), ("redis://127.0.0.1:1", False)])
def test_beat_sends_the_cleaning_of_results_where_the_store_forgets_nothing_itself(backend, cleans):
    app = Celery(set_as_current=False, result_backend=backend, beat_schedule={})
    scheduler = Scheduler(app, lazy=True)
    scheduler.install_default_entries({})
    assert ("celery.backend_cleanup" in scheduler.data) == cleans


def test_beat_sleeps_up_to_300_s_unless_said():
    app = Celery(set_as_current=False)
    assert app.conf.beat_max_loop_interval == 0
    assert Scheduler(app, lazy=True).max_interval == 300


@pytest.mark.server
def test_beat_sends_a_name_that_no_worker_knows_without_complaint(on_redis, database):
    lab = on_redis(beat_schedule={"typo": {"task": "quikc", "schedule": 1}})
    lab.beat()
    wait_until(lambda: len(sent(database)) >= 2, "beat sends it again and again", seconds=60)
    assert {headers["task"] for headers in sent(database)} == {"quikc"}
    assert "ERROR" not in lab.logs()


@pytest.mark.server
def test_a_second_beat_on_the_same_state_file_starts_and_sends_everything_again(on_redis, database):
    lab = on_redis(beat_schedule={"often": EVERY_SECOND})

    def senders() -> set[str]:
        """Each with its process id and host."""
        return {headers["origin"] for headers in sent(database)}

    first = lab.beat()
    wait_until(lambda: len(senders()) == 1, "the first sends", seconds=60)
    second = lab.beat()
    wait_until(lambda: len(senders()) == 2, "the second sends too", seconds=60)
    before = len(sent(database))
    wait_until(lambda: len(sent(database)) >= before + 4, "both go on", seconds=60)
    assert [first.poll(), second.poll()] == [None, None]


@pytest.mark.server
def test_beat_that_is_stopped_in_the_midst_of_a_send_counts_it_as_sent(on_redis, database):
    """Why a rollout may cost the one firing that falls into the moment in which beat stops."""
    lab = on_redis(beat_schedule={"often": EVERY_SECOND}, imports=("knowledge.stops_in_a_send",))
    assert lab.beat().wait(timeout=60) == 0
    assert sent(database) == []
    state = PersistentScheduler(lab.app, schedule_filename=str(lab.folder / "schedule"))
    assert state.schedule["often"].total_run_count == 1
    state.close()


@pytest.mark.server
def test_an_empty_pidfile_is_none(on_redis, database):
    """How the emitters start beat; its folder need not be writable."""
    lab = on_redis(beat_schedule={"often": EVERY_SECOND})
    lab.beat()
    wait_until(lambda: sent(database) != [], "beat sends", seconds=60)
    assert not list(lab.folder.glob("*.pid"))


@pytest.mark.server
def test_expires_in_a_schedules_options_discards_the_runs_of_an_outage(on_redis, database):
    lab = on_redis(beat_schedule={"often": EVERY_SECOND | {"options": {"expires": 1}}})
    beat = lab.beat()
    wait_until(lambda: len(sent(database)) >= 3, "three runs wait for a worker", seconds=60)
    beat.kill()
    beat.wait()
    last = datetime.fromisoformat(sent(database)[-1]["expires"])
    wait_until(lambda: datetime.now(UTC) > last, "all have expired")
    lab.send("nap", 0)
    lab.worker()
    lab.wait_for("end", "nap")
    assert lab.events("start", "quick") == []
    assert database.llen("celery") == 0


@pytest.mark.server
def test_expires_in_a_schedules_options_beats_that_of_its_task(on_redis, database):
    lab = on_redis(
        beat_schedule={"often": EVERY_SECOND | {"options": {"expires": 5}}},
        task_annotations={"quick": {"expires": 100_000}},
    )
    lab.beat()
    wait_until(lambda: sent(database) != [], "beat sends", seconds=60)
    assert datetime.fromisoformat(sent(database)[0]["expires"]) < datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.server
def test_a_worker_with_a_green_pool_refuses_to_run_beat_inside(on_redis):
    with pytest.raises(EndedEarlyError, match="-B option doesn't work with eventlet/gevent"):
        on_redis().worker("--beat", pool="gevent")


@pytest.mark.server
def test_without_expires_all_the_runs_of_an_outage_are_run(on_redis, database):
    lab = on_redis(beat_schedule={"often": EVERY_SECOND})
    beat = lab.beat()
    wait_until(lambda: len(sent(database)) >= 3, "three runs wait for a worker", seconds=60)
    beat.kill()
    beat.wait()
    waiting = len(sent(database))
    lab.worker()
    lab.wait_for("end", "quick", times=waiting)


@pytest.mark.server
def test_a_queue_in_a_schedules_options_beats_the_route(on_redis, database):
    queues = tuple(Queue(name, Exchange(name), routing_key=name) for name in ("routed", "scheduled"))
    lab = on_redis(
        task_queues=queues,
        task_routes={"quick": {"queue": "routed"}},
        beat_schedule={"often": EVERY_SECOND | {"options": {"queue": "scheduled"}}},
    )
    lab.beat()
    wait_until(lambda: sent(database, "scheduled") != [], "beat sends", seconds=60)
    assert sent(database, "routed") == []


CLOCKS = {
    "as it was": ({}, True),
    "another zone": ({"timezone": "Europe/Berlin"}, False),
    "no more UTC": ({"enable_utc": False}, False),
}


@pytest.mark.parametrize("case", CLOCKS)
def test_beat_forgets_what_is_overdue_when_the_clock_of_the_app_is_another(tmp_path, case):
    changed, due = CLOCKS[case]

    def scheduler(**settings: object) -> PersistentScheduler:
        app = Celery(set_as_current=False)
        app.conf.update({"timezone": "UTC", "beat_schedule": {"often": EVERY_SECOND | {"schedule": 60}}})
        app.conf.update(settings)
        return PersistentScheduler(app, schedule_filename=str(tmp_path / "schedule"))

    first = scheduler()
    first.schedule["often"].last_run_at -= timedelta(hours=1)
    first.close()
    second = scheduler(**changed)
    assert second.schedule["often"].is_due().is_due is due
    second.close()


@pytest.mark.parametrize(("deadline", "due"), [(None, True), (3600, True), (60, False)])
def test_beat_leaves_out_a_crontab_for_which_it_is_later_than_the_deadline(deadline, due):
    app = Celery(set_as_current=False, timezone="UTC", beat_cron_starting_deadline=deadline)
    nine = MIDNIGHT + timedelta(hours=9)
    late = crontab(**NINE, app=app, nowfun=lambda: nine + timedelta(minutes=10))
    assert late.is_due(nine - timedelta(days=1)).is_due is due


@pytest.mark.parametrize(("name", "again"), [("nightly", True), ("nightly-at-three", False)])
def test_an_entry_with_new_times_goes_by_its_last_run_and_one_of_a_new_name_by_now(name, again):
    app = Celery(set_as_current=False, timezone="UTC", enable_utc=True)
    noon = MIDNIGHT + timedelta(hours=12)

    def at(hour: str) -> crontab:
        return crontab(minute="0", hour=hour, app=app, nowfun=lambda: noon)

    scheduler = Scheduler(app=app, lazy=True)
    scheduler.merge_inplace({"nightly": {"task": "quick", "schedule": at("2")}})
    scheduler.schedule["nightly"].last_run_at = MIDNIGHT + timedelta(hours=2)
    # Deployed at noon: it has run today, and would have been due at three by the new times.
    scheduler.merge_inplace({name: {"task": "quick", "schedule": at("3")}})
    entry = scheduler.schedule[name]
    assert entry.is_due().is_due is again
