"""A task that is parked keeps all that its message has, and is not lost; waiting by hand loses it."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest
from celery import chord
from guarded import KEYED, deploy, take
from processes import wait_until
from servers import redis_server, start_rabbitmq

pytestmark = pytest.mark.server
APP = "from shop_charges import app\nimport shop_waits\n"
QUEUES = """
from kombu import Queue

task_queues = [Queue(name, routing_key=name, max_priority=10) for name in ("celery", "own")]
"""


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def site(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    tasks = {"shop.parked": KEYED | {"lease": 5.0}}
    with ExitStack() as stack:
        url, broker = stack.enter_context(redis_server(folder)), ""
        if request.param == "rabbitmq":
            (folder / "rabbitmq").mkdir()
            broker = stack.enter_context(start_rabbitmq(folder / "rabbitmq")).url
        found = deploy(folder / "shop", url, APP, tasks, broker=broker, more=QUEUES)
        found.add("shop_charges")
        found.add("shop_waits")
        given = {}
        exec(QUEUES, given)
        found.app.conf.task_queues = given["task_queues"]
        stack.enter_context(found.worker("w", slots=2, queue="celery,own"))
        yield found


def test_a_parked_message_keeps_all_it_has_and_a_retry_is_not_used(site):
    add, parked = site.app.signature("shop.add"), site.app.signature
    # Its key is taken by a run that nobody knows of, as after a worker that was killed.
    for key, number in {"alone": 1, "c0": 1, "c1": 2, "chain": 5}.items():
        take(site, "shop.parked", key, 2.5, number=number)
    options = {"headers": {"mine": "kept"}, "expires": 600, "priority": 3, "queue": "own"}
    alone = site.send("shop.parked", "alone", 1, **options)
    header = [parked("shop.parked", args=(f"c{number}", number + 1)) for number in range(2)]
    whole = chord(header, app=site.app)(add.clone())
    chain = (parked("shop.parked", args=("chain", 5)) | add.clone(args=(1,))).apply_async()
    wait_until(lambda: alone.state == "RETRY", "it is parked")
    others = [site.sent(each.id) for each in (whole, chain)]
    assert site.succeeded([alone, *others]) == [1, 3, 6]
    found = json.loads(site.effects.get("request:alone"))
    assert found.pop("expires")
    assert found == {"id": alone.id, "retries": 0, "priority": 3, "mine": "kept", "routing_key": "own"}
    assert [site.runs(key) for key in ("alone", "c0", "c1", "chain")] == [1] * 4
    # A duplicate looks several times.
    assert (site.folder / "w.log").read_text().count("another run of task shop.parked") > 4


def test_a_message_that_cannot_be_parked_is_not_lost(site):
    take(site, "shop.parked", "stuck", 1.5)
    site.effects.set("publishes fail", 2)
    result = site.send("shop.parked", "stuck")
    site.succeeded([result])
    assert int(site.effects.get("publishes fail")) <= 0
    assert (site.runs("stuck"), (site.folder / "w.log").read_text().count("goes back to its queue")) == (1, 2)


def test_by_hand_a_retry_that_cannot_be_published_is_lost(site):
    site.effects.set("publishes fail", 1)
    result = site.send("shop.retries", "lost")
    wait_until(lambda: result.state == "FAILURE", "it is rejected")
    site.effects.set("go:lost", 1)
    site.succeeded([site.send("shop.add", 1) for _ in range(4)])
    assert (site.runs("lost"), site.effect("lost")) == (1, 0)


def test_by_hand_waiting_uses_up_the_retries(site):
    result = site.send("shop.retries", "used up")
    wait_until(lambda: result.state == "FAILURE", "it fails")
    assert "Can't retry" in str(result.result)
    assert site.runs("used up") == 3


def test_by_hand_the_exception_alone_loses_the_task(site):
    result = site.send("shop.raises", "raised")
    wait_until(lambda: result.state == "RETRY", "it says that it waits")
    site.succeeded([site.send("shop.add", 1, countdown=1) for _ in range(4)])
    assert (result.state, site.runs("raised")) == ("RETRY", 1)
