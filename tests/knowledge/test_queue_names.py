"""Names of queues that brokers and Celery's command line accept, and limits that a worker's command sets."""

from __future__ import annotations

import pytest
from processes import wait_until

pytestmark = pytest.mark.server

NAMES = ("high priority", "foo:bar", "{hash}", "größe", "a/b", "[1]?", "ü" * 127)


@pytest.mark.parametrize("broker", ["on_redis", "on_rabbitmq"])
def test_a_worker_consumes_queues_with_these_names(broker, request, queue_name):
    lab = request.getfixturevalue(broker)()
    names = [f"{queue_name} {name}"[:127] for name in NAMES]
    lab.worker("--queues", ",".join(names))
    for name in names:
        lab.send("quick", queue=name)
    lab.wait_for("end", "quick", times=len(names))


def test_a_limit_of_the_command_ends_a_task_without_a_limit(on_redis, redis_url):
    lab = on_redis(result_backend=redis_url)
    lab.worker("--time-limit", "1")
    result = lab.send("shrug", 60)
    wait_until(lambda: result.state == "FAILURE", "the hard limit of the command ends it")


def test_a_limit_of_the_app_comes_before_one_of_the_command(on_redis):
    lab = on_redis(task_time_limit=60)
    lab.worker("--time-limit", "1")
    lab.send("nap", 3)
    lab.wait_for("end", "nap")
    assert lab.events("end", "nap")[0]["state"] == "SUCCESS"
