"""Looks at the code of real applications, in interpreters of their own."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from places import APPS
from processes import wait_until

from policycompiler.reality import code
from policycompiler.reality.code import Call, CodeError

HERE = Path(code.__file__).parent
PROGRAMS = [HERE / "source.py", *sorted((HERE / "policycompiler_probe").glob("*.py"))]


@pytest.fixture
def library(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "library.settings")
    monkeypatch.setenv("LIBRARY_DATABASE", str(tmp_path / "library.sqlite3"))
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://reader:hunter2@127.0.0.1:1/0")
    return APPS / "library"


def look(folder: Path, app: str, **more) -> code.Code:
    return code.look(app, sys.executable, folder=folder, **more)


def app_file(folder: Path, text: str) -> Path:
    (folder / "tried.py").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_the_programs_run_on_python_3_9_and_import_nothing_of_ours(program):
    tree = ast.parse(program.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
        )
    }
    allowed = {"celery", "kombu", "django", "django_celery_beat", *sys.stdlib_module_names}
    assert imported <= allowed


def test_options_of_decorators_are_seen_apart_from_those_of_annotations_classes_and_settings():
    tasks = look(APPS / "courier", "courier.app").facts["tasks"]
    assert tasks["courier.parcels.track"]["options"] == {
        "acks_late": {"value": True, "from": "class courier.factory.CourierTask"},
        "autoretry_for": {"value": ["TimeoutError"], "from": "decorator"},
        "rate_limit": {"value": "50/s", "from": "annotation"},
        "retry_backoff": {"value": True, "from": "decorator"},
        "retry_jitter": {"value": False, "from": "decorator"},
        "time_limit": {"value": 120, "from": "decorator"},
    }
    assert tasks["courier.parcels.deliver"]["class"] == "Deliver"
    assert tasks["courier.parcels.deliver"]["options"]["max_retries"] == {
        "value": None,
        "from": "class courier.parcels.Deliver",
    }
    assert tasks["invoices.send"]["options"]["priority"] == {"value": 4, "from": "decorator"}


def test_a_value_that_equals_the_setting_of_the_app_is_no_option(tmp_path):
    folder = app_file(
        tmp_path,
        "from celery import Celery\n"
        "app = Celery('tried', broker='memory://')\n"
        "app.conf.update(task_time_limit=100, task_acks_late=True)\n"
        "@app.task(time_limit=100, acks_late=False)\n"
        "def same(): pass\n",
    )
    options = look(folder, "tried").facts["tasks"]["tried.same"]["options"]
    assert options == {"acks_late": {"value": False, "from": "decorator"}}


def test_the_app_is_loaded_as_a_worker_loads_it():
    facts = look(APPS / "courier", "courier.app:app").facts
    # Handlers of on_after_finalize have run, default modules are imported, and routes are resolved.
    assert facts["schedules"]["track-all"]["every_seconds"] == 60
    assert facts["schedules"]["track-all"]["options"] == {"queue": "parcels"}
    assert facts["tasks"]["courier.parcels.track"]["destination"]["queue"] == "parcels"
    queues = {each["name"]: each for each in facts["queues"]}
    assert queues["invoices"]["arguments"] == {"x-max-length": 10000, "x-max-priority": 5}
    assert (queues["invoices"]["exchange"], queues["invoices"]["routing_key"]) == ("celery", "celery")
    assert queues["audit"]["arguments"] == {"x-queue-type": "quorum"}


def test_django_is_set_up_where_it_must_be_and_misspelled_settings_are_named(library):
    facts = look(library, "library").facts
    assert sorted(facts["tasks"]) == [
        "loans.tasks.export_catalog",
        "loans.tasks.refresh_counts",
        "loans.tasks.remind_overdue",
        "loans.tasks.remind_reservation",
    ]
    assert facts["unknown_settings"] == ["task_soft_timelimit"]
    assert facts["settings"]["task_time_limit"] == 1800
    assert facts["tasks"]["loans.tasks.export_catalog"]["destination"] == {"queue": "slow", "priority": 6}


def test_a_look_opens_no_connection_and_says_which_the_application_opens(library, tmp_path, monkeypatch):
    assert look(library, "library").connects == ()
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    folder = app_file(
        tmp_path,
        "import socket\n"
        "from celery import Celery\n"
        "try: socket.create_connection(('127.0.0.1', 1), timeout=1)\n"
        "except OSError: pass\n"
        "app = Celery('tried', broker='memory://')\n",
    )
    assert look(folder, "tried").connects == ("127.0.0.1:1",)


def test_rows_of_django_celery_beat_are_read_and_not_changed(library):
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "-v0"], cwd=library, check=True)
    made = (
        "from django_celery_beat.models import *; "
        "i = IntervalSchedule.objects.create(every=7, period='minutes'); "
        "PeriodicTask.objects.create(name='weed', task='loans.tasks.refresh_counts', interval=i, args='[3]', "
        "enabled=False, queue='mail', expire_seconds=9); "
        "more = dict(task='loans.tasks.refresh_counts', interval=i); "
        "PeriodicTask.objects.create(name='text', args='not json', **more); "
        "PeriodicTask.objects.create(name='deep', args='[' * 2000, **more); "
        "PeriodicTask.objects.create(name='map', args='{}', **more); "
        "PeriodicTask.objects.create(name='once', one_off=True, **more); "
        "PeriodicTask.objects.create(name='headed', headers='{\"a\": 1}', **more)"
    )
    subprocess.run([*manage, "shell", "-v0", "-c", made], cwd=library, check=True)
    database = Path(os.environ["LIBRARY_DATABASE"])
    before = database.read_bytes()
    found = look(library, "library", rows=True)
    (row,) = found.facts["rows"]
    assert database.read_bytes() == before
    assert (row["name"], row["every_seconds"], row["args"], row["enabled"]) == ("weed", 420, [3], False)
    assert row["options"] == {"queue": "mail", "expire_seconds": 9}
    left = {each.what.split()[1] for each in found.unsaid if "a row of the database" in each.what}
    assert left == {"text", "deep", "map", "once", "headed"}


def test_no_secret_leaves_the_process(library, tmp_path, monkeypatch):
    assert "hunter2" not in json.dumps(look(library, "library").facts)
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    folder = app_file(
        tmp_path,
        "from celery import Celery\n"
        "app = Celery('tried', broker='amqp://me:h/hunter2@127.0.0.1//', backend='redis://:hunter2@127.0.0.1')\n"
        "app.conf.beat_schedule = {'s': {'task': 'a', 'schedule': 5, 'kwargs': {'token': 'hunter2'}}}\n"
        "app.conf.update(security_key_password=b'hunter2', database_engine_options={'password': 'hunter2'},\n"
        "  broker_transport_options={'sentinel_kwargs': {'password': 'hunter2'}, 'visibility_timeout': 7200},\n"
        "  result_backend_transport_options={'header': 'Bearer hunter2'}, mine='hunter2')\n"
        "@app.task\n"
        "def a(): pass\n",
    )
    found = look(folder, "tried")
    assert "hunter2" not in json.dumps(found.facts)
    assert found.facts["addresses"]["broker_url"]["password"] is True
    assert {each.what for each in found.unsaid} >= {
        "`sentinel_kwargs` of setting broker_transport_options",
        "`password` of setting database_engine_options",
        "`header` of setting result_backend_transport_options",
        "setting security_key_password",
        "schedule s",
    }
    assert found.facts["settings"]["broker_transport_options"] == {"visibility_timeout": 7200}
    # Half of a call is another call.
    assert "every_seconds" not in found.facts["schedules"]["s"]


def test_what_an_application_starts_while_it_is_imported_is_ended(tmp_path):
    folder = app_file(
        tmp_path,
        "import subprocess\nfrom celery import Celery\n"
        "child = subprocess.Popen(['sleep', '600'])\nopen('child', 'w').write(str(child.pid))\n"
        "app = Celery('tried', broker='memory://')\n",
    )
    assert look(folder, "tried").facts["tasks"] == {}
    child = int((folder / "child").read_text("utf-8"))
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", "ended")


def test_a_queue_that_every_process_gets_has_the_name_that_all_share(tmp_path):
    folder = app_file(
        tmp_path,
        "from celery import Celery\nfrom kombu import Queue\nfrom kombu.common import Broadcast\n"
        "app = Celery('tried', broker='memory://')\n"
        "app.conf.task_queues = [Queue('celery'), Broadcast('all')]\n"
        "app.conf.task_routes = {'a': {'queue': 'all'}, 'b*': {'queue': 'all'}}\n"
        "@app.task(name='a')\ndef a(): pass\n",
    )
    facts = look(folder, "tried").facts
    assert facts["tasks"]["a"]["destination"]["queue"] == "all"
    assert [each["route"]["queue"] for each in facts["routes"]] == ["all"]


def test_places_are_below_the_folder_even_if_the_application_leaves_it(tmp_path):
    folder = app_file(
        tmp_path,
        "import os\nfrom celery import Celery\nos.chdir('/')\napp = Celery('tried', broker='memory://')\n"
        "@app.task(name='a')\ndef a(): pass\n",
    )
    assert look(folder, "tried").facts["tasks"]["a"]["place"] == "tried.py:5"


def test_old_names_of_settings_are_no_misspellings(tmp_path):
    folder = app_file(
        tmp_path,
        "from celery import Celery\napp = Celery('tried', broker='memory://')\n"
        "class Old:\n    CELERY_ROUTES = {}\n    CELERYD_PREFETCH_MULTIPLIER = 2\n    CELERY_ROUTTES = {}\n"
        "app.config_from_object(Old)\n",
    )
    assert look(folder, "tried").facts["unknown_settings"] == ["celery_routtes"]


def test_an_app_that_cannot_be_loaded_is_an_error_with_its_place(tmp_path):
    folder = app_file(tmp_path, "x = 1\nraise RuntimeError('no redis://me:hunter2@h/0 here')\n")
    with pytest.raises(CodeError) as caught:
        look(folder, "tried")
    assert str(caught.value) == (
        "cannot load the app `tried`: RuntimeError: no redis://**@h/0 here (tried.py:2)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def app(): pass\n", "`tried:app` is a function, not a Celery app"),
        ("import sys; sys.exit(3)\n", "SystemExit: 3"),
        ("import nothing_like_this\n", "No module named 'nothing_like_this'"),
        ("import os; os._exit(4)\n", "ended with 4"),
        ("app = (\n", "SyntaxError"),
    ],
)
def test_any_failure_of_an_application_is_one_sentence(tmp_path, text, said):
    with pytest.raises(CodeError, match=said):
        look(app_file(tmp_path, text), "tried:app")


def test_an_interpreter_that_does_not_exist_is_one_sentence(tmp_path):
    with pytest.raises(CodeError, match="cannot run nowhere/python"):
        code.look("tried", "nowhere/python", folder=tmp_path)


def test_arguments_are_compared_with_signatures_without_a_call(tmp_path):
    folder = app_file(
        tmp_path,
        "from celery import Celery\n"
        "app = Celery('tried', broker='memory://')\n"
        "@app.task(bind=True)\n"
        "def a(self, x, *, y): raise SystemExit\n",
    )
    calls = [Call("good", "tried.a", [1], {"y": 2}), Call("bad", "tried.a", [], {"z": 2})]
    (misfit,) = look(folder, "tried", calls=calls).facts["misfits"]
    assert misfit["name"] == "bad"
    assert "unexpected keyword argument 'z'" in misfit["why"]


def test_schedules_and_settings_that_have_no_form_are_named(tmp_path):
    folder = app_file(
        tmp_path,
        "import re\n"
        "from celery import Celery\n"
        "from celery.schedules import schedule\n"
        "class Own(schedule): pass\n"
        "app = Celery('tried', broker='memory://')\n"
        "def route(name, args, kwargs, options, task=None): return None\n"
        "app.conf.task_routes = (route, {re.compile('a.*'): {'queue': 'a'}})\n"
        "app.conf.beat_schedule = {'own': {'task': 'x', 'schedule': Own(5)}}\n",
    )
    whats = [each.what for each in look(folder, "tried").unsaid]
    assert whats == ["route route", "route a.*", "schedule own"]


def test_a_crontab_with_its_own_zone_keeps_it(tmp_path):
    folder = app_file(
        tmp_path,
        "from zoneinfo import ZoneInfo\n"
        "from celery import Celery\n"
        "from celery.schedules import crontab\n"
        "class Zoned(crontab):\n"
        "    def __init__(self, zone, **fields):\n"
        "        super().__init__(**fields)\n"
        "        self.tz = ZoneInfo(zone)\n"
        "class Odd(crontab):\n"
        "    def is_due(self, last): return True, 1\n"
        "app = Celery('tried', broker='memory://')\n"
        "app.conf.beat_schedule = {'zoned': {'task': 'x', 'schedule': Zoned('Asia/Tokyo', hour=3)},\n"
        "  'odd': {'task': 'x', 'schedule': Odd(hour=3)}}\n",
    )
    found = look(folder, "tried")
    assert found.facts["schedules"]["zoned"]["timezone"] == "Asia/Tokyo"
    assert found.facts["schedules"]["zoned"]["cron"]["hour"] == "3"
    assert [each.what for each in found.unsaid] == ["schedule odd"]


# The source -----------------------------------------------------------------------------------------------------


def test_the_source_shows_tasks_that_no_process_registers(library):
    found = code.read_source([Path()], sys.executable, folder=library)
    names = {task.name: task for task in found.tasks}
    assert names["loans.archive.archive_loans"].place == "loans/archive.py:7"
    assert names["loans.tasks.remind_reservation"].explicit
    assert found.in_transactions == ("loans/tasks.py:44",)


def test_constants_enums_and_imports_are_followed(tmp_path):
    (tmp_path / "names.py").write_text(
        "import os, enum\n"
        "class Q(str, enum.Enum):\n    SLOW = 'slow'\n"
        "BASE = 60\nLIMIT = BASE * 5\nPREFIX = os.environ.get('PREFIX', 'shop')\n",
        encoding="utf-8",
    )
    (tmp_path / "jobs.py").write_text(
        "from celery import shared_task\nimport names\nfrom names import LIMIT, Q as Queues\n"
        "@shared_task(name=names.PREFIX + '.a', queue=Queues.SLOW.value, time_limit=LIMIT, max_retries=f())\n"
        "def a(): pass\n"
        "def send(app): app.send_task('shop.b', queue=Queues.SLOW)\n",
        encoding="utf-8",
    )
    found = code.read_source([Path()], sys.executable, folder=tmp_path)
    (task,) = found.tasks
    assert (task.name, task.options, task.unresolved) == (
        "shop.a",
        {"queue": "slow", "time_limit": 300},
        ("max_retries",),
    )
    assert found.sends == (code.Send("jobs.py:6", "shop.b", "slow"),)


def test_a_send_after_the_commit_is_not_inside_the_transaction(tmp_path):
    (tmp_path / "views.py").write_text(
        "from django.db import transaction\n"
        "@transaction.atomic\n"
        "def early(t): t.delay()\n"
        "def late(t):\n"
        "    with transaction.atomic():\n"
        "        transaction.on_commit(lambda: t.delay())\n"
        "    t.delay()\n",
        encoding="utf-8",
    )
    assert code.read_source([Path()], sys.executable, folder=tmp_path).in_transactions == ("views.py:3",)


def test_a_file_that_does_not_parse_is_named(tmp_path):
    (tmp_path / "broken.py").write_text("def f(:\n", encoding="utf-8")
    (unparsable,) = code.read_source([Path()], sys.executable, folder=tmp_path).unparsable
    assert unparsable.what == "broken.py:1"
