"""The compiled `celeryconfig`, read back by the Celery that it is meant for."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from celery import Celery, Task
from celery.app.defaults import NAMESPACES, flatten
from celery.beat import PersistentScheduler, ScheduleEntry
from celery.exceptions import ImproperlyConfigured
from compiled import compile_shop, configured_app, read_plan

from policycompiler.plan import APP, Plan, Scope

URLS = {
    "CELERY_BROKER_URL": "redis://127.0.0.1:6379/0",
    "CELERY_RESULT_BACKEND": "redis://127.0.0.1:6379/1",
}
# A setting of the plan that has the name of one of Celery's, and another meaning.
NOT_CELERYS = {"broker_transport"}
NAMESPACE = "version: 1\ncelery: {namespace: CELERY}\n"


@pytest.fixture(scope="module", params=[None, "rabbitmq"], ids=["redis", "rabbitmq"])
def build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_shop(tmp_path_factory.mktemp("build"), environment=request.param)


@pytest.fixture
def plan(build: Path) -> Plan:
    return read_plan(build)


@pytest.fixture
def app(build: Path) -> Celery:
    return configured_app(build, URLS)


def planned_settings(plan: Plan) -> dict:
    """Celery's own settings among those of the plan."""
    names = {name for name, _ in flatten(NAMESPACES)} - NOT_CELERYS
    return {key: setting.value for key, setting in plan.keys(APP).items() if key in names}


def options_of(plan: Plan, scope: Scope) -> dict:
    """The options planned for a task, but for the classes among them, which the plan has by name."""
    found = {
        key.removeprefix("options."): setting.value
        for key, setting in plan.keys(scope).items()
        if key.startswith("options.") and key != "options.autoretry_for"
    }
    return {"queue": plan.value(scope, "queue"), **found}


def queue_of(app: Celery, name: str) -> str:
    """Where Celery would send a task of that name."""
    return app.amqp.router.route({}, name)["queue"].name


def task_in(app: Celery, name: str, **decorator: object) -> Task:
    """A task of that name as its code would define it."""

    # Not shared: other tests of this process have apps of their own.
    @app.task(name=name, shared=False, **decorator)
    def body():
        pass

    return body


def concrete(scope: Scope) -> str:
    """A task that this entry declares; in the shop no two patterns overlap."""
    return scope.name.replace("*", "not_yet_written")


def test_every_planned_setting_arrives(app, plan):
    planned = planned_settings(plan)
    assert {"task_reject_on_worker_lost", "task_default_queue", "broker_transport_options"} <= planned.keys()
    assert {key: app.conf[key] for key in planned} == planned
    assert (app.conf.broker_url, app.conf.result_backend) == tuple(URLS.values())


def test_the_queues_are_the_planned_ones(app, plan):
    assert {
        queue.name: (queue.exchange.name, queue.exchange.type, queue.routing_key, queue.queue_arguments or {})
        for queue in app.amqp.queues.values()
    } == {
        scope.name: (
            *(plan.value(scope, key) for key in ("exchange", "exchange_type", "routing_key")),
            plan.below(scope, "arguments."),
        )
        for scope in plan.scopes("queue")
    }
    # A queue that only the code names is what Celery makes of it.
    made = app.amqp.router.route({"queue": "legacy"}, "shop.mail.send_newsletter")["queue"]
    assert (made.exchange.type, made.queue_arguments) == ("direct", None)


def test_every_declared_task_is_routed_as_routing_json_says(app, build):
    routing = json.loads((build / "routing.json").read_text("utf-8"))
    expected = {name: entry["queue"] for name, entry in routing["tasks"].items()}
    expected |= {entry["match"].replace("*", "any"): entry["queue"] for entry in routing["patterns"]}
    # The second is declared by a pattern too, which sends its tasks elsewhere.
    assert {"shop.reports.any", "shop.reports.customer_export"} <= expected.keys()
    assert {name: queue_of(app, name) for name in expected} == expected
    assert queue_of(app, "stray.wander") == routing["default_queue"]


def test_the_options_of_every_declared_task_arrive_on_the_task(app, plan):
    for scope in plan.scopes("task"):
        task, wanted = task_in(app, concrete(scope)), options_of(plan, scope)
        assert {"time_limit", "soft_time_limit", "acks_late"} <= wanted.keys()
        assert {option: getattr(task, option) for option in wanted} == wanted


def test_the_errors_that_are_retried_arrive_as_classes(app):
    assert task_in(app, "shop.payments.refund").autoretry_for == (ConnectionError, TimeoutError)


@pytest.mark.filterwarnings(r"ignore:\s*The 'queue' task attribute:celery.exceptions.CDeprecationWarning")
@pytest.mark.parametrize("entry", ["shop.mail.send_newsletter", "shop.reports.*"])
def test_what_a_decorator_says_is_beaten(app, plan, entry):
    scope = Scope("task", entry)
    wanted = options_of(plan, scope)
    late = not wanted["acks_late"]
    task = task_in(app, concrete(scope), queue="nowhere", time_limit=1, acks_late=late)
    assert {option: getattr(task, option) for option in wanted} == wanted


