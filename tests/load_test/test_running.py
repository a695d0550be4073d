"""Load tests of running workers: only stand-ins run, and nobody else is disturbed. The oracle is a witness."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

import psutil
import pytest
import redis
import witness
from compiled import write_configuration
from kombu import Connection
from places import SUPPORT
from processes import running, stop, wait_until
from servers import rabbitmq_server, redis_server

from policycompiler.compiler import compile_workload
from policycompiler.plan import Scope
from policycompiler.runtime.stand_ins import PREFIX

pytestmark = pytest.mark.server

POOLS = ("prefork", "threads", "gevent", "solo")
WORKLOAD = """\
version: 1
service: tried
app: tried_app:app
broker: {transport: TRANSPORT, url: '${TRIED_BROKER}'}
results: {backend: none}
defaults: {runtime: {p50: 5ms, p99: 20ms}, rate: 10/s}
tasks:
  tried.prefork: {queue: prefork, latency: interactive, work: cpu}
  tried.threads: {queue: threads, burst: 7}
  tried.gevent: {queue: gevent}
  tried.solo: {queue: solo}
  tried.slow: {queue: slow, idempotent: true, runtime: {p50: 2s, p99: 2s}, rate: 20/s}
  tried.plain: {queue: plain}
  tried.mortal: {queue: mortal}
  tried.idle: {queue: idle}
workers:
  prefork: {queues: [prefork], pool: prefork, concurrency: 2}
  threads: {queues: [threads], pool: threads, concurrency: 2}
  gevent: {queues: [gevent], pool: gevent, concurrency: 2}
  solo: {queues: [solo], pool: solo}
  slow: {queues: [slow], pool: threads, concurrency: 1}
  plain: {queues: [plain], pool: threads, concurrency: 1}
  mortal: {queues: [mortal], pool: threads, concurrency: 1}
  idle: {queues: [idle], pool: threads, concurrency: 1}
"""
APP = """\
import os
from celery import Celery, Task

class Custom(Task):
    def __call__(self, *args, **named):
        harm()
    def before_start(self, *args):
        harm()

def harm(*args, **named):
    with open(os.environ["HARM"], "a") as file:
        file.write("x")

app = Celery("tried", config_source="celeryconfig", task_cls=Custom)
for name in ("prefork", "threads", "gevent", "solo", "slow", "plain", "mortal"):
    app.task(harm, name=f"tried.{name}")
