"""What the code of an application does wrong by itself: each finding fires on one application, and not on
another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from policycompiler.diagnostics import Finding
from policycompiler.reality import code
from policycompiler.verify import audit as audits
from policycompiler.verify.audit import audit

FINDINGS = [each for each in vars(audits).values() if isinstance(each, Finding)]

BAD = {
    "bad.py": """\
import socket
from celery import Celery
from celery.schedules import crontab
from kombu import Queue

try:
    socket.create_connection(("127.0.0.1", 1), timeout=1)
except OSError:
    pass
app = Celery("bad", broker="redis://:secret@127.0.0.1:1/0")
app.conf.update(
    task_queues=[Queue("celery")],
    task_routes={"bad.gone": {"queue": "celery"}},
    task_time_limit=600,
    task_soft_timelimit=60,
    beat_schedule={
        "often": {"task": "bad.slow", "schedule": 60.0},
        "daily": {"task": "bad.slow", "schedule": crontab(hour=1, minute=0)},
    },
)

@app.task(name="bad.slow")
def slow(): pass

@app.task(name="bad.endless", time_limit=0)
def endless(): pass

@app.task(queue="nowhere")
def lost(): pass

@app.task(name="bad.again", autoretry_for=(OSError,), retry_backoff=2, retry_jitter=False)
def again(): pass
""",
    "lax.py": """\
from celery import Celery

app = Celery("lax", broker="memory://")

@app.task(name="lax.a")
def a(): pass

@app.task(name="lax.b", time_limit=0)
def b(): pass
""",
    "elsewhere.py": """\
from celery import shared_task
from django.db import transaction

@shared_task(name="bad.unseen")
def unseen(): pass

def act(app, task):
    app.send_task("bad.slwo")
    with transaction.atomic():
        task.delay()
""",
}
GOOD = {
    "good.py": """\
import os
from celery import Celery
from celery.schedules import crontab
from kombu import Queue

app = Celery("good", broker=os.environ["GOOD_BROKER"], backend="cache+memory://")
app.conf.update(
    task_queues=[Queue("celery")],
    task_routes={"good.*": {"queue": "celery"}},
    task_time_limit=30,
    task_soft_time_limit=20,
    broker_connection_retry_on_startup=True,
    timezone="Europe/Paris",
    beat_schedule={
        "often": {"task": "good.quick", "schedule": 60.0},
        "daily": {"task": "good.quick", "schedule": crontab(hour=1, minute=0)},
    },
)

@app.task(name="good.quick", queue="celery", autoretry_for=(OSError,), retry_backoff=2, time_limit=10)
def quick(): pass
""",
    "views.py": """\
from django.db import transaction
from good import quick

def act(app):
    app.send_task("good.quick")
    with transaction.atomic():
        transaction.on_commit(lambda: quick.delay())
""",
}


def told(folder: Path, files: dict[str, str], *apps: str) -> dict[str, list[str]]:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    found = [code.look(app, sys.executable, folder=folder) for app in apps]
    source = code.read_source([Path()], sys.executable, folder=folder)
    messages: dict[str, list[str]] = {}
    for each in audit(found, source):
        assert each.place is not None
        messages.setdefault(each.name, []).append(f"{each.place.file}:{each.place.line}: {each.message}")
    return messages


@pytest.fixture(scope="module")
def bad(tmp_path_factory) -> dict[str, list[str]]:
    return told(tmp_path_factory.mktemp("bad"), BAD, "bad", "lax")


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOD_BROKER", "redis://:secret@127.0.0.1:1/0")
        return told(tmp_path_factory.mktemp("good"), GOOD, "good")


def test_a_queue_that_the_plan_declares_needs_no_other_declaration(tmp_path):
    (tmp_path / "bad.py").write_text(BAD["bad.py"], encoding="utf-8")
    found = [code.look("bad", sys.executable, folder=tmp_path)]
    assert "queue-not-in-task-queues" not in {each.name for each in audit(found, None, ["nowhere"])}


# PC880 to PC895, by name.
SAID = {
    "task-never-registered": "elsewhere.py:5: no app registers `bad.unseen`",
    "unknown-task-sent": "elsewhere.py:8: this sends `bad.slwo`",
    "route-unmatched": "bad.py:1: `task_routes` has `bad.gone`, which matches no registered task",
    "task-name-implicit": "bad.py:29: `lost`: the names come from the module",
    "sent-in-transaction": "elsewhere.py:10: a task is sent inside a database transaction",
    "queue-not-in-task-queues": "bad.py:28: queue `nowhere` is not in `task_queues`",
    "password-in-code": "bad.py:1: `broker_url` has a password that comes from no environment variable",
    "limit-zero": "bad.py:25: `bad.endless` sets `time_limit` to 0: it has no limit, and the app's limit of 600 s",
    "schedules-in-utc": "bad.py:1: `timezone` is not set, so `daily` are due by UTC",
    "setting-misspelled": "bad.py:1: the configuration sets `task_soft_timelimit`, which Celery does not have",
    "import-connects": "bad.py:1: importing the application opens connections to `127.0.0.1:1`",
    "results-discarded": "bad.py:1: no result backend is set",
    "startup-retry-unset": "bad.py:1: `broker_connection_retry_on_startup` is not set",
    "schedule-may-overlap": "bad.py:1: schedule `often` sends every 1 min, but `bad.slow` may run 10 min",
    "retries-together": "bad.py:31: `bad.again` retries without jitter",
    "tasks-without-limit": "lax.py:1: no hard time limit applies to `lax.a`, `lax.b`",
}


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda each: each.name)
def test_each_finding_is_told_of_the_bad_application_alone(bad, good, finding):
    assert any(message.startswith(SAID[finding.name]) for message in bad[finding.name]), bad[finding.name]
    assert finding.name not in good, good[finding.name]
