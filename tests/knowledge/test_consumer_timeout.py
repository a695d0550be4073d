"""What RabbitMQ does to a worker that holds a message too long; here too long is a second.

On it rests the policy consumer-timeout.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from knowledge.lab import OpenLab, open_lab
from processes import wait_until
from servers import rabbitmq_server

pytestmark = pytest.mark.server

# The broker looks once a tick whether a message has been held too long.
IMPATIENT = "[{rabbit, [{consumer_timeout, 1000}, {channel_tick_interval, 500}]}].\n"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("impatient")
    (folder / "advanced.config").write_text(IMPATIENT)
    with rabbitmq_server(folder) as url:
        yield url


@pytest.fixture
def lab(impatient, tmp_path, queue_name) -> Iterator[OpenLab]:
    settings = {"broker_url": impatient, "task_default_queue": queue_name}
    annotations = {"hold": {"acks_late": True}}
    with open_lab(tmp_path / "lab", settings | {"task_annotations": annotations}) as opened:
        yield opened


def test_a_worker_ends_that_runs_a_late_acknowledged_task_for_longer(lab, tmp_path):
    lab.worker("--prefetch-multiplier", "1")
    lab.send("hold", str(tmp_path / "never"))
    wait_until(lambda: closed(lab), "the worker ends")


def test_a_worker_ends_that_holds_a_message_behind_an_early_acknowledged_task_for_longer(lab):
    lab.worker("--prefetch-multiplier", "1")
    lab.send("nap", 600)
    lab.wait_for("start", "nap")
    lab.send("quick")
    wait_until(lambda: closed(lab), "the worker ends")


def test_a_worker_ends_that_holds_a_countdown_for_longer(lab):
    lab.worker("--prefetch-multiplier", "1")
    lab.send("quick", countdown=600)
    wait_until(lambda: closed(lab), "the worker ends")


def test_a_worker_ends_that_holds_a_message_for_its_rate_limit_for_longer(impatient, tmp_path, queue_name):
    """Though it is acknowledged early: that is when its run starts."""
    options = {"acks_late": False, "rate_limit": "1/h"}
    settings = {"broker_url": impatient, "task_default_queue": queue_name}
    with open_lab(tmp_path / "lab", settings | {"task_annotations": {"quick": options}}) as lab:
        lab.worker("--prefetch-multiplier", "1")
        first, _ = lab.send("quick"), lab.send("quick")
        wait_until(lambda: closed(lab), "the worker ends")
        assert [end["id"] for end in lab.events("end", "quick")] == [first.id]


def test_a_worker_holds_slots_times_multiplier_of_a_rate_limited_task(on_rabbitmq, queue_name):
    """Beside the one that ran."""
    limited = {"quick": {"rate_limit": "1/h"}}
    lab = on_rabbitmq(task_default_queue=queue_name, task_annotations=limited)
    for _ in range(10):
        lab.send("quick")
    lab.worker("--prefetch-multiplier", "3", slots=2)
    lab.wait_for("end", "quick")
    wait_until(lambda: left(lab, queue_name) == 3, "it holds six")


def left(lab, queue: str) -> int:
    """Messages that no worker has taken."""
    with lab.app.connection_for_read() as connection, connection.channel() as channel:
        return channel.queue_declare(queue, passive=True).message_count


def closed(lab) -> bool:
    """Whether the broker has closed a worker's channel, and the worker says that it cannot go on."""
    return "Unrecoverable error: PreconditionFailed" in lab.logs()
