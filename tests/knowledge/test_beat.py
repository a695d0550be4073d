"""What beat sends, when, and how many of it there are.

On it rest the policies schedules and beat, and the zone's own crontab class in `celeryconfig.py`.
"""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime

import pytest
from celery import Celery
from celery.beat import PersistentScheduler, Scheduler
from celery.schedules import crontab
from knowledge.app import CrontabKolkata
from kombu import Exchange, Queue
from processes import wait_until

EVERY_SECOND = {"task": "quick", "schedule": 1}
# 9:00 in Kolkata is 3:30 UTC.
NINE = {"minute": "0", "hour": "9"}
MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC)


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


def test_a_crontab_class_with_a_tz_is_read_in_that_zone():
    assert next_run(CrontabKolkata(**NINE)) == datetime(2026, 6, 1, 3, 30, tzinfo=UTC)


def test_it_is_read_in_that_zone_also_after_pickling():
    """Beat's state file holds schedules as pickles."""
    again = pickle.loads(pickle.dumps(CrontabKolkata(**NINE)))
    assert next_run(again) == datetime(2026, 6, 1, 3, 30, tzinfo=UTC)


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
