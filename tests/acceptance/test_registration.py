"""What compiled settings do when tasks are registered, on a real worker of an app that Django sets up.

The models of the app cannot be imported before `django.setup()`, as in every Django project.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from processes import running, wait_until
from servers import redis_server
from workloads import workload

from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server

CODE = {
    "shop/__init__.py": "",
    "shop/settings.py": """
        SECRET_KEY = "not secret"
        INSTALLED_APPS = ["shop"]
        USE_TZ = True
    """,
    "shop/models.py": """
        from django.db import models

        class Order(models.Model):
            pass

        class OutOfStock(Exception):
            pass
    """,
    "shop/tasks.py": """
        from celery import shared_task

        class BusyError(Exception):
            pass

        def tried(task, error):
            if not task.request.retries:
                raise error
            return task.request.retries

        @shared_task(bind=True)
        def fetch(self):
            from shop.models import Order
            return tried(self, Order.DoesNotExist("not yet"))

        @shared_task(bind=True)
        def own(self):
            return tried(self, BusyError())

        @shared_task(bind=True)
        def stock_take(self):
            from shop.models import OutOfStock
            return tried(self, OutOfStock())

        @shared_task(bind=True, time_limit=300)
        def hard(self):
            return self.request.timelimit

        @shared_task(bind=True, soft_time_limit=600)
        def soft(self):
            return self.request.timelimit

        @shared_task(bind=True, time_limit=1200, soft_time_limit=900)
        def both(self):
            return self.request.timelimit

        @shared_task(name="partner.pay")
        def pay():
            pass  # another app runs it; it is registered here to be sent

        @shared_task(bind=True, queue="mine")
        def elsewhere(self):
            return self.request.delivery_info["routing_key"]
    """,
    "shop/celery_app.py": """
        import os

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

        from celery import Celery

        app = Celery("shop")
        app.config_from_object("celeryconfig")
        app.autodiscover_tasks()
    """,
}
TASKS = """
broker: {transport: redis, url: "${B}"}
results: {backend: redis, url: "${R}"}
tasks:
  shop.tasks.fetch:
    idempotent: true
    queue: q
    retry: {on: [ConnectionError, shop.models.Order.DoesNotExist], delay: 1s}
    renamed_from: [shop.old.fetch]
  shop.tasks.own: {idempotent: true, queue: q, retry: {on: [shop.tasks.BusyError], delay: 1s}}
  shop.tasks.stock_*: {idempotent: true, queue: q, retry: {on: [shop.models.OutOfStock], delay: 1s}}
"""
PINS = {
    "nothing": "",
    "a hard limit": "celery: {settings: {task_time_limit: 400}}",
    "a soft limit": "celery: {settings: {task_soft_time_limit: 500}}",
    "both limits": "celery: {settings: {task_time_limit: 432, task_soft_time_limit: 360}}",
}
REGISTER = """
from shop.celery_app import app
import django
django.setup()
app.loader.import_default_modules()
print(len(app.tasks))
"""
SEND = """
import json, sys
from shop.celery_app import app
import django
django.setup()
app.loader.import_default_modules()
sent = [app.tasks[name].delay() if name in app.tasks else app.send_task(name) for name in sys.argv[1:]]
print(json.dumps([each.get(timeout=60) for each in sent]))
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


class Stage:
    """A folder with the app and its compiled settings."""

    def __init__(self, folder: Path, url: str, text: str) -> None:
        self.folder = folder
        for name, code in CODE.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(code), "utf-8")
        source = folder / "workload.yaml"
        source.write_text(workload(text), "utf-8")
        compilation = compile_workload([source])
        assert not compilation.failed, compilation.diagnostics
        (file,) = (file for file in compilation.files if file.path == "celeryconfig.py")
        (folder / file.path).write_text(file.text, "utf-8")
        self.environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "B": url, "R": url}
        self.log = folder / "worker.log"

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python to its end."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def worker(self):
        """A worker of the default queue, of `q` and of a queue that no workload declares."""
        words = ["-m", "celery", "-A", "shop.celery_app", "worker", "-c", "1", "--without-mingle"]
        queues = "q,mine,shop.standard.io"
        return running(
            [sys.executable, *words, "-Q", queues, "-l", "INFO"],
            log=self.log,
            environment=self.environment,
            folder=self.folder,
            stop_seconds=5,
        )

    def wait_until_ready(self) -> None:
        wait_until(lambda: "ready." in self.log.read_text(), "the worker is ready", seconds=60, log=self.log)


