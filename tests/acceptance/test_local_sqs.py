"""What is compiled for SQS, on a local model of SQS: settings, delays, retries, and redelivery.

moto shows what Celery asks of SQS, and when messages return. It shows nothing about limits, rights or speed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import pytest
from newer import of_sqs
from processes import running, wait_until
from servers import HOST, free_port
from workloads import workload

from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server

WORKLOAD = """\
broker:
  transport: sqs
  url: "${B}"
  visibility_timeout: 15s
  options: {region: eu-west-1, is_secure: false, polling_interval: 0.2, wait_time_seconds: 1, queue_name_prefix: "shop-"}
tasks:
  shop.quick: {queue: mail.in, idempotent: true, runtime: {p50: 100ms, p99: 500ms}, max_countdown: 2s}
  shop.flaky:
    queue: mail.in
    idempotent: true
    runtime: {p50: 100ms, p99: 500ms}
    retry: {on: [OSError], max: 2, delay: 1s, max_delay: 1s, jitter: false}
  shop.slow: {queue: mail.in, idempotent: true, runtime: {p50: 1s, p99: 2s}}
"""
APP = """\
import os, pathlib, time
from celery import Celery
app = Celery("shop", config_source="celeryconfig")
notes = pathlib.Path(os.environ["NOTES"])
def note(word):
    with notes.open("a") as file:
        file.write(word + "\\n")
@app.task(name="shop.quick")
def quick(word):
    note(word)
@app.task(name="shop.flaky", bind=True)
def flaky(self):
    note(f"flaky {self.request.retries}")
    if not self.request.retries:
        raise OSError
@app.task(name="shop.slow", bind=True)
def slow(self):
    note("start")
    if not self.request.delivery_info.get("redelivered") and notes.read_text().count("start") == 1:
        time.sleep(600)
    note("end")
"""


class Shop(NamedTuple):
    """A compiled folder with an app, and the variables of its processes."""

    build: Path
    environment: dict[str, str]
    port: int

    @property
    def notes(self) -> list[str]:
        """What tasks noted so far."""
        path = Path(self.environment["NOTES"])
        return path.read_text().splitlines() if path.exists() else []

    def send(self, task: str, *words: str) -> None:
        celery = [of_sqs("python"), "-m", "celery", "--app", "shop_app", "call", task, *words]
        subprocess.run(
            celery, cwd=self.build, env=self.environment, check=True, capture_output=True, timeout=60
        )

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        celery = [of_sqs("python"), "-m", "celery", "--app", "shop_app", "worker"]
        words = ["--queues", "mail.in", "--concurrency", "1", "--loglevel", "info"]
        log = self.build / "worker.log"
        log.unlink(missing_ok=True)
        with running(
            [*celery, *words], log=log, environment=self.environment, folder=self.build, stop_seconds=0
        ) as process:
            wait_until(
                lambda: " ready." in log.read_text(), "it is ready", seconds=60, process=process, log=log
            )
            yield process


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Iterator[int]:
    """The port of a local SQS."""
    found, folder = free_port(), tmp_path_factory.mktemp("sqs")
    log = folder / "log"
    with running([of_sqs("moto_server"), "-H", HOST, "-p", str(found)], log=log, folder=folder) as process:

        def answers() -> bool:
            try:
                with urlopen(f"http://{HOST}:{found}/moto-api/", timeout=5):
                    return True
            except (URLError, OSError):
                return False

        wait_until(answers, "SQS answers", seconds=60, process=process, log=log)
        yield found


@pytest.fixture
def shop(port, tmp_path) -> Shop:
    source = tmp_path / "workload.yaml"
    source.write_text(workload(WORKLOAD))
    compilation = compile_workload([source])
    assert not compilation.failed, compilation.diagnostics
    (config,) = (file.text for file in compilation.files if file.path == "celeryconfig.py")
    (tmp_path / "celeryconfig.py").write_text(config)
    (tmp_path / "shop_app.py").write_text(APP)
    environment = {
        "PATH": "/usr/bin:/bin",
        "B": f"sqs://test:test@localhost:{port}//",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "NOTES": str(tmp_path / "notes"),
    }
    return Shop(tmp_path, environment, port)


def test_local_sqs_takes_the_settings_and_runs_delayed_and_retried_tasks(shop):
    with shop.worker():
        shop.send("shop.quick", "--args", '["later"]', "--countdown", "2")
        shop.send("shop.quick", "--args", '["now"]')
        shop.send("shop.flaky")
        wait_until(lambda: {"now", "later", "flaky 1"} <= {*shop.notes}, "all have run", seconds=60)
    assert sorted(shop.notes) == ["flaky 0", "flaky 1", "later", "now"]
    client = boto3.client(
        "sqs",
        region_name="eu-west-1",
        endpoint_url=f"http://{HOST}:{shop.port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    # A dot is a dash in the name, behind the prefix; and the queue has the timeout of the plan.
    (url,) = client.list_queues(QueueNamePrefix="shop-mail")["QueueUrls"]
    assert url.endswith("/shop-mail-in")
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    assert found == {"VisibilityTimeout": "15"}
    client.close()


def test_local_sqs_gives_the_message_of_a_killed_worker_to_another_after_the_timeout(shop):
    with shop.worker() as first:
        shop.send("shop.slow")
        wait_until(lambda: "start" in shop.notes, "it has begun", seconds=60)
        first.kill()
    with shop.worker():
        wait_until(lambda: "end" in shop.notes, "another worker ran it", seconds=90)
    # A message that a worker of another test left behind may come meanwhile, too.
    assert [note for note in shop.notes if note in {"start", "end"}] == ["start", "start", "end"]
