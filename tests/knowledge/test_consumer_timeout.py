"""What RabbitMQ does to a worker that holds a message too long; here too long is a second.

On it rests the policy consumer-timeout.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from subprocess import CalledProcessError

import pytest
from knowledge.lab import Lab, open_lab
from kombu import Connection, Exchange, Queue
from processes import wait_until
from servers import RABBITMQ, Server, start_rabbitmq

pytestmark = pytest.mark.server

# The broker looks once a tick whether a message has been held too long.
IMPATIENT = "[{rabbit, [{consumer_timeout, 1000}, {channel_tick_interval, 500}]}].\n"


@pytest.fixture(scope="module", params=RABBITMQ)
def server(request, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("impatient")
    (folder / "advanced.config").write_text(IMPATIENT)
    with start_rabbitmq(folder, release=request.param) as found:
        yield found


@pytest.fixture
def patient(server) -> bool:
    """Whether this release knows another timeout for a queue."""
    with Connection(server.url) as connection:
        version: str = connection.connection.server_properties["version"]
    return not version.startswith("3.10.")


@pytest.fixture
def impatient(server) -> str:
    return server.url


@pytest.fixture
def lab(impatient, tmp_path, queue_name) -> Iterator[Lab]:
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


LONG = 600_000
KINDS = ["classic", "quorum"]


def queue(name: str, kind: str, **arguments: object) -> Queue:
    return Queue(
        name,
        Exchange(name, type="direct"),
        routing_key=name,
        queue_arguments={"x-queue-type": kind, **arguments},
    )


def holds_longer(lab: Lab) -> bool:
    """Whether a late-acknowledged run of three times the timeout ends well; else the worker ends."""
    lab.worker("--prefetch-multiplier", "1")
    lab.send("nap", 4)
    wait_until(
        lambda: closed(lab) or bool(lab.events("end", "nap")), "the run or the worker ends", seconds=60
    )
    return not closed(lab)


@pytest.fixture
def of_queue(impatient, tmp_path, queue_name):
    """Opens a lab on a queue of a kind with arguments; its task is acknowledged late."""
    labs = []

    def opened(kind: str, **arguments: object) -> Lab:
        settings = {
            "broker_url": impatient,
            "task_queues": (queue(queue_name, kind, **arguments),),
            "task_default_queue": queue_name,
            "task_annotations": {"nap": {"acks_late": True}},
        }
        labs.append(open_lab(tmp_path / "lab", settings))
        return labs[0].__enter__()

    yield opened
    for each in labs:
        each.__exit__(None, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_argument_of_a_queue_is_its_timeout_and_3_10_ignores_it(of_queue, patient, kind):
    assert holds_longer(of_queue(kind, **{"x-consumer-timeout": LONG})) == patient


@pytest.mark.parametrize("kind", KINDS)
def test_the_argument_does_not_change_a_queue_that_exists(of_queue, impatient, queue_name, kind):
    with Connection(impatient) as connection:
        queue(queue_name, kind)(connection.channel()).declare()
    assert not holds_longer(of_queue(kind, **{"x-consumer-timeout": LONG}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_changes_a_queue_that_exists_and_3_10_refuses_it(
    of_queue, server, patient, queue_name, kind
):
    with Connection(server.url) as connection:
        queue(queue_name, kind)(connection.channel()).declare()
    policy = ("set_policy", queue_name, f"^{queue_name}$", json.dumps({"consumer-timeout": LONG}))
    if not patient:
        with pytest.raises(CalledProcessError):
            server.ctl(*policy)
        return
    server.ctl(*policy, "--apply-to", "queues")
    assert holds_longer(of_queue(kind))


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
