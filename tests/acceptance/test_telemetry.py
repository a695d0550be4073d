"""Telemetry as emitted: real workers of every pool count each end once, and agree with a clock of the test."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import dedent
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from compiled import configured_app
from kombu import Connection, Queue
from processes import running, wait_until
from prometheus_client.parser import text_string_to_metric_families
from servers import HOST, first_of_free_ports, rabbitmq_server, redis_server
from workloads import workload

from policycompiler import __version__, output
from policycompiler.compiler import compile_workload
from policycompiler.plan import Scope
from policycompiler.plan.fingerprint import fingerprint

pytestmark = pytest.mark.server

APP = """\
import os, time
from celery import Celery, Task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.worker.request import Request
app = Celery("shop", config_source="celeryconfig")
def note(name, text):
    with open(name, "a") as file:
        file.write(f"{text}\\n")
class Mine(Request):
    def on_accepted(self, pid, time_accepted):
        note("own-request", self.name)
        return super().on_accepted(pid, time_accepted)
class Own(Task):
    Request = "shop_app:Mine"
    def __call__(self, *args, **kwargs):
        note("own-call", self.name)
        return super().__call__(*args, **kwargs)
@app.task(name="shop.ok", base=Own)
def ok(text=""):
    pass
@app.task(name="shop.late")
def late(sent):
    note("late", time.time() - sent)
@app.task(name="shop.later")
def later(sent):
    note("later", time.time() - sent)
@app.task(name="shop.tick")
def tick():
    pass
@app.task(name="shop.sleep")
def sleep(seconds):
    time.sleep(seconds)
@app.task(name="shop.fail")
def fail():
    raise ConnectionError
@app.task(name="shop.again", bind=True)
def again(self):
    raise self.retry(countdown=0, max_retries=1)
@app.task(name="shop.reject")
def reject():
    raise Reject("never", requeue=False)
@app.task(name="shop.ignore")
def ignore():
    raise Ignore
@app.task(name="shop.stubborn")
def stubborn():
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        time.sleep(60)
@app.task(name="shop.die")
def die():
    os.kill(os.getpid(), 9)
"""
WORKLOAD = """
    broker: {transport: TRANSPORT, url: "${CELERY_BROKER_URL}", version: "VERSION"}
    app: shop_app:app
    tasks:
      shop.*: {queue: q}
      shop.ok: {queue: q, payload: 1KiB}
      shop.tick: {queue: ticks}
    queues: {q: {dead_letter: true}, ticks: {}}
    workers: {q: {queues: ["*"], pool: POOL, concurrency: SLOTS, replicas: 1}}
    schedules: {every-second: {task: shop.tick, every: 1s}}
