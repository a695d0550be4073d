"""Arguments with which RabbitMQ refuses a queue, deletes it, or gives up its messages too early or never."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.routing import queue_arguments

LIMIT = (
    "broker: {transport: rabbitmq, url: '${U}'}\n"
    "queues: {q: {type: quorum, arguments: {x-delivery-limit: %s}}}\n"
    "tasks: {shop.a: {queue: q, idempotent: true}}"
)


def test_no_limit_of_deliveries():
    (found,) = after(queue_arguments, LIMIT % -1).findings
    assert found == Found(
        "delivery-limit-missing",
        "2:58",
        "the delivery limit -1 does not stop queue q from redelivering a message that kills its worker, "
        "for instance one of shop.a",
        "remove the limit (the compiler then sets one), or write a limit of 1 or more",
    )


def test_a_limit_of_no_delivery_after_the_first():
    (found,) = after(queue_arguments, LIMIT % 0).findings
    assert found == Found(
        "delivery-limit-zero",
        "2:58",
        "queue q has a delivery limit of 0: RabbitMQ does not redeliver a message of shop.a when its worker "
        "dies, although the task is acknowledged late",
        "remove the limit (the compiler then sets one), or write 1 or more",
    )


@pytest.mark.parametrize("limit", [1, 20])
def test_another_limit_is_fine(limit):
    assert after(queue_arguments, LIMIT % limit).findings == []