def test_a_namespace_gives_the_same_configuration(plan, app, tmp_path):
    environment = None if plan.value(APP, "broker_transport") == "redis" else "rabbitmq"
    prefixed = compile_shop(tmp_path, environment=environment, more=NAMESPACE)
    other = configured_app(prefixed, URLS, namespace="CELERY")
    settings = {name for name, _ in flatten(NAMESPACES)} - {"task_annotations"}
    assert {"broker_url", "task_routes", "task_queues", "beat_schedule"} <= settings
    assert {key: other.conf[key] for key in settings} == {key: app.conf[key] for key in settings}
    for scope in plan.scopes("task"):
        task, wanted = task_in(other, concrete(scope)), options_of(plan, scope)
        assert {option: getattr(task, option) for option in wanted} == wanted


def test_a_namespace_prefixes_every_setting(tmp_path):
    text = (compile_shop(tmp_path, more=NAMESPACE) / "celeryconfig.py").read_text("utf-8")
    names = re.findall(r"^([A-Za-z]\w*) = ", text, re.MULTILINE)
    assert {name for name in names if not name.startswith("CELERY_")} == set()
    assert "CELERY_BEAT_SCHEDULE" in names


@pytest.mark.parametrize("missing", URLS)
def test_a_missing_url_is_an_error_that_names_the_variable(build, monkeypatch, missing):
    monkeypatch.delenv(missing, raising=False)
    given = {name: url for name, url in URLS.items() if name != missing}
    with pytest.raises(ImproperlyConfigured, match=rf"environment variables; not set: {missing}$"):
        configured_app(build, given)


def entries(app: Celery, file: Path) -> dict[str, ScheduleEntry]:
    """What beat holds after it has started with this schedule file."""
    with closing(PersistentScheduler(app, schedule_filename=str(file))) as scheduler:
        return dict(scheduler.schedule)


def test_beat_loads_every_schedule(app, plan, tmp_path):
    loaded = entries(app, tmp_path / "schedule")
    assert {name: (entry.task, dict(entry.kwargs), entry.options) for name, entry in loaded.items()} == {
        scope.name: (
            plan.value(scope, "task"),
            plan.get(scope, "kwargs", {}),
            plan.get(scope, "options", {}),
        )
        for scope in plan.scopes("schedule")
    }
    assert loaded["sync-stock"].schedule.run_every == timedelta(minutes=5)
    assert loaded["release-reservations"].schedule.tz == ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("replace", "zone"),
    [
        pytest.param(None, "Europe/Paris", id="the same"),
        pytest.param(("Europe/Paris", "Asia/Tokyo"), "Asia/Tokyo", id="another"),
        pytest.param(("timezone: Europe/Paris", "timezone: UTC"), "UTC", id="none of its own"),
    ],
)
def test_beat_takes_up_the_schedule_file_of_an_earlier_compile(tmp_path, replace, zone):
    file = tmp_path / "schedule"
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    before = configured_app(compile_shop(tmp_path / "before"), URLS)
    assert str(entries(before, file)["daily-sales"].schedule.tz) == "Europe/Paris"
    after = configured_app(compile_shop(tmp_path / "after", replace=replace), URLS)
    assert str(entries(after, file)["daily-sales"].schedule.tz) == zone


def test_a_zone_survives_beats_writing_and_reading_back(app, tmp_path):
    with closing(PersistentScheduler(app, schedule_filename=str(tmp_path / "schedule"))) as scheduler:
        scheduler.sync()
        schedule = scheduler.schedule["daily-sales"].schedule
    assert schedule is not app.conf.beat_schedule["daily-sales"]["schedule"]
    assert str(schedule.tz) == "Europe/Paris"
    assert schedule == app.conf.beat_schedule["daily-sales"]["schedule"]


@pytest.mark.parametrize(
    "due",
    [
        pytest.param(datetime(2026, 1, 15, 5, 30, tzinfo=UTC), id="winter"),
        pytest.param(datetime(2026, 7, 15, 4, 30, tzinfo=UTC), id="summer"),
        pytest.param(datetime(2026, 3, 29, 4, 30, tzinfo=UTC), id="the day of the short night"),
        pytest.param(datetime(2026, 10, 25, 5, 30, tzinfo=UTC), id="the day of the long night"),
    ],
)
def test_the_paris_schedule_is_due_at_half_past_six_in_paris(app, due):
    assert due.astimezone(ZoneInfo("Europe/Paris")).strftime("%H:%M") == "06:30"
    schedule = app.conf.beat_schedule["daily-sales"]["schedule"]
    yesterday = due - timedelta(hours=20)
    schedule.nowfun = lambda: due - timedelta(seconds=1)
    assert schedule.is_due(yesterday) == (False, 1)
    schedule.nowfun = lambda: due
    assert schedule.is_due(yesterday).is_due
    assert not schedule.is_due(due).is_due