"""
POLICY = """\
version: 1
parameters: {metric-sources: {sources: [telemetry]}, telemetry: {bind: 127.0.0.1, first_port: FIRST}}
"""
ENDS = {
    ("shop.ok", "succeeded"): 3,
    ("shop.late", "succeeded"): 1,
    ("shop.later", "succeeded"): 1,
    ("shop.fail", "failed"): 1,
    ("shop.again", "retried"): 1,
    ("shop.again", "failed"): 1,
    ("shop.reject", "rejected"): 1,
    ("shop.ok", "expired"): 1,
    ("unknown", "unregistered"): 1,
}
KILLED = {("shop.sleep", "failed"): 1, ("shop.stubborn", "hard_killed"): 1, ("shop.die", "hard_killed"): 1}
"""What only the prefork pool has: a soft limit, a hard one, and a process that is lost."""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="module")
def rabbitmq_url(tmp_path_factory) -> Iterator[str]:
    with rabbitmq_server(tmp_path_factory.mktemp("rabbitmq")) as url:
        yield url


class Scrape(dict[str, list]):
    """The samples of an answer by metric name."""

    def of(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        found = self.get(f"policycompiler_{name}", [])
        return sum(each.value for each in found if labels.items() <= each.labels.items())


def scrape(port: int) -> Scrape:
    with urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = Scrape()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels["service"] == "shop"
            found.setdefault(sample.name, []).append(sample)
    return found


def answers(port: int) -> bool:
    try:
        return bool(scrape(port))
    except URLError:
        return False


def ends(found: Scrape) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for each in found["policycompiler_task_outcomes_total"]:
        if each.value:
            counted[each.labels["task"], each.labels["outcome"]] += int(each.value)
    return counted


class Stage:
    """The compiled output with the application beside it, and the processes that it starts."""

    def __init__(self, folder: Path, url: str, pool: str) -> None:
        self.folder, self.url, self.first = folder, url, first_of_free_ports(8)
        transport = "rabbitmq" if url.startswith("amqp") else "redis"
        text = (
            dedent(WORKLOAD)
            .replace("TRANSPORT", transport)
            .replace("POOL", pool)
            .replace("SLOTS", str(slots_of(pool)))
        )
        text = text.replace("VERSION", "3.10" if transport == "rabbitmq" else "7.0")
        if pool == "prefork":
            text += "celery: {settings: {worker_lost_wait: 0.5}}\n"
        (folder / "workload.yaml").write_text(workload(text))
        (folder / "policy.yaml").write_text(POLICY.replace("FIRST", str(self.first)))
        compilation = compile_workload([folder / "workload.yaml"], policy=folder / "policy.yaml")
        assert not compilation.failed, compilation.diagnostics
        manifest = output.manifest_file(compilation.files, compilation.sources, __version__)
        assert not output.write(folder / "build", [*compilation.files, manifest]).problems
        (folder / "build" / "shop_app.py").write_text(APP)
        self.build, self.plan = folder / "build", compilation.plan
        self.app = configured_app(self.build, {"CELERY_BROKER_URL": url})

    @contextmanager
    def started(self, script: str, *words: str) -> Iterator[None]:
        """A process from its launch script."""
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CELERY_BROKER_URL": self.url,
            "PYTHONPATH": str(self.build),
        }
        log = self.folder / f"{script}.log"
        # Without a bound of prefetched messages, kombu does not pause between two of them.
        more = ["--prefetch-multiplier", "0"] if script == "q" else []
        command = ["sh", f"launch/{script}.sh", *more, *words]
        with running(command, log=log, folder=self.build, environment=environment, stop_seconds=5):
            yield

    def lines(self, name: str) -> list[str]:
        file = self.build / name
        return file.read_text().splitlines() if file.exists() else []

    def letters(self) -> Counter[str]:
        """The tasks of the dead letters in the broker, without those that no worker has seen."""
        found: Counter[str] = Counter()
        with Connection(self.url) as connection:
            bound = Queue("q.dead", no_declare=True)(connection.default_channel)
            while (message := bound.get(no_ack=True)) is not None:
                deaths = message.headers.get("x-death", [{}])
                if deaths[0].get("reason") != "expired":
                    found[message.headers["task"]] += 1
        return found


def slots_of(pool: str) -> int:
    return 1 if pool == "solo" else 3


def send_all(stage: Stage, pool: str) -> None:
    send = stage.app.send_task
    for _ in range(slots_of(pool)):
        send("shop.sleep", [3])
    send("shop.late", [time.time()])
    wait_until(lambda: bool(stage.lines("late")), "the late task has run")
    send("shop.later", [time.time()], countdown=2)
    for text in ("", "x" * 900, "x" * 1100):
        send("shop.ok", [text])
    for name in ("fail", "again", "reject", "ignore"):
        send(f"shop.{name}")
    send("nobody.knows", queue="q")
    if pool == "prefork":
        send("shop.sleep", [60], soft_time_limit=1)
        send("shop.stubborn", soft_time_limit=1, time_limit=2)
        send("shop.die")


@pytest.mark.parametrize(
    ("pool", "broker", "words"),
    [
        ("prefork", "redis_url", ["--max-tasks-per-child", "1"]),
        ("threads", "redis_url", []),
        ("gevent", "redis_url", []),
        ("solo", "redis_url", []),
        ("prefork", "rabbitmq_url", []),
    ],
)
def test_each_end_is_counted_once_and_the_wait_is_that_of_a_clock(pool, broker, words, request, tmp_path):
    stage = Stage(tmp_path, request.getfixturevalue(broker), pool)
    wanted = Counter({**ENDS, ("shop.sleep", "succeeded"): slots_of(pool)})
    if pool == "prefork":
        wanted.update(KILLED)
    if broker == "rabbitmq_url":
        # The broker drops it before a worker sees it.
        del wanted["shop.ok", "expired"]
    port = stage.first + 1
    stage.app.send_task("shop.ok", expires=0.1)
    with ExitStack() as stack:
        if words:
            # An older process still has the first port.
            taken = stack.enter_context(socket.socket())
            taken.bind((HOST, port))
            taken.listen()
            port += 1
        stack.enter_context(stage.started("q", *words))
        wait_until(lambda: answers(port), "the worker is there", log=tmp_path / "q.log")
        send_all(stage, pool)

        def complete() -> bool:
            return not wanted - ends(scrape(port))

        wait_until(complete, "all have ended", seconds=40, log=tmp_path / "q.log")
        found = scrape(port)
        letters = stage.letters()
    dead = Counter({task: count for (task, end), count in ends(found).items() if end == "dead_lettered"})
    assert dead == Counter({name.replace("nobody.knows", "unknown"): n for name, n in letters.items()})
    assert dead.total() == 7 if pool == "prefork" else 4
    assert {key: count for key, count in ends(found).items() if key[1] != "dead_lettered"} == dict(wanted)
    check_waits_and_sizes(stage, found)
    check_gauges(stage, found)
    # The application's own classes go on.
    assert stage.lines("own-request") == ["shop.ok"] * 3
    assert stage.lines("own-call") == ["shop.ok"] * 3


def check_waits_and_sizes(stage: Stage, found: Scrape) -> None:
    [clock] = map(float, stage.lines("late"))
    assert clock > 2
    assert found.of("task_wait_seconds_sum", task="shop.late", queue="q") == pytest.approx(clock, rel=0.1)
    # The countdown of 2 s is no wait.
    [clock] = map(float, stage.lines("later"))
    assert found.of("task_wait_seconds_sum", task="shop.later") == pytest.approx(clock - 2, abs=0.5)
    assert found.of("task_wait_seconds_count", task="shop.later") == 1
    assert found.of("task_run_seconds_sum", task="shop.sleep") >= 3
    promises = {
        float(str(stage.plan.value(scope, "queue_wait_seconds"))) for scope in stage.plan.scopes("queue")
    }
    bounds = {each.labels["le"] for each in found["policycompiler_task_wait_seconds_bucket"]}
    assert promises <= {float(bound) for bound in bounds}
    assert len(bounds) <= 17
    received = 3 + (("shop.ok", "expired") in ends(found))
    assert found.of("payload_bytes_count", task="shop.ok") == received
    assert found.of("payload_over_bound_total", task="shop.ok") == 1
    assert found.of("task_starts_total", task="shop.again") == 2


def check_gauges(stage: Stage, found: Scrape) -> None:
    assert abs(found.of("task_last_success_timestamp_seconds", task="shop.ok") - time.time()) < 60
    assert found.of("tasks_in_flight", queue="q") == 0
    assert found.of("plan_info", worker="q", fingerprint=fingerprint(stage.plan)) == 1
    consumed = {each.labels["queue"] for each in found["policycompiler_worker_consumes"]}
    assert consumed == set(stage.plan.texts(Scope("worker", "q"), "queues"))
    assert not [name for name in found if name.endswith("_created")]


def test_beat_shows_its_ticks_and_what_it_sent(redis_url, tmp_path):
    stage = Stage(tmp_path, redis_url, "threads")
    with stage.started("beat"), stage.started("q"):
        wait_until(lambda: answers(stage.first) and answers(stage.first + 1), "both are there")

        def sent() -> bool:
            return scrape(stage.first).of("beat_last_dispatch_timestamp_seconds", schedule="every-second") > 0

        wait_until(sent, "a message was sent", log=tmp_path / "beat.log")
        first = scrape(stage.first)
        wait_until(
            lambda: ends(scrape(stage.first + 1))["shop.tick", "succeeded"] > 1, "the worker ran two of them"
        )
        later, now = scrape(stage.first), time.time()
    assert now - 5 < first.of("beat_last_dispatch_timestamp_seconds") < now
    assert later.of("beat_last_tick_timestamp_seconds") > first.of("beat_last_tick_timestamp_seconds") - 1
    assert now - 60 < later.of("beat_started_timestamp_seconds") < now
    assert later.of("beat_dispatch_errors_total", schedule="every-second") == 0
    assert later.of("plan_info", worker="beat") == 1
