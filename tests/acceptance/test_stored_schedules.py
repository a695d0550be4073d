"""Schedulers with a store of their own: what they make of entries, and of what is compiled for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from places import SUPPORT
from review_of import at, reviewed
from servers import redis_server
from workloads import workload

from policycompiler.compiler import compile_workload
from policycompiler.plan import Plan
from policycompiler.review import Class
from policycompiler.review.conditions import DeleteRows
from policycompiler.review.rollout_files import ROWS, rollout_files

DATABASE = "django_celery_beat.schedulers:DatabaseScheduler"
ZONED = """
from celery.schedules import crontab, solar
from zoneinfo import ZoneInfo

class Zoned(crontab):
    tz = ZoneInfo("Europe/Paris")

broker_url = "memory://"
"""
TASK = "tasks: {shop.a: {queue: q}}\n"

Look = Callable[[str], dict[str, dict]]


def look(folder: Path, scheduler: str, store: str, text: str) -> dict[str, dict]:
    """The entries that are sent by a configuration, but for the one that Celery adds."""
    (folder / "celeryconfig.py").write_text(text, "utf-8")
    script = SUPPORT / "stored_beat.py"
    found = subprocess.run(
        [sys.executable, str(script), scheduler, store],
        cwd=folder,
        env={**os.environ, "CELERY_BROKER_URL": "memory://", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return {
        name: entry for name, entry in json.loads(found.stdout).items() if name != "celery.backend_cleanup"
    }


@pytest.fixture
def in_database(tmp_path: Path) -> Look:
    return lambda text: look(tmp_path, "database", str(tmp_path / "beat.sqlite"), text)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def in_redis(tmp_path: Path, redis_url: str) -> Look:
    return lambda text: look(tmp_path, "redis", redis_url, text)


def compiled(text: str) -> str:
    """The `celeryconfig.py` of a workload."""
    source = Path("workload.yaml")
    source.write_text(workload(text), "utf-8")
    compilation = compile_workload([source])
    assert not compilation.failed, compilation.diagnostics
    (file,) = (file for file in compilation.files if file.path == "celeryconfig.py")
    return file.text


def test_a_row_keeps_some_options_and_whole_seconds(in_database):
    options = {"expires": 540, "countdown": 5, "serializer": "json", "priority": 3, "queue": "q"}
    found = in_database(
        f"{ZONED}beat_schedule = {{\n"
        f" 'a': {{'task': 't', 'schedule': 600, 'options': {options}}},\n"
        "  'b': {'task': 't', 'schedule': 90.5, 'options': {'expire_seconds': 540}},\n"
        "  'c': {'task': 't', 'schedule': 0.5},\n"
        "  'd': {'task': 't', 'schedule': 60, 'enabled': False},\n"
        "  'e': {'task': 't', 'schedule': Zoned(minute='7')},\n"
        "}"
    )
    assert found["a"] == {"seconds": 600.0, "options": {"priority": 3, "queue": "q"}}
    assert found["b"]["options"] == {"expires": 540}
    assert "d" not in found
    assert found["e"]["zone"] == "Europe/Paris"
    # The database keeps integers: what was read back a moment ago has its fraction still.
    again = in_database(f"{ZONED}beat_schedule = {{}}")
    assert again.keys() == {"a", "b", "c", "e"}
    assert (again["b"]["seconds"], again["c"]["seconds"]) == (90.0, 0.0)


@pytest.mark.server
def test_redbeat_forgets_what_goes_and_loses_the_zone_of_a_crontab(in_redis):
    found = in_redis(
        f"{ZONED}beat_schedule = {{\n"
        "  'a': {'task': 't', 'schedule': 0.5, 'options': {'expires': 9, 'countdown': 5}},\n"
        "  'b': {'task': 't', 'schedule': Zoned(minute='7')},\n"
        "}"
    )
    assert found["a"] == {"seconds": 0.5, "options": {"expires": 9, "countdown": 5}}
    assert found["b"]["zone"] == "UTC"
    assert in_redis(f"{ZONED}beat_schedule = {{'b': {{'task': 't', 'schedule': 60}}}}").keys() == {"b"}


@pytest.mark.server
def test_redbeat_does_not_start_with_a_schedule_that_goes_by_the_sun(in_redis):
    with pytest.raises(AssertionError, match="solar is not JSON serializable"):
        in_redis(f"{ZONED}beat_schedule = {{'a': {{'task': 't', 'schedule': solar('sunrise', 1, 2)}}}}")


@pytest.mark.usefixtures("in_folder")
def test_what_is_compiled_for_a_database_reaches_it(in_database):
    schedules = (
        "schedules:\n"
        "  often: {task: shop.a, every: 10m}\n"
        "  daily: {task: shop.a, cron: 7 * * * *, timezone: Europe/Paris, expires: 90500ms}\n"
        "  off: {task: shop.a, every: 1h, enabled: false}\n"
        f"beat: {{scheduler: '{DATABASE}'}}\n"
    )
    text = compiled(TASK + schedules)
    assert f'beat_scheduler = "{DATABASE}"' in text
    found = in_database(text)
    assert found.keys() == {"often", "daily"}
    assert found["often"] == {"seconds": 600.0, "options": {"expires": 540}}
    assert (found["daily"]["zone"], found["daily"]["options"]) == ("Europe/Paris", {"expires": 91})
    assert found["daily"]["cron"].split() == ["<crontab:", "7", *"****", "(m/h/d/dM/MY),", "Europe/Paris>"]
    assert in_database(compiled(TASK + schedules.replace("10m}", "10m, enabled: false}"))).keys() == {"daily"}


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


OFTEN, DAILY = "often: {task: shop.a, every: 10m}", "daily: {task: shop.a, every: 1d}"


def both(scheduler: str, old: str, new: str):
    old, new = (f"{TASK}schedules: {{{each}}}\nbeat: {{{scheduler}}}\n" for each in (old, new))
    return reviewed(old, new)


def test_a_schedule_that_goes_from_a_database_asks_for_its_row_to_be_deleted():
    found = both(f"scheduler: '{DATABASE}'", f"{OFTEN}, {DAILY}", DAILY)
    assert at(found, "schedule:often").risk is Class.ORDERED
    last = found.steps[-1]
    assert "`often`" in last.action
    assert last.run == (DeleteRows(schedules=("often",)),)
    (program,) = (each.text for each in rollout_files(found, Plan({}), (), {}) if each.path == ROWS)
    assert 'PeriodicTask.objects.filter(name__in=["often"]).delete()' in program
    # Beat is deployed before: the old one would write the row again.
    assert any("beat" in step.restart for step in found.steps[:-1])


def test_a_row_that_is_told_to_be_disabled_needs_no_step():
    found = both(f"scheduler: '{DATABASE}'", f"{OFTEN}, {DAILY}", f"{OFTEN[:-1]}, enabled: false}}, {DAILY}")
    assert found.verdict is Class.SAFE
    assert not any("row" in step.action for step in found.steps)


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("scheduler: 'celery.beat:PersistentScheduler'", Class.SAFE),
        ("scheduler: redbeat.RedBeatScheduler", Class.SAFE),
        ("scheduler: 'shop.beat:Own'", Class.MANUAL),
        ("scheduler: 'shop.beat:Own', store: file", Class.SAFE),
        ("scheduler: 'shop.beat:Own', store: database", Class.ORDERED),
        (f"scheduler: {DATABASE.replace(':', '.')}", Class.ORDERED),
        ("scheduler: django", Class.ORDERED),
    ],
)
def test_what_becomes_of_a_schedule_that_goes_depends_on_the_store(scheduler, expected):
    assert at(both(scheduler, f"{OFTEN}, {DAILY}", DAILY), "schedule:often").risk is expected


def test_nobody_but_django_celery_beat_is_given_its_command():
    found = both("scheduler: 'shop.beat:Own', store: database", f"{OFTEN}, {DAILY}", DAILY)
    assert "`often`" in found.steps[-1].action
    assert found.steps[-1].run == ()


def test_a_schedule_that_the_store_turns_into_a_flood_is_no_safe_change():
    found = both(f"scheduler: '{DATABASE}'", DAILY, "daily: {task: shop.a, every: 500ms}")
    assert found.verdict is Class.LOSSY
    assert "always due" in "".join(change.because for change in found.changes)