def test_no_module_of_the_application_is_imported_with_the_settings(tmp_path, url):
    stage = Stage(tmp_path, url, TASKS)
    code = "import celeryconfig, sys; print([name for name in sys.modules if name.split('.')[0] == 'shop'])"
    found = stage.python("-c", code)
    assert (found.stdout, found.returncode) == ("[]\n", 0), found.stderr
    report = stage.python("-m", "celery", "-A", "shop.celery_app", "report")
    assert report.returncode == 0, report.stderr
    assert "task_annotations" in report.stdout


def test_exceptions_of_the_application_are_retried(tmp_path, url):
    stage = Stage(tmp_path, url, TASKS)
    with stage.worker():
        stage.wait_until_ready()
        names = ("fetch", "own", "stock_take")
        done = stage.python("-c", SEND, *(f"shop.tasks.{name}" for name in names), "shop.old.fetch")
        assert done.returncode == 0, done.stderr + stage.log.read_text()
        assert json.loads(done.stdout) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("shop.models.Nothing", "AttributeError: module 'shop.models' has no attribute 'Nothing'"),
        ("shop.nowhere.Error", "AttributeError: module 'shop' has no attribute 'nowhere'"),
        ("shop.models.Order", "is not an exception class"),
    ],
)
def test_a_name_that_means_no_exception_says_which_task_and_where_it_is_written(tmp_path, url, name, reason):
    task = f"{{idempotent: true, retry: {{on: [OSError, {name}]}}}}"
    stage = Stage(
        tmp_path,
        url,
        f"tasks: {{shop.tasks.own: {task}}}".join(["broker: {transport: redis, url: '${B}'}\n", ""]),
    )
    found = stage.python("-c", REGISTER)
    assert found.returncode
    last = found.stderr.strip().splitlines()[-1]
    assert f"task shop.tasks.own: tasks.shop.tasks.own.retry.on[1] names `{name}`, which" in last
    assert last.endswith(reason)


@pytest.mark.parametrize("pins", PINS.values(), ids=PINS)
def test_a_message_to_another_app_carries_no_limit_of_this_one(tmp_path, url, pins):
    stage = Stage(
        tmp_path,
        url,
        f"broker: {{transport: redis, url: '${{B}}'}}\n{pins}\n"
        "tasks: {partner.pay: {external: true, queue: theirs}}",
    )
    code = (
        f"{REGISTER}\nfrom celery import signals\n"
        "signals.before_task_publish.connect(lambda headers, **_: print(headers['timelimit']), weak=False)\n"
        "app.tasks['partner.pay'].delay()\napp.send_task('partner.pay')\n"
    )
    done = stage.python("-c", code)
    assert done.returncode == 0, done.stderr
    limits = [json.loads(line.replace("None", "null")) for line in done.stdout.splitlines()[1:]]
    assert [any(each) for each in limits] == [False, False]


@pytest.mark.parametrize("pins", PINS.values(), ids=PINS)
def test_tasks_that_the_workload_lacks_are_sent_and_run_as_their_decorators_say(tmp_path, url, pins):
    stage = Stage(
        tmp_path,
        url,
        f"broker: {{transport: redis, url: '${{B}}'}}\nresults: {{backend: redis, url: '${{R}}'}}\n{pins}\n",
    )
    with stage.worker():
        stage.wait_until_ready()
        done = stage.python(
            "-c", SEND, *(f"shop.tasks.{name}" for name in ("hard", "soft", "both", "elsewhere"))
        )
        assert done.returncode == 0, done.stderr + stage.log.read_text()
        hard, soft, both, queue = json.loads(done.stdout)
        assert (hard[0], both, queue) == (300, [1200, 900], "mine")
        # A hard limit that is pinned for all still ends a run, and before such a soft one.
        assert soft[1] == (0 if "task_time_limit" in pins else 600)
    assert "neither task shop.tasks.elsewhere nor its queue mine is in the workload" in done.stderr
