"""Load tests that start the compiled workers: what the report says is what a witness in the workers saw."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from xml.etree import ElementTree as ET

import psutil
import pytest
import redis
import witness
from jsonschema import Draft202012Validator
from places import ROOT, SUPPORT
from processes import wait_until
from servers import redis_server, start_rabbitmq
from tools import needs

from policycompiler.runtime.stand_ins import PREFIX

pytestmark = pytest.mark.server

WORKLOAD = """\
version: 1
service: tried
app: tried_app:app
broker: {transport: redis, url: '${TRIED_BROKER}'}
results: {backend: none}
defaults: {runtime: {p50: 5ms, p99: 20ms}}
tasks:
  tried.a: {queue: one, latency: interactive, rate: {mean: 1/s, peak: 40/s}}
  tried.*: {queue: two, rate: 20/s, latency: standard}
  tried.none: {queue: two}
workers:
  one: {queues: [one], pool: threads, concurrency: 4, replicas: 2}
  two: {queues: [two], pool: prefork, concurrency: 4}
"""
APP = """\
import os, witness
from celery import Celery
app = Celery("tried", config_source="celeryconfig")
def harm(*args, **named):
    with open(os.environ["HARM"], "a") as file:
        file.write("x")
for name in ("a", "b"):
    app.task(harm, name=f"tried.{name}")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    needs("redis-server")
    (tmp_path / "workload.yaml").write_text(WORKLOAD, encoding="utf-8")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/tried_app.py").write_text(APP, encoding="utf-8")
    shutil.copy(SUPPORT / "witness.py", tmp_path / "app")
    (tmp_path / "tmp").mkdir()
    return tmp_path


def command(project: Path, *words: str, app: bool = True) -> list[str]:
    real = ["--app", "tried_app", "--workdir", str(project / "app")] if app else []
    found = [sys.executable, "-m", "policycompiler", "load", str(project / "workload.yaml")]
    return [*found, "--duration", "3s", *real, *words]


def environment(project: Path) -> dict[str, str]:
    named = {"WITNESS": "witness.jsonl", "HARM": "harm", "TMPDIR": "tmp"}
    return {**os.environ, **{key: str(project / name) for key, name in named.items()}}


def load(project: Path, *words: str, app: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(project, *words, app=app),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env=environment(project),
    )
    # Nothing is left.
    assert list((project / "tmp").iterdir()) == []
    return done


def test_the_report_is_what_the_workers_saw_and_as_the_schema_says(project):
    done = load(project, "--output-format", "json")
    found = json.loads(done.stdout)
    Draft202012Validator(json.loads((ROOT / "schemas/load.schema.json").read_text("utf-8"))).validate(found)
    assert found["problems"] == []
    starts = witness.starts(project / "witness.jsonl")
    assert not (project / "harm").exists()
    assert {each["name"]: each["run"] for each in found["queues"]} == Counter(
        each["routing_key"] for each in starts
    )
    assert {each["task"] for each in starts} == {f"{PREFIX}tried.a", f"{PREFIX}tried.b"}
    assert {each["hostname"] for each in starts if each["routing_key"] == "one"} == {
        "one.1@load",
        "one.2@load",
    }
    assert {each["name"]: each["slots"] for each in found["queues"]} == {"one": 8, "two": 4}
    assert [each["name"] for each in found["classes"]] == ["interactive", "standard"]
    assert "not sent: tried.none: declare tasks.tried.none.rate" in found["notes"]
    assert done.stderr == ""
    # A wait or two more than the promise is no fault of the report.
    assert done.returncode == (0 if found["succeeded"] else 1)


def test_fewer_slots_get_as_much_less_load(project):
    done = load(project, "--most-slots", "3", "--output-format", "json", app=False)
    found = json.loads(done.stdout)
    # A quarter of the slots: 2 processes with one slot each, and a process with one slot.
    assert {each["name"]: each["slots"] for each in found["queues"]} == {"one": 2, "two": 1}
    sent = {each["name"]: each["sent"] for each in found["queues"]}
    # 10 a second for 3 s, and 5 a second.
    assert 10 < sent["one"] < 60
    assert 3 < sent["two"] < 35
    assert "queue `one`: 2 of 8 planned slots ran, and 25% of its rates were sent" in found["notes"]
    assert "queue `two`: 1 of 4 planned slots ran, and 25% of its rates were sent" in found["notes"]


