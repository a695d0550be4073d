"""Changes rolled out on RabbitMQ under traffic that never stops: by the steps as written."""

from __future__ import annotations

import json

import pytest
from kombu import Connection, Queue
from rollout.deployed import after_the_steps
from rollout.fleet import Fleet
from rollout.outputs import guide
from rollout.scenarios import compiled, on
from rollout.steps import follow

pytestmark = pytest.mark.server


@pytest.mark.parametrize("scenario", on("rabbitmq"), ids=str)
def test_in_the_order_of_the_steps_nothing_is_lost_doubled_or_left(scenario, empty_broker, tmp_path):
    outcome, logs = after_the_steps(scenario, empty_broker("rabbitmq"), tmp_path)
    assert outcome.clean, (outcome, logs)


def test_a_dead_letter_stays_until_somebody_has_taken_it(empty_broker, tmp_path):
    broker = empty_broker("rabbitmq")
    (scenario,) = (each for each in on("rabbitmq") if each.name.endswith("with-dead-letters"))
    old = compiled(scenario.workload(scenario.old), tmp_path / "old")
    output = compiled(scenario.workload(scenario.new), tmp_path / "new", old=old)
    steps = json.loads((output / "rollout" / "steps.json").read_text("utf-8"))["steps"]
    looks = [step for step in steps if step["action"].startswith("rerun or save")]
    fleet = Fleet(tmp_path, broker, once=scenario.once)
    kinds = {"letters.dead": "classic", "letters.v2.dead": "quorum"}
    with Connection(broker.url) as connection, connection.channel() as channel:
        for step, (name, kind) in zip(looks, kinds.items(), strict=True):
            queue = Queue(name, queue_arguments={"x-queue-type": kind})(channel)
            queue.declare()
            connection.Producer(channel).publish("a letter", routing_key=name)
            (command,) = guide(output)[steps.index(step)].forward
            kept = fleet.run(command, output)
            assert (kept.returncode, f"`{name}` is kept: it has 1 ready message" in kept.stderr) == (1, True)
            assert queue.get(no_ack=True).payload == "a letter"
            follow(fleet, [command], output)
            assert name not in broker.control("list_queues", "--quiet", "name").split()
