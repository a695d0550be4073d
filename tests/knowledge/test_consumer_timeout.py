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


def closed(lab) -> bool:
    """Whether the broker has closed a worker's channel, and the worker says that it cannot go on."""
    return "Unrecoverable error: PreconditionFailed" in lab.logs()