"""


class Deployed(NamedTuple):
    """A compiled deployment: its folder, the URL of its broker, and where its workers tell what they did."""

    folder: Path
    url: str
    transport: str

    @property
    def source(self) -> Path:
        return self.folder / "workload.yaml"

    @property
    def witness(self) -> Path:
        return self.folder / "witness.jsonl"

    @property
    def harm(self) -> Path:
        return self.folder / "harm"

    @property
    def starts(self) -> list[dict]:
        return witness.starts(self.witness)

    def environment(self) -> dict[str, str]:
        found = {key: value for key, value in os.environ.items() if not key.startswith("CELERY")}
        named = {"TRIED_BROKER": self.url, "WITNESS": str(self.witness), "HARM": str(self.harm)}
        return {**found, **named, "PYTHONPATH": f"{self.folder}:{SUPPORT}:{os.environ.get('PYTHONPATH', '')}"}

    @contextmanager
    def worker(self, name: str, include: str = "witness,celery_load_test") -> Iterator[Popen[bytes]]:
        log = self.folder / f"{name}.log"
        words = ["sh", self.folder / f"build/launch/{name}.sh", "-I", include]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**self.environment(), "PATH": path}
        with running(words, log=log, environment=environment, folder=self.folder) as process:
            yield process

    def wait_for(self, *names: str) -> None:
        for name in names:
            log = self.folder / f"{name}.log"
            wait_until(lambda log=log: " ready." in log.read_text("utf-8"), "a ready worker", log=log)

    def command(self, *words: str) -> list[str]:
        given = ["load", str(self.source), "--running", "--broker", self.url, *words]
        return [sys.executable, "-m", "policycompiler", *given]

    def load(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=dict(os.environ),
        )

    def keys(self) -> Mapping[str, list[str]]:
        """What is on Redis: each key, with the members of a set."""
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return {
                str(key): sorted(client.smembers(key)) if client.type(key) == "set" else []
                for key in sorted(client.keys())
                # A worker that is ready may still have to bind its mailbox.
                if not key.endswith("celery.pidbox")
            }


@contextmanager
def deployed(folder: Path, transport: str) -> Iterator[Deployed]:
    """Workers of each pool with stand-ins, and the worker `plain` without."""
    server = {"redis": redis_server, "rabbitmq": rabbitmq_server}[transport]
    with server(folder) as url, ExitStack() as stack:
        found = Deployed(folder, url, transport)
        found.source.write_text(WORKLOAD.replace("TRANSPORT", transport), encoding="utf-8")
        made = compile_workload([found.source], targets=["celeryconfig", "launch"])
        for file in made.files:
            path = folder / "build" / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(file.parts))
        write_configuration(made.files, folder)
        (folder / "tried_app.py").write_text(APP, encoding="utf-8")
        printing = [sys.executable, "-m", "policycompiler", "load", "--print-module"]
        module = subprocess.run(printing, capture_output=True, text=True, check=True, timeout=60)
        (folder / "celery_load_test.py").write_text(module.stdout, encoding="utf-8")
        for name in (*POOLS, "slow"):
            stack.enter_context(found.worker(name))
        stack.enter_context(found.worker("plain", include="witness"))
        found.wait_for(*POOLS, "slow", "plain")
        yield found


@pytest.fixture(scope="module")
def redis_deployed(tmp_path_factory):
    with deployed(tmp_path_factory.mktemp("redis"), "redis") as found:
        yield found


@pytest.fixture(scope="module")
def rabbitmq_deployed(tmp_path_factory):
    with deployed(tmp_path_factory.mktemp("rabbitmq"), "rabbitmq") as found:
        yield found


@pytest.fixture
def on_redis(redis_deployed):
    redis_deployed.witness.unlink(missing_ok=True)
    yield redis_deployed
    assert not redis_deployed.harm.exists()


@pytest.fixture
def on_rabbitmq(rabbitmq_deployed):
    rabbitmq_deployed.witness.unlink(missing_ok=True)
    yield rabbitmq_deployed
    assert not rabbitmq_deployed.harm.exists()


@pytest.fixture(params=["redis", "rabbitmq"])
def both(request):
    return request.getfixturevalue(f"on_{request.param}")


def test_stand_ins_run_in_each_pool_and_no_task_does(both):
    queues = [word for pool in POOLS for word in ("--queue", pool)]
    before = both.keys() if both.transport == "redis" else None
    done = both.load(*queues, "--duration", "3s", "--output-format", "json")
    found = json.loads(done.stdout)
    assert found["problems"] == [], done.stdout
    assert before == (both.keys() if both.transport == "redis" else None)
    # What ran, by those who ran it.
    seen = Counter(each["routing_key"] for each in both.starts)
    assert {each["name"]: each["run"] for each in found["queues"]} == seen
    assert sum(seen.values()) == len({each["id"] for each in both.starts}) == found["sent"]
    assert {each["task"] for each in both.starts} == {f"{PREFIX}tried.{pool}" for pool in POOLS}
    assert not any(each[what] for each in found["queues"] for what in ("lost", "twice", "failed", "waiting"))
    slots = {each["name"]: each["slots"] for each in found["queues"]}
    assert slots == {"prefork": 2, "threads": 2, "gevent": 2, "solo": 1}


def test_a_stand_in_has_the_options_of_its_task(on_redis):
    on_redis.load("--queue", "slow", "--duration", "1s", "--drain", "1s")
    first = on_redis.starts[0]
    plan = compile_workload([on_redis.source], targets=()).plan
    for option in ("time_limit", "soft_time_limit", "acks_late"):
        assert first[option] == plan.value(Scope("task", "tried.slow"), f"options.{option}")


def test_workers_without_stand_ins_are_refused_and_nothing_is_sent(both):
    done = both.load("--queue", "plain", "--duration", "2s")
    assert done.returncode == 2, done.stdout
    assert "`worker@plain." in done.stderr
    assert "has no stand-ins" in done.stderr
    assert "--include celery_load_test" in done.stderr
    assert done.stdout == ""
    assert both.starts == []
    assert "unregistered" not in (both.folder / "plain.log").read_text("utf-8")


def test_one_worker_without_stand_ins_is_enough_to_refuse(on_redis):
    done = on_redis.load("--queue", "threads", "--queue", "plain", "--duration", "2s")
    assert done.returncode == 2
    assert "`worker@plain." in done.stderr
    assert on_redis.starts == []


def test_a_queue_without_workers_is_refused(both):
    done = both.load("--queue", "idle")
    assert done.returncode == 2, done.stdout
    assert "no worker that answers consumes `idle`" in done.stderr


def test_other_messages_are_refused_left_alone_and_may_be_allowed(on_redis):
    # One that no worker takes: a held message of another process.
    other = json.dumps([{"body": ""}, "threads", "threads"])
    with redis.Redis.from_url(on_redis.url) as client:
        client.hset("unacked", "other", other)
        try:
            refused = on_redis.load("--queue", "threads", "--duration", "1s")
            assert refused.returncode == 2
            assert "`threads` has 1 held by workers" in refused.stderr
            assert on_redis.starts == []
            allowed = on_redis.load("--queue", "threads", "--duration", "1s", "--beside-other-work")
            assert allowed.returncode == 0, allowed.stdout + allowed.stderr
            assert client.hget("unacked", "other") == other.encode()
        finally:
            client.hdel("unacked", "other")
    assert on_redis.starts


def test_a_consumer_that_is_no_worker_is_refused(on_rabbitmq):
    with Connection(on_rabbitmq.url) as connection:
        connection.channel().basic_consume("threads", callback=lambda _: None)
        done = on_rabbitmq.load("--queue", "threads", "--duration", "1s")
    assert done.returncode == 2
    assert "queue `threads` has 2 consumers, and 1 answer as workers" in done.stderr
    assert on_rabbitmq.starts == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_what_is_left_after_a_stop_is_discarded(on_redis, number):
    command = on_redis.command("--queue", "slow", "--duration", "60s", "--output-format", "json")
    with redis.Redis.from_url(on_redis.url) as client:
        process = Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # One slot, and runs of 2 s: most messages wait.
        wait_until(lambda: client.llen("slow") > 10, "a backlog", process=process)
        process.send_signal(number)
        out, told = process.communicate(timeout=60)
        assert process.returncode == 128 + number, told
        assert "Traceback" not in told
        found = json.loads(out)
        assert found["stopped"]
        (slow,) = found["queues"]
        assert slow["waiting"] > 0
        assert slow["lost"] == 0
        assert slow["sent"] == slow["run"] + slow["waiting"]
        wait_until(lambda: not client.llen("slow") and not client.hlen("unacked"), "an empty queue")
    # Between the last answer and the end, one more may have started in the only slot.
    assert slow["run"] <= len({each["id"] for each in on_redis.starts}) <= slow["run"] + 1


def test_a_worker_that_is_killed_is_named_and_its_messages_are_not_called_lost(on_redis):
    words = ("--queue", "mortal", "--duration", "4s", "--drain", "1s", "--output-format", "json")
    with on_redis.worker("mortal") as worker:
        on_redis.wait_for("mortal")
        process = Popen(on_redis.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: len(on_redis.starts) > 3, "starts", process=process)
        stop(worker, number=signal.SIGKILL)
        out, told = process.communicate(timeout=120)
    assert process.returncode == 1, told
    found = json.loads(out)
    assert any("did not say what it ran" in each for each in found["problems"])
    assert found["queues"][0]["lost"] == 0
    assert "Traceback" not in told


def test_messages_of_a_killed_load_test_expire_and_its_sender_ends(on_redis):
    command = on_redis.command("--queue", "slow", "--duration", "5s", "--drain", "1s")
    with redis.Redis.from_url(on_redis.url) as client:
        process = Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: client.llen("slow") > 3, "a backlog", process=process)
        begun = datetime.now(UTC)
        children = psutil.Process(process.pid).children(recursive=True)
        assert any("load_test import sender" in " ".join(each.cmdline()) for each in children)
        process.kill()
        process.wait()
        message = json.loads(client.lindex("slow", 0))
        assert message["headers"]["task"] == f"{PREFIX}tried.slow"
        # Sending for 5 s, a drain of 1 s and half a minute are the most.
        assert datetime.fromisoformat(message["headers"]["expires"]) - begun < timedelta(seconds=37)
        wait_until(lambda: not any(each.is_running() for each in children), "the end of the sender")
