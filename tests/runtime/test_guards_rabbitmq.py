"""Guards on RabbitMQ: messages that the broker delays, connections that it closes."""

from __future__ import annotations

import os

import pytest
from guarded import KEYED, PARKING, deploy, take
from kombu import Exchange, Queue
from places import SUPPORT
from processes import wait_until
from servers import redis_server, start_rabbitmq

pytestmark = pytest.mark.server
APP = (SUPPORT / "shop_charges.py").read_text("utf-8")
LONG = os.environ.get("GUARDS") == "long"


@pytest.fixture
def redis_url(tmp_path):
    with redis_server(tmp_path) as url:
        yield url


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory):
    with start_rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


QUORUM = """
from kombu import Exchange, Queue

task_default_queue = task_default_exchange = task_default_routing_key = "shop"
task_default_exchange_type = "topic"
task_queues = [
    Queue("shop", Exchange("shop", "topic"), routing_key="shop", queue_arguments={"x-queue-type": "quorum"})
]
"""


def test_a_message_that_rabbitmq_has_delayed_can_be_parked_again(rabbitmq, redis_url, tmp_path):
    """On a quorum queue the broker keeps it until its time, and its address is no queue's."""
    parking = PARKING | {"whole_seconds": True, "longest": 2.0}
    tasks = {"shop.charge": KEYED}
    site = deploy(tmp_path / "shop", redis_url, APP, tasks, broker=rabbitmq.url, more=QUORUM, parking=parking)
    with site.worker("w", queue="shop"):
        record = take(site, "shop.charge", "key", 3)
        result = site.send("shop.charge", "key", queue=Queue("shop", no_declare=True))
        site.succeeded([result])
        log = (site.folder / "w.log").read_text()
    assert log.count("another run of task shop.charge") >= 2
    assert log.count("received") == log.count("another run of task shop.charge") + 1
    assert site.store.hget(record, "owner") == result.id
    assert (site.effect("key"), site.runs("key")) == (1, 1)


@pytest.mark.parametrize("pool", ["gevent", *(["prefork", "threads"] if LONG else [])])
def test_a_queue_stays_paused_after_a_connection_was_lost(pool, rabbitmq, redis_url, tmp_path):
    trip = {"failures": 2, "within": 10.0, "open_for": 6.0, "probes": 1}
    told = {"calls": ["stripe"], "failures": {"stripe": ["ConnectionError"]}}
    stripe = {"breaker": trip, "pauses": ["celery"]}
    site = deploy(
        tmp_path / "shop",
        redis_url,
        APP,
        {"shop.call": told},
        broker=rabbitmq.url,
        dependencies={"stripe": stripe},
    )
    log, says = site.folder / "w.log", "pause queue celery"
    with site.worker("w", pool=pool):
        site.effects.set("down", 1)
        results = [site.send("shop.call", number) for number in range(10)]
        wait_until(lambda: says in log.read_text(), "it pauses")
        rabbitmq.ctl("close_all_connections", "test")
        wait_until(lambda: log.read_text().count(says) > 1, "it pauses again")
        site.effects.delete("down")
        site.succeeded(results)


BOUNDED = """
from kombu import Exchange, Queue

broker_transport_options = {"confirm_publish": True}
task_default_queue = task_default_exchange = task_default_routing_key = "bounded"
task_queues = [
    Queue(
        "bounded",
        Exchange("bounded", "direct"),
        routing_key="bounded",
        queue_arguments={"x-max-length": 1, "x-overflow": "reject-publish"},
    )
]
"""


def test_a_queue_that_is_full_refuses_a_retry_too_and_it_is_lost(rabbitmq, redis_url, tmp_path):
    """Why publishers count the messages, and `reject-publish` is a finding for tasks that are retried."""
    site = deploy(tmp_path / "shop", redis_url, APP, {}, broker=rabbitmq.url, more=BOUNDED)
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    queue = Queue("bounded", Exchange("bounded"), routing_key="bounded", queue_arguments=arguments)
    site.app.conf.task_queues = [queue]
    with site.worker(slots=1, queue="bounded"):
        first = site.send("shop.charge", "retried", 5, "retry", queue="bounded")
        wait_until(lambda: site.runs("retried") == 1, "it runs")
        site.succeeded([site.send("shop.charge", "waits", 0, queue="bounded")])
        with site.app.connection_for_read() as connection:
            found = queue.bind(connection.default_channel).queue_declare(passive=True)
    assert found.message_count == 0
    assert first.state != "SUCCESS"
    assert (site.runs("retried"), site.effect("retried")) == (1, 0)
    assert "MessageNacked" in (tmp_path / "shop" / "w.log").read_text()
