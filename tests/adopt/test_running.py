"""An import that also looks at the running deployment: its workers, its broker, and what is wrong there."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from places import APPS
from processes import running, wait_until
from servers import redis_server

from policycompiler import adoption
from policycompiler.adoption import Adopted, Sources

pytestmark = pytest.mark.server

STUDIO = APPS / "studio"


def adopt(url: str, **more) -> Adopted:
    sources = Sources(
        ["studio.primary"],
        sys.executable,
        django=False,
        rows=False,
        commands=[],
        source=[],
        measured=[],
        folder=STUDIO,
        live=True,
        broker=url,
        **more,
    )
    return adoption.adopt(sources, None)


def test_workers_and_findings_of_the_running_deployment(tmp_path, monkeypatch):
    with ExitStack() as stack:
        url = stack.enter_context(redis_server(tmp_path))
        monkeypatch.setenv("STUDIO_BROKER", url)
        client = redis.Redis.from_url(url)
        client.config_set("maxmemory-policy", "allkeys-lru")
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        for number in (1, 2):
            log = tmp_path / f"{number}.log"
            words = [
                "-P",
                "threads",
                "-c",
                "3",
                "-Q",
                "render,studio",
                "-n",
                f"render@h{number}",
                "-l",
                "INFO",
            ]
            command = ["celery", "-A", "studio.primary", "worker", *words]
            environment = {"PATH": path, "STUDIO_BROKER": url}
            process = stack.enter_context(running(command, log=log, environment=environment, folder=STUDIO))
            wait_until(lambda log=log: "ready." in log.read_text("utf-8"), "ready", process=process, log=log)
        before = sorted(client.keys())
        found = adopt(url)
        assert sorted(client.keys()) == before
    assert found.compilation.plan is not None
    (worker,) = found.compilation.plan.scopes("worker")
    values = {
        key: found.compilation.plan.get(worker, key) for key in ("queues", "pool", "concurrency", "replicas")
    }
    assert (worker.name, values) == (
        "render",
        {"queues": ["render", "studio"], "pool": "threads", "concurrency": 3, "replicas": 2},
    )
    told = {each.name for each in adoption.judged(found, None, None, written=True).diagnostics}
    assert {"redis-evicts", "queue-unconsumed"} <= told
    # What the workload leaves to Celery, the workers have from Celery: that is no difference.
    assert not told & {"worker-settings-differ", "worker-flags-differ", "task-options-differ"}


def test_a_broker_that_is_down_is_a_finding_and_the_rest_is_imported(monkeypatch):
    monkeypatch.setenv("STUDIO_BROKER", "redis://:hunter2@127.0.0.1:1/0")
    found = adopt("redis://:hunter2@127.0.0.1:1/0")
    told = {each.name: each.message for each in adoption.judged(found, None, None, written=True).diagnostics}
    assert "broker-unreachable" in told
    assert "hunter2" not in str(told)
    assert len(found.today.scopes("task")) == 3
