"""`policycompiler act` on a real broker: it moves and deletes what the step says, and nothing that is used."""

from __future__ import annotations

import pytest
from kombu import Connection, Exchange, Queue
from rollout.asked import BODY, between
from rollout.outputs import guide

pytestmark = pytest.mark.server

OLD_LEVELS, NEW_LEVELS = [0, 3, 6, 9], [0, 5]
# To a quorum queue, somebody who holds a message is a consumer.
HELD = {"classic": "`mail` has 1 held by workers", "quorum": "it has 1 consumer"}
LETTERS = BODY.replace("queue: mail", "queue: letters")


def levels(steps):
    return f", options: {{priority_steps: {steps}}}"


def number_of(shop, action):
    """The number of the step whose guide has this action, and whether its undo has it."""
    for number, commands in enumerate(guide(shop.folder / "build"), 1):
        for undo, listed in ((False, commands.forward), (True, commands.undo)):
            if any(command.startswith(f"policycompiler {action}") for command in listed):
                return [str(number), *(["--undo"] if undo else [])]
    raise AssertionError(action)


@pytest.fixture
def of_other_levels(empty_broker, tmp_path):
    return between(empty_broker("redis"), tmp_path, (BODY, BODY), (levels(OLD_LEVELS), levels(NEW_LEVELS)))


def test_what_lies_in_lists_of_levels_that_go_comes_next_and_in_its_order(of_other_levels):
    shop = of_other_levels
    with shop.queue(priority_steps=OLD_LEVELS) as queue:
        for number, priority in enumerate([3, 4, 6, 9, 0, 3]):
            queue.put(number, priority=priority)
    *_, contract = (str(number) for number, _ in enumerate(guide(shop.folder / "build"), 1))
    for moved in (5, 0):
        done = shop.command("act", contract)
        assert (done.returncode, done.stdout) == (0, f"moved {moved} messages to priority levels that stay\n")
    with shop.queue(priority_steps=NEW_LEVELS) as queue:
        assert [queue.get(timeout=5).payload for _ in range(6)] == [0, 1, 5, 4, 2, 3]


def test_who_goes_back_to_the_old_levels_takes_what_workers_gave_back_by_the_new_ones(of_other_levels):
    shop = of_other_levels
    with shop.queue(priority_steps=sorted({*OLD_LEVELS, *NEW_LEVELS})) as queue:
        queue.put("five", priority=5)
    assert set(shop.broker.left()) == {"mail\x06\x165"}
    assert "moved 1 message " in shop.command("act", *number_of(shop, "act")).stdout
    with shop.queue(priority_steps=OLD_LEVELS) as queue:
        assert queue.get(timeout=5).payload == "five"


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_queue_that_holds_a_message_or_has_a_consumer_is_kept(empty_broker, tmp_path, kind):
    typed = f"queues: {{mail: {{type: {kind}}}}}\n"
    shop = between(empty_broker("rabbitmq"), tmp_path, (BODY + typed, LETTERS))
    act = ("act", *number_of(shop, "act"))

    def kept():
        done = shop.command(*act)
        assert done.returncode == 1, done
        return done.stderr

    with Connection(shop.broker.url) as connection, connection.channel() as channel:
        queue = Queue("mail", Exchange("mail"), "mail", queue_arguments={"x-queue-type": kind})(channel)
        queue.declare()
        connection.Producer(channel).publish("kept", exchange="mail", routing_key="mail")
        assert kept() == "queue `mail` is kept: it has 1 ready message\n"
        message = queue.get()
        # Held by somebody who is no consumer.
        assert kept() == f"queue `mail` is kept: {HELD[kind]}\n"
        message.ack()
        consumer = connection.Consumer([queue], channel=channel)
        consumer.consume()
        assert kept() == "queue `mail` is kept: it has 1 consumer\n"
        consumer.cancel()
    for said in ("deleted queue `mail`\n", "queue `mail` no longer exists\n"):
        done = shop.command(*act)
        assert (done.returncode, done.stdout) == (0, said + "deleted exchange `mail`\n"), done
    assert "mail" not in shop.broker.control("list_queues", "--quiet", "name").split()


def test_an_exchange_that_another_queue_is_bound_to_is_kept(empty_broker, tmp_path):
    shop = between(empty_broker("rabbitmq"), tmp_path, (BODY, LETTERS))
    with Connection(shop.broker.url) as connection, connection.channel() as channel:
        Queue("other", Exchange("mail"), "other")(channel).declare()
    done = shop.command("act", *number_of(shop, "act"))
    assert (done.returncode, done.stdout) == (1, "queue `mail` no longer exists\n")
    assert done.stderr.startswith("exchange `mail` is kept: PRECONDITION_FAILED")
