"""Metrics of guards as emitted: real workers count what the test makes happen, and a park is no retry."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import redis
from compiled import configured_app
from guarded import take
from processes import running, wait_until
from prometheus_client.parser import text_string_to_metric_families
from servers import HOST, Server, first_of_free_ports, start_redis
from workloads import workload

from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server

APP = """\
import time
from celery import Celery
app = Celery("shop", config_source="celeryconfig")
def note(name):
    with open(name, "a") as file:
        file.write("x")
@app.task(name="shop.charge")
def charge(payment_id, seconds=0):
    note(f"run-{payment_id}")
    time.sleep(seconds)
@app.task(name="shop.call")
def call(fails):
    note("call")
    if fails:
        raise ConnectionError
@app.task(name="shop.paced")
def paced():
    pass
@app.task(name="shop.again", bind=True)
def again(self):
    raise self.retry(countdown=0, max_retries=1)
@app.task(name="shop.large")
def large(text):
    pass
@app.task(name="shop.sends")
def sends():
    app.send_task("shop.large", args=["x" * 2000])
"""
WORKLOAD = """
broker: {{transport: redis, url: "${{CELERY_BROKER_URL}}", version: "7.0"}}
store: {{url: "${{CELERY_GUARD_STORE_URL}}"}}
app: shop_app:app
results: {{backend: none}}
dependencies:
  stripe: {{breaker: {{failures: 2, within: 60s, open_for: 5m, on: [ConnectionError]}}}}
  paced: {{rate: 2/s, hold: 5s}}
tasks:
  shop.charge: {{queue: q, idempotency_key: payment_id, retry: none}}
  shop.call: {{queue: q, calls: [stripe], retry: none}}
  shop.paced: {{queue: q, calls: [paced], retry: none}}
  shop.again: {{queue: q}}
  shop.large: {{queue: q, payload: {{max: 1KiB, enforce: true}}}}
  shop.sends: {{queue: q}}
workers: {{q: {{queues: ["*"], pool: {pool}, concurrency: 4, replicas: 1}}}}
"""
POLICY = """\
version: 1
parameters: {{metric-sources: {{sources: [telemetry]}}, telemetry: {{bind: 127.0.0.1, first_port: {port}}}}}
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[Server]:
    with start_redis(tmp_path_factory.mktemp("broker")) as server:
        yield server


class Scrape(Counter[tuple[str, str]]):
    """The values by the metric and its labels without the service, such as `task="shop.a"`."""

    def of(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(value for (metric, has), value in self.items() if metric == name and wanted <= set(has))


def scrape(port: int) -> Scrape:
    with urlopen(f"http://{HOST}:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = Scrape()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels["service"] == "shop"
            labels = tuple(f'{label}="{value}"' for label, value in sample.labels.items())
            assert (sample.name, labels) not in found
            found[sample.name.removeprefix("policycompiler_"), labels] = sample.value
    return found


class Stage:
    """The compiled output with the application beside it, and a worker."""

    def __init__(self, folder: Path, broker: str, store: str, pool: str) -> None:
        self.folder, self.build, self.port = folder, folder / "build", first_of_free_ports(4)
        self.environment = {"CELERY_BROKER_URL": broker, "CELERY_GUARD_STORE_URL": store}
        (folder / "workload.yaml").write_text(workload(WORKLOAD.format(pool=pool)))
        (folder / "policy.yaml").write_text(POLICY.format(port=self.port - 1))
        compilation = compile_workload([folder / "workload.yaml"], policy=folder / "policy.yaml")
        assert not compilation.failed, compilation.diagnostics
        for file in compilation.files:
            path = self.build / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(file.parts))
        (self.build / "shop_app.py").write_text(APP)
        self.app = configured_app(self.build, self.environment)
        self.store = redis.Redis.from_url(store, decode_responses=True)
        self.log = folder / "q.log"

    @contextmanager
    def worker(self) -> Iterator[None]:
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.build),
            **self.environment,
        }
        command = ["sh", "launch/q.sh"]
        with running(command, log=self.log, folder=self.build, environment=environment, stop_seconds=10):
            wait_until(self.answers, "the worker is there", log=self.log)
            yield

    def answers(self) -> bool:
        try:
            return bool(scrape(self.port))
        except URLError:
            return False

    def runs(self, name: str) -> int:
        file = self.build / name
        return len(file.read_text()) if file.exists() else 0

    def parks(self, task: str) -> int:
        """How often Celery itself says that a task is sent again."""
        lines = self.log.read_text().splitlines()
        return sum(f"Task {task}[" in line and "] retry:" in line for line in lines)

    def until(self, name: str, value: float, **labels: str) -> Scrape:
        wait_until(
            lambda: scrape(self.port).of(name, **labels) >= value,
            f"{name} {labels} is {value}",
            seconds=60,
            log=self.log,
        )
        return scrape(self.port)


