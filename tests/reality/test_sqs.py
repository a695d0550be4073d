"""A look at SQS, against a stub that speaks its protocol."""

from __future__ import annotations

import socket

import pytest
from live_demo import plan_in, planned
from stub_sqs import stub_sqs

from policycompiler.plan import Plan
from policycompiler.reality import live
from policycompiler.verify.live import findings

pytest.importorskip("boto3")

READING = {"ListQueues", "GetQueueUrl", "GetQueueAttributes"}
OPTIONS = {"region": "eu-west-1", "is_secure": False}


@pytest.fixture
def plan(tmp_path) -> Plan:
    changes = {
        "broker/options": OPTIONS,
        "celery/settings": {"task_default_queue": "main"},
        "broker/visibility_timeout": "1h",
    }
    return plan_in(planned(tmp_path, "sqs", changes))


def attributes(visibility: int) -> dict[str, str]:
    return {
        "ApproximateNumberOfMessages": "7",
        "ApproximateNumberOfMessagesNotVisible": "2",
        "ApproximateNumberOfMessagesDelayed": "1",
        "VisibilityTimeout": str(visibility),
    }


def test_the_attributes_of_queues_are_read_and_compared(plan):
    asked: list[str] = []
    with stub_sqs({"main": attributes(3600), "other": attributes(30)}, asked) as url:
        seen = live.look(plan, {}, broker=url)
    assert seen.problem is None, seen.problem
    main = seen.broker.queues["main"]
    assert (main.ready, main.unacked, main.delayed, main.visibility_seconds) == (7, 2, 1, 3600)
    assert set(asked) <= READING
    told = {each.name: each.message for each in findings(plan, seen)}
    assert told.keys() == {"workers-unseen", "queue-visibility-differs"}
    assert told["queue-visibility-differs"] == "queue `other` has a visibility timeout of 30 s; planned: 1 h"


def test_a_queue_that_does_not_exist_is_named(plan):
    with stub_sqs({"main": attributes(3600)}, []) as url:
        seen = live.look(plan, {}, broker=url)
    told = {each.name: each.message for each in findings(plan, seen)}
    assert told["queue-missing"] == "queue `other` does not exist on the broker"


def test_an_address_without_sqs_is_unreachable(plan):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        seen = live.look(plan, {}, broker=f"sqs://key:sekret@127.0.0.1:{free.getsockname()[1]}")
    (found,) = findings(plan, seen)
    assert found.name == "broker-unreachable"
    assert "sekret" not in found.message
