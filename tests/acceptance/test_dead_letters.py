"""Dead letters as emitted, with a real worker: each end of a task leaves the one letter that the page says."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent

import pytest
from click.testing import CliRunner
from compiled import configured_app, write_configuration
from kombu import Connection, Queue
from processes import running, wait_until
from servers import RABBITMQ, rabbitmq_server, redis_server
from workloads import workload

from policycompiler.cli import cli
from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server

SLOTS = 3
APP = """\
import os, time
from pathlib import Path
from celery import Celery
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
app = Celery("shop", config_source="celeryconfig")
def fail(*args, **named):
    if not Path("mended").exists():
        raise ConnectionError("swordfish")
def retried(self):
    raise self.retry(countdown=0, max_retries=1)
def soft():
    time.sleep(60)
def hard():
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        time.sleep(60)
def die():
    os.kill(os.getpid(), 9)
def reject():
    raise Reject("never", requeue=False)
def ignore():
    raise Ignore
def done(*args, **named):
    with open("done", "a") as file:
        file.write("done\\n")
for way in ("late", "early"):
    for each in (fail, soft, hard, die, reject, ignore, done):
        app.task(name=f"shop.{way}.{each.__name__}", shared=False)(each)
    app.task(name=f"shop.{way}.die_again", shared=False)(die)
    app.task(name=f"shop.{way}.retried", bind=True, shared=False)(retried)
"""
LIMITS = "options: {soft_time_limit: 1, time_limit: 2}"
# A late task whose process is lost is retried, after 3 min if nothing else is said.
BACK = "options: {reject_on_worker_lost: true, retry_on_worker_lost: false}"
AGAIN = "options: {max_retries: 1, default_retry_delay: 0}"
WORKLOAD = f"""
    celery: {{settings: {{worker_lost_wait: 0.5}}}}
    tasks:
      shop.late.*: {{idempotent: true, queue: QUEUE, {AGAIN}}}
      shop.late.soft: {{idempotent: true, queue: QUEUE, {LIMITS}}}
      shop.late.hard: {{idempotent: true, queue: QUEUE, {LIMITS}}}
      shop.late.die_again: {{idempotent: true, queue: QUEUE, {BACK}}}
      shop.early.*: {{queue: QUEUE}}
      shop.early.soft: {{queue: QUEUE, {LIMITS}}}
      shop.early.hard: {{queue: QUEUE, {LIMITS}}}