def let_happen(stage: Stage) -> None:
    """One of each."""
    send = stage.app.send_task
    # A duplicate of what is done.
    send("shop.charge", ["paid"])
    wait_until(lambda: stage.runs("run-paid") == 1, "it is paid", log=stage.log)
    stage.until("task_outcomes_total", 1, task="shop.charge", outcome="succeeded")
    send("shop.charge", ["paid"])
    stage.until("guard_duplicates_total", 1, outcome="result")
    # A run that nobody knows of has the key.
    records = SimpleNamespace(store=stage.store)
    take(records, "shop.charge", "busy", 3)
    send("shop.charge", ["busy"])
    # Another one takes the key while it is used.
    send("shop.charge", ["lost", 1.5])
    wait_until(lambda: stage.runs("run-lost") == 1, "it runs", log=stage.log)
    [record] = [name for name in stage.store.scan_iter("shop:shop.charge:*") if has_run(stage, name)]
    stage.store.hset(record, "token", "another")
    # Too many runs were lost.
    record = take(records, "shop.charge", "poison", 0)
    stage.store.hset(record, "takeovers", 3)
    send("shop.charge", ["poison"])
    for _ in range(3):
        send("shop.paced")
    send("shop.again")
    send("shop.sends")
    for _ in range(2):
        send("shop.call", [1])
    stage.until("guard_breaker_state", 1, state="open")
    for _ in range(3):
        send("shop.call", [0])


def has_run(stage: Stage, record: str) -> bool:
    state, owner = stage.store.hmget(record, "state", "owner")
    return state == "running" and owner != "nobody"


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_each_count_is_what_happened_and_a_hung_store_is_seen(pool, broker, tmp_path):
    with redis.Redis.from_url(broker.url) as client:
        client.flushall()
    (tmp_path / "store").mkdir()
    with start_redis(tmp_path / "store") as store:
        stage = Stage(tmp_path, broker.url, store.url, pool)
        with stage.worker():
            first = scrape(stage.port)
            # Seen before their first event.
            assert first["guard_lost_claims_total", ('service="shop"', 'task="shop.charge"')] == 0
            assert len([1 for name, _ in first if name == "guard_parked_total"]) == 2 + 1 + 1
            assert first.of("guard_breaker_state", dependency="stripe", state="closed") == 1
            let_happen(stage)
            stage.until("guard_parked_total", 3, task="shop.call", reason="breaker")
            stage.until("task_outcomes_total", 3, task="shop.charge", outcome="succeeded")
            stage.until("task_outcomes_total", 1, task="shop.again", outcome="failed")
            wait_until(lambda: stage.runs("run-busy") == 1, "the busy one runs", log=stage.log)
            found = stage.until("task_outcomes_total", 4, task="shop.charge", outcome="succeeded")
            check(stage, found)
            os.kill(store.pids[0], signal.SIGSTOP)
            try:
                hung = stage.until("guard_breaker_state", 1, state="unknown")
                assert hung.of("guard_store_up") == 0
                assert hung.of("guard_breaker_state") == 1
                assert hung.of("guard_store_errors_total", guard="scrape") >= 1
                assert hung.of("task_starts_total") == found.of("task_starts_total")
            finally:
                os.kill(store.pids[0], signal.SIGCONT)
            stage.until("guard_store_up", 1)
            # It answers, and takes nothing.
            stage.store.config_set("maxmemory", 1)
            wait_until(lambda: scrape(stage.port).of("guard_store_up") == 0, "it is seen", log=stage.log)


def check(stage: Stage, found: Scrape) -> None:
    assert found.of("guard_breaker_state", state="open", dependency="stripe") == 1
    assert found.of("guard_breaker_state") == 1
    assert found.of("guard_breaker_opened_total", dependency="stripe") == 1
    assert found.of("guard_store_up") == 1
    assert found.of("guard_store_errors_total") == 0
    assert found.of("guard_duplicates_total", task="shop.charge", outcome="result") == 1
    assert found.of("guard_lost_claims_total", task="shop.charge") == 1
    assert found.of("guard_poisoned_total", task="shop.charge") == 1
    assert found.of("guard_refused_total", task="shop.large", reason="payload") == 1
    assert 0 < found.of("guard_rate_waited_seconds_total", dependency="paced") <= 1.5
    # Celery's own log says how often a task was sent again.
    assert found.of("guard_parked_total", task="shop.charge", reason="busy") == stage.parks("shop.charge") > 0
    assert found.of("guard_parked_total", task="shop.call", reason="breaker") == stage.parks("shop.call") == 3
    assert found.of("guard_parked_total") == found.of("task_outcomes_total", outcome="parked")
    # Those that are parked have not called, and are not retried.
    assert stage.runs("call") == 2
    assert found.of("task_outcomes_total", outcome="retried") == 1
    assert found.of("task_outcomes_total", outcome="retried", task="shop.again") == 1
    failed = {task: found.of("task_outcomes_total", outcome="failed", task=f"shop.{task}") for task in NAMES}
    assert failed == {"charge": 1, "call": 2, "paced": 0, "again": 1, "large": 0, "sends": 1}
    # A park is no run: it says nothing about run times.
    assert found.of("task_run_seconds_count", task="shop.call") == 2


NAMES = ("charge", "call", "paced", "again", "large", "sends")
