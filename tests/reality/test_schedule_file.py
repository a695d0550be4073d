"""The schedule file, written by Celery's own scheduler."""

from __future__ import annotations

import pickle
import shelve
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from celery.beat import PersistentScheduler
from celery.schedules import crontab

from policycompiler.reality.schedule_file import ScheduleFileError, read
from policycompiler.reality.seen import Firing


@pytest.fixture
def scheduler(tmp_path):
    app = Celery("writer", broker="memory://", set_as_current=False)
    app.conf.timezone = "Europe/Paris"
    app.conf.beat_schedule = {
        "fired": {"task": "a.fired", "schedule": 60.0},
        "waiting": {"task": "a.waiting", "schedule": crontab(minute="5")},
    }
    found = PersistentScheduler(app, schedule_filename=str(tmp_path / "schedule"))
    yield found
    found.close()


def test_a_file_that_beat_has_open_tells_who_fired_and_when(scheduler, tmp_path):
    scheduler.reserve(scheduler.schedule["fired"])
    scheduler.sync()
    found = {entry.name: entry for entry in read(tmp_path / "schedule")}
    fired, waiting = found["fired"], found["waiting"]
    assert (waiting, fired.task) == (Firing("waiting", "a.waiting", None), "a.fired")
    assert datetime.now(UTC) - datetime.fromtimestamp(fired.last, UTC) < timedelta(minutes=5)


class Evil:
    """What a file could try."""

    def __reduce__(self):
        return (open, ("evil", "w"))


def test_a_file_of_somebody_else_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with shelve.open(str(tmp_path / "schedule")) as file:
        file["entries"] = {"evil": Evil()}
    with pytest.raises(ScheduleFileError, match="cannot be read as a schedule of beat"):
        read(tmp_path / "schedule")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, pickle.dumps({"entries": 1})])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "schedule").write_bytes(content)
    with pytest.raises(ScheduleFileError):
        read(tmp_path / "schedule")
    with pytest.raises(ScheduleFileError, match="is not a file of beat"):
        read(tmp_path / "missing")