"""
BROKER = {
    "redis": """
    broker: {transport: redis, url: "${CELERY_BROKER_URL}", options: {global_keyprefix: "shop:"}}
    queues: {QUEUE: {dead_letter: true}}""",
    "classic": """
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "3.10"}
    queues: {QUEUE: {dead_letter: true, type: classic}}""",
    "quorum": """
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "3.10"}
    queues: {QUEUE: {dead_letter: true, type: quorum}}""",
}
OWN = {
    "fail": "failed",
    "retried": "failed",
    "soft": "failed",
    "hard": "time-limit",
    "die": "worker-lost",
    "reject": "rejected",
}
"""What a worker says."""
REJECTED = {
    task: "rejected by RabbitMQ" if reason != "time-limit" else reason for task, reason in OWN.items()
}
"""What becomes of a message that the worker may still reject."""
REASONS = {
    "redis": {
        **{f"shop.{way}.{task}": reason for way in ("late", "early") for task, reason in OWN.items()},
        "nobody.knows": "unknown-task",
        "no task": "not-a-task",
        "shop.early.done": "not-a-task",
    },
    "classic": {
        **{f"shop.late.{task}": reason for task, reason in REJECTED.items()},
        **{f"shop.early.{task}": reason for task, reason in OWN.items()},
        "nobody.knows": "rejected by RabbitMQ",
        "no task": "rejected by RabbitMQ",
        "shop.early.done": "rejected by RabbitMQ",
        "shop.late.done": "expired by RabbitMQ",
    },
}
REASONS["quorum"] = {**REASONS["classic"], "shop.late.die_again": "delivery_limit by RabbitMQ"}


@pytest.fixture(scope="module")
def newer_rabbitmq_url(tmp_path_factory) -> Iterator[str]:
    with rabbitmq_server(tmp_path_factory.mktemp("newer"), RABBITMQ[1]) as url:
        yield url


@pytest.fixture(scope="module")
def rabbitmq_url(tmp_path_factory) -> Iterator[str]:
    with rabbitmq_server(tmp_path_factory.mktemp("rabbitmq")) as url:
        yield url


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@contextmanager
def emitted(folder, url, kind):
    """The worker of a queue; yields an app as a producer has it, and starts the worker when it is called."""
    text = dedent(BROKER[kind] + WORKLOAD).replace("QUEUE", kind)
    if kind != "quorum":
        # A loop: nothing counts how often the message returns.
        text = "".join(line for line in text.splitlines(keepends=True) if "die_again" not in line)
    (folder / "workload.yaml").write_text(workload(text))
    # Nothing is decided that is not written, on one of them.
    policy = folder / "policy.yaml"
    policy.write_text(f"version: 1\nextends: {'as-is' if kind == 'redis' else 'standard'}\n")
    compilation = compile_workload([folder / "workload.yaml"], policy=policy)
    assert not compilation.failed, compilation.diagnostics
    write_configuration(compilation.files, folder)
    (folder / "shop_app.py").write_text(APP)
    yield configured_app(folder, {"CELERY_BROKER_URL": url})


@contextmanager
def worker(folder, url, kind):
    celery = (sys.executable, "-m", "celery", "--app", "shop_app", "worker", "--queues", kind)
    words = ("--concurrency", str(SLOTS), "--without-gossip", "--without-mingle", "--hostname", f"{kind}@%h")
    environment = {"PATH": os.environ["PATH"], "CELERY_BROKER_URL": url}
    log = folder / "worker.log"
    with running((*celery, *words), log=log, folder=folder, stop_seconds=0, environment=environment):
        yield


def reason(message) -> tuple[str, str]:
    """The task of a letter and why it is there, as the worker or RabbitMQ says it."""
    headers = message.headers
    own, deaths = headers.get("celeryconfig-dead-letter"), headers.get("x-death")
    assert own or deaths, headers
    told = f"{deaths[0]['reason']} by RabbitMQ" if deaths else own["reason"]
    return headers.get("task", "no task"), told


def send_all(app, kind):
    """A message for each end, and some that leave none."""
    for way in ("late", "early"):
        app.send_task(f"shop.{way}.ignore")
        for task in OWN:
            app.send_task(f"shop.{way}.{task}")
    app.send_task("nobody.knows", queue=kind)
    if kind == "quorum":
        app.send_task("shop.late.die_again")
    with app.producer_or_acquire() as producer:
        to = {"routing_key": kind, "exchange": ""}
        producer.publish({"no": "task"}, **to)
        untrusted = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
        producer.publish(b"", headers={"task": "shop.early.done", "id": "untrusted"}, **untrusted, **to)
        producer.publish(b"{", content_type="application/json", content_encoding="utf-8", **to)


@pytest.mark.parametrize(
    ("kind", "broker"),
    [
        ("redis", "redis_url"),
        ("classic", "rabbitmq_url"),
        ("quorum", "rabbitmq_url"),
        ("classic", "newer_rabbitmq_url"),
        ("quorum", "newer_rabbitmq_url"),
    ],
)
def test_each_end_of_a_task_leaves_the_letter_that_is_declared(kind, broker, request, tmp_path, monkeypatch):
    url = request.getfixturevalue(broker)
    options = {"global_keyprefix": "shop:"} if kind == "redis" else {}
    wanted = REASONS[kind]
    done = tmp_path / "done"

    def runs() -> int:
        return len(done.read_text().splitlines()) if done.exists() else 0

    with emitted(tmp_path, url, kind) as app, Connection(url, transport_options=options) as connection:
        channel = connection.default_channel

        def letters() -> int:
            if kind == "redis":
                # kombu asks whether a queue exists without the prefix.
                return int(channel._size(f"{kind}.dead"))
            return int(channel.queue_declare(f"{kind}.dead", passive=True).message_count)

        # Nobody is there to take it before it expires.
        app.send_task("shop.late.done", expires=0.1)
        if kind != "redis":
            wait_until(lambda: letters() == 1, "it has expired")
        with worker(tmp_path, url, kind):
            send_all(app, kind)
            wait_until(lambda: letters() >= len(wanted), "all letters are there")
            before = runs()
            for _ in range(2 * SLOTS):
                app.send_task("shop.late.done")
            wait_until(lambda: runs() == before + 2 * SLOTS, "each slot has gone on")
            # What failed is sent again, and now it works.
            (tmp_path / "mended").touch()
            monkeypatch.setenv("CELERY_BROKER_URL", url)
            words = ["dead-letters", "replay", str(tmp_path / "workload.yaml"), "--task", "shop.*.fail"]
            sent = CliRunner(catch_exceptions=False).invoke(cli, words, prog_name="policycompiler")
            assert (sent.exit_code, sent.stdout.splitlines()[-1]) == (0, "sent 2 letters")
            wait_until(lambda: letters() == len(wanted) - 2, "the others stay")
            before = runs()
            for _ in range(2 * SLOTS):
                app.send_task("shop.late.done")
            wait_until(lambda: runs() == before + 2 * SLOTS, "each slot has gone on")
        bound, found = Queue(f"{kind}.dead", no_declare=True)(channel), []
        while (message := bound.get(no_ack=True)) is not None:
            found.append(reason(message))
            assert "swordfish" not in json.dumps(message.headers, default=str)
    kept = {task: told for task, told in wanted.items() if not task.endswith(".fail")}
    assert Counter(found) == Counter(kept.items())
