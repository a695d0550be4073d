"""Dead letters of guarded tasks, as compiled: each end leaves one, waiting leaves none, and a chain goes on."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter

import pytest
import redis
from click.testing import CliRunner
from compiled import configured_app, write_configuration
from processes import running, wait_until
from servers import redis_server
from workloads import workload

from policycompiler.cli import cli
from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server
ENDS = {
    "fail": "failed",
    "retried": "failed",
    "soft": "failed",
    "hard": "time-limit",
    "die": "worker-lost",
    "reject": "rejected",
}
LIMITS = "options: {soft_time_limit: 1, time_limit: 2}"
LOST = "options: {reject_on_worker_lost: false, retry_on_worker_lost: false}"
GUARDED = "queue: work, idempotency_key: number, calls: [provider]"
WORKLOAD = f"""
broker: {{transport: redis, url: "${{CELERY_BROKER_URL}}"}}
celery: {{settings: {{worker_lost_wait: 0.5}}}}
queues: {{work: {{dead_letter: true}}}}
dependencies: {{provider: {{rate: 1000/s, breaker: {{failures: 100, within: 30s, open_for: 5s, on: [OSError]}}}}}}
tasks:
  shop.*: {{{GUARDED}, runtime: 10s, options: {{max_retries: 1, default_retry_delay: 0}}}}
  shop.soft: {{{GUARDED}, {LIMITS}}}
  shop.hard: {{{GUARDED}, {LIMITS}}}
  shop.die: {{{GUARDED}, {LOST}}}
"""
APP = """\
import os, time
from pathlib import Path
import redis
from celery import Celery
from celery.exceptions import Reject, SoftTimeLimitExceeded
app = Celery("shop", config_source="celeryconfig")
effects = redis.Redis.from_url(os.environ["EFFECTS_URL"])
def fail(self, number):
    if not Path("mended").exists():
        raise ValueError
def retried(self, number):
    raise self.retry(countdown=0, max_retries=1)
def soft(self, number):
    time.sleep(60)
def hard(self, number):
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        time.sleep(60)
def die(self, number):
    os.kill(os.getpid(), 9)
def reject(self, number):
    raise Reject("never", requeue=False)
def slow(self, number):
    effects.incr("slow")
    while not effects.exists("go"):
        time.sleep(0.05)
def next_(self, number):
    effects.incr("next")
for each in (fail, retried, soft, hard, die, reject, slow, next_):
    app.task(each, name=f"shop.{each.__name__}", bind=True)
"""


def test_each_end_leaves_one_letter_and_a_replayed_chain_finishes(tmp_path, monkeypatch):
    with redis_server(tmp_path) as url:
        source = tmp_path / "workload.yaml"
        source.write_text(workload(WORKLOAD), "utf-8")
        compilation = compile_workload([source])
        assert not compilation.failed, compilation.diagnostics
        write_configuration(compilation.files, tmp_path)
        (tmp_path / "shop_app.py").write_text(APP)
        base = url.rpartition("/")[0]
        variables = {
            "CELERY_BROKER_URL": url,
            "CELERY_GUARD_STORE_URL": f"{base}/2",
            "EFFECTS_URL": f"{base}/3",
        }
        app = configured_app(tmp_path, variables)
        effects = redis.Redis.from_url(variables["EFFECTS_URL"], decode_responses=True)
        broker = redis.Redis.from_url(url, decode_responses=True)

        def letters():
            return [json.loads(each)["headers"] for each in broker.lrange("work.dead", 0, -1)]

        for _ in range(4):
            app.send_task("shop.slow", (0,))
        (app.signature("shop.fail", (0,)) | app.signature("shop.next_", (0,), immutable=True)).apply_async()
        for number, name in enumerate([*ENDS][1:]):
            app.send_task(f"shop.{name}", (number,))
        celery = (sys.executable, "-m", "celery", "--app", "shop_app", "worker", "--queues", "work")
        words = ("--concurrency", "4", "--without-gossip", "--without-mingle", "--loglevel", "INFO")
        log, environment = tmp_path / "worker.log", {"PATH": os.environ["PATH"], **variables}
        with running((*celery, *words), log=log, folder=tmp_path, environment=environment, stop_seconds=0):
            told = log.read_text
            wait_until(lambda: "another run of task shop.slow" in told(), "a duplicate waits", log=log)
            effects.set("go", 1)
            wait_until(lambda: len(letters()) == len(ENDS), "all letters", log=log)
            # They have the result of the first.
            wait_until(lambda: told().count("succeeded") == 4, "duplicates", log=log)
            found = Counter((x["task"], x["celeryconfig-dead-letter"]["reason"]) for x in letters())
            assert found == Counter((f"shop.{name}", reason) for name, reason in ENDS.items())
            assert effects.get("slow") == "1"
            (tmp_path / "mended").touch()
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            replay = ["dead-letters", "replay", str(source), "--task", "shop.fail"]
            sent = CliRunner(catch_exceptions=False).invoke(cli, replay, prog_name="policycompiler")
            assert (sent.exit_code, sent.stdout.splitlines()[-1]) == (0, "sent 1 letter")
            wait_until(lambda: effects.get("next") == "1", "the chain goes on", log=log)
        assert len(letters()) == len(ENDS) - 1
