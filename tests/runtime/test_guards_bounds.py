"""The bound of a queue as compiled, with a real worker and beat: who is refused, and who is not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import pytest
import redis
from celery import Celery
from compiled import configured_app, write_configuration
from kombu.exceptions import OperationalError
from processes import running, wait_until
from servers import rabbitmq_server, redis_server
from workloads import workload

from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server
BOUND = 3
WORKLOAD = """
queues: {NAME: QUEUE}
tasks: {shop.*: {queue: NAME, idempotent: true, runtime: 60s, retry: {on: [KeyError], max: 3, delay: 1s}}}
schedules: {tick: {task: shop.tick, every: 1s}}
"""
REDIS = 'broker: {transport: redis, url: "${CELERY_BROKER_URL}"}'
RABBITMQ = 'broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "3.10"}'
QUEUES = {
    "redis": (REDIS, "{bound: 3}"),
    "classic": (RABBITMQ, "{type: classic, bound: 3}"),
    "quorum": (RABBITMQ, "{type: quorum, bound: 3}"),
    "own": (RABBITMQ, "{type: classic, arguments: {x-max-length: 3, x-overflow: reject-publish}}"),
}
APP = """\
import os, time, redis
from celery import Celery
app = Celery("shop", config_source="celeryconfig")
effects = redis.Redis.from_url(os.environ["EFFECTS_URL"], decode_responses=True)
@app.task(name="shop.hold", bind=True, max_retries=3)
def hold(self):
    if effects.rpush("holds", "") == 1:
        while not effects.exists("go"):
            time.sleep(0.05)
        raise self.retry(countdown=0)
@app.task(name="shop.count")
def count():
    effects.incr("counted")
@app.task(name="shop.tick")
def tick():
    effects.incr("ticks")
"""


@pytest.fixture(scope="module")
def rabbitmq_url(tmp_path_factory):
    with rabbitmq_server(tmp_path_factory.mktemp("rabbitmq")) as url:
        yield url


class Site(NamedTuple):
    """A compiled service: a publisher, what its tasks have done, and a way to start its processes."""

    queue: str
    publisher: Celery
    effects: redis.Redis
    start: Callable


@pytest.fixture
def site(request, tmp_path):
    """A queue of each kind has its own name, because kombu declares a queue once."""
    kind = request.param
    broker, queue = QUEUES[kind]
    with ExitStack() as stack:
        url = effects = stack.enter_context(redis_server(tmp_path))
        if broker == RABBITMQ:
            url = request.getfixturevalue("rabbitmq_url")
        source = tmp_path / "workload.yaml"
        source.write_text(workload(WORKLOAD.replace("QUEUE", queue).replace("NAME", kind) + broker), "utf-8")
        compilation = compile_workload([source])
        assert not compilation.failed, compilation.diagnostics
        write_configuration(compilation.files, tmp_path)
        (tmp_path / "shop_app.py").write_text(APP)
        variables = {"CELERY_BROKER_URL": url, "EFFECTS_URL": f"{effects.rpartition('/')[0]}/3"}

        def start(command, *words):
            celery = (sys.executable, "-m", "celery", "--app", "shop_app", command, "--loglevel", "INFO")
            environment = {"PATH": os.environ["PATH"], **variables}
            log, where = tmp_path / f"{command}.log", {"folder": tmp_path, "environment": environment}
            stack.enter_context(running((*celery, *words), log=log, stop_seconds=0, **where))

        client = stack.enter_context(redis.Redis.from_url(variables["EFFECTS_URL"], decode_responses=True))
        for name in [name for name in sys.modules if name.startswith("celeryconfig")]:
            del sys.modules[name]
        publisher = configured_app(tmp_path, variables)
        # A router is not told whose it is.
        publisher.set_current()
        yield Site(kind, publisher, client, start)


def fill(site, folder):
    """A task runs, as many messages wait as may, and one more is refused."""
    words = ("--queues", site.queue, "--concurrency", "1", "--prefetch-multiplier", "1")
    site.start("worker", *words, "--without-gossip", "--without-mingle")
    chain = site.publisher.signature("shop.hold") | site.publisher.signature("shop.count", immutable=True)
    chain.apply_async()
    wait_until(lambda: site.effects.llen("holds") == 1, "it runs", log=folder / "worker.log", seconds=30)
    for _ in range(BOUND):
        site.publisher.send_task("shop.count")


@pytest.mark.parametrize("site", ["redis", "classic", "quorum"], indirect=True)
def test_a_full_queue_refuses_publishers_and_beat_but_not_what_tasks_send(site, tmp_path):
    fill(site, tmp_path)
    with pytest.raises(Exception, match="publishers may fill it up to 3") as error:
        site.publisher.send_task("shop.count")
    assert type(error.value).__name__ == "QueueFull"
    beat = tmp_path / "beat.log"
    site.start("beat", "--schedule", str(tmp_path / "schedule"), "--pidfile=")
    refused = f"Couldn't apply scheduled task tick: queue {site.queue} has 3 messages"
    wait_until(lambda: beat.read_text().count(refused) > 1, "beat is refused, and goes on", log=beat)
    site.effects.set("go", 1)
    wait_until(lambda: site.effects.get("counted") == str(BOUND + 1), "all run", log=tmp_path / "worker.log")
    wait_until(lambda: int(site.effects.get("ticks") or 0) > 1, "beat sends again", log=beat)
    assert site.effects.llen("holds") == 2


@pytest.mark.parametrize("site", ["own"], indirect=True)
def test_by_hand_a_queue_that_refuses_by_itself_loses_a_retry_and_its_chain(site, tmp_path):
    fill(site, tmp_path)
    with pytest.raises(OperationalError):
        site.publisher.send_task("shop.count")
    site.effects.set("go", 1)
    wait_until(
        lambda: site.effects.get("counted") == str(BOUND), "the others run", log=tmp_path / "worker.log"
    )
    site.publisher.send_task("shop.tick")
    wait_until(lambda: site.effects.get("ticks") == "1", "it goes on", log=tmp_path / "worker.log")
    assert (site.effects.llen("holds"), site.effects.get("counted")) == (1, str(BOUND))