def test_a_plan_for_another_broker_without_remote_control_runs_on_redis(project):
    text = WORKLOAD.replace("transport: redis", "transport: rabbitmq")
    text = text.replace(
        "app: tried_app:app", "celery: {settings: {worker_enable_remote_control: false}}\napp: tried_app:app"
    )
    (project / "workload.yaml").write_text(text, encoding="utf-8")
    found = json.loads(load(project, "--queue", "one", "--output-format", "json").stdout)
    assert found["sent"] == len(witness.starts(project / "witness.jsonl")) > 0
    assert "the plan is for RabbitMQ; this ran on a private Redis" in found["notes"]


def test_junit_is_read_back(project):
    done = load(
        project, "--queue", "one", "--output-format", "junit", "--output-file", str(project / "load.xml")
    )
    assert done.stdout == ""
    root = ET.parse(project / "load.xml").getroot()
    assert [each.get("name") for each in root.iter("testcase")] == ["queue one", "load test"]
    assert (root.get("failures") == "0") == (done.returncode == 0)
    assert "load test on a private Redis" in root.findtext(".//testsuite/system-out")


def test_at_most_so_many_messages_are_sent(project):
    done = load(project, "--most", "20", "--output-format", "json")
    found = json.loads(done.stdout)
    assert found["sent"] == len(witness.starts(project / "witness.jsonl")) == 20
    assert found["seconds"] < 3
    assert any(note.startswith("20 messages are the most") for note in found["notes"])


def test_an_own_redis_is_empty_afterwards(project, tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("broker")) as url, redis.Redis.from_url(url) as client:
        done = load(project, "--broker", url, "--output-format", "json")
        assert json.loads(done.stdout)["sent"] == len(witness.starts(project / "witness.jsonl"))
        assert client.keys() == []
        client.lpush("one", "a message")
        refused = load(project, "--broker", url)
        assert refused.returncode == 2
        assert "is not empty" in refused.stderr
        assert client.lrange("one", 0, -1) == [b"a message"]


def test_an_own_rabbitmq_is_driven_and_empty_afterwards(project, tmp_path_factory):
    text = WORKLOAD.replace("transport: redis", "transport: rabbitmq")
    (project / "workload.yaml").write_text(text, encoding="utf-8")
    with start_rabbitmq(tmp_path_factory.mktemp("broker"), "rabbitmq_management") as server:
        before = [each["name"] for each in server.managed("queues")]
        done = load(project, "--broker", server.url, "--output-format", "json")
        found = json.loads(done.stdout)
        assert found["sent"] == len(witness.starts(project / "witness.jsonl"))
        assert sum(each["run"] for each in found["queues"]) == found["sent"] > 0
        assert [each["name"] for each in server.managed("queues")] == before == []


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name
)
def test_a_load_test_that_is_ended_leaves_nothing(project, number):
    terminal, there = os.openpty()
    process = Popen(
        command(project, "--duration", "60s", "--output-format", "json"),
        stdout=subprocess.PIPE,
        stderr=there,
        text=True,
        env=environment(project),
    )
    os.close(there)
    wait_until(lambda: len(witness.starts(project / "witness.jsonl")) > 9, "starts", process=process)
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    out, _ = process.communicate(timeout=120)
    told = everything(terminal)
    assert "starting 3 worker processes: 0 are ready" in told
    assert re.search(r"[0-9]+ s of 1 min: [0-9]+ of [0-9]+ sent, [0-9]+ started", told)
    wait_until(lambda: not any(each.is_running() for each in started), "the end of all")
    wait_until(lambda: not list((project / "tmp").iterdir()), "an empty folder")
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number, told
        assert "Traceback" not in told
        found = json.loads(out)
        assert found["stopped"]
        starts = {each["id"] for each in witness.starts(project / "witness.jsonl")}
        assert sum(each["run"] for each in found["queues"]) <= len(starts)
        assert found["sent"] >= len(starts)


def everything(terminal: int) -> str:
    """What was written to a terminal until its last writer closed it."""
    found = b""
    with suppress(OSError):
        while part := os.read(terminal, 65536):
            found += part
    os.close(terminal)
    return found.decode()


def test_a_worker_that_cannot_start_is_an_error_and_no_hang(project):
    (project / "app/tried_app.py").write_text("raise RuntimeError('no database')\n", encoding="utf-8")
    done = load(project)
    assert done.returncode == 2
    assert "did not start: " in done.stderr
    assert "RuntimeError: no database" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_redis_it_is_refused(project):
    path = str(Path(sys.executable).parent)
    done = subprocess.run(
        command(project),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
        timeout=60,
    )
    assert done.returncode == 2
    assert "redis-server" in done.stderr
    assert "--running" in done.stderr


def test_an_app_that_is_not_there_is_named(project):
    done = load(project, "--app", "nope.mod:app")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nope" in done.stderr
